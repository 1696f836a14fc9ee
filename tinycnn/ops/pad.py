"""Padding: put a border around every image; backward, the border's gradient goes nowhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, four_sides, upstream


def _pad_names(names: dict[str, Any]) -> dict[str, Any]:
    top, bottom, left, right = four_sides(names["padding"])
    H, W = names["x"].shape[2:]
    return {"top": top, "left": left, "OH": H + top + bottom, "OW": W + left + right}


@formula(
    "y[n,c,u,v] = value",
    "y[n, c, r+top, q+left] = x[n,c,r,q]",
    where="OH = H + top + bottom; OW = W + left + right",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="Dumoulin & Visin 2016, arXiv:1603.07285",
    given=_pad_names,
)
def pad2d_forward(x: Array, padding: Any, value: float = 0.0) -> tuple[Array, tuple]:
    """Surround every image with a border of `value`: an int, (vertical, horizontal) or (top, bottom, left, right).

    >>> pad2d_forward(np.ones((1, 1, 1, 2)), (1, 0, 0, 1))[0][0, 0]
    array([[0., 0., 0.],
           [1., 1., 0.]])
    """
    x = floating(x, "x", "N,C,H,W")
    top, bottom, left, right = four_sides(padding)
    y = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)
    return y, (x.shape, y.shape, top, left)


@formula("dx[n,c,r,q] = dy[n, c, r+top, q+left]", shapes="-> dx")
def pad2d_backward(dy: Array, cache: tuple) -> Array:
    """Cut the border off again."""
    (_, _, H, W), y_shape, top, left = cache
    return upstream(dy, y_shape)[:, :, top : top + H, left : left + W].copy()
