"""A row of windows, a vector of windows at a time, without a branch that a random image would make the CPU guess wrong.

Nearly all networks pool 2×2 windows, side by side. Two vectors of the upper row and two of the lower hold the numbers
of a whole vector of them, the left ones at even places and the right ones at odd. Sorted apart by a shuffle, three
comparisons choose among the four. Windows of any other kind look at one tap after the other, each a row of its own.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row
from tinycnn.kernels.shuffled_rows import left_and_right, side_by_side
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer, count, counted_loop

BYTE, TAP = ir.IntType(8), ir.IntType(32)
AHEAD = 128  # numbers


def _two_rows(w: Writer, upper: Any, lower: Any, k: Any, n: Any, mask: Any) -> list[Any]:
    """The four numbers of windows k and on: left and right above, left and right below.

    Two rows at once are more than the CPU foresees well, so it is told what will be needed next.
    """
    found: list[Any] = []
    for row in (upper, lower):
        ahead = w.at(row, w.builder.add(w.builder.mul(k, count(2)), count(AHEAD)))
        given = [w.builder.bitcast(ahead, BYTE.as_pointer()), *(ir.Constant(TAP, how) for how in (0, 3, 1))]
        _call(w, "llvm.prefetch.p0", ir.VoidType(), given)
        found += left_and_right(w, row, k, n, mask)
    return found


def _better(w: Writer, value: Any, best: Any, smallest: bool = False) -> Any:
    """Where `value` is larger (or smaller), or is a NaN and `best` is none."""
    b = w.builder
    beats = b.fcmp_unordered("<" if smallest else ">", value, best)  # also where one of them is a NaN
    return b.and_(beats, b.fcmp_ordered("ord", best, best))


def largest_of_four(w: Writer, a: Any, b: Any, c: Any, d: Any, smallest: bool = False) -> tuple[Any, Any]:
    """The largest of four vectors, lane by lane, and which it was: 0 to 3, the first of equals, the first NaN."""
    tap = [ir.Constant(ir.VectorType(TAP, w.lanes), [k] * w.lanes) for k in range(4)]
    select = w.builder.select
    right, below = _better(w, b, a, smallest), _better(w, d, c, smallest)
    above, under = select(right, b, a), select(below, d, c)
    down = _better(w, under, above, smallest)
    which = select(down, select(below, tap[3], tap[2]), select(right, tap[1], tap[0]))
    return select(down, under, above), which


def _store_taps(w: Writer, taps: Any, pointer: Any, mask: Any) -> None:
    """Write whole numbers that are as wide as what the pointer is to."""
    few = w.builder.trunc(taps, ir.VectorType(pointer.type.pointee, w.lanes)) if _are_bytes(pointer) else taps
    address = w.builder.bitcast(pointer, few.type.as_pointer())
    if mask is None:
        w.builder.store(few, address, align=1)
        return
    given = [few, address, ir.Constant(TAP, 1), mask]
    _call(w, f"llvm.masked.store.v{w.lanes}i{few.type.element.width}.p0", ir.VoidType(), given)


def _load_taps(w: Writer, pointer: Any, mask: Any) -> Any:
    """Whole numbers that are as wide as what the pointer is to, as 32 bits each; lanes that are off are not read."""
    kind = ir.VectorType(pointer.type.pointee, w.lanes)
    address = w.builder.bitcast(pointer, kind.as_pointer())
    if mask is None:
        loaded = w.builder.load(address, align=1)
    else:
        given = [address, ir.Constant(TAP, 1), mask, ir.Constant(kind, [0] * w.lanes)]
        loaded = _call(w, f"llvm.masked.load.v{w.lanes}i{kind.element.width}.p0", kind, given)
    return w.builder.zext(loaded, ir.VectorType(TAP, w.lanes)) if _are_bytes(pointer) else loaded


def _are_bytes(pointer: Any) -> bool:
    return pointer.type.pointee.width == BYTE.width


def _call(w: Writer, name: str, result: Any, given: list[Any]) -> Any:
    module = w.builder.module
    types = ir.FunctionType(result, [one.type for one in given])
    return w.builder.call(module.globals.get(name) or ir.Function(module, types, name), given)


def _choose_of_four(smallest: bool) -> Any:
    @intrinsic
    def choose(typingctx, y, winner, at, x, upper, lower, n):
        i = types.intp

        def write(context, builder, signature, arguments):
            y, winner, at, x, upper, lower, n = pointers(context, builder, signature.args, arguments)
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            y, winner, upper, lower = (w.at(p, k) for p, k in ((y, at), (winner, at), (x, upper), (x, lower)))

            def some(k, mask):
                a, b, c, d = _two_rows(w, upper, lower, k, n, mask)
                best, which = largest_of_four(w, a, b, c, d, smallest)
                w.store(best, w.at(y, k), mask)
                _store_taps(w, which, w.at(winner, k), mask)

            over_row(w, n, some)
            return context.get_dummy_value()

        return types.void(y, winner, i, x, i, i, i), write

    return choose


# choose_largest_of_four(y, winner, at, x, upper, lower, n): n windows of two rows, y[at:] is the largest number of
# each, and the byte winner[at:] is its place, 0 to 3.
choose_largest_of_four, choose_smallest_of_four = _choose_of_four(False), _choose_of_four(True)


@intrinsic
def route_of_four(typingctx, dx, upper, lower, dy, winner, at, n):
    """n windows: each of dy[at:] goes to the one of four places in dx that winner[at:] names, and 0 to the others."""
    i = types.intp

    def write(context, builder, signature, arguments):
        dx, upper, lower, dy, winner, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        rows, dy, winner = (w.at(dx, upper), w.at(dx, lower)), w.at(dy, at), w.at(winner, at)

        def some(k, mask):
            which = _load_taps(w, w.at(winner, k), mask)
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


def _choose_of_taps(smallest: bool) -> Any:
    @intrinsic
    def choose(typingctx, y, winner, at, first, tap, line, start, offsets, taps, n):
        i = types.intp

        def write(context, builder, signature, arguments):
            y, winner, at, first, tap, line, start, offsets, taps, n = pointers(
                context, builder, signature.args, arguments
            )
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            numbers = ir.VectorType(TAP, w.lanes)
            y, winner, line = w.at(y, at), w.at(winner, at), w.at(line, start)
            ones, begin = ir.Constant(numbers, [1] * w.lanes), w.everywhere(builder.trunc(tap, TAP))
            worst = w.everywhere(ir.Constant(w.number, math.inf if smallest else -math.inf))

            def some(v, mask):
                here = w.at(line, v)

                def one(k, so_far):
                    best, which, number = so_far
                    value = w.load(w.at(here, builder.load(w.at(offsets, k))), mask)
                    better = _better(w, value, best, smallest)
                    chosen = builder.select(better, value, best), builder.select(better, number, which)
                    return [*chosen, builder.add(number, ones)]

                which = builder.add(begin, _load_taps(w, w.at(first, v), mask))
                best, which, _ = counted_loop(builder, taps, 1, [worst, which, begin], one)
                w.store(best, w.at(y, v), mask)
                _store_taps(w, which, w.at(winner, v), mask)

            over_row(w, n, some)
            return context.get_dummy_value()

        return types.void(y, winner, i, first, i, line, i, offsets, i, i), write

    return choose


# choose_largest_of_taps(y, winner, at, first, tap, line, start, offsets, taps, n): n windows of any kind. Tap number
# tap + k of window v lies at line[start + offsets[k] + v], k < taps; y[at:] is the largest number of each, and
# winner[at:] the tap it was. Where no number is above −∞, that is tap + first[v].
choose_largest_of_taps, choose_smallest_of_taps = _choose_of_taps(False), _choose_of_taps(True)


@intrinsic
def mean_of_four(typingctx, y, at, x, upper, lower, n):
    """n windows: y[at:] is the mean of the four numbers of each."""
    i = types.intp

    def write(context, builder, signature, arguments):
        y, at, x, upper, lower, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        y, upper, lower = w.at(y, at), w.at(x, upper), w.at(x, lower)
        quarter = w.everywhere(ir.Constant(w.number, 0.25))

        def some(k, mask):
            a, b, c, d = _two_rows(w, upper, lower, k, n, mask)
            w.store(builder.fmul(quarter, builder.fadd(builder.fadd(a, b), builder.fadd(c, d))), w.at(y, k), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(y, i, x, i, i, i), write


@intrinsic
def share_of_four(typingctx, dx, upper, lower, dy, at, n):
    """n windows: a quarter of each of dy[at:] goes to each of its four places in dx."""
    i = types.intp

    def write(context, builder, signature, arguments):
        dx, upper, lower, dy, at, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        rows, dy = (w.at(dx, upper), w.at(dx, lower)), w.at(dy, at)
        quarter = w.everywhere(ir.Constant(w.number, 0.25))

        def some(k, mask):
            share = builder.fmul(quarter, w.load(w.at(dy, k), mask))
            for row in rows:
                side_by_side(w, [share, share], row, k, n, mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(dx, i, i, dy, i, i), write
