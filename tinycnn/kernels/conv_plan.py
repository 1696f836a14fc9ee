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
from tinycnn.kernels.lines import apart, whole_lines
from tinycnn.kernels.vectors import REGISTERS
from tinycnn.kernels.winograd_plan import GatherPlan, SquarePlan, plan_gathering, plan_squares, plan_squares_of_dx
from tinycnn.ops.window import Window, place_pool, place_window

Array = np.ndarray
CACHE = 256 * 1024  # bytes of images and results that one piece of work should touch
NEAR = 256  # results of each filter that the nearest cache holds beside all that it holds
FEW = 32 * 1024  # so many weights each core packs for itself (`conv_pack`)
LEAST_PIECES = 16  # into which a batch is cut where pieces may be of any size
COPIES = REGISTERS.width < 64  # whether 1×1 kernels copy channels that collide: narrow tiles read them too often
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
    last: int  # rows that the last block has of them, or of windows
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
    starts: int  # where each phase begins among the pixels
    phases: int  # and among the sorted taps


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
    packs: int  # how many of them, the last, a core needs to pack the weights for itself; 0 if it does not
    packs_backward: int
    seen: tuple[int, int]  # height and width of what comes out, pooled if there is a pool
    by_pixel: Sizes | None  # where each pixel is a window of its own: the sizes with which `pointwise` does it
    squares: SquarePlan | None  # how it is done with fewer multiplications, if it can be
    squares_of_dx: SquarePlan | None
    gathering: GatherPlan | None  # and its dw


