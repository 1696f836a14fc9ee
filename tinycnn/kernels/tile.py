"""The register tile: a small block of results that stays in the CPU's registers until it is done.

A convolution is sums of products, y[f, p] = Σₖ w[f, k]·x[k, p]. Done one result after the other, every multiplication
must first fetch its two factors, and fetching takes longer than multiplying. So take a *tile* of 8 filters × 48 pixels
at once. Its 8·48 sums fill 24 vector registers of 16 lanes, and for each k we fetch 3 vectors (48 pixels of x) and 8
single weights, each *broadcast* to all lanes, and do 24 multiply-adds with them: every pixel fetched serves 8 filters,
every weight 48 pixels. The sums never leave the registers until the last k. A core with AVX-512 has 32 such registers:
24 sums, 3 vectors of x and one weight are 28. With 16 registers of 8 lanes it is 4 filters × 24 pixels: 12 + 3 + 1.

`product` is that tile, and by the choice of offsets it is every matrix product there is:

    out[m, n] = bias[m] + Σₖ a[a0 + moff[m] + k·ak] · b[b0 + koff[k] + n]        m < rows, n < columns

`dots` is its sibling for sums that run along the vectors (the gradient of a weight sums over pixels): each lane sums
its own part, and the lanes are added up at the end:

    out[m, k] += Σₙ a[a0 + m·am + n] · b[b0 + koff[k] + n]             m < rows, k < taps, n < length

Neither reads or writes outside these: rows beyond the last repeat the last and are not stored, and columns beyond the
last are lanes that are switched off.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from tinycnn.kernels.compiling import kernel, native, record
from tinycnn.kernels.vectors import REGISTERS, Writer, count, counted_loop

FILTERS, VECTORS = REGISTERS.filters, REGISTERS.vectors
ROWS, TAPS = REGISTERS.rows, REGISTERS.taps
STEPS = 320  # so many k at a time: their vectors for one tile, 30 kB at most, stay in the nearest cache


def pointers(context: Any, builder: Any, kinds: Any, arguments: Any) -> list[Any]:
    """The arguments, each array as the address of its first number."""
    given = zip(kinds, arguments, strict=True)
    return [context.make_array(t)(context, builder, a).data if isinstance(t, types.Array) else a for t, a in given]


def _there(w: Writer, m: int, how_many: Any) -> Any:
    """Whether there is a row m."""
    return w.builder.icmp_signed("<", count(m), how_many)


def _starts(w: Writer, pointer: Any, offsets: Any, there: Any, how_many: int) -> list[Any]:
    """Where each row of a tile begins; rows that are not there repeat the last, so that nothing strange is read."""
    last = w.builder.sub(there, count(1))
    which = [w.builder.select(_there(w, m, there), count(m), last) for m in range(how_many)]
    return [w.at(pointer, w.builder.load(w.at(offsets, m))) for m in which]


def _product_tile(vectors: int, masked: bool) -> Any:
    """The tile of FILTERS rows × `vectors` vectors; if masked, of the last vector only the first lanes count."""

    @intrinsic
    def tile(typingctx, out, o, om, a, a0, moff, ak, b, b0, koff, K, rows, lanes, bias, add):
        i = types.intp
        signature = types.void(out, i, i, a, i, moff, i, b, i, koff, i, i, i, bias, i)

        def write(context, builder, signature, arguments):
            out, o, om, a, a0, moff, ak, b, b0, koff, K, rows, lanes, bias, add = pointers(
                context, builder, signature.args, arguments
            )
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            masks = [None] * (vectors - 1) + [w.first(lanes) if masked else None]
            steps = [count(v * w.lanes) for v in range(vectors)]
            weights, pixels = _starts(w, w.at(a, a0), moff, rows, FILTERS), w.at(b, b0)

            def one_k(k, sums):
                ka = builder.mul(k, ak)
                begin = w.at(pixels, builder.load(w.at(koff, k)))
                x = [w.load(w.at(begin, step), mask) for step, mask in zip(steps, masks, strict=True)]
                new = []
                for m in range(FILTERS):
                    weight = w.everywhere(builder.load(w.at(weights[m], ka)))
                    new += [w.multiply_add(weight, x[v], sums[m * vectors + v]) for v in range(vectors)]
                return new

            sums = counted_loop(builder, K, 1, [w.zeros] * (FILTERS * vectors), one_k)
            goes_on = builder.icmp_signed("!=", add, count(0))
            for m in range(FILTERS):
                with builder.if_then(_there(w, m, rows)):
                    row = w.at(out, builder.add(o, builder.mul(count(m), om)))
                    start = w.everywhere(builder.load(w.at(bias, count(m))))
                    for v, (step, mask) in enumerate(zip(steps, masks, strict=True)):
                        before = builder.select(goes_on, w.load(w.at(row, step), mask), start)
                        w.store(builder.fadd(before, sums[m * vectors + v]), w.at(row, step), mask)
            return context.get_dummy_value()

        return signature, write

    return tile


_three = _product_tile(3, masked=False)
_some_of_three = _product_tile(3, masked=True)
_some_of_two = _product_tile(2, masked=True)
_some_of_one = _product_tile(1, masked=True)


@intrinsic
def _lanes_of(typingctx, array):
    """How many of an array's numbers fill a vector."""

    def write(context, builder, signature, arguments):
        return count(Writer(builder, context.get_value_type(signature.args[0].dtype)).lanes)

    return types.intp(array), write


