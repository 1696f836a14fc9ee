"""A row of 2×2 windows, side by side, a vector of windows at a time: the pool that nearly all networks use.

Two vectors of the upper row and two of the lower hold the numbers of a whole vector of windows, the left ones at even
places and the right ones at odd. Sorted apart by a shuffle, three comparisons choose among the four; there is no branch
that a random image would make the CPU guess wrong.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row
from tinycnn.kernels.shuffled_rows import left_and_right, side_by_side
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer

TAP = ir.IntType(32)


def _better(w: Writer, value: Any, best: Any) -> Any:
    """Where `value` is larger, or is a NaN and `best` is none."""
    b = w.builder
    is_first_nan = b.and_(b.fcmp_unordered("uno", value, value), b.fcmp_ordered("ord", best, best))
    return b.or_(b.fcmp_ordered(">", value, best), is_first_nan)


def largest_of_four(w: Writer, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """The largest of four vectors, lane by lane, and which it was: 0 to 3, the first of equals, the first NaN."""
    tap = [ir.Constant(ir.VectorType(TAP, w.lanes), [k] * w.lanes) for k in range(4)]
    select = w.builder.select
    right, below = _better(w, b, a), _better(w, d, c)
    above, under = select(right, b, a), select(below, d, c)
    down = _better(w, under, above)
    which = select(down, select(below, tap[3], tap[2]), select(right, tap[1], tap[0]))
    return select(down, under, above), which


def _store_taps(w: Writer, taps: Any, pointer: Any, mask: Any) -> None:
    """Write 32-bit numbers as if they were of the other kind of 32 bits; in float64 one by one."""
    narrow = Writer(w.builder, ir.FloatType(), w.lanes)
    narrow.store(w.builder.bitcast(taps, narrow.vector), w.builder.bitcast(pointer, ir.FloatType().as_pointer()), mask)


@intrinsic
def choose_of_four(typingctx, y, winner, at, x, upper, lower, sign, n):
    """n windows: y[at:] is the largest of sign·x in each, times sign; winner[at:] is its place, 0 to 3."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, winner, at, x, upper, lower, sign, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, winner, upper, lower = (w.at(p, k) for p, k in ((y, at), (winner, at), (x, upper), (x, lower)))
        sign = w.everywhere(sign)

        def some(k, mask):
            rows = [left_and_right(w, row, k, n, mask) for row in (upper, lower)]
            best, which = largest_of_four(w, *(builder.fmul(sign, one) for row in rows for one in row))
            w.store(builder.fmul(sign, best), w.at(y, k), mask)
            _store_taps(w, which, w.at(winner, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, winner, i, x, i, i, x.dtype, i), write


@intrinsic
def route_of_four(typingctx, dx, upper, lower, dy, winner, at, n):
    """n windows: each of dy[at:] goes to the one of four places in dx that winner[at:] names, and 0 to the others."""
    i = types.intp

    def write(context, builder, signature, arguments):
        dx, upper, lower, dy, winner, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        rows, dy, winner = (w.at(dx, upper), w.at(dx, lower)), w.at(dy, at), w.at(winner, at)
        narrow = Writer(builder, ir.FloatType(), w.lanes)

        def some(k, mask):
            start = builder.bitcast(w.at(winner, k), ir.FloatType().as_pointer())
            which = builder.bitcast(narrow.load(start, mask), ir.VectorType(TAP, w.lanes))
            given = w.load(w.at(dy, k), mask)
            for row, taps in zip(rows, ((0, 1), (2, 3)), strict=True):
                parts = [
                    builder.select(
                        builder.icmp_signed("==", which, ir.Constant(which.type, [tap] * w.lanes)), given, w.zeros
                    )
                    for tap in taps
                ]
                side_by_side(w, parts, row, k, n, mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(dx, i, i, dy, winner, i, i), write
