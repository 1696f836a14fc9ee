"""Witnesses of the formulas for pictures: walked literally, and asked of Pillow or colorsys, or counted by other means.

Pillow mostly works on bytes, so it can vouch for half a byte, 0.002; where it works on fractions, for more.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycnn.data import adjust, colour, degrade, filters, resizing, warp
from tinycnn.data.augment_looks import mixup
from tinycnn.formula import formulas
from tinycnn.verify.rows import EXACT, Row, distance, row_of
from tinycnn.verify.witness_images_pillow import BYTE, PILLOW, SINGLE

Array = np.ndarray
Case = dict[str, Any]
SIZES = [(7, 3), (3, 7), (12, 4), (5, 5), (1, 4)]  # H, OH
ALLOWED = {
    "resize": SINGLE,
    "sample": SINGLE,
    "bit_depth": EXACT,
    "edges": EXACT,
    "contrast": 4 * BYTE,
    "saturation": 4 * BYTE,
}  # Pillow rounds their grey to bytes too
SHARES = {
    "nearest_shares": resizing.nearest_shares,
    "area_shares": resizing.area_shares,
    "tent_shares": resizing.tent_shares,
}


def image_rows(thorough: bool = False, seed: int = 0) -> list[Row]:
    """The rows of every formula for pictures: colour, adjusting, resizing, moving, filters, degradations."""
    rng = np.random.default_rng([seed, 37])
    rounds = 8 if thorough else 2
    rows = []
    for name, (function, draw) in _cases().items():
        cases = [draw(rng) for _ in range(rounds)]
        errors = [distance(_flat(function(**case)), _flat(formulas[name].evaluate(**case))) for case in cases]
        rows.append(row_of(name, "image", "literal", "the formula walked", errors))
    for name, shares in SHARES.items():
        errors = [distance(shares(H, OH), formulas[name].evaluate(H=H, OH=OH)) for H, OH in SIZES]
        rows.append(row_of(name, "image", "literal", "the formula walked", errors))
    for name, ask in PILLOW.items():
        rows.append(
            row_of(
                name, "image", "external", "Pillow", [ask(rng) for _ in range(rounds)], ALLOWED.get(name, 2.1 * BYTE)
            )
        )
    return [*rows, *_shares_of_pillow(), *_colorsys(rng), *_counted(rng)]


def _cases() -> dict[str, tuple[Callable, Callable[[np.random.Generator], Case]]]:
    """For each formula the function that is it, and how to draw what both are given."""
    return {
        "rgb_to_gray": (colour.rgb_to_gray, _picture),
        "rgb_to_hsv": (colour.rgb_to_hsv, _picture),
        "hsv_to_rgb": (colour.hsv_to_rgb, _picture),
        "rgb_to_ycbcr": (colour.rgb_to_ycbcr, _picture),
        "ycbcr_to_rgb": (colour.ycbcr_to_rgb, _picture),
        "brightness": (adjust.brightness, _factor),
        "contrast": (adjust.contrast, _factor),
        "saturation": (adjust.saturation, _factor),
        "colour_matrix": (adjust.colour_matrix, _matrix),
        "normalise": (adjust.normalise, _moments),
        "resize": (resizing.resize, _resized),
        "inverse_affine": (warp.inverse_affine, _way),
        "affine_places": (warp.affine_places, lambda rng: {"m": rng.normal(size=(2, 2, 3)), "H": 4, "W": 5}),
        "sample": (warp.sample, _places),
        "mixup": (mixup, lambda rng: _picture(rng) | {"lam": rng.random(2), "partner": rng.permutation(2)}),
        "box_kernel": (filters.box_kernel, lambda rng: {"size": int(rng.integers(1, 9))}),
        "gaussian_kernel": (filters.gaussian_kernel, lambda rng: {"sigma": rng.uniform(0.5, 2), "size": 7}),
        "edges": (filters.edges, _picture),
        "bit_depth": (degrade.bit_depth, lambda rng: _picture(rng) | {"bits": int(rng.integers(1, 9))}),
        "equalise": (degrade.equalise, _picture),
    }


def _picture(rng: np.random.Generator) -> Case:
    return {"x": rng.random((2, 3, 4, 5))}


def _factor(rng: np.random.Generator) -> Case:
    return _picture(rng) | {"factor": rng.random(2) * 2}


def _matrix(rng: np.random.Generator) -> Case:
    return _picture(rng) | {"m": rng.normal(size=(2, 3)), "offset": rng.normal(size=2)}


def _moments(rng: np.random.Generator) -> Case:
    return _picture(rng) | {"mean": rng.random(3), "std": 0.1 + rng.random(3)}


def _resized(rng: np.random.Generator) -> Case:
    return _picture(rng) | {"size": (3, 7), "method": rng.choice(list(resizing.METHODS)).item()}


def _way(rng: np.random.Generator) -> Case:
    drawn = {name: rng.normal(size=3) for name in ("shear", "down", "right")}
    return drawn | {"angle": rng.uniform(-180, 180, 3), "scale": rng.uniform(0.5, 2, 3)}


def _places(rng: np.random.Generator) -> Case:
    row, column = rng.uniform(-2, 5, (2, 3, 3)), rng.uniform(-2, 6, (2, 3, 3))
    return _picture(rng) | {"row": row, "column": column, "fill": rng.random()}


def _flat(result: Any) -> Array:
    """A result, or the results channel by channel, as one row of numbers."""
    if isinstance(result, tuple):
        parts = [np.asarray(part) for part in result]
        return np.stack(parts, axis=1 if parts[0].ndim == 3 else 0).ravel()
    return np.asarray(result).ravel()


def _shares_of_pillow() -> Iterator[Row]:
    """A picture with one bright row after the other shows a method's shares: Pillow resizes the unit matrix."""
    from PIL import Image

    methods = dict(zip(SHARES, ("NEAREST", "BOX", "BILINEAR"), strict=True))
    for name, shares in SHARES.items():
        sizes = [(12, 4), (3, 6), (5, 5), (9, 3)] if name == "area_shares" else [(7, 3), (3, 7), (11, 4)]
        method = Image.Resampling[methods[name]]
        found = [np.asarray(Image.fromarray(np.eye(H, dtype=np.float32)).resize((H, OH), method)) for H, OH in sizes]
        errors = [distance(shares(H, OH), a) for (H, OH), a in zip(sizes, found, strict=True)]
        yield row_of(name, "image", "external", "Pillow on the unit matrix", errors, SINGLE)


