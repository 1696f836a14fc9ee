"""Rows of windows: divided by what counts in each, dealt out to their phases, and added where their taps lie.

A loop over a row of thirty numbers spends more time on getting started than on its arithmetic; here a row is done a
vector at a time.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row
from tinycnn.kernels.shuffled_rows import left_and_right
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import LANE_INDEX, Writer, counted_loop


@intrinsic
def divide_row(typingctx, to, at, x, start, by, first, n):
    """to[at + v] = x[start + v] / by[first + v], v < n."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, by, first, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, by = w.at(to, at), w.at(x, start), w.at(by, first)
        one = w.everywhere(ir.Constant(w.number, 1.0))

        def some(k, mask):
            divisor = w.load(w.at(by, k), mask)
            divisor = divisor if mask is None else builder.select(mask, divisor, one)  # no 0/0 where nobody looks
            w.store(builder.fdiv(w.load(w.at(x, k), mask), divisor), w.at(to, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, by, i, i), write


@intrinsic
def split_row(typingctx, to, left, right, x, start, n):
    """to[left + k] = x[start + 2k] and to[right + k] = x[start + 2k + 1], k < n: one row dealt out to two."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, left, right, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        rows, x = (w.at(to, left), w.at(to, right)), w.at(x, start)

        def some(k, mask):
            for row, half in zip(rows, left_and_right(w, x, k, n, mask), strict=True):
                w.store(half, w.at(row, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i), write


@intrinsic
def add_at_taps(typingctx, to, start, step, offsets, taps, x, at, n):
    """to[start + v·step + offsets[taps[at + v]]] += x[at + v], v < n, one after the other."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, start, step, offsets, taps, x, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, taps, x = w.at(to, start), w.at(taps, at), w.at(x, at)

        def one(v, _):
            tap = builder.zext(builder.load(w.at(taps, v)), LANE_INDEX)
            place = w.at(to, builder.add(builder.mul(v, step), builder.load(w.at(offsets, tap))))
            builder.store(builder.fadd(builder.load(place), builder.load(w.at(x, v))), place)
            return []

        counted_loop(builder, n, 1, [], one)
        return context.get_dummy_value()

    return types.void(to, i, i, offsets, taps, x, i, i), write
