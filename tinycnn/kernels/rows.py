"""Short rows of numbers: copied, filled and added up a vector at a time, without a step beyond their ends.

Images are made of rows, and rows are short: a plain loop spends most of its time on getting started. A row that is no
multiple of the vector's length ends in a vector that overlaps the one before it; a row shorter than one vector
switches lanes off.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer, count, counted_loop


def over_row(w: Writer, n: Any, do: Any) -> None:
    """Write `do(k, mask)` for vectors that begin at k and together cover 0 … n − 1; some lanes may be done twice."""
    builder = w.builder

    def one(k, _):
        do(k, None)
        return []

    long = builder.icmp_signed(">=", n, count(w.lanes))
    with builder.if_else(long) as (then, otherwise):
        with then:
            last = builder.sub(n, count(w.lanes))
            counted_loop(builder, last, w.lanes, [], one)
            do(last, None)
        with otherwise, builder.if_then(builder.icmp_signed(">", n, count(0))):
            do(count(0), w.first(n))


def over_row_in_pairs(w: Writer, n: Any, do: Any) -> None:
    """The same, two vectors at a time: `do(places, mask)`, where the work for one would be waiting for itself."""
    builder = w.builder
    with builder.if_else(builder.icmp_signed(">=", n, count(w.lanes))) as (then, otherwise):
        with then:
            last = builder.sub(n, count(w.lanes))

            def two(k, _):
                both = k, builder.add(k, count(w.lanes))
                do([builder.select(builder.icmp_signed("<", one, last), one, last) for one in both], None)
                return []

            counted_loop(builder, n, 2 * w.lanes, [], two)
        with otherwise, builder.if_then(builder.icmp_signed(">", n, count(0))):
            do([count(0)], w.first(n))


@intrinsic
def copy_row(typingctx, to, at, x, start, n):
    """to[at : at + n] = x[start : start + n]; the two do not overlap."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)
        over_row(w, n, lambda k, mask: w.store(w.load(w.at(x, k), mask), w.at(to, k), mask))
        return context.get_dummy_value()

    return types.void(to, i, x, i, i), write


@intrinsic
def clear_row(typingctx, to, at, n):
    """to[at : at + n] = 0."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to = w.at(to, at)
        over_row(w, n, lambda k, mask: w.store(w.zeros, w.at(to, k), mask))
        return context.get_dummy_value()

    return types.void(to, i, i), write


@intrinsic
def fill_row(typingctx, to, at, value, n):
    """to[at : at + n] = value."""
    i = types.intp

    def write(context, builder, signature, arguments):
        (to,) = pointers(context, builder, signature.args[:1], arguments[:1])
        _, at, value, n = arguments
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, everywhere = w.at(to, at), w.everywhere(value)
        over_row(w, n, lambda k, mask: w.store(everywhere, w.at(to, k), mask))
        return context.get_dummy_value()

    return types.void(to, i, to.dtype, i), write


@intrinsic
def add_row(typingctx, to, at, x, start, n):
    """to[at : at + n] += x[start : start + n], where n fills whole vectors; the two do not overlap."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def one(k, _):
            place = w.at(to, k)
            w.store(builder.fadd(w.load(place), w.load(w.at(x, k))), place)
            return []

        counted_loop(builder, n, w.lanes, [], one)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i), write


@intrinsic
def lay_row(typingctx, to, at, x, start, n):
    """to[at : at + n] = x[start : start + n], and zeros up to the end of the last vector: there must be room."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, whole = w.at(to, at), w.at(x, start), builder.and_(n, count(-w.lanes))

        def one(k, _):
            w.store(w.load(w.at(x, k)), w.at(to, k))
            return []

        counted_loop(builder, whole, w.lanes, [], one)
        with builder.if_then(builder.icmp_signed("<", whole, n)):
            w.store(w.load(w.at(x, whole), w.first(builder.sub(n, whole))), w.at(to, whole))
        return context.get_dummy_value()

    return types.void(to, i, x, i, i), write


@intrinsic
def zero_row(typingctx, to, at, n):
    """to[at : at + n] = 0, and on to the end of the last vector: there must be room."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to = w.at(to, at)

        def one(k, _):
            w.store(w.zeros, w.at(to, k))
            return []

        counted_loop(builder, n, w.lanes, [], one)
        return context.get_dummy_value()

    return types.void(to, i, i), write


def _folded(w: Writer, x: Any, n: Any, nothing: Any, join: Any) -> Any:
    """All of a row joined, by `join`: four vectors at once, which do not wait for each other, then one, then lanes."""
    builder, four = w.builder, 4 * w.lanes
    many, whole = builder.and_(n, count(-four)), builder.and_(n, count(-w.lanes))

    def some(k, so_far):
        at = w.at(x, k)
        return [join(w.load(w.at(at, count(v * w.lanes))), so_far[v]) for v in range(4)]

    a, b, c, d = counted_loop(builder, many, four, [nothing] * 4, some)
    joined = [join(join(a, b), join(c, d))]
    (joined,) = counted_loop(builder, whole, w.lanes, joined, lambda k, one: [join(w.load(w.at(x, k)), one[0])], many)
    there = w.first(builder.sub(n, whole))
    last = builder.select(there, w.load(w.at(x, whole), there), nothing)
    return w.folded(join(last, joined), join)


@intrinsic
def row_sum(typingctx, x, start, n):
    """The sum of x[start : start + n], each lane for itself and then all lanes, so always in the same order."""
    i = types.intp

    def write(context, builder, signature, arguments):
        x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        return _folded(w, w.at(x, start), n, w.zeros, builder.fadd)

    return x.dtype(x, i, i), write


@intrinsic
def plus(typingctx, total, value):
    """One step of a sum, total + value, which the compiler may do in the order that suits its vectors: always one."""

    def write(context, builder, signature, arguments):
        return builder.fadd(*arguments, flags=["reassoc", "contract"])

    return total(total, total), write


@intrinsic
def row_max(typingctx, x, start, n):
    """The largest of x[start : start + n]; a NaN is passed over, unless there is nothing else: then it is -inf."""
    i = types.intp

    def write(context, builder, signature, arguments):
        x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        lowest = w.everywhere(ir.Constant(w.number, -math.inf))
        return _folded(w, w.at(x, start), n, lowest, w.larger)

    return x.dtype(x, i, i), write


@intrinsic
def copy_every(typingctx, to, at, to_step, x, start, x_step, n):
    """to[at + k·to_step] = x[start + k·x_step] for k < n: every so many numbers, as a stride needs them."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, to_step, x, start, x_step, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def one(k, _):
            value = builder.load(w.at(x, builder.mul(k, x_step)))
            builder.store(value, w.at(to, builder.mul(k, to_step)))
            return []

        counted_loop(builder, n, 1, [], one)
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i), write
