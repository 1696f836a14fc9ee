"""Where a sliding window goes: how many places it has, where each begins, and what a border adds.

Convolution and pooling differ in what they do with a window; where the windows are is the same for both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, four_sides, pair


@dataclass(frozen=True)
class Window:
    """A window of KH×KW taps, `dv`, `dh` apart, that moves by `sv`, `sh` over an H×W image with a border."""

    H: int
    W: int
    KH: int
    KW: int
    sv: int
    sh: int
    dv: int
    dh: int
    top: int
    bottom: int
    left: int
    right: int
    OH: int
    OW: int
    over_v: int = 0  # rows and columns that ceil_mode's last windows reach beyond the border
    over_h: int = 0

    def tap(self, i: int, j: int) -> tuple[Any, ...]:
        """The slice of the padded image that holds tap (i, j) of every window at once."""
        rows = slice(i * self.dv, i * self.dv + self.sv * (self.OH - 1) + 1, self.sv)
        columns = slice(j * self.dh, j * self.dh + self.sh * (self.OW - 1) + 1, self.sh)
        return (..., rows, columns)

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """x with its border (and ceil_mode's overhang) filled in."""
        sides = ((self.top, self.bottom + self.over_v), (self.left, self.right + self.over_h))
        if not any(map(any, sides)):
            return x
        return np.pad(x, ((0, 0),) * (x.ndim - 2) + sides, constant_values=value)

    def crop(self, xp: Array) -> Array:
        """The image without its border: the transpose of `pad`."""
        return xp[..., self.top : self.top + self.H, self.left : self.left + self.W]

    def view(self, xp: Array) -> Array:
        """All windows of a padded image, (N, C, OH, OW, KH, KW): strides only, nothing is copied."""
        reach = (self.dv * (self.KH - 1) + 1, self.dh * (self.KW - 1) + 1)
        windows = np.lib.stride_tricks.sliding_window_view(xp, reach, axis=(-2, -1))
        windows = windows[:, :, :: self.sv, :: self.sh, :: self.dv, :: self.dh]
        return windows[:, :, : self.OH, : self.OW]

    def inside(self) -> Array:
        """Which taps of each window lie in the image and not on its border: (OH, OW, KH, KW) of bool."""
        rows = np.arange(self.OH)[:, None] * self.sv + np.arange(self.KH) * self.dv - self.top
        columns = np.arange(self.OW)[:, None] * self.sh + np.arange(self.KW) * self.dh - self.left
        in_rows, in_columns = (rows >= 0) & (rows < self.H), (columns >= 0) & (columns < self.W)
        return in_rows[:, None, :, None] & in_columns[None, :, None, :]

    def names(self) -> dict[str, int]:
        """The sizes by the names that formulas give them."""
        keys = ("KH", "KW", "sv", "sh", "dv", "dh", "top", "left", "OH", "OW")
        return {key: getattr(self, key) for key in keys}


@formula(
    "OH = floor((H + pads - dilation*(KH-1) - 1) / s) + 1",
    where="pads is the rows of border, top and bottom together; s is the stride",
    shapes="-> OH ()",
    source="Dumoulin & Visin 2016, arXiv:1603.07285, relationship 15",
)
def output_size(H: int, KH: int, s: int = 1, pads: int = 0, dilation: int = 1) -> int:
    """How many places a window has along one axis of an image; zero or less if it does not fit.

    >>> output_size(32, KH=3), output_size(32, KH=3, s=2, pads=2)
    (30, 16)
    """
    return (H + pads - dilation * (KH - 1) - 1) // s + 1


def size_sum(H: int, KH: int, s: int, pads: int, dilation: int, size: int, ceil: bool = False) -> str:
    """The size formula with the numbers in: `⌊(32 + 2 − 3)/2⌋ + 1 = 16`."""
    reach = f"{KH}" if dilation == 1 else f"{dilation}·({KH} − 1) − 1"
    opening, closing = ("⌈", "⌉") if ceil else ("⌊", "⌋")
    left_out = " − 1" if ceil and (size - 1) * s < H + pads - dilation * (KH - 1) - 1 else ""  # it would begin outside
    return f"{opening}({H} + {pads} − {reach})/{s}{closing} + 1{left_out} = {size}"


def place_window(
    H: int, W: int, kernel_size: Any, stride: Any = 1, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Window:
    """Lay a sliding window out over an H×W image.

    `padding="same"` makes OH = ⌈H/s⌉, with the odd row or column at the bottom or right. `ceil_mode` rounds the size
    up, as long as the last window still begins in the image or in the border above and left of it.

    Raises ShapeError if the kernel is larger than the padded image.
    """
    KH, KW = pair(kernel_size, "kernel_size")
    (sv, sh), (dv, dh) = pair(stride, "stride"), pair(dilation, "dilation")
    if padding == "same":
        (top, bottom), (left, right) = _same(H, KH, sv, dv), _same(W, KW, sh, dh)
    else:
        top, bottom, left, right = four_sides(0 if padding == "valid" else padding)
    OH, over_v = _places("OH", H, KH, sv, top, bottom, dv, ceil_mode, f"kernel {KH}×{KW}", f"{H}×{W}")
    OW, over_h = _places("OW", W, KW, sh, left, right, dh, ceil_mode, f"kernel {KH}×{KW}", f"{H}×{W}")
    return Window(H, W, KH, KW, sv, sh, dv, dh, top, bottom, left, right, OH, OW, over_v, over_h)


def place_pool(
    H: int, W: int, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False
) -> Window:
    """Lay a pooling window out: as `place_window`, side by side without a stride, and never over border alone.

    A convolution over border alone gives the bias; a pool has nothing there to choose from, or to take the mean of.

    Raises ShapeError if the kernel is larger than the padded image, or if a window would see border alone.
    """
    w = place_window(H, W, kernel_size, kernel_size if stride is None else stride, padding, dilation, ceil_mode)
    _refuse_border_alone(w, H, w.OH, w.sv, w.KH, w.dv, w.top, w.bottom)
    _refuse_border_alone(w, W, w.OW, w.sh, w.KW, w.dh, w.left, w.right)
    return w


def _refuse_border_alone(w: Window, H: int, OH: int, s: int, KH: int, d: int, before: int, after: int) -> None:
    blind = _first_blind(H, OH, s, KH, d, before)
    if blind is not None:
        raise ShapeError(
            f"kernel {w.KH}×{w.KW} with padding {before} and {after} on a {w.H}×{w.W} input: window {blind} would "
            f"see border alone. Use a padding smaller than the kernel{', or a smaller dilation' if d > 1 else ''}."
        )


def _first_blind(H: int, OH: int, s: int, KH: int, d: int, before: int) -> int | None:
    """The first window with no tap in the image, if there is one, found without walking the image."""
    above = min(OH, -(-before // s))  # how many windows begin above the image
    for u in range(above if d > H else min(above, 1)):  # taps that cannot leap over the image miss it in the first
        i = -((u * s - before) // d)  # the first tap that is not above the image
        if i >= KH or u * s - before + i * d >= H:
            return u
    below = -(-(H + before) // s)  # the first window that begins below the image
    return below if below < OH else None


def _same(H: int, KH: int, s: int, d: int) -> tuple[int, int]:
    total = max((math.ceil(H / s) - 1) * s + d * (KH - 1) + 1 - H, 0)
    return total // 2, total - total // 2


def _places(
    name: str, H: int, KH: int, s: int, before: int, after: int, d: int, ceil_mode: bool, kernel: str, image: str
) -> tuple[int, int]:
    """How many windows along one axis, and how far the last one reaches over the border's end."""
    pads = before + after
    size = output_size(H, KH, s, pads, d)
    if ceil_mode and size >= 1:
        size = -((d * (KH - 1) + 1 - H - pads) // s) + 1
        size -= (size - 1) * s >= H + before  # the last window must begin inside
    if size < 1:
        border = f" with {pads} of padding" if pads else ""
        axis = "KH" if name == "OH" else "KW"
        reach = axis if d == 1 else f"d({axis} − 1) − 1"
        raise ShapeError(
            f"{kernel}{f' at dilation {d}' if d > 1 else ''} is larger than its {image} input{border}.\n"
            f"  {name} = ⌊({name[1]} + pads − {reach})/s⌋ + 1 = {size_sum(H, KH, s, pads, d, size)}"
        )
    return size, max((size - 1) * s + d * (KH - 1) + 1 - H - pads, 0)


def window_names(names: dict[str, Any], fill: float = 0.0) -> dict[str, Any]:
    """What formulas over windows use beside x and w: the padded image xp, strides, dilations, sizes."""
    x = names["x"]
    kernel_size = names["w"].shape[2:] if "w" in names else names["kernel_size"]
    stride = names.get("stride")
    H, W = x.shape[2:]
    window = place_window(
        H, W, kernel_size, kernel_size if stride is None else stride,
        names.get("padding", 0), names.get("dilation", 1), names.get("ceil_mode", False),
    )  # fmt: skip
    return {"xp": window.pad(x, fill), "window": window, **window.names()}
