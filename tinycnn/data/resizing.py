"""Resizing: each pixel of the new picture is a mean of some of the old ones, and the method says with which weights.

Rows and columns are treated alike and one after the other, so a method is one matrix along each axis, and the whole of
resizing is A·x·Bᵀ.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import pair

Array = np.ndarray


@formula(
    "a[u,r] = (r == (2*u + 1) * H // (2*OH))",
    where="the middle of new pixel u, (u + ½)·H/OH, lies in old pixel r",
    shapes="-> a (OH,H)",
    source="Pillow's NEAREST; PyTorch's nearest-exact",
)
def nearest_shares(H: int, OH: int) -> Array:
    """Each new pixel is the old one that its middle lies in: a matrix with a single 1 in each row.

    >>> nearest_shares(2, 4).tolist()
    [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]
    """
    return np.eye(H)[nearest_places(H, OH)]


def nearest_places(H: int, OH: int) -> Array:
    """For each of OH new pixels, the old one that its middle lies in.

    >>> nearest_places(6, 3)
    array([1, 3, 5])
    """
    return (2 * np.arange(OH) + 1) * H // (2 * OH)


@formula(
    "a[u,r] = max(0, min(start + (u + 1)*step, r + 1) - max(start + u*step, r)) / step",
    where="step = (stop - start) / OH is how many old pixels a new one covers; start, stop is the part that is resized",
    shapes="start (), stop () -> a (OH,H)",
    source="Foley, van Dam, Feiner & Hughes 1990, Computer Graphics, section 14.10: unweighted area sampling",
    given=lambda names: {
        "step": ((names["H"] if names["stop"] is None else names["stop"]) - names["start"]) / names["OH"]
    },
)
def area_shares(H: int, OH: int, start: float = 0, stop: float | None = None) -> Array:
    """Each new pixel is the mean of the area that it covers: an old pixel counts for the part of it in there.

    The rows add up to 1 where the part from `start` to `stop` (all of it, unless told) lies inside the picture.

    >>> area_shares(3, 2).round(3).tolist()
    [[0.667, 0.333, 0.0], [0.0, 0.333, 0.667]]
    """
    edges = np.linspace(start, H if stop is None else stop, OH + 1)[:, None]
    covered = np.minimum(edges[1:], np.arange(1, H + 1)) - np.maximum(edges[:-1], np.arange(H))
    return covered.clip(0) * OH / float(edges[-1, 0] - edges[0, 0])


@formula(
    "t[u,r] = max(0, 1 - max(away, 0 - away) / width)",
    "total[u] = sum[r](t[u,r])",
    "a[u,r] = t[u,r] / total[u]",
    where="away = r + 0.5 - (u + 0.5) * H / OH is how far old pixel r is from the middle of new pixel u;"
    "width = max(1, H / OH) if antialias else 1",
    given=lambda names: {"width": max(1, names["H"] / names["OH"]) if names["antialias"] else 1},
    shapes="-> a (OH,H)",
    source="Heckbert 1989, Fundamentals of texture mapping and image warping, section 3.5",
)
def tent_shares(H: int, OH: int, antialias: bool = True) -> Array:
    """Each new pixel is a mean in which an old one counts the less the further away it is: a tent of weights.

    The tent is one old pixel wide to either side, which is linear interpolation. With `antialias` it is one new pixel
    wide where those are larger, so that a smaller picture leaves no old pixel out: stripes too fine for it blur, and do
    not turn into other stripes.

    >>> tent_shares(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    away = np.arange(H) + 0.5 - (np.arange(OH)[:, None] + 0.5) * H / OH
    tent = np.maximum(0, 1 - np.abs(away) / (max(1, H / OH) if antialias else 1))
    return tent / tent.sum(axis=1, keepdims=True)


METHODS = {
    "nearest": nearest_shares,
    "bilinear": lambda H, OH: tent_shares(H, OH, antialias=False),
    "antialias": tent_shares,
    "area": area_shares,
}


def _resize_names(names: dict[str, Any]) -> dict[str, Any]:
    (OH, OW), (H, W), shares = pair(names["size"], "size"), names["x"].shape[2:], METHODS[names["method"]]
    return {"a": shares(H, OH), "b": shares(W, OW), "OH": OH, "OW": OW}


@formula(
    "y[n,c,u,v] = sum[r,q](a[u,r] * b[v,q] * x[n,c,r,q])",
    where="a, b are the method's shares along the rows and along the columns",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="Heckbert 1989, Fundamentals of texture mapping and image warping, section 3.5",
    given=_resize_names,
)
def resize(x: Array, size: Any, method: str = "antialias") -> Array:
    """Pictures (…, H, W) at another size: an int, or (height, width); proportions are not kept for you.

    "nearest" takes one old pixel for each, keeps the type, and is the method for masks; "bilinear" blends the four
    around it; "antialias" blends all that a new pixel covers, and those near; "area" averages what it covers.

    Raises ValueError for a method that is none, ShapeError for fewer than two axes or none of pixels, TypeError for
    integers (class numbers have no mean) with another method than "nearest".

    >>> resize(np.array([[0.0, 1.0], [1.0, 0.0]]), (1, 2), "area")
    array([[0.5, 0.5]])
    """
    x, (OH, OW) = np.asarray(x), pair(size, "size")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ShapeError(f"x must be pictures (…, H, W) with pixels in them, got shape {x.shape}")
    H, W = x.shape[-2:]
    if method == "nearest":
        return x[..., nearest_places(H, OH)[:, None], nearest_places(W, OW)]
    if x.dtype.kind != "f":
        raise TypeError(f'x has {x.dtype}, and class numbers have no mean: resize masks with method="nearest"')
    a, b = METHODS[method](H, OH).astype(x.dtype), METHODS[method](W, OW).astype(x.dtype)
    return a @ x @ b.T
