"""Adapters of the operators with a window that slides, and of those that make images larger.

A sequence is an image one pixel high, so cases along one axis are run by the same ops; volumes are not ours.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from onnx_judge import reasons
from onnx_judge.reasons import NotOursError
from onnx_judge.run import Array, Node, adapter, forward, serve
from tinycnn import ops
from tinycnn.ops.window import place_window


def _image(x: Array) -> Array:
    """(N,C,W) as (N,C,1,W), and (N,C,H,W) as it is."""
    if x.ndim not in (3, 4):
        raise NotOursError(reasons.VOLUMES)
    return x[:, :, None] if x.ndim == 3 else x


def _two(values: Any, fill: int) -> tuple[int, int]:
    """One number an axis as (vertical, horizontal), with `fill` for the axis that a sequence lacks."""
    values = [int(v) for v in values]
    return tuple([fill] * (2 - len(values)) + values)


def _sides(pads: Any) -> tuple[int, int, int, int]:
    """ONNX's beginnings and then ends, as (top, bottom, left, right)."""
    half = len(pads) // 2
    (top, left), (bottom, right) = _two(pads[:half], 0), _two(pads[half:], 0)
    return top, bottom, left, right


def _window(node: Node, x: Array, kernel: tuple[int, int]) -> dict[str, Any]:
    """Stride, padding and dilation as our ops take them; `auto_pad` puts an odd pixel at the end, or at the start."""
    stride, dilation = _two(node.get("strides", ()), 1), _two(node.get("dilations", ()), 1)
    auto_pad, padding = node.get("auto_pad", "NOTSET"), _sides(node.get("pads", (0, 0)))
    if auto_pad == "VALID":
        padding = "valid"
    elif auto_pad == "SAME_UPPER":
        padding = "same"
    elif auto_pad == "SAME_LOWER":
        upper = place_window(*x.shape[2:], kernel, stride, "same", dilation)
        padding = (upper.bottom, upper.top, upper.right, upper.left)
    return {"stride": stride, "padding": padding, "dilation": dilation}


@adapter("Conv", judges="conv2d, conv1d")
def conv(node: Node) -> Array:
    """By `conv2d`, and along one axis by `conv1d`."""
    x, w, b, groups = node.inputs[0], node.inputs[1], node.input(2), node.get("group", 1)
    image = _image(x)
    options = _window(node, image, _two(w.shape[2:], 1))
    if x.ndim == 4:
        return forward("conv2d", x, w, b, groups=groups, **options)
    sides = options["padding"] if isinstance(options["padding"], str) else options["padding"][2:]
    return forward("conv1d", x, w, b, options["stride"][1], sides, options["dilation"][1], groups)


