"""The changes of form around Winograd's products, of pixels, weights and results (`winograd`), and of dw's two.

Each is some additions and a halving or two, done for a vector of squares, or of filters, at once. Between them is a
register tile as in `tile`, for squares that lie side by side.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinycnn.kernels.shuffled_rows import halves
from tinycnn.kernels.tile import NARROW, WIDE, pointers
from tinycnn.kernels.vectors import Writer, count, counted_loop, unrolled_loop

SIDE = 4  # a square of 2×2 results sees 4×4 pixels
FORMS = SIDE * SIDE  # and has as many products
MIDDLE = SIDE + 1  # the product that is in all four results with a plus: where the bias comes in


def _pixels_mixed(w: Writer, d: list[Any]) -> list[Any]:
    """Bᵀd of four numbers: d₀ − d₂, d₁ + d₂, d₂ − d₁, d₁ − d₃."""
    add, sub = w.builder.fadd, w.builder.fsub
    return [sub(d[0], d[2]), add(d[1], d[2]), sub(d[2], d[1]), sub(d[1], d[3])]


def _weights_mixed(w: Writer, g: list[Any], half: Any) -> list[Any]:
    """Gg of three numbers: g₀, (g₀ + g₁ + g₂)/2, (g₀ − g₁ + g₂)/2, g₂."""
    add, sub, times = w.builder.fadd, w.builder.fsub, w.builder.fmul
    outer = add(g[0], g[2])
    return [g[0], times(add(outer, g[1]), half), times(sub(outer, g[1]), half), g[2]]


def _results(w: Writer, m: list[Any]) -> list[Any]:
    """Aᵀm of four numbers: m₀ + m₁ + m₂, m₁ − m₂ − m₃."""
    add, sub = w.builder.fadd, w.builder.fsub
    return [add(m[0], add(m[1], m[2])), sub(sub(m[1], m[2]), m[3])]


def _gradients_mixed(w: Writer, e: list[Any]) -> list[Any]:
    """Ae of two numbers: e₀, e₀ + e₁, e₀ − e₁, −e₁."""
    return [e[0], w.builder.fadd(e[0], e[1]), w.builder.fsub(e[0], e[1]), w.builder.fsub(w.zeros, e[1])]


def _taps(w: Writer, m: list[Any], half: Any) -> list[Any]:
    """Gᵀm of four numbers: m₀ + (m₁ + m₂)/2, (m₁ − m₂)/2, (m₁ + m₂)/2 + m₃."""
    add, sub, times = w.builder.fadd, w.builder.fsub, w.builder.fmul
    middle = times(add(m[1], m[2]), half)
    return [add(m[0], middle), times(sub(m[1], m[2]), half), add(middle, m[3])]


@intrinsic
def mix_pixels(typingctx, own, to, apart, start, pitch, squares):
    """own[to + form·apart + t] = the forms of square t of a row of squares, whose first pixel is own[start + 2t].

    A whole vector of squares at a time: there is room for it, at both ends.
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        own, to, apart, start, pitch, squares = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, start = w.at(own, to), w.at(own, start)
        rows = [w.at(start, builder.mul(count(r), pitch)) for r in range(SIDE)]
        forms = [w.at(to, builder.mul(count(form), apart)) for form in range(FORMS)]

        def vector_of_squares(t, _):
            first = builder.mul(t, count(2))
            columns = []  # the four columns of pixels of every square, after the rows are mixed
            for place in (0, w.lanes, 2, 2 + w.lanes):
                at = builder.add(first, count(place))
                columns.append(_pixels_mixed(w, [w.load(w.at(row, at)) for row in rows]))
            for r in range(SIDE):
                pixels = [*halves(w, columns[0][r], columns[1][r]), *halves(w, columns[2][r], columns[3][r])]
                for c, form in enumerate(_pixels_mixed(w, pixels)):
                    w.store(form, w.at(forms[r * SIDE + c], t))
            return []

        counted_loop(builder, squares, w.lanes, [], vector_of_squares)
        return context.get_dummy_value()

    return types.void(own, i, i, i, i, i), write


