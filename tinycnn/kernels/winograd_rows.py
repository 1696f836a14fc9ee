"""Winograd's changes of form and products for a row of squares (`winograd`, `winograd_forms`), a vector at a time.

Between the changes is a register tile as in `tile`, for squares that lie side by side. Which scheme it is, a kernel
only learns when it runs, so each has the code of all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.compiling import kernel
from tinycnn.kernels.shuffled_rows import halves
from tinycnn.kernels.tile import NARROW, WIDE, pointers
from tinycnn.kernels.vectors import Writer, count, counted_loop, unrolled_loop
from tinycnn.kernels.winograd_forms import APART_1, APART_2, FOUR, SCHEMES, Numbers, Scheme, gradients_mixed, taps

SIDE = SCHEMES[APART_1].forms  # dw is done by squares only where windows are one apart
FORMS = SIDE**2


def _both_ways(change: Callable[[Writer, Numbers], Numbers], w: Writer, columns: list[Numbers]) -> list[Numbers]:
    """A change of form made of every column, and then of every row; gives the rows."""
    return [change(w, list(row)) for row in zip(*(change(w, column) for column in columns), strict=True)]


def _dealt(w: Writer, vectors: Numbers) -> Numbers:
    """Several vectors in a row dealt out, as to players, to as many: every so many numbers, from each of the first."""
    if len(vectors) == 1:
        return vectors
    pairs = [halves(w, *vectors[k : k + 2]) for k in range(0, len(vectors), 2)]
    even, odd = (_dealt(w, list(half)) for half in zip(*pairs, strict=True))
    return list(chain.from_iterable(zip(even, odd, strict=True)))


def _mixing_of_pixels(scheme: Scheme) -> Any:
    @intrinsic
    def mix(typingctx, own, to, apart, start, pitch, squares):
        i = types.intp

        def write(context, builder, signature, arguments):
            own, to, apart, start, pitch, squares = pointers(context, builder, signature.args, arguments)
            w, side = Writer(builder, context.get_value_type(signature.args[0].dtype)), scheme.forms
            to, start = w.at(own, to), w.at(own, start)
            rows = [w.at(start, builder.mul(count(r), pitch)) for r in range(scheme.seen)]
            forms = [w.at(to, builder.mul(count(form), apart)) for form in range(side**2)]
            places = [after + v * w.lanes for after in (0, scheme.step) for v in range(scheme.step)]

            def vector_of_squares(t, _):
                first = builder.mul(t, count(scheme.step))
                columns = []  # of pixels of the squares, in turns, after the rows are mixed
                for place in places:
                    at = builder.add(first, count(place))
                    columns.append(scheme.pixels(w, [w.load(w.at(row, at)) for row in rows]))
                for r in range(side):
                    row = [column[r] for column in columns]
                    pixels = [*_dealt(w, row[: scheme.step]), *_dealt(w, row[scheme.step :])]
                    for c, form in enumerate(scheme.pixels(w, pixels)):
                        w.store(form, w.at(forms[r * side + c], t))
                return []

            counted_loop(builder, squares, w.lanes, [], vector_of_squares)
            return context.get_dummy_value()

        return types.void(own, i, i, i, i, i), write

    return mix


_pixels_1, _pixels_2, _pixels_of_dx = (_mixing_of_pixels(scheme) for scheme in SCHEMES)


@kernel(inline="always")
def mix_pixels(scheme, own, to, apart, start, pitch, squares):
    """own[to + form·apart + t] = the forms of square t of a row, whose first pixel is own[start + step·t].

    A whole vector of squares at a time: there is room for it, at both ends.
    """
    if scheme == APART_1:
        _pixels_1(own, to, apart, start, pitch, squares)
    elif scheme == APART_2:
        _pixels_2(own, to, apart, start, pitch, squares)
    else:
        _pixels_of_dx(own, to, apart, start, pitch, squares)


def _mixing_of_weights(scheme: Scheme) -> Any:
    @intrinsic
    def mix(typingctx, to, at, apart, x, start, lines, turned):
        i = types.intp

        def write(context, builder, signature, arguments):
            to, at, apart, x, start, lines, turned = pointers(context, builder, signature.args, arguments)
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            to, x = w.at(to, at), w.at(x, start)
            turned = builder.icmp_signed("!=", turned, count(0))
            taps = [w.load(w.at(x, builder.mul(count(k), lines))) for k in range(9)]
            for r, row in enumerate(_both_ways(scheme.weights, w, [taps[j::3] for j in range(3)])):
                for c, form in enumerate(row):
                    other = scheme.turned[r] * FOUR + scheme.turned[c]
                    place = builder.select(turned, count(other), count(r * FOUR + c))
                    w.store(form, w.at(to, builder.mul(place, apart)))
            return context.get_dummy_value()

        return types.void(to, i, i, x, i, i, i), write

    return mix


_weights_1, _weights_2 = (_mixing_of_weights(scheme) for scheme in SCHEMES[:2])  # dx has those of the second


@kernel(inline="always")
def mix_weights(scheme, to, at, apart, x, start, lines, turned):
    """to[at + form·apart + v] = the forms of a vector of filters, of whom x[start + tap·lines + v] are the taps.

    If `turned`, the taps are those of filters turned around: the first is the last, in both directions.
    """
    if scheme == APART_1:
        _weights_1(to, at, apart, x, start, lines, turned)
    else:
        _weights_2(to, at, apart, x, start, lines, turned)


_SIDES = tuple(one.forms for one in SCHEMES)


@kernel(inline="always")
def weights_of(scheme, form):
    """Which form of weights goes with a form of pixels: in both directions the same, but with the last all others."""
    side = _SIDES[scheme]
    return min(form // side, FOUR - 1) * FOUR + min(form % side, FOUR - 1)


def _tile(vectors: int, height: int) -> Any:
    """The register tile for `height` squares, which lie side by side, and one or two vectors of filters."""

    @intrinsic
    def tile(typingctx, own, to, forms, mixed, line, w_, weights, C, bias, first):
        i = types.intp

        def write(context, builder, signature, arguments):
            own, to, forms, mixed, line, weights_of_all, weights, C, bias, first = pointers(
                context, builder, signature.args, arguments
            )
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            pixels, weights, to = w.at(own, mixed), w.at(weights_of_all, weights), w.at(own, to)
            steps = [count(v * w.lanes) for v in range(vectors)]

            def one_channel(c, sums):
                square = w.at(pixels, builder.mul(c, line))
                row = w.at(weights, builder.mul(c, count(vectors * w.lanes)))
                filters = [w.load(w.at(row, step)) for step in steps]
                new = []
                for m in range(height):
                    pixel = w.everywhere(builder.load(w.at(square, count(m))))
                    new += [w.multiply_add(pixel, filters[v], sums[m * vectors + v]) for v in range(vectors)]
                return new

            begin = [w.load(w.at(w.at(bias, first), step)) for step in steps]
            sums = unrolled_loop(builder, C, 1, begin * height, one_channel)
            for m in range(height):
                row = w.at(to, builder.mul(forms, count(m * 2 * w.lanes)))
                for v, step in enumerate(steps):
                    w.store(sums[m * vectors + v], w.at(row, step))
            return context.get_dummy_value()

        return types.void(own, i, i, i, i, w_, i, i, bias, i), write

    return tile


wide_tile, narrow_tile = _tile(2, WIDE), _tile(1, NARROW)


def _results_by(scheme: Scheme) -> Any:
    @intrinsic
    def results(typingctx, own, to, line, pixels, rows, products, squares, width):
        i = types.intp

        def write(context, builder, signature, arguments):
            own, to, line, pixels, rows, products, squares, width = pointers(
                context, builder, signature.args, arguments
            )
            w, side, made = Writer(builder, context.get_value_type(signature.args[0].dtype)), scheme.forms, scheme.made
            products = w.at(own, products)
            lines = [w.at(w.at(own, to), builder.mul(count(r), line)) for r in range(made)]

            def is_there(k, how_many):
                return builder.if_then(builder.icmp_signed("<", k, how_many), likely=True)

            def square(t, tests):
                columns = [builder.add(builder.mul(t, count(made)), count(c)) for c in range(made)]
                here = w.at(products, builder.mul(t, count(side**2 * 2 * w.lanes)))

                def vector(v, tests):
                    m = [w.load(w.at(w.at(here, v), count(form * 2 * w.lanes))) for form in range(side**2)]
                    found = _both_ways(scheme.results, w, [m[c::side] for c in range(side)])
                    for r, row in enumerate(found):
                        with is_there(count(r), rows):
                            for column, one in zip(columns, row, strict=True):
                                with is_there(column, pixels):
                                    w.store(one, w.at(lines[r], builder.add(builder.mul(column, width), v)))
                    total = w.zeros
                    for one in chain.from_iterable(found):
                        total = builder.fadd(total, one)
                    return [w.multiply_add(total, w.zeros, tests[0])]  # 0 times what is not finite is NaN

                return counted_loop(builder, width, w.lanes, tests, vector)

            tests = counted_loop(builder, squares, 1, [w.zeros], square)
            test = w.total(tests[0])
            return builder.fcmp_ordered("ord", test, test)

        return types.boolean(own, i, i, i, i, i, i, i), write

    return results


_results_1, _results_2, _results_of_dx = (_results_by(scheme) for scheme in SCHEMES)


_PLUS = tuple(sum(1 << r * one.forms + c for r in one.plus for c in one.plus) for one in SCHEMES)  # a bit for each form


@kernel(inline="always")
def has_bias(scheme, form):
    """Whether the products of a form begin with the bias."""
    return (_PLUS[scheme] >> form) & 1 == 1


@kernel(inline="always")
def results_of_squares(scheme, own, to, line, pixels, rows, products, squares, width):
    """own[to + i·line + (made·t + j)·width + v] = result (i, j) of square t and filter v, from its products.

    For a row of squares, whose results are so many `rows` of so many `pixels`, or fewer where squares reach beyond.
    Gives whether all of them are finite.
    """
    if scheme == APART_1:
        fine = _results_1(own, to, line, pixels, rows, products, squares, width)
    elif scheme == APART_2:
        fine = _results_2(own, to, line, pixels, rows, products, squares, width)
    else:
        fine = _results_of_dx(own, to, line, pixels, rows, products, squares, width)
    return fine


@intrinsic
def mix_gradients(typingctx, own, to, apart, start, line, squares, width):
    """own[to + form·apart + t·width + v] = the forms A dy Aᵀ of square t and filter v, of a row of squares.

    Result (i, j) of square t has its gradient at own[start + i·line + (2t + j)·width + v].
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        own, to, apart, start, line, squares, width = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        upper = w.at(own, start)
        lower, to = w.at(upper, line), w.at(own, to)
        forms = [w.at(to, builder.mul(count(form), apart)) for form in range(FORMS)]

        def square(t, _):
            at = builder.mul(t, width)
            left = builder.mul(at, count(2))

            def vector(v, _):
                places = builder.add(left, v), builder.add(builder.add(left, width), v)
                pairs = [[w.load(w.at(row, place)) for row in (upper, lower)] for place in places]
                found = chain.from_iterable(_both_ways(gradients_mixed, w, pairs))
                for place, form in zip(forms, found, strict=True):
                    w.store(form, w.at(place, builder.add(at, v)))
                return []

            counted_loop(builder, width, w.lanes, [], vector)
            return []

        counted_loop(builder, squares, 1, [], square)
        return context.get_dummy_value()

    return types.void(own, i, i, i, i, i, i), write


@intrinsic
def taps_of_forms(typingctx, to, at, lines, x, start, apart, turned):
    """to[at + tap·lines + v] = the taps GᵀMG of a vector of filters, from their forms at x[start + form·apart + v].

    If `turned`, the first tap is the last, in both directions.
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, lines, x, start, apart, turned = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x = w.at(to, at), w.at(x, start)
        turned = builder.icmp_signed("!=", turned, count(0))
        forms = [w.load(w.at(x, builder.mul(count(form), apart))) for form in range(FORMS)]
        columns = [forms[c::SIDE] for c in range(SIDE)]
        for k, tap in enumerate(chain.from_iterable(_both_ways(taps, w, columns))):
            w.store(tap, w.at(to, builder.mul(builder.select(turned, count(8 - k), count(k)), lines)))
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i), write
