"""dw with Winograd's products: 16 multiplications for a square of 2×2 gradients, where the sum makes 36.

What is linear can be turned around. Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A is linear in the filter g, so its gradient is made of
the same forms, read the other way:

    dg = Gᵀ[Σ (A dY Aᵀ) ⊙ (Bᵀ d B)]G

with the sum over all squares of all images, before Gᵀ: for each of the 16 forms a matrix product, forms of pixels times
forms of gradients. As for the results, rounding goes by the largest products that are summed up, as long as nothing
underflows,

    |error| ≤ γ · |Gᵀ|[Σ (|A| |dY| |Aᵀ|) ⊙ (|Bᵀ| |d| |B|)]|G|     γ = n·u/(1 − n·u), n = squares + 25

and where a result is not finite, the plain sum takes over.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kernels.compiling import Worker, kernel, next_part, unpack
from tinycnn.kernels.conv_blocks import piece, pieces_of
from tinycnn.kernels.conv_pack import turn_back
from tinycnn.kernels.conv_plan import pieces
from tinycnn.kernels.fused_blocks import ALONE
from tinycnn.kernels.linear import steps
from tinycnn.kernels.rows import add_row, clear_row, row_sum, zero_row
from tinycnn.kernels.shuffled_rows import turn_rows
from tinycnn.kernels.threads import finite, partial_sums, space
from tinycnn.kernels.tile import call_product, strip_width, tiles_for
from tinycnn.kernels.winograd import lay_channel, mix_piece
from tinycnn.kernels.winograd_plan import GatherPlan
from tinycnn.kernels.winograd_rows import FORMS, mix_gradients, taps_of_forms

Array = np.ndarray
SUMS = 1024 * 1024  # numbers that the partial sums may take


def gather_squares(
    threads: int, dy: Array, x: Array, plan: GatherPlan, dw: Array, db: Array, kept: Array, after: int
) -> bool:  # fmt: skip
    """Fill in dw and db; gives whether dw is finite: if not, it is for the plain sum."""
    s, p, q = plan.sizes, plan.pixels, plan.gathering
    size = FORMS * s.FP * s.C
    parts = partial_sums(size, pieces(len(x), s), SUMS)
    own = space(dy.dtype, threads * plan.space + parts * (size + s.F))
    sums, of_db = own[threads * plan.space :], own[threads * plan.space + parts * size :]
    _gather(
        threads, dy.dtype, tiles_for(dy.dtype), sums, of_db, dy, kept, after, x, steps(s.C, p.line),
        steps(plan.squares, 1), own, plan.space, s, p, q, len(x), parts,
    )  # fmt: skip
    _finish(threads, dy.dtype, dw, sums, own, plan.space, parts, s, plan.roles)
    np.add.reduce(of_db[: parts * s.F].reshape(parts, -1), axis=0, out=db)
    return finite(dw)


@Worker
def _gather(t, workers, given):
    tiles, sums, db, dy, kept, after, x, channels, squares, space, size, s, p, q, N, parts = unpack(
        given, "TxxxunxiixnSWDnn"
    )
    own, all_forms = space[t * size :], FORMS * s.FP * s.C
    items, part = pieces_of(N, s), next_part(given)
    if part < parts:
        zero_row(own, 0, p.mixed - s.lanes)  # the border of the images that are laid out, and of the gradients
        zero_row(own, q.gradients, q.strip - q.gradients)
    while part < parts:
        clear_row(sums, part * all_forms, all_forms)
        clear_row(db, part * s.F, s.F)
        for item in range(part * items // parts, (part + 1) * items // parts):
            n, images, u, rows = piece(item, N, s)
            down = (rows + 1) // 2
            mix_piece(own, x, x, s.C, kept, s, p, ALONE, n, images, u - s.top, down)
            _lay_gradients(own, dy, kept, s, p, q, after, db, part * s.F, n, images, u, rows)
            f = 0
            while f < s.FP:
                width = strip_width(s.FP - f, s.lanes)
                _mix_strip(own, s, p, q, f, width, images * down)
                for form in range(FORMS):
                    call_product(tiles, sums, part * all_forms + (f * FORMS + form * width) * s.C, width, own,
                                 p.mixed + form * p.apart, channels, squares, own, q.forms + form * q.apart, 0,
                                 images * down * p.across, s.C, width, own, 0, 0, 1)  # fmt: skip
                f += width
        part = next_part(given)


@kernel
def _lay_gradients(own, dy, kept, s, p, q, after, db, db0, n, images, u, rows):
    """dy of a piece, a row of pairs of pixels after the other, with a zero where the last pair has only one."""
    across, down = 2 * p.across, (rows + 1) // 2
    for m in range(images):
        for f in range(s.F):
            begin = q.gradients + f * q.line + m * 2 * down * across
            lay_channel(own, begin, across, dy, s.OH, s.OW, kept, after, (n + m) * s.F + f, u, u + rows)
            if rows % 2:
                zero_row(own, begin + rows * across, across)
            db[db0 + f] += row_sum(own, begin, rows * across)


@kernel(inline="always")
def _mix_strip(own, s, p, q, f, width, down):
    """The forms of a strip's gradients as (form, square, filter), for all rows of squares of a piece."""
    line = 2 * p.across * width
    for v in range(f, f + width, s.lanes):
        turn_rows(own, q.strip + v - f, width, own, q.gradients + v * q.line, q.line, s.F - v,
                  down * 4 * p.across)  # fmt: skip
    for r in range(down):
        mix_gradients(own, q.forms + r * p.across * width, q.apart, q.strip + 2 * r * line, line, p.across,
                      width)  # fmt: skip


@Worker
def _finish(t, workers, given):
    dw, sums, space, size, parts, s, roles = unpack(given, "xxxnnSR")
    all_forms, strips = FORMS * s.FP * s.C, (s.FP + 2 * s.lanes - 1) // (2 * s.lanes)
    for strip in range(t * strips // workers, (t + 1) * strips // workers):
        f = strip * 2 * s.lanes
        width = strip_width(s.FP - f, s.lanes)
        at = f * FORMS * s.C
        for part in range(1, parts):
            add_row(sums, at, sums, part * all_forms + at, FORMS * s.C * width)
        for v in range(0, width, s.lanes):
            for c in range(s.C):
                taps_of_forms(space, t * size + c * 9 * s.lanes, s.lanes, sums, at + c * width + v,
                              s.C * width, roles.turned)  # fmt: skip
            turn_back(dw, (f + v) * s.C * 9, space, t * size, s.lanes, min(s.lanes, s.F - f - v), 9 * s.C, s.lanes)