def _colorsys(rng: np.random.Generator) -> Iterator[Row]:
    """Python's own module, colour by colour."""
    for name, function, theirs in (
        ("rgb_to_hsv", colour.rgb_to_hsv, colorsys.rgb_to_hsv),
        ("hsv_to_rgb", colour.hsv_to_rgb, colorsys.hsv_to_rgb),
    ):
        x = rng.random((3, 6, 6))
        found = np.array([theirs(*one) for one in x.reshape(3, -1).T]).T.reshape(x.shape)
        yield row_of(name, "image", "external", "colorsys", [distance(function(x), found)])


def _counted(rng: np.random.Generator) -> Iterator[Row]:
    """What follows from what a thing is, whatever its formula."""
    x = rng.random((6, 3, 5, 4))
    y = adjust.normalise(x, x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3)))
    off = max(abs(y.mean(axis=(0, 2, 3))).max(), abs(y.std(axis=(0, 2, 3)) - 1).max())
    yield row_of("normalise", "image", "numeric", "mean 0 and deviation 1 by its own", [float(off)])
    m = warp.inverse_affine(angle=90 * rng.random(), scale=1.7, down=2.0, right=-1.0)[0]
    forward = np.linalg.inv(m[:, :2])
    kept = [
        abs(np.linalg.det(forward) - 1.7**2),
        abs(forward @ -m[:, 2] - [2.0, -1.0]).max(),
        abs(forward.T @ forward - 1.7**2 * np.eye(2)).max(),
    ]
    yield row_of("inverse_affine", "image", "numeric", "areas, angles and the shift", [float(error) for error in kept])
    row, column = warp.affine_places(m[None], 7, 9)
    step = np.array(
        [
            [row[0, 1, 0] - row[0, 0, 0], row[0, 0, 1] - row[0, 0, 0]],
            [column[0, 1, 0] - column[0, 0, 0], column[0, 0, 1] - column[0, 0, 0]],
        ]
    )
    middle = np.array([row[0, 3, 4], column[0, 3, 4]]) - [3, 4]
    errors = [distance(step, m[:, :2]), float(abs(middle - m[:, 2]).max())]
    yield row_of("affine_places", "image", "numeric", "one step down and across, and the middle", errors)
    errors = []
    for sigma in (1.5, 2.0, 3.0):  # wide enough that what is cut off is below round-off
        w, at = filters.gaussian_kernel(sigma, 2 * int(9 * sigma) + 1), np.arange(-int(9 * sigma), int(9 * sigma) + 1)
        errors += [float(abs(w.sum() - 1)), float(abs(w.sum(axis=0) @ at**2 / sigma**2 - 1))]
    yield row_of("gaussian_kernel", "image", "numeric", "its mass and its variance", errors)
