"""Rows whose numbers change places: every other one taken out, two rows in turns, and rows turned into columns.

A *shuffle* fills a vector with lanes of two others, in any order that is known when the code is compiled.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.rows import over_row
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import Writer, count

PLACE = ir.IntType(32)


def _places(lanes: int, of: list[int]) -> Any:
    return ir.Constant(ir.VectorType(PLACE, lanes), of)


def _masks(w: Writer, n: Any, mask: Any) -> tuple[Any, Any]:
    """Which lanes of two vectors in a row count, if of one vector of pairs the first n do."""
    if mask is None:
        return None, None
    double = w.builder.mul(n, count(2))
    return w.first(double), w.first(w.builder.sub(double, count(w.lanes)))


def left_and_right(w: Writer, pointer: Any, k: Any, n: Any, mask: Any) -> tuple[Any, Any]:
    """The numbers at even and at odd places of a row: of pairs k and on, of n in all."""
    masks = _masks(w, n, mask)
    start = w.at(pointer, w.builder.mul(k, count(2)))
    return halves(w, w.load(start, masks[0]), w.load(w.at(start, count(w.lanes)), masks[1]))


def halves(w: Writer, one: Any, two: Any) -> tuple[Any, Any]:
    """The numbers at even and at odd places of two vectors in a row."""
    even = list(range(0, 2 * w.lanes, 2))
    shuffle = w.builder.shuffle_vector
    return shuffle(one, two, _places(w.lanes, even)), shuffle(one, two, _places(w.lanes, [e + 1 for e in even]))


def side_by_side(w: Writer, pair: list[Any], row: Any, k: Any, n: Any, mask: Any) -> None:
    """Write two vectors to a row in turns: the left and the right numbers of pairs k and on, of n in all."""
    start = w.at(row, w.builder.mul(k, count(2)))
    for half, mask_of_half in enumerate(_masks(w, n, mask)):
        mixed = [lane for k in range(w.lanes // 2) for lane in (k, k + w.lanes)]
        places = _places(w.lanes, [lane + half * w.lanes // 2 for lane in mixed])
        w.store(w.builder.shuffle_vector(*pair, places), w.at(start, count(half * w.lanes)), mask_of_half)


@intrinsic
def alternate_row(typingctx, to, at, x, left, right, n):
    """to[at + 2k] = x[left + k] and to[at + 2k + 1] = x[right + k], k < n: two rows in turns."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, x, left, right, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        row, left, right = w.at(to, at), w.at(x, left), w.at(x, right)

        def some(k, mask):
            side_by_side(w, [w.load(w.at(one, k), mask) for one in (left, right)], row, k, n, mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, x, i, i, i), write


@intrinsic
def turn_rows(typingctx, to, at, pitch, x, start, line, rows, n):
    """to[at + k·pitch + m] = x[start + m·line + k], k < n: rows become columns, as many as a vector has lanes.

    Rows that are not there repeat the last. Where n is less than the lanes, so many rows of `to` are written all the
    same: those beyond n with zeros.
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, pitch, x, start, line, rows, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, last = w.at(to, at), w.at(x, start), builder.sub(rows, count(1))
        which = [builder.select(builder.icmp_signed("<", count(m), rows), count(m), last) for m in range(w.lanes)]
        begins = [w.at(x, builder.mul(m, line)) for m in which]

        def some(k, mask):
            for m, vector in enumerate(w.turned([w.load(w.at(begin, k), mask) for begin in begins])):
                w.store(vector, w.at(to, builder.mul(builder.add(k, count(m)), pitch)))

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i, i), write
