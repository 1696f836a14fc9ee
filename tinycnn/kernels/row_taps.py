"""Rows laid over each other: what a pool does with the rows that its windows' taps form, a vector at a time.

A loop over a row of thirty numbers spends more time on getting started than on adding; here the taps are the inner
loop, and their sum stays in a register.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row
from tinycnn.kernels.shuffled_rows import left_and_right
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import LANE_INDEX, Writer, count, counted_loop


@intrinsic
def sum_of_taps(typingctx, to, at, x, start, offsets, first, taps, n):
    """to[at + v] = Σₖ x[start + offsets[first + k] + v], k < taps, v < n; there is a tap."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, offsets, first, taps, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, offsets = w.at(to, at), w.at(x, start), w.at(offsets, first)

        def some(v, mask):
            here = w.at(x, v)

            def one(k, so_far):
                return [builder.fadd(so_far[0], w.load(w.at(here, builder.load(w.at(offsets, k))), mask))]

            w.store(counted_loop(builder, taps, 1, [w.zeros], one)[0], w.at(to, v), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, offsets, i, i, i), write


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
def add_to_rows(typingctx, to, at, step, rows, x, start, n):
    """to[at + i·step + k] += x[start + k] for each i < rows, k < n. The last numbers are added once, and not twice."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, step, rows, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def add(k, mask):
            value = w.load(w.at(x, k), mask)

            def one(row, _):
                place = w.at(to, builder.add(k, builder.mul(row, step)))
                w.store(builder.fadd(w.load(place, mask), value), place, mask)
                return []

            counted_loop(builder, rows, 1, [], one)
            return []

        whole = builder.and_(n, count(-w.lanes))
        with builder.if_then(builder.icmp_signed(">", rows, count(0))):
            with builder.if_then(builder.icmp_signed(">", whole, count(0))):
                counted_loop(builder, whole, w.lanes, [], lambda k, _: add(k, None))
            with builder.if_then(builder.icmp_signed("<", whole, n)):
                add(whole, w.first(builder.sub(n, whole)))
        return context.get_dummy_value()

    return types.void(to, i, i, i, x, i, i), write


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