@intrinsic
def _from(typingctx, array, start):
    """The array from there on."""

    def write(context, builder, signature, arguments):
        (pointer, start) = pointers(context, builder, signature.args, arguments)
        return builder.gep(pointer, [start])

    kind = types.CPointer(array.dtype)
    return kind(array, types.intp), write


@kernel
def product(out, o, om, a, a0, moff, ak, b, b0, koff, k0, K, rows, columns, bias, f0, add):
    """out[o + m·om + n] = bias[f0 + m] + Σₖ a[a0 + moff[m] + k·ak] · b[b0 + koff[k0 + k] + n].

    For all m < rows, n < columns, k < K; if `add`, to what is in `out` in place of the bias. All rows of a strip of
    columns come before the next strip, and STEPS of k before the next: what is read of `b` then lies in the nearest
    cache while every row uses it. The last columns go to narrower tiles with some lanes switched off.
    """
    lanes = _lanes_of(out)
    pieces = (K + STEPS - 1) // STEPS
    for n in range(0, columns, VECTORS * lanes):
        left = min(columns - n, VECTORS * lanes)
        for piece in range(pieces):
            k = piece * K // pieces
            steps, more = (piece + 1) * K // pieces - k, 1 if piece else add
            from_a, from_b = a0 + k * ak, _from(koff, k0 + k)
            for m in range(0, rows, FILTERS):
                to, here, bias_m, moff_m = o + m * om + n, b0 + n, _from(bias, f0 + m), _from(moff, m)
                if left == VECTORS * lanes:
                    _three(out, to, om, a, from_a, moff_m, ak, b, here, from_b, steps, rows - m, lanes, bias_m, more)
                elif left > 2 * lanes:
                    _some_of_three(out, to, om, a, from_a, moff_m, ak, b, here, from_b, steps, rows - m,
                                   left - 2 * lanes, bias_m, more)  # fmt: skip
                elif left > lanes:
                    _some_of_two(out, to, om, a, from_a, moff_m, ak, b, here, from_b, steps, rows - m, left - lanes,
                                 bias_m, more)  # fmt: skip
                else:
                    _some_of_one(out, to, om, a, from_a, moff_m, ak, b, here, from_b, steps, rows - m, left,
                                 bias_m, more)  # fmt: skip


