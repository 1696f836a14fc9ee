"""How a convolution is cut into pieces that fit the cache, and where each tap of a window lies in memory.

A row of the im2col matrix is one window, a column one tap, and the number in row p and column k is found at
pixels[p] + taps[k]: where window p begins, and how far from there tap k is. So im2col needs no copy, only these two
tables of offsets, and neither a stride nor a dilation is an obstacle: they are in the tables.

The gradient dx is such a product as well. Pixel h of a side is under tap i of window u where u·s + i·d = h. With
stride s, the pixels h = a, a + s, a + 2s, … (a *phase*) are under the same taps, those whose i·d leaves a remainder of
a when divided by s, and tap i of them all is in window (h − i·d)/s: the next pixel of the phase, the next window. So
each phase has one table of pixels and one of taps, which lead to dy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn.kernels.compiling import record
from tinycnn.kernels.vectors import REGISTERS
from tinycnn.ops.window import Window, place_window

Array = np.ndarray
CACHE = 256 * 1024  # bytes of images and results that one piece of work should touch
NEAR = 256  # results of each filter that the nearest cache holds beside all that it holds
ENOUGH = 256  # windows that a piece of work should have, if need be from several images


class Sizes(NamedTuple):
    """The sizes of a convolution, as the kernels take them. What is "laid out" has its border of zeros."""

    C: int
    H: int
    W: int
    F: int
    OH: int
    OW: int
    KK: int  # KH·KW
    sv: int
    sh: int
    top: int
    left: int
    groups: int
    lanes: int  # numbers in a vector
    FP: int  # filters of a group, and channels, filled up to whole vectors
    CP: int
    copied: int  # 1 if images are laid out in working space, 0 if they are read where they lie
    pitch: int  # from one row to the next, where the image is read; the same for channels
    plane: int
    seen: int  # how many rows of the image a block of windows sees
    G: int  # images that are worked on together
    R: int  # rows of windows in a block
    blocks: int  # in an image
    near: int  # so many rows of a block have their results in the nearest cache
    down: int  # how many windows above its own a pixel of dx reaches, and to the left
    right: int
    rows: int  # rows of dx in all, in each phase
    dpitch: int  # from one row to the next in the laid-out dy; and from one filter to the next
    dplane: int
    line: int  # from one filter or channel to the next where results are turned into rows
    tile: int  # so much room do results take before


class Offsets(NamedTuple):
    """Where each table of offsets begins in the array that holds them all."""

    taps: int  # (c, i, j): from a window's corner to the tap
    pixels: int  # (image, u, v): the corner of each window
    taps_dx: int  # (f, i, j), sorted by phase: from a pixel to the dy of a window that looks at it
    pixels_dx: int  # for each phase (image, row, column): the pixels
    phases: int  # where each phase begins among the sorted taps
    starts: int  # and among the pixels


record("S", Sizes)
record("O", Offsets)


class Plan(NamedTuple):
    """Sizes, tables of offsets, and how much working space is needed."""

    sizes: Sizes
    offsets: Array
    starts: Offsets
    order: Array  # which (f, i, j) stands where when they are sorted by phase; empty without a stride
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
    copied = int(any((g.top, g.bottom, g.left, g.right)) or _collide(H * W * bytes_each, C))
    pitch = (g.OW - 1) * g.sh + (KW - 1) * g.dh + 1 if copied else W
    down, right = (KH - 1) * g.dv // g.sv, (KW - 1) * g.dh // g.sh
    dpitch, above = g.OW + right, (KH - 1) * g.dv + 1
    row, halo = C * g.sv * pitch + F * dpitch, C * above * pitch + F * down * dpitch
    R, blocks = _rows_of_a_block(g, row, halo, down, N, bytes_each, pool or 1)
    R = min(R, g.OH) if blocks == 1 else R  # several images follow each other without a gap
    G = _images_together(g, row * R + halo, N, bytes_each) if blocks == 1 else 1
    seen = (R - 1) * g.sv + above
    plane = _apart(seen * pitch, bytes_each) if copied else H * W
    rows = -(-(g.top + H) // g.sv)
    last = max(R, rows - (blocks - 1) * R)  # the last block of dx has the rows below the last window as well
    dplane = _apart((last + down) * dpitch + right, bytes_each)
    lanes = REGISTERS.width // bytes_each
    pixels_dx, starts_dx = _pixels_dx(g, G, blocks, last, F * dplane, dpitch)
    near = min(-(-max(NEAR // g.OW, 1) // (pool or 1)) * (pool or 1), R) if G == 1 else R
    most = max(G * near * max(g.OW, dpitch), *(np.diff(starts_dx) if G > 1 else (0,)))
    line, tile = _apart(most + lanes, bytes_each), (most + lanes) * 2 * lanes
    sizes = Sizes(C, H, W, F, g.OH, g.OW, KH * KW, g.sv, g.sh, g.top, g.left, groups, lanes,
                  _filled(F // groups, lanes), _filled(CG, lanes), copied, pitch, plane, seen, G, R, blocks, near,
                  down, right, rows, dpitch, dplane, line, tile)  # fmt: skip
    order, taps_dx, phases = _taps_dx(g, F // groups, dplane, dpitch, flip)
    tables = (
        _taps(g, CG, plane, pitch, flip), _pixels(g, G, R, C * plane, pitch), taps_dx, pixels_dx, phases, starts_dx,
    )  # fmt: skip
    starts = Offsets(*np.cumsum([0, *(len(t) for t in tables[:-1])]).tolist())
    images = room_of_images(sizes)
    return Plan(
        sizes, np.concatenate(tables).astype(np.int64), starts, order,
        images + tile + 2 * lanes * line, images + G * F * dplane + 2 * lanes + tile + g.sh * 2 * lanes * line,
    )  # fmt: skip


def room_of_images(s: Sizes) -> int:
    """How much working space the laid-out images take, at its beginning; a row may end in a vector of zeros."""
    return s.copied * (s.G * s.C * s.plane + 2 * s.lanes)


def _filled(numbers: int, lanes: int) -> int:
    return -(-numbers // lanes) * lanes


def _collide(plane: int, C: int) -> bool:
    """Whether channels lie so many bytes apart that a cache, which looks at the last bits, takes them for the same."""
    return C > 4 and plane % 1024 == 0


def _apart(numbers: int, bytes_each: int) -> int:
    """At least so many numbers, and an odd number of cache lines (64 bytes): no two channels collide."""
    lines = -(-numbers * bytes_each // 64) | 1
    return lines * 64 // bytes_each


def _kernel_places(g: Window, channels: int, flip: bool) -> tuple[Array, Array, Array]:
    """For every weight (c, i, j): its channel, and how far below and right of its window's corner it looks."""
    c, i, j = (axis.ravel() for axis in np.indices((channels, g.KH, g.KW)))
    return c, (g.KH - 1 - i if flip else i) * g.dv, (g.KW - 1 - j if flip else j) * g.dh


