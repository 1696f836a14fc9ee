"""Filters as the register tile reads them: for each tap, the weights of a strip of filters side by side; and back.

Memory holds filter after filter, so to pack them is to turn rows into columns. Few of them each core packs for itself,
into its own working space: that takes less time than to share the work out. What a gradient dw was added up in is
packed as well, and is turned back in the end.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kept import empty
from tinycnn.kernels.compiling import Worker, kernel, unpack
from tinycnn.kernels.conv_plan import Plan, Sizes, packed_size
from tinycnn.kernels.rows import add_row, copy_row
from tinycnn.kernels.shuffled_rows import turn_rows
from tinycnn.kernels.tile import strip_width

Array = np.ndarray
def packed_forward(threads: int, w: Array, plan: Plan) -> Array:
    """The filters as (group, strip, tap, filter); or as they are, if they are few."""
    s = plan.sizes
    if plan.packs:
        return w
    packed = empty((packed_size(s.FP, w[0].size, s),), w.dtype)
    _pack(_who_pack(threads, w[0].size, s), w.dtype, packed, w, w[0].size, s)
    return packed


def packed_backward(threads: int, w: Array, plan: Plan) -> Array:
    """The filters as (group, strip, tap of dx, channel); or as they are, if they are few."""
    s = plan.sizes
    if plan.packs_backward:
        return w
    packed = empty((packed_size(s.CP, s.F // s.groups * s.KK, s),), w.dtype)
    _pack_turned(_who_pack(threads, s.KK, s), w.dtype, packed, w, plan.order, s)
    return packed


def _who_pack(threads: int, rows: int, s: Sizes) -> int:
    """How many cores; one if there are fewer rows than a vector has lanes: then each strip runs into the next."""
    return threads if rows >= s.lanes else 1


@Worker
def _pack(t, workers, given):
    to, w, K, s = unpack(given, "xxnS")
    pack(to, w, K, s, t, workers)


@Worker
def _pack_turned(t, workers, given):
    to, w, order, s = unpack(given, "xxiS")
    pack_turned(to, w, order, s, t, workers)


@kernel
def pack(to, w, K, s, t, workers):
    """A `workers`-th of the filters."""
    FG, vectors = s.F // s.groups, s.FP // s.lanes
    for unit in range(t * s.groups * vectors // workers, (t + 1) * s.groups * vectors // workers):
        g, f = unit // vectors, unit % vectors * s.lanes
        at, width = _place(g * s.FP, f, s.FP, K, s)
        turn_rows(to, at, width, w, (g * FG + f) * K, K, FG - f, K)


@kernel
def pack_turned(to, w, order, s, t, workers):
    """A `workers`-th of the channels; with a stride, the taps in `order`."""
    CG, FG, vectors, KF = s.C // s.groups, s.F // s.groups, s.CP // s.lanes, s.F // s.groups * s.KK
    for unit in range(t * s.groups * vectors // workers, (t + 1) * s.groups * vectors // workers):
        g, c = unit // vectors, unit % vectors * s.lanes
        at, width = _place(g * s.CP, c, s.CP, KF, s)
        if s.sv * s.sh > 1:
            for k in range(KF):
                f, tap = order[k] // s.KK, order[k] % s.KK
                for j in range(min(s.lanes, CG - c)):
                    to[at + k * width + j] = w[((g * FG + f) * CG + c + j) * s.KK + tap]
        elif s.KK == 1:
            for f in range(FG):
                copy_row(to, at + f * width, w, (g * FG + f) * CG + c, min(s.lanes, CG - c))
        else:
            for f in range(FG):
                turn_rows(to, at + f * s.KK * width, width, w, ((g * FG + f) * CG + c) * s.KK, s.KK, CG - c, s.KK)


@kernel(inline="always")
def _place(first, f, columns, K, s):
    """Where vector f of a group's columns begins among K packed rows, and how wide its strip is."""
    start = f // (2 * s.lanes) * 2 * s.lanes
    width = strip_width(columns - start, s.lanes)
    return (first + start) * K + f - start, width


def unpacked(threads: int, found: Array, dw: Array, plan: Plan) -> None:
    """Add up dw's packed partial sums, first to last, and write them as filters."""
    s = plan.sizes
    parts, size = found.shape
    _unpack_sums(1 if plan.packs else threads, dw.dtype, dw, found, parts, size, dw[0].size, s)


@Worker
def _unpack_sums(t, workers, given):
    dw, found, parts, size, K, s = unpack(given, "xxnnnS")
    FG, strips = s.F // s.groups, (s.FP + 2 * s.lanes - 1) // (2 * s.lanes)
    for unit in range(t * s.groups * strips // workers, (t + 1) * s.groups * strips // workers):
        g, f = unit // strips, unit % strips * 2 * s.lanes
        at, width = (g * s.FP + f) * K, strip_width(s.FP - f, s.lanes)
        for part in range(1, parts):
            add_row(found, at, found, part * size + at, K * width)
        for v in range(f, f + width, s.lanes):
            turn_back(dw, (g * FG + v) * K, found, at + v - f, width, min(s.lanes, FG - v), K, s.lanes)


@kernel
def turn_back(dw, to, found, at, width, there, K, lanes):
    """dw[to + f·K + k] = found[at + k·width + f] for f < there, no more than lanes, and k < K."""
    if min(there, K) < lanes:
        for f in range(there):
            for k in range(K):
                dw[to + f * K + k] = found[at + k * width + f]
        return
    for k in range(0, K, lanes):
        k = min(k, K - lanes)
        turn_rows(dw, to + k, K, found, at + k * width, width, lanes, lanes)