@adapter("ConvTranspose", judges="conv_transpose2d")
def conv_transpose(node: Node) -> Array:
    """By `conv_transpose2d`; where the output's shape is given, the border to cut off follows from it."""
    x, w, b = node.inputs[0], node.inputs[1], node.input(2)
    image, more = _image(x), _two(node.get("output_padding", ()), 0)
    w = w.reshape(*w.shape[:2], *_two(w.shape[2:], 1))
    options = _window(node, image, w.shape[2:])
    if node.get("output_shape"):
        sizes, kernel, wanted = image.shape[2:], w.shape[2:], _two(node.get("output_shape"), 1)
        axes = zip(sizes, kernel, options["stride"], options["dilation"], more, wanted, strict=True)
        over = [(H - 1) * s + d * (K - 1) + 1 + p - OH for H, K, s, d, p, OH in axes]  # how much would be too much
        more = tuple(p + max(-o, 0) for p, o in zip(more, over, strict=True))
        cut = [max(o, 0) for o in over]
        options["padding"] = tuple(side for o in cut for side in (o - o // 2, o // 2))
    y = forward("conv_transpose2d", image, w, b, output_padding=more, groups=node.get("group", 1), **options)
    return y.reshape(*y.shape[:2], *y.shape[4 - (x.ndim - 2) :])


@adapter("MaxPool", judges="max_pool2d, max_pool2d_indices")
def max_pool(node: Node) -> tuple[Array, ...]:
    """By `max_pool2d`. ONNX counts indices through all images and channels; stored column by column, if it says so."""
    x, kernel = node.inputs[0], _two(node.get("kernel_shape"), 1)
    image = _image(x)
    image = image.astype(np.float32) if image.dtype.kind in "iu" else image  # 8 bits: float32 holds them exactly
    options = _window(node, image, kernel) | {"ceil_mode": bool(node.get("ceil_mode", 0))}
    y = forward("max_pool2d", image, kernel, **options).astype(x.dtype)
    y = y.reshape(*y.shape[:2], *y.shape[4 - (x.ndim - 2) :])
    if node.outputs == 1:
        return (y,)
    N, C, H, W = image.shape
    indices = ops.max_pool2d_indices(ops.max_pool2d_forward(image, kernel, **options)[1])
    if node.get("storage_order", 0):
        indices = indices % W * H + indices // W
    return y, indices + np.arange(N * C).reshape(N, C, 1, 1) * H * W


@adapter("AveragePool", judges="avg_pool2d")
def average_pool(node: Node) -> Array:
    """By `avg_pool2d`."""
    x, kernel = node.inputs[0], _two(node.get("kernel_shape"), 1)
    image = _image(x)
    options = _window(node, image, kernel)
    if options.pop("dilation") != (1, 1):
        raise NotOursError(reasons.DILATED_AVERAGE)
    counts = {"ceil_mode": bool(node.get("ceil_mode", 0)), "count_include_pad": bool(node.get("count_include_pad", 0))}
    y = forward("avg_pool2d", image, kernel, **options, **counts)
    return y.reshape(*y.shape[:2], *y.shape[4 - (x.ndim - 2) :])


@adapter("GlobalAveragePool", judges="global_avg_pool2d")
def global_average_pool(node: Node) -> Array:
    """By `global_avg_pool2d`, which drops the two axes that ONNX keeps."""
    return forward("global_avg_pool2d", node.inputs[0])[:, :, None, None]


@adapter("MaxUnpool", judges="max_unpool2d")
def max_unpool(node: Node) -> Array:
    """By `max_unpool2d`, into the size that the window implies; a larger one that is asked for is a border."""
    x, indices, wanted = node.inputs[0], node.inputs[1], node.input(2)
    top, bottom, left, right = _sides(node.get("pads", (0, 0)))
    (KH, KW), (sv, sh) = _two(node.get("kernel_shape"), 1), _two(node.get("strides", ()), 1)
    H, W = (x.shape[2] - 1) * sv + KH - top - bottom, (x.shape[3] - 1) * sh + KW - left - right
    y = forward("max_unpool2d", x, indices % (H * W), (H, W))
    return y if wanted is None else forward("pad2d", y, (0, int(wanted[2]) - H, 0, int(wanted[3]) - W))


@adapter("Col2Im", judges="col2im")
def col2im(node: Node) -> Array:
    """By `col2im`, whose rows are ONNX's columns."""
    cols, size, kernel = node.inputs
    if len(size) != 2:
        raise NotOursError(reasons.VOLUMES)
    N, CK, _ = cols.shape
    (H, W), (KH, KW) = size.tolist(), kernel.tolist()
    x_shape = (N, CK // (KH * KW), H, W)
    options = _window(node, np.empty(x_shape), (KH, KW))
    return serve("col2im", cols.transpose(0, 2, 1).reshape(-1, CK), x_shape, (KH, KW), **options)


@adapter("Pad", judges="pad2d")
def pad(node: Node) -> Array:
    """By `pad2d`."""
    x = node.inputs[0]
    if node.get("mode", "constant") != "constant":
        raise NotOursError(reasons.PAD_MODE)
    pads = node.get("pads") if node.opset < 11 else node.inputs[1].tolist()
    value = node.get("value", 0.0) if node.opset < 11 else node.input(2)
    axes = range(x.ndim) if node.input(3) is None else (node.inputs[3] % x.ndim).tolist()
    sides = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    if x.ndim != 4 or any(any(sides.get(axis, ())) for axis in (0, 1)):
        raise NotOursError(reasons.PAD_CHANNELS)
    border = (*sides.get(2, (0, 0)), *sides.get(3, (0, 0)))
    return forward("pad2d", x, border, 0.0 if value is None else float(value))


@adapter("Resize", judges="upsample_nearest2d, upsample_bilinear2d")
def resize(node: Node) -> Array:
    """By `upsample_nearest2d` or `upsample_bilinear2d`, for a whole factor and the rules that those have."""
    mode, lies = node.get("mode", "nearest"), node.get("coordinate_transformation_mode", "half_pixel")
    for refused, reason in (
        (mode == "cubic", reasons.CUBIC),
        (node.get("antialias", 0), reasons.ANTIALIAS),
        (lies == "tf_crop_and_resize", reasons.CROP),
    ):
        if refused:
            raise NotOursError(reason)
    scale = _whole_factors(node)
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor")
        if not (lies == "half_pixel" and rounding.startswith("round")) and (lies, rounding) != ("asymmetric", "floor"):
            raise NotOursError(reasons.NEAREST_RULE)
        return forward("upsample_nearest2d", node.inputs[0], scale)
    if lies == "asymmetric":
        raise NotOursError(reasons.LINEAR_RULE)
    return forward("upsample_bilinear2d", node.inputs[0], scale, align_corners=lies == "align_corners")


def _whole_factors(node: Node) -> tuple[int, int]:
    """By how much each row and column is enlarged, from scales or from sizes, perhaps of some axes only."""
    x, scales, sizes = node.inputs[0], node.input(2), node.input(3)
    axes = [axis % x.ndim for axis in node.get("axes", range(x.ndim))]
    if sizes is not None:
        scales = [size / x.shape[axis] for size, axis in zip(sizes.tolist(), axes, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            scales = [min(scales) if policy == "not_larger" else max(scales)] * len(scales)
    factors = dict(zip(axes, map(float, scales), strict=True))
    if any(f < 1 or f != math.floor(f) for f in factors.values()) or any(factors.get(a, 1) != 1 for a in (0, 1)):
        raise NotOursError(reasons.FACTOR)
    return int(factors.get(2, 1)), int(factors.get(3, 1))


@adapter("Upsample", judges="upsample_nearest2d")
def upsample(node: Node) -> Array:
    """By `upsample_nearest2d`: Resize's forerunner."""
    _, _, sv, sh = node.inputs[1].tolist()
    return forward("upsample_nearest2d", node.inputs[0], (int(sv), int(sh)))
