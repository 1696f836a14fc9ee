"""Rows mixed with each other, and rows twice and half as wide, as nearly all networks enlarge: a vector at a time.

Even and odd places of the wide row are two vectors of the narrow one, shuffled into each other or sorted apart.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row, over_row_in_pairs
from tinycnn.kernels.shuffled_rows import left_and_right, side_by_side
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer, count, counted_loop


@intrinsic
def repeat_twice(typingctx, y, at, step, rows, x, start, n):
    """y[at + i·step + 2k] = y[at + i·step + 2k + 1] = x[start + k], for i < rows and k < n."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, step, rows, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, x = w.at(y, at), w.at(x, start)

        def some(k, mask):
            value = w.load(w.at(x, k), mask)

            def one(row, _):
                side_by_side(w, [value, value], w.at(y, builder.mul(row, step)), k, n, mask)
                return []

            counted_loop(builder, rows, 1, [], one)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, i, i, x, i, i), write


@intrinsic
def add_twice(typingctx, to, at, x, start, step, rows, n):
    """to[at + k] = Σᵢ (x[start + i·step + 2k] + x[start + i·step + 2k + 1]), i < rows, k < n."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, step, rows, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def some(k, mask):
            def one(row, so_far):
                pair = left_and_right(w, w.at(x, builder.mul(row, step)), k, n, mask)
                return [builder.fadd(so_far[0], builder.fadd(*pair))]

            w.store(counted_loop(builder, rows, 1, [w.zeros], one)[0], w.at(to, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i, i, i), write


@intrinsic
def mix_rows(typingctx, to, at, x, start, step, places, weights, first, rows, n):
    """to[at + k] = Σₑ weights[e]·x[start + places[e]·step + k], first ≤ e < first + rows, k < n."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, step, places, weights, first, rows, n = pointers(
            context, builder, signature.args, arguments
        )
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, places, weights = w.at(to, at), w.at(x, start), w.at(places, first), w.at(weights, first)

        def some(places_along, mask):
            def one(row, so_far):
                weight = w.everywhere(builder.load(w.at(weights, row)))
                line = w.at(x, builder.mul(builder.load(w.at(places, row)), step))
                given = zip(places_along, so_far, strict=True)
                return [w.multiply_add(weight, w.load(w.at(line, k), mask), total) for k, total in given]

            totals = counted_loop(builder, rows, 1, [w.zeros] * len(places_along), one)
            for k, total in zip(places_along, totals, strict=True):
                w.store(total, w.at(to, k), mask)

        over_row_in_pairs(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i, places, weights, i, i, i), write


@intrinsic
def mix_two_rows(typingctx, to, at, x, one, other, weights, first, n):
    """to[at + k] = weights[first]·x[one + k] + weights[first + 1]·x[other + k], k < n."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, one, other, weights, first, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, one, other, weights = w.at(to, at), w.at(x, one), w.at(x, other), w.at(weights, first)
        here, there = (w.everywhere(builder.load(w.at(weights, count(k)))) for k in (0, 1))

        def some(k, mask):
            part = builder.fmul(here, w.load(w.at(one, k), mask))
            w.store(w.multiply_add(there, w.load(w.at(other, k), mask), part), w.at(to, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i, weights, i, i), write


def _mixed(w: Writer, most: Any, least: Any) -> Any:
    """¾ of one and ¼ of the other."""
    three, one = (w.everywhere(ir.Constant(w.number, part)) for part in (0.75, 0.25))
    return w.multiply_add(three, most, w.builder.fmul(one, least))


@intrinsic
def blend_twice(typingctx, y, at, x, start, n):
    """y[at + 2k] = ¼·x[k − 1] + ¾·x[k] and y[at + 2k + 1] = ¾·x[k] + ¼·x[k + 1], k < n, counted from x[start]."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, x = w.at(y, at), w.at(x, start)

        def some(k, mask):
            before, here, behind = (w.load(w.at(w.at(x, k), count(by)), mask) for by in (-1, 0, 1))
            side_by_side(w, [_mixed(w, here, before), _mixed(w, here, behind)], y, k, n, mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, x, i, i), write


@intrinsic
def unblend_twice(typingctx, to, at, x, start, n):
    """to[at + k] = ¼·x[2k − 1] + ¾·x[2k] + ¾·x[2k + 1] + ¼·x[2k + 2], k < n, counted from x[start]."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def some(k, mask):
            before, left = left_and_right(w, w.at(x, count(-1)), k, n, mask)
            right, behind = left_and_right(w, w.at(x, count(1)), k, n, mask)
            w.store(_mixed(w, builder.fadd(left, right), builder.fadd(before, behind)), w.at(to, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i), write