@intrinsic
def _dot_tile(typingctx, out, o, om, a, a0, am, b, b0, koff, k0, length, rows, taps):
    """ROWS × TAPS sums along the vectors, added to `out`."""
    i = types.intp
    signature = types.void(out, i, i, a, i, i, b, i, koff, i, i, i, i)

    def write(context, builder, signature, arguments):
        out, o, om, a, a0, am, b, b0, koff, k0, length, rows, taps = pointers(
            context, builder, signature.args, arguments
        )
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        lefts = _row_starts(w, w.at(a, a0), am, rows, ROWS)
        rights = _starts(w, w.at(b, b0), w.at(koff, k0), taps, TAPS)

        def step(n, sums, mask=None):
            right = [w.load(w.at(start, n), mask) for start in rights]
            new = []
            for m in range(ROWS):
                left = w.load(w.at(lefts[m], n), mask)
                new += [w.multiply_add(left, right[k], sums[m * TAPS + k]) for k in range(TAPS)]
            return new

        places = [cgutils.alloca_once_value(builder, w.zeros) for _ in range(ROWS * TAPS)]
        whole = builder.and_(length, count(-w.lanes))  # as many numbers as fill whole vectors
        zeros = [w.zeros] * (ROWS * TAPS)
        with builder.if_then(builder.icmp_signed(">", whole, count(0))):
            for place, value in zip(places, counted_loop(builder, whole, w.lanes, zeros, step), strict=True):
                builder.store(value, place)
        with builder.if_then(builder.icmp_signed("<", whole, length)):
            so_far = [builder.load(place) for place in places]
            rest = w.first(builder.sub(length, whole))
            for place, value in zip(places, step(whole, so_far, rest), strict=True):
                builder.store(value, place)
        for m in range(ROWS):
            for k in range(TAPS):
                with builder.if_then(builder.and_(_there(w, m, rows), _there(w, k, taps))):
                    place = w.at(out, builder.add(o, builder.add(builder.mul(count(m), om), count(k))))
                    total = w.total(builder.load(places[m * TAPS + k]))
                    builder.store(builder.fadd(builder.load(place), total), place)
        return context.get_dummy_value()

    return signature, write


def _row_starts(w: Writer, pointer: Any, pitch: Any, rows: Any, how_many: int) -> list[Any]:
    """The same for rows that lie evenly apart."""
    last = w.builder.sub(rows, count(1))
    which = [w.builder.select(_there(w, m, rows), count(m), last) for m in range(how_many)]
    return [w.at(pointer, w.builder.mul(m, pitch)) for m in which]


@kernel
def dots(out, o, om, a, a0, am, b, b0, koff, k0, length, rows, taps):
    """out[o + m·om + k] += Σₙ a[a0 + m·am + n] · b[b0 + koff[k0 + k] + n], for all m < rows and k < taps, n < length.

    In stretches short enough that the rows of `a` stay in the nearest cache while all taps pass over them.
    """
    stretch = 64 * _lanes_of(out)
    for n in range(0, length, stretch):
        for k in range(0, taps, TAPS):
            for m in range(0, rows, ROWS):
                _dot_tile(
                    out, o + m * om + k, om, a, a0 + m * am + n, am, b, b0 + n, koff, k0 + k,
                    min(stretch, length - n), rows - m, taps - k,
                )  # fmt: skip


class Tiles(NamedTuple):
    """Where the machine code of both lies, for one type of number."""

    product: int
    dots: int


record("T", Tiles)
_kept: list[Any] = []


@cache
def tiles_for(dtype: Any) -> Tiles:
    """The two functions, compiled once for float32 and once for float64.

    A kernel calls them by their address. Called by name, they would be compiled again into every kernel that does so,
    and they are most of what there is to compile.
    """
    number, whole = types.CPointer(from_dtype(dtype)), types.CPointer(types.int64)
    i = types.intp
    signatures = (
        types.void(number, i, i, number, i, whole, i, number, i, whole, i, i, i, i, number, i, i),
        types.void(number, i, i, number, i, i, number, i, whole, i, i, i, i),
    )
    code = [native(one.py_func, signature) for one, signature in zip((product, dots), signatures, strict=True)]
    _kept.extend(code)  # it lives as long as somebody holds it
    return Tiles(*(one.address for one in code))


def _caller(which: int) -> Any:
    """A call by address: the first argument is the tiles, the others are those of the function itself."""

    @intrinsic
    def call(typingctx, tiles, *given):
        def write(context, builder, signature, arguments):
            address = builder.extract_value(arguments[0], which)
            values = pointers(context, builder, signature.args[1], cgutils.unpack_tuple(builder, arguments[1]))
            function = ir.FunctionType(ir.VoidType(), [value.type for value in values])
            builder.call(builder.inttoptr(address, function.as_pointer()), values)
            return context.get_dummy_value()

        whole = [types.intp if isinstance(t, types.Integer) else t for t in given]
        return types.void(tiles, types.StarArgTuple.from_types(tuple(whole))), write

    return call


call_product, call_dots = _caller(0), _caller(1)