def _taps(g: Window, CG: int, plane: int, pitch: int, flip: bool) -> Array:
    c, i, j = _kernel_places(g, CG, flip)
    return c * plane + i * pitch + j


def _pixels(g: Window, G: int, R: int, image: int, pitch: int) -> Array:
    n, u, v = (axis.ravel() for axis in np.indices((G, R, g.OW)))
    return n * image + u * g.sv * pitch + v * g.sh


def _taps_dx(g: Window, FG: int, dplane: int, dpitch: int, flip: bool) -> tuple[Array, Array, Array]:
    f, i, j = _kernel_places(g, FG, flip)
    taps = f * dplane - i // g.sv * dpitch - j // g.sh
    if g.sv * g.sh == 1:
        return np.empty(0, np.int64), taps, np.array([0, len(taps)])
    phase = i % g.sv * g.sh + j % g.sh
    order = np.argsort(phase, kind="stable")
    return order, taps[order], np.searchsorted(phase[order], np.arange(g.sv * g.sh + 1))


def _pixels_dx(g: Window, G: int, blocks: int, last: int, image: int, dpitch: int) -> tuple[Array, Array]:
    """The pixels of each phase, from the first row that a block has of it; with several images, just their rows."""
    tables = []
    for a in range(g.sv):
        below = min(last, -(-(g.top + g.H - a) // g.sv)) - max(-(-(g.top - a) // g.sv), 0) if blocks == 1 else last
        for b in range(g.sh):
            left, right, _ = columns_of_phase(b, g.sh, g.left, g.W, dpitch)
            n, u, v = (axis.ravel() for axis in np.indices((G, max(below, 0), max(right - left, 0))))
            tables.append(n * image + u * dpitch + left + v)
    return np.concatenate(tables), np.cumsum([0, *(len(t) for t in tables)])


def columns_of_phase(b: int, sh: int, left: int, W: int, dpitch: int) -> tuple[int, int, int]:
    """Columns b, b + sh, … of the image with its border: the first in the image, and the last in a window, and at all.

    Columns further right are in no window.
    """
    stop = (left + W - b + sh - 1) // sh
    return max((left - b + sh - 1) // sh, 0), min(stop, dpitch), stop


def _rows_of_a_block(
    g: Window, row: int, halo: int, down: int, N: int, bytes_each: int, pool: int
) -> tuple[int, int]:  # fmt: skip
    """How many rows of windows make a block, and how many blocks an image has: as many rows as the cache holds."""
    most = max((CACHE // bytes_each - halo) // row, ENOUGH // g.OW, down, 1)
    if N * -(-g.OH // most) < 4:  # few images: more blocks, so that there is work for all threads
        most = max(min(most, -(-g.OH // 4)), 1)
    blocks = -(-g.OH // most)
    R = -(-g.OH // (blocks * pool)) * pool
    return R, -(-g.OH // R)


def _images_together(g: Window, numbers: int, N: int, bytes_each: int) -> int:
    """How many small images make one piece of work: enough windows, all in the cache, and four pieces at the least."""
    return max(min(-(-ENOUGH // (g.OH * g.OW)), CACHE // (numbers * bytes_each), N // 4), 1)
