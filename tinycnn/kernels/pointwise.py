"""Convolution with 1×1 kernels: every pixel by itself, a product of matrices in which the pixels lie side by side.

y[f, p] = b[f] + Σ_c w[f, c]·x[c, p]. Other convolutions have a filter in each lane of a vector, and turn what comes out
into rows; here the pixels are the vectors and the weights the numbers that are broadcast, so nothing has to be turned,
neither the images nor the results. dx is the same product with the weights read the other way, and dw[f, c] the sum
Σₚ dy[f, p]·x[c, p] along the rows of both.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kernels.compiling import Worker, next_part, unpack
from tinycnn.kernels.conv_blocks import piece, pieces_of
from tinycnn.kernels.conv_plan import Sizes
from tinycnn.kernels.fused_blocks import ALONE, cut_lines
from tinycnn.kernels.linear import steps
from tinycnn.kernels.lines import whole_lines
from tinycnn.kernels.rows import clear_row, copy_row, fill_row, row_sum
from tinycnn.kernels.threads import partial_sums, plain, space
from tinycnn.kernels.tile import call_dots, call_product, tiles_for

Array = np.ndarray


def mix_channels(
    threads: int, x: Array, w: Array, b: Array | None, s: Sizes, y: Array, kept: Array, after: int
) -> None:  # fmt: skip
    """Fill in y; what comes `after`, and what is `kept` of it: see `fused`."""
    _mix(threads, x, w, b, s, y, kept, after, steps(s.F, s.C), steps(s.C, 1))


def mix_channels_back(threads: int, dy: Array, w: Array, s: Sizes, dx: Array) -> None:
    """Fill in dx."""
    _mix(threads, dy, w, None, s, dx, dy, ALONE, steps(s.C, 1), steps(s.F, s.C))


def _mix(
    threads: int, x: Array, w: Array, b: Array | None, s: Sizes, y: Array, kept: Array, after: int, results: Array,
    channels: Array,
) -> None:  # fmt: skip
    """The weight of channel k for result m lies at results[m] + channels[k]."""
    M, K, wide = len(results), len(channels), 2 * s.lanes
    size = whole_lines(M * wide + (K * s.copied + M * (after != ALONE)) * s.line, x.itemsize)
    _channels(
        threads, x.dtype, tiles_for(x.dtype), y, kept, after, x, w, w if b is None else plain(b), b is not None,
        results, channels, space(x.dtype, threads * size), size, M, K, s, len(x),
    )  # fmt: skip


def channels_by_channels(threads: int, dy: Array, x: Array, s: Sizes, dw: Array, db: Array) -> None:
    """Fill in dw and db, from partial sums over fixed parts of the batch: the same bits for any number of threads."""
    size, parts = s.F * s.C, partial_sums(s.F * s.C, len(x))
    sums = space(x.dtype, parts * (size + s.F))
    of_dw, of_db = sums[: parts * size], sums[parts * size : parts * (size + s.F)]
    _of_weights(threads, x.dtype, tiles_for(x.dtype), of_dw, of_db, dy, x, s, len(x), parts)
    np.add.reduce(of_dw.reshape(parts, -1), axis=0, out=dw.reshape(-1))
    np.add.reduce(of_db.reshape(parts, -1), axis=0, out=db)


@Worker
def _of_weights(t, workers, given):
    tiles, dw, db, dy, x, s, N, parts = unpack(given, "TxxxxSnn")
    part, plane = next_part(given), s.OH * s.OW
    while part < parts:
        clear_row(dw, part * s.F * s.C, s.F * s.C)
        clear_row(db, part * s.F, s.F)
        for n in range(part * N // parts, (part + 1) * N // parts):
            for f in range(s.F):  # first: row after row, dy comes to the cache fastest
                db[part * s.F + f] += row_sum(dy, (n * s.F + f) * plane, plane)
            call_dots(tiles, dw, part * s.F * s.C, s.C, dy, n * s.F * plane, plane, x, n * s.C * plane, plane, plane,
                      s.F, s.C)  # fmt: skip
        part = next_part(given)


@Worker
def _channels(t, workers, given):
    tiles, y, kept, after, x, w, b, biased, results, channels, space, size, M, K, s, N = unpack(
        given, "TxunxxxniixnnnSn"
    )
    own, items, item = space[t * size :], pieces_of(N, s), next_part(given)
    wide, plane = 2 * s.lanes, s.OH * s.OW
    copies, lines = M * wide, M * wide + K * s.copied * s.line
    if item < items:
        for m in range(M):  # what the sums begin with, as wide as a tile
            fill_row(own, m * wide, b[m] if biased else 0, wide)
    while item < items:
        n, _, u, rows = piece(item, N, s)  # of one image
        at_once = s.near if s.copied or after != ALONE else rows
        for r in range(u, u + rows, at_once):
            some = min(at_once, u + rows - r)
            pixels, source, begin, pitch = some * s.OW, x, n * K * plane + r * s.OW, plane
            if s.copied:
                for k in range(K):
                    copy_row(own, copies + k * s.line, x, begin + k * plane, pixels)
                source, begin, pitch = own, copies, s.line
            if after == ALONE:
                call_product(tiles, y, n * M * plane + r * s.OW, plane, w, 0, results, channels, source, begin,
                             pitch, K, M, pixels, own, 0, wide, 0)  # fmt: skip
            else:
                call_product(tiles, own, lines, s.line, w, 0, results, channels, source, begin, pitch, K, M, pixels,
                             own, 0, wide, 0)  # fmt: skip
                cut_lines(y, kept, n, own, lines, s, after, 0, M, r, some)
        item = next_part(given)
