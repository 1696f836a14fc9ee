"""How a convolution is cut into pieces that fit the cache, and where each tap of a window lies in memory.

On an image laid out as one long line, tap (c, i, j) of *every* window is that same line, begun a little later: at
c·H·W + i·W + j. So im2col needs no copy, only one offset a tap. Windows are then counted along the image's own rows;
where a window would wrap around to the next row, it is computed and dropped.

A stride is no obstacle. With stride 2, tap (i, j) only ever meets the pixels whose row is i, i + 2, i + 4, …: an image
sorted into its even and odd rows and columns (its *phases*) is four small images, and in each of them the windows move
by 1.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn.kernels.compiling import record
from tinycnn.kernels.tile import VECTORS
from tinycnn.kernels.vectors import REGISTERS
from tinycnn.ops.window import Window, place_window

Array = np.ndarray
CACHE = 256 * 1024  # bytes of images and results that one piece of work should touch


class Sizes(NamedTuple):
    """The sizes of a convolution, as the kernels take them. What is "laid out" has its border and is in phases."""

    C: int
    H: int
    W: int
    F: int
    OH: int
    OW: int
    KH: int
    KW: int
    sv: int
    sh: int
    top: int
    left: int
    groups: int
    copied: int  # 1 if images are laid out in working space, 0 if they are read where they lie
    pitch: int  # from one row of windows to the next, where the image is read
    plane: int  # from one channel (or phase of one) to the next
    down: int  # how many rows below its first row a window reaches, counted in its own phase
    right: int  # and columns
    R: int  # rows of windows in a block
    blocks: int
    rows: int  # rows of dx in all, counted in phases
    dplane: int  # from one filter to the next in the laid-out dy
    border: int  # zeros behind the last row of a channel
    lanes: int  # numbers in a vector
    strip: int  # filters that a tile of dw takes side by side; 0 if there are too few to fill a vector
    strips: int  # such strips in a group of filters


class Offsets(NamedTuple):
    """Where each table of offsets begins in the array that holds them all."""

    taps: int  # (c, i, j): the tap of the first window, in the image
    lines: int  # f: the first weight of a filter
    turned: int  # where all filters' dy of a window lie side by side
    taps_dx: int  # (f, i, j), sorted by phase: where a pixel finds the dy of a window that looks at it
    lines_dx: int  # c: the first weight that looks at a channel
    phases: int  # where each phase begins among the sorted ones


record("S", Sizes)
record("O", Offsets)


class Plan(NamedTuple):
    """Sizes, tables of offsets, and how much working space is needed."""

    sizes: Sizes
    offsets: Array
    starts: Offsets
    order: Array | None  # which (f, i, j) stands where when they are sorted by phase; None without a stride
    space: int  # numbers of working space that forward needs
    space_backward: int


@lru_cache(maxsize=256)
def plan_conv(
    image: tuple[int, int, int], w_shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int,
    flip: bool, N: int, bytes_each: int, pool: int = 0,
) -> Plan:  # fmt: skip
    """Lay a convolution out, with blocks that no window of a pool lies across.

    Raises ShapeError if the kernel is larger than the padded image.
    """
    C, H, W = image
    F, CG, KH, KW = w_shape
    g = place_window(H, W, (KH, KW), stride, padding, dilation)
    down, right = (KH - 1) * g.dv // g.sv, (KW - 1) * g.dh // g.sh
    pitch, border = _pitch(g, W, right)
    copied = int(any((g.top, g.bottom, g.left, g.right)) or g.sv * g.sh > 1 or _collide(H * W * bytes_each, C))
    R, blocks = _rows_of_a_block(g, C * g.sv * g.sh * pitch, F * pitch, down, N, bytes_each, pool or 1)
    plane = _apart((R + down) * pitch + border, bytes_each) if copied else H * W
    rows = -(-(g.top + H) // g.sv)
    last = max(R, rows - (blocks - 1) * R)  # the last block of dx has the rows below the last window as well
    dplane = _apart((last + down) * pitch + right, bytes_each)
    lanes = REGISTERS.width // bytes_each
    strip, strips = _strips(F // groups, lanes)
    sizes = Sizes(C, H, W, F, g.OH, g.OW, KH, KW, g.sv, g.sh, g.top, g.left, groups, copied, pitch, plane, down, right,
                  R, blocks, rows, dplane, border, lanes, strip, strips)  # fmt: skip
    space = C * g.sv * g.sh * plane if copied else 0
    order, taps_dx, phases = _taps_dx(g, F // groups, dplane, pitch, flip)
    tables = (
        _taps(g, CG, plane, pitch, flip), np.arange(F // groups) * (CG * KH * KW), np.arange(R * pitch) * strip,
        taps_dx, np.arange(CG) * len(taps_dx), phases,
    )  # fmt: skip
    starts = Offsets(*np.cumsum([0, *(len(t) for t in tables[:-1])]).tolist())
    turned = strips * strip * R * pitch + lanes * strip
    return Plan(
        sizes, np.concatenate(tables).astype(np.int64), starts, order,
        space + F * R * pitch, space + F * dplane + max(g.sh * C * last * pitch, turned),
    )  # fmt: skip


def _pitch(g: Window, W: int, right: int) -> tuple[int, int]:
    """From one row to the next, and how many zeros must follow the last row.

    The border at the right of a row is the one at the left of the next. So a row takes its own pixels and the wider of
    its two borders; what dy needs between its rows, zeros for the windows that look across the edge, is just as much.
    """
    if g.sh > 1:
        return g.OW + right, 0
    pitch = max(g.OW, W + max(g.left, g.right))
    return pitch, max(g.OW + right - pitch, 0)


def _collide(plane: int, C: int) -> bool:
    """Whether channels lie so many bytes apart that a cache, which looks at the last bits, takes them for the same."""
    return C > 4 and plane % 2048 == 0


def _apart(numbers: int, bytes_each: int) -> int:
    """At least so many numbers, and an odd number of cache lines (64 bytes): no two channels collide."""
    lines = -(-numbers * bytes_each // 64) | 1
    return lines * 64 // bytes_each


def _strips(filters: int, lanes: int) -> tuple[int, int]:
    """How many filters stand side by side in a tile of dw, and how many such strips there are."""
    if filters < lanes:
        return 0, 0
    vectors = -(-filters // lanes)
    strips = -(-vectors // VECTORS)
    return -(-vectors // strips) * lanes, strips


def _kernel_places(g: Window, channels: int, flip: bool) -> tuple[Array, Array, Array]:
    """For every weight (c, i, j): its channel, and how far below and right of its window's corner it looks."""
    c, i, j = (axis.ravel() for axis in np.indices((channels, g.KH, g.KW)))
    return c, (g.KH - 1 - i if flip else i) * g.dv, (g.KW - 1 - j if flip else j) * g.dh


