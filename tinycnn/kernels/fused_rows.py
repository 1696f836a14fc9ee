"""Rows that pass through a ReLU, or a ReLU and a 2×2 max pool, on their way out; and their gradients on the way back.

One byte for each result remembers where its gradient belongs: with a pool, which of the four places was the largest,
0 to 3, and 4 if the ReLU cut it off; without one, 0 or 4. It does not matter which of the two comes first: the largest
of four numbers cut at 0 is the largest of the four, cut at 0.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.pool_rows import largest_of_four
from tinycnn.kernels.rows import over_row
from tinycnn.kernels.shuffled_rows import left_and_right, side_by_side
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer, count

BYTE, TAP = ir.IntType(8), ir.IntType(32)
CUT = 4  # the byte of what the ReLU cut off
SHORTEST = 16  # a row of bytes is written in whole vectors, so it has room for one: no vector has more lanes


def _taps(lanes: int, tap: int) -> Any:
    return ir.Constant(ir.VectorType(TAP, lanes), [tap] * lanes)


def _cut(w: Writer, value: Any, tap: Any) -> tuple[Any, Any]:
    """What the ReLU makes of numbers, and of where their gradients go. A NaN is not ≤ 0 and passes."""
    off = w.builder.fcmp_ordered("<=", value, w.zeros)
    return w.builder.select(off, w.zeros, value), w.builder.select(off, _taps(w.lanes, CUT), tap)


def _store_bytes(w: Writer, taps: Any, pointer: Any) -> None:
    few = w.builder.trunc(taps, ir.VectorType(BYTE, w.lanes))
    w.builder.store(few, w.builder.bitcast(pointer, few.type.as_pointer()), align=1)


def _load_bytes(w: Writer, pointer: Any) -> Any:
    few = ir.VectorType(BYTE, w.lanes)
    loaded = w.builder.load(w.builder.bitcast(pointer, few.as_pointer()), align=1)
    return w.builder.zext(loaded, ir.VectorType(TAP, w.lanes))


def _where(w: Writer, taps: Any, tap: int, given: Any) -> Any:
    """The numbers of those lanes whose byte is `tap`, and 0 in the others."""
    return w.builder.select(w.builder.icmp_signed("==", taps, _taps(w.lanes, tap)), given, w.zeros)


@intrinsic
def relu_row(typingctx, y, at, kept, kept_at, x, start, n):
    """y[at:] = relu(x[start:]), n numbers, and a byte each in kept[kept_at:]."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, kept, kept_at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, kept, x = w.at(y, at), w.at(kept, kept_at), w.at(x, start)

        def some(k, mask):
            value, taps = _cut(w, w.load(w.at(x, k), mask), _taps(w.lanes, 0))
            w.store(value, w.at(y, k), mask)
            _store_bytes(w, taps, w.at(kept, k))

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, kept, i, x, i, i), write


@intrinsic
def cut_row(typingctx, y, at, x, start, n):
    """y[at:] = relu(x[start:]), n numbers."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, x, start, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, x, taps = w.at(y, at), w.at(x, start), _taps(w.lanes, 0)
        over_row(w, n, lambda k, mask: w.store(_cut(w, w.load(w.at(x, k), mask), taps)[0], w.at(y, k), mask))
        return context.get_dummy_value()

    return types.void(y, i, x, i, i), write


@intrinsic
def relu_pool_row(typingctx, y, at, kept, kept_at, x, upper, lower, n):
    """y[at:] = the largest of each 2×2 window of two rows, cut at 0; n windows, and a byte each in kept[kept_at:]."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, kept, kept_at, x, upper, lower, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, kept, upper, lower = (w.at(p, k) for p, k in ((y, at), (kept, kept_at), (x, upper), (x, lower)))

        def some(k, mask):
            rows = [left_and_right(w, row, k, n, mask) for row in (upper, lower)]
            value, taps = _cut(w, *largest_of_four(w, *rows[0], *rows[1]))
            w.store(value, w.at(y, k), mask)
            _store_bytes(w, taps, w.at(kept, k))

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, kept, i, x, i, i, i), write


@intrinsic
def pool_row(typingctx, y, at, x, upper, lower, n):
    """y[at:] = the largest of each 2×2 window of two rows; n windows."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, x, upper, lower, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, upper, lower = w.at(y, at), w.at(x, upper), w.at(x, lower)

        def some(k, mask):
            rows = [left_and_right(w, row, k, n, mask) for row in (upper, lower)]
            w.store(largest_of_four(w, *rows[0], *rows[1])[0], w.at(y, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, x, i, i, i), write


@intrinsic
def uncut_row(typingctx, to, at, dy, start, kept, kept_at, n):
    """to[at:] = dy[start:] where the ReLU let through, and 0 elsewhere; n numbers."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, dy, start, kept, kept_at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, dy, kept = w.at(to, at), w.at(dy, start), w.at(kept, kept_at)

        def some(k, mask):
            value = _where(w, _load_bytes(w, w.at(kept, k)), 0, w.load(w.at(dy, k), mask))
            w.store(value, w.at(to, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, dy, i, kept, i, i), write


@intrinsic
def unpool_row(typingctx, to, at, lower, dy, start, kept, kept_at, n):
    """One of the two rows under n windows, the lower one or the upper: each of dy[start:] at its place, 0 elsewhere."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, lower, dy, start, kept, kept_at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, dy, kept = w.at(to, at), w.at(dy, start), w.at(kept, kept_at)
        first_tap = w.everywhere(builder.trunc(builder.mul(lower, count(2)), TAP))

        def some(k, mask):
            taps = builder.sub(_load_bytes(w, w.at(kept, k)), first_tap)
            given = w.load(w.at(dy, k), mask)
            side_by_side(w, [_where(w, taps, side, given) for side in (0, 1)], to, k, n, mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, i, dy, i, kept, i, i), write
