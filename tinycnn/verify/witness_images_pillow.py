"""What Pillow says of the formulas for pictures: for each, the largest difference on a picture that is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinycnn.data import adjust, colour, degrade, filters, resizing, warp
from tinycnn.data.augment_looks import mixup

Array = np.ndarray
Rng = np.random.Generator
BYTE = 0.5 / 255  # what rounding to a byte may cost
SINGLE = 1e-5  # what single precision may cost, relative, through a resampling


def _bytes(rng: Rng, *shape: int) -> Array:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _unit(pixels: Array) -> Array:
    """Bytes (H, W, C) as a picture (C, H, W) in [0, 1]."""
    return np.atleast_3d(pixels).transpose(2, 0, 1) / 255


def _apart(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max())


def _converted(function: Callable[[Array], Array], start: str, mode: str) -> Callable[[Rng], float]:
    """How far a conversion is from Pillow's, clipped as bytes are."""

    def ask(rng: Rng) -> float:
        from PIL import Image

        pixels = _bytes(rng, 20, 30, 3)
        image = Image.frombytes(start, (30, 20), pixels.tobytes())
        return _apart(np.clip(function(_unit(pixels)), 0, 1), _unit(np.asarray(image.convert(mode))))

    return ask


def _enhanced(function: Callable[[Array, float], Array], name: str) -> Callable[[Rng], float]:
    def ask(rng: Rng) -> float:
        from PIL import Image, ImageEnhance

        pixels, factor = _bytes(rng, 20, 30, 3), float(rng.uniform(0.2, 1.8))
        theirs = getattr(ImageEnhance, name)(Image.fromarray(pixels)).enhance(factor)
        return _apart(function(_unit(pixels), factor), _unit(np.asarray(theirs)))

    return ask


def _matrix(rng: Rng) -> float:
    from PIL import Image

    pixels, m, offset = _bytes(rng, 20, 30, 3), rng.random((3, 3)) / 2, rng.normal(size=3) / 10
    flat = np.concatenate([m, offset[:, None] * 255], axis=1).ravel()
    theirs = Image.fromarray(pixels).convert("RGB", tuple(flat.tolist()))
    return _apart(adjust.colour_matrix(_unit(pixels), m, offset).clip(0, 1), _unit(np.asarray(theirs)))


def _resized(rng: Rng) -> float:
    from PIL import Image

    x, (OH, OW) = rng.random((13, 17)).astype(np.float32), rng.integers(3, 30, 2).tolist()
    theirs = Image.fromarray(x).resize((OW, OH), Image.Resampling.BILINEAR)
    return _apart(resizing.resize(x.astype(np.float64), (OH, OW)), np.asarray(theirs))


def _sampled(rng: Rng) -> float:
    """Inside the picture; Pillow counts places from the corner of the first pixel, columns first."""
    from PIL import Image

    x, m = rng.random((21, 27)).astype(np.float32), warp.inverse_affine(angle=float(rng.uniform(-90, 90)), scale=1.3)
    row, column = warp.affine_places(m, 21, 27)
    (a, b, _), (d, e, _) = m[0]
    across, down = column[0, 0, 0] + 0.5 - (d + e) / 2, row[0, 0, 0] + 0.5 - (a + b) / 2
    matrix = (e, d, across, b, a, down)
    theirs = Image.fromarray(x).transform((27, 21), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    inside = ((row > 0) & (row < 20) & (column > 0) & (column < 26))[0]
    return _apart(warp.sample(x[None, None].astype(np.float64), row, column)[0, 0][inside], np.asarray(theirs)[inside])


def _blended(rng: Rng) -> float:
    from PIL import Image

    one, other, lam = _bytes(rng, 9, 8, 3), _bytes(rng, 9, 8, 3), float(rng.random())
    theirs = Image.blend(Image.fromarray(other), Image.fromarray(one), lam)
    ours = mixup(np.stack([_unit(one), _unit(other)]), np.array([lam, 1.0]), np.array([1, 0]))[0]
    return _apart(ours, _unit(np.asarray(theirs)))


def _dot_blurred(rng: Rng) -> float:
    """A white dot, blurred, is the kernel."""
    from PIL import Image, ImageFilter

    radius = int(rng.integers(1, 4))
    page = np.zeros((15, 15), np.uint8)
    page[7, 7] = 255
    theirs = np.asarray(Image.fromarray(page).filter(ImageFilter.BoxBlur(radius))) / 255
    wanted = theirs[7 - radius : 8 + radius, 7 - radius : 8 + radius]
    return _apart(filters.box_kernel(2 * radius + 1), wanted)


def _edges(rng: Rng) -> float:
    """Of a dim picture, so that no slope leaves the bytes: then Pillow is exact."""
    from PIL import Image, ImageFilter

    pixels = rng.integers(0, 30, (12, 14), dtype=np.uint8)
    image, slopes = Image.fromarray(pixels), []
    for kernel in (filters.SOBEL, filters.SOBEL.T):
        found = image.filter(ImageFilter.Kernel((3, 3), kernel.ravel().tolist(), scale=1, offset=128))
        slopes.append(np.asarray(found).astype(np.float64) - 128)
    ours = filters.edges(pixels[None].astype(np.float64))[0]
    return _apart(ours[1:-1, 1:-1], np.hypot(*slopes)[1:-1, 1:-1])


def _one_bit(rng: Rng) -> float:
    from PIL import Image

    pixels = _bytes(rng, 20, 30)
    theirs = np.asarray(Image.fromarray(pixels).convert("1", dither=Image.Dither.NONE))
    return _apart(degrade.bit_depth(_unit(pixels), 1)[0], theirs.astype(np.float64))


def _equalised(rng: Rng) -> float:
    """With 2·255 pixels below the brightest, so that Pillow's whole-number step is exact."""
    from PIL import Image, ImageOps

    values = np.concatenate([rng.integers(0, 200, 510), np.full(42, 220)])
    pixels = rng.permutation(values).astype(np.uint8).reshape(24, 23)
    return _apart(degrade.equalise(_unit(pixels))[0], np.asarray(ImageOps.equalize(Image.fromarray(pixels))) / 255)


PILLOW: dict[str, Callable[[Rng], float]] = {
    "rgb_to_gray": _converted(colour.rgb_to_gray, "RGB", "L"),
    "rgb_to_ycbcr": _converted(colour.rgb_to_ycbcr, "RGB", "YCbCr"),
    "ycbcr_to_rgb": _converted(colour.ycbcr_to_rgb, "YCbCr", "RGB"),
    "brightness": _enhanced(adjust.brightness, "Brightness"),
    "contrast": _enhanced(adjust.contrast, "Contrast"),
    "saturation": _enhanced(adjust.saturation, "Color"),
    "colour_matrix": _matrix,
    "resize": _resized,
    "sample": _sampled,
    "mixup": _blended,
    "box_kernel": _dot_blurred,
    "edges": _edges,
    "bit_depth": _one_bit,
    "equalise": _equalised,
}
