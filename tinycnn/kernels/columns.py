"""A row times a matrix of few numbers: how pools and enlargements go from one row of an image to another.

Each number of the new row is made of two or three of the old one, but of others than its neighbour is, so a vector of
neighbours would have to gather what it needs from all over the place. Therefore as many rows as a vector has lanes are
done together, and turned first: then a column of all of them is one vector, each new column is the sum of a few
vectors, and in the end the columns are turned back into rows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.rows import over_row, zero_row
from tinycnn.kernels.shuffled_rows import turn_rows
from tinycnn.kernels.tile import pointers
from tinycnn.kernels.vectors import REGISTERS, Writer, count, counted_loop

Array = np.ndarray


class Rows(NamedTuple):
    """For each new row the old ones that it is made of: entries ends[v] up to ends[v + 1], places and weights."""

    ends: Array
    places: Array
    weights: Array


class Columns(NamedTuple):
    """For each new column as many taps, places and weights; where they are fewer, the others look at a column of 0."""

    places: Array
    weights: Array
    taps: int


def rows_of(new: Array, old: Array, weights: Array, many: int) -> Rows:
    """Entry e adds weights[e] times the old row old[e] to the new row new[e], of `many`.

    >>> ends, places, _ = rows_of(np.array([2, 0, 2]), np.array([5, 6, 7]), np.ones(3), many=3)
    >>> ends.tolist(), places.tolist()
    ([0, 1, 1, 3], [6, 5, 7])
    """
    order = np.argsort(new, kind="stable")
    ends = np.searchsorted(new[order], np.arange(many + 1))
    return Rows(ends.astype(np.int64), old[order].astype(np.int64), weights[order])


def columns_of(new: Array, old: Array, weights: Array, many: int, n: int) -> Columns:
    """The same for columns, of which there were n.

    >>> places, _, taps = columns_of(np.array([2, 0, 2]), np.array([5, 6, 7]), np.ones(3), many=3, n=8)
    >>> places.reshape(3, taps).tolist()
    [[6, 8], [8, 8], [5, 7]]
    """
    ends, old, weights = rows_of(new, old, weights, many)
    counts = np.diff(ends)
    taps = max(int(counts.max()), 1)
    filled = np.arange(taps) < counts[:, None]
    places, all_weights = np.full((many, taps), n), np.zeros((many, taps), weights.dtype)
    places[filled], all_weights[filled] = old, weights
    return Columns(places.ravel(), all_weights.ravel(), taps)


def lanes_of(dtype: Any) -> int:
    """How many rows are done together."""
    return REGISTERS.width // np.dtype(dtype).itemsize


def room_to_mix(n: int, many: int, lanes: int) -> int:
    """How much working space `mix_columns` needs for rows of n numbers that become rows of `many`."""
    return (max(n + 1, lanes) + max(many, lanes)) * lanes


@kernel
def mix_columns(to, at, pitch, x, start, line, rows, own, room, places, weights, taps, n, many, lanes):
    """to[at + m·pitch + v] = Σⱼ weights[v·taps + j] · x[start + m·line + places[v·taps + j]], j < taps.

    For m < rows, at most `lanes`, and v < many; the old rows have n numbers, and a 0 behind them.
    """
    mixed = room + max(n + 1, lanes) * lanes
    turn_rows(own, room, lanes, x, start, line, rows, n)
    zero_row(own, room + n * lanes, lanes)
    if taps == 1:
        _mix_by_1(own, mixed, own, room, places, weights, taps, many)
    elif taps == 2:
        _mix_by_2(own, mixed, own, room, places, weights, taps, many)
    elif taps == 3:
        _mix_by_3(own, mixed, own, room, places, weights, taps, many)
    else:
        _mix_by_any(own, mixed, own, room, places, weights, taps, many)
    _turn_back(to, at, pitch, own, mixed, rows, many)


def _mix_by(known: int) -> Any:
    @intrinsic
    def mix(typingctx, to, at, x, start, places, weights, taps, many):
        i = types.intp

        def write(context, builder, signature, arguments):
            to, at, x, start, places, weights, taps, many = pointers(context, builder, signature.args, arguments)
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            to, x = w.at(to, at), w.at(x, start)

            def column(v, _):
                entry = builder.mul(v, count(known) if known else taps)
                of_places, of_weights = w.at(places, entry), w.at(weights, entry)

                def tap(j, total):
                    place = builder.mul(builder.load(w.at(of_places, j)), count(w.lanes))
                    weight = w.everywhere(builder.load(w.at(of_weights, j)))
                    return [w.multiply_add(weight, w.load(w.at(x, place)), total[0])]

                total = [w.zeros]
                for j in range(known):
                    total = tap(count(j), total)
                total = total if known else counted_loop(builder, taps, 1, total, tap)
                w.store(total[0], w.at(to, builder.mul(v, count(w.lanes))))
                return []

            counted_loop(builder, many, 1, [], column)
            return context.get_dummy_value()

        return types.void(to, i, x, i, places, weights, i, i), write

    return mix


# The same of turned rows, one vector for each column; with a loop over the taps only where they are many.
_mix_by_1, _mix_by_2, _mix_by_3, _mix_by_any = (_mix_by(known) for known in (1, 2, 3, 0))


@intrinsic
def _turn_back(typingctx, to, at, pitch, x, start, rows, n):
    """to[at + m·pitch + k] = x[start + k·lanes + m], m < rows and k < n; of x a whole square is read at least."""
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, pitch, x, start, rows, n = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)

        def some(k, mask):
            begin = w.at(x, builder.mul(k, count(w.lanes)))
            columns = [w.load(w.at(begin, count(j * w.lanes))) for j in range(w.lanes)]
            for m, row in enumerate(w.turned(columns)):
                with builder.if_then(builder.icmp_signed("<", count(m), rows)):
                    w.store(row, w.at(to, builder.add(builder.mul(count(m), pitch), k)), mask)

        over_row(w, n, some)
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i), write