def _taps(g: Window, CG: int, plane: int, pitch: int, flip: bool) -> Array:
    c, i, j = _kernel_places(g, CG, flip)
    phase = (c * g.sv + i % g.sv) * g.sh + j % g.sh
    return (phase * plane + i // g.sv * pitch + j // g.sh).astype(np.int64)


def _taps_dx(g: Window, FG: int, dplane: int, pitch: int, flip: bool) -> tuple[Array | None, Array, Array]:
    f, i, j = _kernel_places(g, FG, flip)
    taps = (f * dplane - i // g.sv * pitch - j // g.sh).astype(np.int64)
    phase = i % g.sv * g.sh + j % g.sh
    order = np.argsort(phase, kind="stable")
    begins = np.searchsorted(phase[order], np.arange(g.sv * g.sh + 1)).astype(np.int64)
    return (None if g.sv * g.sh == 1 else order), taps[order], begins


def _rows_of_a_block(
    g: Window, row_in: int, row_out: int, down: int, N: int, bytes_each: int, pool: int
) -> tuple[int, int]:
    """How many rows of windows make a block, and how many blocks an image has: as many rows as the cache holds."""
    most = max((CACHE // bytes_each - down * row_in) // (row_in + row_out), 256 // g.OW, down, 1)
    if N * -(-g.OH // most) < 4:  # few images: more blocks, so that there is work for all threads
        most = max(min(most, -(-g.OH // 4)), 1)
    blocks = -(-g.OH // most)
    R = -(-g.OH // (blocks * pool)) * pool
    return R, -(-g.OH // R)
