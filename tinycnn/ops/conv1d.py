"""Convolution along one axis (time, say): a convolution over images that are one pixel high."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream, whole
from tinycnn.ops.conv import conv2d_backward, conv2d_forward
from tinycnn.ops.window import window_names


def _conv1d_names(names: dict[str, Any]) -> dict[str, Any]:
    s, d = names["stride"], names["dilation"]
    found = window_names({
        "x": names["x"][:, :, None], "w": names["w"][:, :, None],
        "stride": (1, s), "padding": sides_in_rows(names["padding"]), "dilation": (1, d),
    })  # fmt: skip
    b = np.zeros(len(names["w"])) if names["b"] is None else names["b"]
    return {"xp": found["xp"][:, :, 0], "OW": found["OW"], "left": found["left"], "s": s, "d": d, "b": b}


@formula(
    "y[n,f,v] = b[f] + sum[c,j](xp[n, c0+c, v*s+j*d] * w[f,c,tj])",
    where="xp is x padded with zeros; s is the stride; d is the dilation;"
    "c0 = f // (F//groups) * CG is the first channel of filter f's group (0 in one group); tj = KW-1-j if flip else j",
    shapes="x (N,C,W), w (F,CG,KW), b (F) -> y (N,F,OW)",
    source="Waibel, Hanazawa, Hinton, Shikano & Lang 1989, IEEE Trans. ASSP 37(3)",
    given=_conv1d_names,
)
def conv1d_forward(
    x: Array, w: Array, b: Array | None, stride: int = 1, padding: Any = 0, dilation: int = 1, groups: int = 1,
    flip: bool = False,
) -> tuple[Array, tuple]:  # fmt: skip
    """Slide F filters along a batch of sequences: `conv2d` on an image of height 1.

    `padding` is an int, (left, right), "valid" or "same"; everything else is as there.

    Raises ShapeError if the kernel is larger than the padded sequence or the channels do not fit the filters.

    >>> conv1d_forward(np.array([[[1.0, 2.0, 4.0]]]), np.array([[[-1.0, 1.0]]]), np.zeros(1))[0]
    array([[[1., 2.]]])
    """
    x, w = floating(x, "x", "N,C,W"), floating(w, "w", "F,C/groups,KW")
    s, d = (1, whole(stride, "stride")), (1, whole(dilation, "dilation"))
    y, cache = conv2d_forward(x[:, :, None], w[:, :, None], b, s, sides_in_rows(padding), d, groups, flip)
    return y[:, :, 0], (cache, y.shape)


@formula(
    "dw[f,c,tj] = sum[n,v](dy[n,f,v] * xp[n, c0+c, v*s+j*d])",
    "dxp[n, c0+c, v*s+j*d] += dy[n,f,v] * w[f,c,tj]",
    "dx[n,c,q] = dxp[n, c, q+left]",
    "db[f] = sum[n,v](dy[n,f,v])",
    shapes="-> dx, dw, db",
)
def conv1d_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array | None]:
    """The transpose, as in `conv2d_backward`. Without a bias, db is None."""
    conv2d_cache, (N, F, _, OW) = cache
    dx, dw, db = conv2d_backward(upstream(dy, (N, F, OW))[:, :, None], conv2d_cache)
    return dx[:, :, 0], dw[:, :, 0], db


def sides_in_rows(padding: Any) -> Any:
    """An int, (left, right) or a word as what `conv2d` takes: no border above and below."""
    if isinstance(padding, str):
        return padding
    both = tuple(padding) if isinstance(padding, tuple | list) else (padding, padding)
    if len(both) != 2:
        raise ValueError(f"padding must be an int ≥ 0, (left, right), 'valid' or 'same', got {padding!r}")
    return 0, 0, whole(both[0], "padding", 0), whole(both[1], "padding", 0)
