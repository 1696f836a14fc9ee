"""Drawn cases of whatever slides a window: convolutions and pools, with every option spelled in every way.

No case is thrown away: the image is made large enough for the window, H ≥ d(k−1)+1−pads. A pool's window must also see
a pixel, which a border of at most d(k−1) and an image of at least d rows make sure of; a convolution's need not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tinycnn.verify.cases.case import OpCase
from tinycnn.verify.cases.choices import border, case_of, spelled, spelling
from tinycnn.verify.cases.chooser import Chooser

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class WindowDrawn:
    """A window as drawn: per axis the kernel, its reach d(k−1)+1 and what the border adds; the options as spelled."""

    kernel: Sizes
    reach: Sizes
    strides: Sizes
    dilations: Sizes
    pads: list[int] | None
    options: dict[str, Any]
    kinds: dict[str, str]

    def image(self, chooser: Chooser, least: Sizes) -> Sizes:
        """An image of at least these sizes that holds the window, and at most three rows more."""
        pads = self.pads or self.reach  # "same" adds what is missing
        needed = [max(low, reach - p) for low, reach, p in zip(least, self.reach, pads, strict=True)]
        return tuple(low + chooser.integer(0, 3) for low in needed)


def _window(chooser: Chooser, axes: int = 2, pool: bool = False, dilated: bool = True) -> WindowDrawn:
    kernel_size, kernel = spelled(chooser, 1, 3, axes)
    dilation, dilations = spelled(chooser, 1, 3, axes) if dilated else (1, (1,) * axes)
    side_by_side = pool and chooser.choice((True, False))
    stride, strides = (None, kernel) if side_by_side else spelled(chooser, 1, 3, axes)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True))
    how, padding, pads = border(chooser, tuple(r - 1 for r in reach) if pool else (2,) * axes)
    over = any(s > k for s, k in zip(strides, kernel, strict=True))
    kinds = {"stride": "none" if stride is None else "over the kernel" if over else spelling(stride), "padding": how}
    kinds |= {"dilation": spelling(dilation)} if dilated else {}
    kinds |= {"kernel_size" if pool else "w": "oblong" if len(set(kernel)) > 1 else "square"} if axes == 2 else {}
    options = {"kernel_size": kernel_size} if pool else {}
    options |= {"stride": stride, "padding": padding} | ({"dilation": dilation} if dilated else {})
    return WindowDrawn(kernel, reach, strides, dilations, pads, options, kinds)


def _groups(chooser: Chooser) -> tuple[int, int, int, str]:
    """(groups, channels in each, filters in each, their kind)."""
    groups, channels, filters = chooser.integer(1, 3), chooser.integer(1, 2), chooser.integer(1, 2)
    return groups, channels, filters, "1" if groups == 1 else "depthwise" if channels == 1 else "> 1"


def _weighted(name: str, chooser: Chooser, x: Sizes, w: Sizes, F: int, options: Any, kinds: Any) -> OpCase:
    """A case with weights, and a bias or none."""
    bias = chooser.choice(("none", "given"))
    shapes = {"x": x, "w": w} | ({"b": (F,)} if bias == "given" else {})
    arguments = lambda d: (d.normal(d.N, *x[1:]), d.normal(*w), d.normal(F) if bias == "given" else None)  # noqa: E731
    return case_of(name, shapes, arguments, kinds | {"b": bias}, options, grads=(0, 1, 2), linear=True)


def _convolution(name: str, axes: int, chooser: Chooser) -> OpCase:
    window = _window(chooser, axes)
    groups, channels, filters, grouping = _groups(chooser)
    flip = chooser.choice((False, True))
    x = (chooser.integer(1, 2), groups * channels, *window.image(chooser, (1,) * axes))
    w = (groups * filters, channels, *window.kernel)
    kinds = window.kinds | {"groups": grouping, "flip": str(flip)}
    return _weighted(name, chooser, x, w, w[0], window.options | {"groups": groups, "flip": flip}, kinds)


def conv2d(chooser: Chooser) -> OpCase:
    """A convolution of images."""
    return _convolution("conv2d", 2, chooser)


def conv1d(chooser: Chooser) -> OpCase:
    """A convolution of sequences."""
    return _convolution("conv1d", 1, chooser)


def conv_transpose2d(chooser: Chooser) -> OpCase:
    """A transposed convolution whose border leaves at least a row: (H−1)s − pads + d(k−1) + output_padding ≥ 0."""
    window = _window(chooser)
    groups, channels, filters, grouping = _groups(chooser)
    less = min(window.strides) - 1 if window.pads else 0  # output_padding is less than the stride; "same" has none
    more, mores = spelled(chooser, 0, less) if less else (0, (0, 0))
    pads = window.pads or (0, 0)
    axes = zip(pads, window.reach, mores, window.strides, strict=True)
    least = [max(1, -(-(p - (r - 1) - m) // s) + 1) for p, r, m, s in axes]
    x = (chooser.integer(1, 2), groups * channels, *(low + chooser.integer(0, 2) for low in least))
    w = (groups * channels, filters, *window.kernel)
    kinds = window.kinds | {"groups": grouping, "output_padding": spelling(more, 0)}
    options = window.options | {"groups": groups, "output_padding": more}
    return _weighted("conv_transpose2d", chooser, x, w, groups * filters, options, kinds)


def _pool(name: str, chooser: Chooser, kinds: dict[str, str], more: dict[str, Any], **about: Any) -> OpCase:
    window = _window(chooser, pool=True, dilated=name != "avg_pool2d")
    ceil_mode = chooser.choice((False, True))
    x = (chooser.integer(1, 2), chooser.integer(1, 3), *window.image(chooser, window.dilations))
    options = window.options | {"ceil_mode": ceil_mode} | more
    kinds = window.kinds | {"ceil_mode": str(ceil_mode)} | kinds
    return case_of(name, {"x": x}, lambda d: (d.spaced(d.N, *x[1:]),), kinds, options, **about)


def max_pool2d(chooser: Chooser) -> OpCase:
    """A max pool of numbers none of which are equal."""
    return _pool("max_pool2d", chooser, {}, {})


def min_pool2d(chooser: Chooser) -> OpCase:
    """A min pool of numbers none of which are equal."""
    return _pool("min_pool2d", chooser, {}, {})


def avg_pool2d(chooser: Chooser) -> OpCase:
    """An average pool, with the border counted or not."""
    include = chooser.choice((False, True))
    kinds, more = {"count_include_pad": str(include)}, {"count_include_pad": include}
    return _pool("avg_pool2d", chooser, kinds, more, linear=True)