@intrinsic
def mix_weights(typingctx, to, at, apart, x, start, lines, turned):
    """to[at + form·apart + v] = the forms of a vector of filters, of whom x[start + tap·lines + v] are the taps.

    If `turned`, the taps are those of filters turned around: the first is the last, in both directions.
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        to, at, apart, x, start, lines, turned = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        to, x, half = w.at(to, at), w.at(x, start), w.everywhere(ir.Constant(w.number, 0.5))
        turned = builder.icmp_signed("!=", turned, count(0))
        taps = [w.load(w.at(x, builder.mul(count(k), lines))) for k in range(9)]
        rows = [_weights_mixed(w, taps[j::3], half) for j in range(3)]  # each column of taps
        for r in range(SIDE):
            for c, form in enumerate(_weights_mixed(w, [column[r] for column in rows], half)):
                other = (3 - r if r in (0, 3) else r) * SIDE + (3 - c if c in (0, 3) else c)
                place = builder.select(turned, count(other), count(r * SIDE + c))
                w.store(form, w.at(to, builder.mul(place, apart)))
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i), write


def _tile(vectors: int, height: int) -> Any:
    """The register tile for `height` squares, which lie side by side, and one or two vectors of filters."""

    @intrinsic
    def tile(typingctx, own, to, mixed, line, w_, weights, C, bias, first):
        i = types.intp

        def write(context, builder, signature, arguments):
            own, to, mixed, line, weights_of_all, weights, C, bias, first = pointers(
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
                row = w.at(to, count(m * FORMS * 2 * w.lanes))
                for v, step in enumerate(steps):
                    w.store(sums[m * vectors + v], w.at(row, step))
            return context.get_dummy_value()

        return types.void(own, i, i, i, w_, i, i, bias, i), write

    return tile


wide_tile, narrow_tile = _tile(2, WIDE), _tile(1, NARROW)


@intrinsic
def results_of_squares(typingctx, own, to, line, pixels, both, products, squares, width):
    """own[to + i·line + (2t + j)·width + v] = result (i, j) of square t and filter v, from its products.

    For a row of squares, whose results are two rows of so many `pixels`, or one unless `both`. Gives whether all of
    them are finite.
    """
    i = types.intp

    def write(context, builder, signature, arguments):
        own, to, line, pixels, both, products, squares, width = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        products, upper = w.at(own, products), w.at(own, to)
        lower = w.at(upper, line)

        def square(t, tests):
            right = builder.add(builder.mul(t, count(2)), count(1))
            there = builder.icmp_signed("<", right, pixels)
            left, right = builder.mul(builder.mul(t, width), count(2)), builder.mul(right, width)
            here = w.at(products, builder.mul(t, count(FORMS * 2 * w.lanes)))

            def vector(v, tests):
                m = [w.load(w.at(w.at(here, v), count(form * 2 * w.lanes))) for form in range(FORMS)]
                columns = [_results(w, m[c::SIDE]) for c in range(SIDE)]
                (a, b), (c, d) = (_results(w, [column[r] for column in columns]) for r in (0, 1))
                total = builder.fadd(builder.fadd(a, b), builder.fadd(c, d))
                w.store(a, w.at(upper, builder.add(left, v)))
                with builder.if_then(there, likely=True):
                    w.store(b, w.at(upper, builder.add(right, v)))
                with builder.if_then(both, likely=True):
                    w.store(c, w.at(lower, builder.add(left, v)))
                    with builder.if_then(there, likely=True):
                        w.store(d, w.at(lower, builder.add(right, v)))
                return [w.multiply_add(total, w.zeros, tests[0])]  # 0 times what is not finite is NaN

            return counted_loop(builder, width, w.lanes, tests, vector)

        tests = counted_loop(builder, squares, 1, [w.zeros], square)
        test = w.total(tests[0])
        return builder.fcmp_ordered("ord", test, test)

    return types.boolean(own, i, i, i, types.boolean, i, i, i), write


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
                pairs = ([w.load(w.at(row, place)) for row in (upper, lower)] for place in places)
                columns = [_gradients_mixed(w, pair) for pair in pairs]
                for r in range(SIDE):
                    for c, form in enumerate(_gradients_mixed(w, [column[r] for column in columns])):
                        w.store(form, w.at(forms[r * SIDE + c], builder.add(at, v)))
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
        to, x, half = w.at(to, at), w.at(x, start), w.everywhere(ir.Constant(w.number, 0.5))
        turned = builder.icmp_signed("!=", turned, count(0))
        forms = [w.load(w.at(x, builder.mul(count(form), apart))) for form in range(FORMS)]
        columns = [_taps(w, forms[c::SIDE], half) for c in range(SIDE)]
        for r in range(3):
            for c, tap in enumerate(_taps(w, [column[r] for column in columns], half)):
                place = builder.select(turned, count(8 - 3 * r - c), count(3 * r + c))
                w.store(tap, w.at(to, builder.mul(place, lines)))
        return context.get_dummy_value()

    return types.void(to, i, i, x, i, i, i), write
