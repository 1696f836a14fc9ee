"""Convolution with 1×1 kernels: every pixel by itself, a product of matrices in which the pixels lie side by side.

y[f, p] = b[f] + Σ_c w[f, c]·x[c, p]. Other convolutions have a filter in each lane of a vector, and turn what comes out
into rows; here the pixels are the vectors and the weights the numbers that are broadcast, so nothing has to be turned,
neither the images nor the results. dx is the same product with the weights read the other way.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kernels.compiling import Worker, next_part, unpack
from tinycnn.kernels.conv_blocks import piece, pieces_of
from tinycnn.kernels.conv_plan import Sizes
from tinycnn.kernels.fused_blocks import ALONE, cut_lines
from tinycnn.kernels.linear import steps
from tinycnn.kernels.lines import whole_lines
from tinycnn.kernels.rows import copy_row, fill_row
from tinycnn.kernels.threads import plain, space
from tinycnn.kernels.tile import call_product, tiles_for

Array = np.ndarray


def mix_channels(
    threads: int, x: Array, w: Array, b: Array | None, s: Sizes, y: Array, kept: Array, after: int
) -> None:  # fmt: skip
    """Fill in y; what comes `after`, and what is `kept` of it: see `fused`."""
    b, channels = None if b is None else plain(b), s.C + (b is not None)
    _mix(threads, x, w, b, s, y, kept, after, steps(s.F, channels), steps(channels, 1))


def mix_channels_back(threads: int, dy: Array, w: Array, s: Sizes, dx: Array) -> None:
    """Fill in dx."""
    _mix(threads, dy, w, None, s, dx, dy, ALONE, steps(s.C, 1), steps(s.F, s.C))


def _mix(
    threads: int, x: Array, w: Array, b: Array | None, s: Sizes, y: Array, kept: Array, after: int, results: Array,
    channels: Array,
) -> None:  # fmt: skip
    """The weight of channel k for result m lies at results[m] + channels[k]."""
    M, K = len(results), len(channels)
    size = whole_lines((K + M + 1) * s.line + M * K, x.itemsize)
    _channels(
        threads, x.dtype, tiles_for(x.dtype), y, kept, after, x, w, w if b is None else b, b is not None, results,
        channels, space(x.dtype, threads * size), size, M, K, s, len(x),
    )  # fmt: skip


@Worker
def _channels(t, workers, given):
    tiles, y, kept, after, x, w, bias, biased, results, channels, space, size, M, K, s, N = unpack(
        given, "TxunxxxniixnnnSn"
    )
    own, items, item = space[t * size :], pieces_of(N, s), next_part(given)
    C, weights, lines, nothing = K - biased, w, K * s.line, (K + M) * s.line
    if item < items:
        fill_row(own, nothing, 0, s.line)
        if biased:  # the bias is the weight of one channel more, which is 1 everywhere
            weights = own[nothing + s.line :]
            for m in range(M):
                copy_row(weights, m * K, w, m * C, C)
                weights[m * K + C] = bias[m]
            fill_row(own, C * s.line, 1, s.line)
    while item < items:
        first, images, u, rows = piece(item, N, s)
        for n in range(first, first + images):
            for r in range(u, u + rows, s.near):
                some = min(s.near, u + rows - r)
                pixels = some * s.OW
                for c in range(C):
                    copy_row(own, c * s.line, x, ((n * C + c) * s.OH + r) * s.OW, pixels)
                if after == ALONE:
                    call_product(tiles, y, (n * M * s.OH + r) * s.OW, s.OH * s.OW, weights, 0, results, channels, own,
                                 0, s.line, K, M, pixels, own, nothing, 0)  # fmt: skip
                else:
                    call_product(tiles, own, lines, s.line, weights, 0, results, channels, own, 0, s.line, K, M,
                                 pixels, own, nothing, 0)  # fmt: skip
                    cut_lines(y, kept, n, own, lines, s, after, 0, M, r, some)
        item = next_part(given)