@lru_cache(maxsize=256)
def plan_conv(
    image: tuple[int, int, int], w_shape: tuple[int, ...], stride: Any, padding: Any, dilation: Any, groups: int,
    flip: bool, N: int, bytes_each: int, pool: int = 0,
) -> Plan:  # fmt: skip
    """Lay a convolution out, with blocks that no window of a pool lies across.

    Raises ShapeError if the kernel is larger than the padded image, or the pool than what comes out.
    """
    (C, H, W), (F, _, *kernel_size) = image, w_shape
    g = place_window(H, W, tuple(kernel_size), stride, padding, dilation)
    last = place_pool(g.OH, g.OW, pool) if pool else g
    s = _sizes(g, C, F, groups, N, bytes_each, pool or 1)
    order, taps_dx, phases = _taps_dx(g, s, flip)
    tables = _taps(g, s, flip), _pixels(s), taps_dx, *_pixels_dx(s), phases
    starts = Offsets(*np.cumsum([0, *(len(t) for t in tables[:-1])]).tolist())
    few = F * w_shape[1] * s.KK <= FEW
    packs = few * packed_size(s.FP, w_shape[1] * s.KK, s), few * packed_size(s.CP, F // groups * s.KK, s)
    images, dy, turned = room_of_images(s), room_of_dy(s), 2 * s.lanes * s.line
    fast = bytes_each == 4 and groups == 1 and g.sv == g.sh <= 2 and (g.KH, g.KW, g.dv, g.dh) == (3, 3, 1, 1)
    alone = s.KK == groups == s.sv == s.sh == 1 and (g.OH, g.OW) == (g.H, g.W)  # each pixel, as a window
    return Plan(
        s, np.concatenate(tables).astype(np.int64), starts, order,
        whole_lines(images + s.tile + turned + packs[0], bytes_each),
        whole_lines(images + dy + s.tile + s.sh * turned + packs[1], bytes_each), *packs,
        (last.OH, last.OW), _by_pixel(s, N, pool or 1, bytes_each) if alone else None,
        plan_squares(s, flip, N, few) if fast else None,
        plan_squares_of_dx(s, g.bottom, g.right, flip, N, few) if fast else None,
        plan_gathering(s, flip, N) if fast else None,
    )  # fmt: skip


def packed_size(columns: int, rows: int, s: Sizes) -> int:
    """How many numbers packed weights are, of so many columns in each group; a turned block may reach a little on."""
    return s.groups * columns * rows + 2 * s.lanes**2


def pieces(N: int, s: Sizes) -> int:
    """How many pieces of work so many images are."""
    return N * s.blocks if s.blocks > 1 else (N + s.G - 1) // s.G


def room_of_images(s: Sizes) -> int:
    """How much working space the laid-out images take, at its beginning; a row may end in a vector of zeros."""
    return s.copied * (s.G * s.C * s.plane + 2 * s.lanes)


def room_of_dy(s: Sizes) -> int:
    """How much the laid-out dy takes, behind the images; results follow, and then the same turned into rows."""
    return s.G * s.F * s.dplane + 2 * s.lanes


def _sizes(g: Window, C: int, F: int, groups: int, N: int, bytes_each: int, pool: int) -> Sizes:
    """Where rows lie, then how many of them make a piece, then how much room a piece takes."""
    lanes = REGISTERS.width // bytes_each
    copied = int(any((g.top, g.bottom, g.left, g.right)) or _collide(g.H * g.W * bytes_each, C))
    pitch = (g.OW - 1) * g.sh + (g.KW - 1) * g.dh + 1 if copied else g.W
    down, right = (g.KH - 1) * g.dv // g.sv, (g.KW - 1) * g.dh // g.sh
    dpitch, above = g.OW + right, (g.KH - 1) * g.dv + 1
    row, halo = C * g.sv * pitch + F * dpitch, C * above * pitch + F * down * dpitch
    R, blocks = _rows_of_a_block(g, row, halo, down, N, bytes_each, pool)
    G = _images_together(g, row * R + halo, N, bytes_each) if blocks == 1 else 1
    near = _rows_at_hand(g.OW, R, pool) if G == 1 else R
    seen, rows = (R - 1) * g.sv + above, -(-(g.top + g.H) // g.sv)
    last = max(R, rows - (blocks - 1) * R)
    most = G * (near if G == 1 else last) * dpitch + lanes
    return Sizes(
        C, g.H, g.W, F, g.OH, g.OW, g.KH * g.KW, g.sv, g.sh, g.top, g.left, groups, lanes,
        _filled(F // groups, lanes), _filled(C // groups, lanes), copied, pitch,
        apart(seen * pitch, bytes_each) if copied else g.H * g.W, seen, G, R, blocks, near, down, right, rows, last,
        dpitch, apart((last + down) * dpitch + right, bytes_each), apart(most, bytes_each), most * 2 * lanes,
    )  # fmt: skip


def _by_pixel(s: Sizes, N: int, pool: int, bytes_each: int) -> Sizes:
    """Whole images, as a pixel needs nothing that lies around it; of a few, so many parts that all cores have some."""
    parts = -(-LEAST_PIECES // N)  # of each image
    R = _filled(-(-s.OH // parts), pool)
    near = _rows_at_hand(s.OW, R, pool)
    return s._replace(
        G=1, R=R, blocks=-(-s.OH // R), near=near, line=apart(near * s.OW + s.lanes, bytes_each),
        copied=s.copied * COPIES,
    )  # fmt: skip


def _rows_of_a_block(
    g: Window, row: int, halo: int, down: int, N: int, bytes_each: int, pool: int
) -> tuple[int, int]:  # fmt: skip
    """How many rows of windows make a block, and how many blocks an image has: as many rows as the cache holds."""
    most = max((CACHE // bytes_each - halo) // row, ENOUGH // g.OW, down, 1)
    if N * -(-g.OH // most) < 4:  # few images: more blocks, so that there is work for all threads
        most = max(min(most, -(-g.OH // 4)), 1)
    blocks = -(-g.OH // most)
    R = -(-g.OH // (blocks * pool)) * pool
    return min(R, g.OH), -(-g.OH // R)  # not beyond a single block: images worked on together follow without a gap


def _images_together(g: Window, numbers: int, N: int, bytes_each: int) -> int:
    """How many small images make one piece of work: enough windows, all in the cache, and four pieces at the least."""
    return max(min(-(-ENOUGH // (g.OH * g.OW)), CACHE // (numbers * bytes_each), N // 4), 1)


def _rows_at_hand(OW: int, R: int, pool: int) -> int:
    """So many rows of a block have their results in the nearest cache; no window of a pool lies across."""
    return min(_filled(max(NEAR // OW, 1), pool), R)


def _filled(numbers: int, lanes: int) -> int:
    return -(-numbers // lanes) * lanes


def _collide(plane: int, C: int) -> bool:
    """Whether channels lie so many bytes apart that a cache, which looks at the last bits, takes them for the same."""
    return C > 4 and plane % 1024 == 0


def _kernel_places(g: Window, channels: int, flip: bool) -> tuple[Array, Array, Array]:
    """For every weight (c, i, j): its channel, and how far below and right of its window's corner it looks."""
    c, i, j = (axis.ravel() for axis in np.indices((channels, g.KH, g.KW)))
    return c, (g.KH - 1 - i if flip else i) * g.dv, (g.KW - 1 - j if flip else j) * g.dh


def _taps(g: Window, s: Sizes, flip: bool) -> Array:
    c, i, j = _kernel_places(g, s.C // s.groups, flip)
    return c * s.plane + i * s.pitch + j


def _pixels(s: Sizes) -> Array:
    n, u, v = (axis.ravel() for axis in np.indices((s.G, s.R, s.OW)))
    return n * s.C * s.plane + u * s.sv * s.pitch + v * s.sh


def _taps_dx(g: Window, s: Sizes, flip: bool) -> tuple[Array, Array, Array]:
    f, i, j = _kernel_places(g, s.F // s.groups, flip)
    taps = f * s.dplane - i // s.sv * s.dpitch - j // s.sh
    if s.sv * s.sh == 1:
        return np.empty(0, np.int64), taps, np.array([0, len(taps)])
    phase = i % s.sv * s.sh + j % s.sh
    order = np.argsort(phase, kind="stable")
    return order, taps[order], np.searchsorted(phase[order], np.arange(s.sv * s.sh + 1))


def _pixels_dx(s: Sizes) -> tuple[Array, Array]:
    """The pixels of each phase, from the first row that a block has of it; with several images, just their rows."""
    tables = []
    for a in range(s.sv):
        first, end = max(-(-(s.top - a) // s.sv), 0), -(-(s.top + s.H - a) // s.sv)
        below = min(s.last, end) - first if s.blocks == 1 else s.last
        for b in range(s.sh):
            left, right, _ = columns_of_phase(b, s.sh, s.left, s.W, s.dpitch)
            n, u, v = (axis.ravel() for axis in np.indices((s.G, max(below, 0), max(right - left, 0))))
            tables.append(n * s.F * s.dplane + u * s.dpitch + left + v)
    return np.concatenate(tables), np.cumsum([0, *(len(t) for t in tables)])


def columns_of_phase(b: int, sh: int, left: int, W: int, dpitch: int) -> tuple[int, int, int]:
    """Columns b, b + sh, … of the image with its border: the first in the image, and the last in a window, and at all.

    Columns further right are in no window.
    """
    stop = (left + W - b + sh - 1) // sh
    return max((left - b + sh - 1) // sh, 0), min(stop, dpitch), stop
