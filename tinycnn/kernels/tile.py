"""The register tile: a small block of results that stays in the CPU's registers until it is done.

A convolution is sums of products, y[p, f] = Σₖ x[p, k]·w[k, f]. Done one result after the other, every multiplication
must first fetch its two factors, and fetching takes longer than multiplying. So take a *tile* of 6 pixels × 16 filters
at once. Its 6·16 sums fill 12 vector registers of 8 lanes, a filter in each lane, and for each k we fetch 2 vectors (a
weight of each of the 16 filters) and 6 single numbers of the image, each *broadcast* to all lanes, and do 12
multiply-adds with them: every weight fetched serves 6 pixels, every pixel 16 filters. The sums never leave the
registers until the last k. A core with AVX has 16 such registers: 12 sums, 2 vectors of weights and one pixel are 15.
With the 32 registers of AVX-512, of 16 lanes each, it is 8 pixels × 32 filters.

Nothing asks where the 6 pixels lie, as each is fetched by itself: next to each other, two apart (a stride of 2), or in
two images. That, and one offset for each k, makes `product` every matrix product there is, and im2col without a copy:

    out[m, n] = bias[n] + Σₖ a[a0 + moff[m] + koff[k]] · b[k, n]         m < rows, n < columns

`dots` is its sibling for sums that run along the vectors of both (a dense layer, whose inputs and weights lie so): each
lane sums its own part, and the lanes are added up at the end:

    out[m, k] += Σₙ a[a0 + m·am + n] · b[b0 + k·bm + n]                m < rows, k < taps, n < length

Neither reads or writes outside these: rows beyond the last repeat the last, and columns beyond the last are lanes that
are switched off. What lies in the memory far away is asked for before it is needed, since the core would otherwise wait
for it longer than it computes: the lines into which a tile will write, while it makes its sums, and rows of `b` that
lie apart, while the strip before them is multiplied.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import from_dtype

from tinycnn.kernels.compiling import entry, kernel, native, record
from tinycnn.kernels.vectors import REGISTERS, Writer, count, counted_loop, unrolled_loop

WIDE, NARROW = REGISTERS.wide, REGISTERS.narrow
ROWS, TAPS = REGISTERS.rows, REGISTERS.taps
STEPS = 320  # so many k at a time: their vectors for one tile, 20 kB with AVX, stay in the nearest cache


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


def _row_starts(w: Writer, pointer: Any, pitch: Any, rows: Any, how_many: int) -> list[Any]:
    """The same for rows that lie evenly apart."""
    starts = [pointer]
    for m in range(1, how_many):
        starts.append(w.at(starts[-1], w.builder.select(_there(w, m, rows), pitch, count(0))))
    return starts


def _product_tile(vectors: int, height: int, spread: bool = False) -> Any:
    """The tile of `height` rows × `vectors` vectors; of a single vector only the first lanes count.

    Where rows of b lie `spread` through memory, those that the next strip will read are asked for meanwhile.
    """

    @intrinsic
    def tile(typingctx, out, o, om, a, a0, moff, koff, b, b0, bk, K, rows, lanes, start, s0, sm):
        i = types.intp
        signature = types.void(out, i, i, a, i, moff, koff, b, i, i, i, i, i, start, i, i)

        def write(context, builder, signature, arguments):
            out, o, om, a, a0, moff, koff, b, b0, bk, K, rows, lanes, start, s0, sm = pointers(
                context, builder, signature.args, arguments
            )
            w = Writer(builder, context.get_value_type(signature.args[0].dtype))
            mask = w.first(lanes) if vectors == 1 else None
            steps = [count(v * w.lanes) for v in range(vectors)]
            pixels, weights = _starts(w, w.at(a, a0), moff, rows, height), w.at(b, b0)

            def one_k(k, sums):
                tap, line = builder.load(w.at(koff, k)), w.at(weights, builder.mul(k, bk))
                filters = [w.load(w.at(line, step), mask) for step in steps]
                for v in range(vectors if spread else 0):
                    w.expect(w.at(line, count((vectors + v) * w.lanes)))
                new = []
                for m in range(height):
                    pixel = w.everywhere(builder.load(w.at(pixels[m], tap)))
                    new += [w.multiply_add(pixel, filters[v], sums[m * vectors + v]) for v in range(vectors)]
                return new

            results = _row_starts(w, w.at(out, o), om, rows, height)
            for row in results:
                for step in steps:
                    w.expect(w.at(row, step), to_write=True)
            begins = _row_starts(w, w.at(start, s0), sm, rows, height)
            sums = [w.load(w.at(begin, step), mask) for begin in begins for step in steps]
            loop = counted_loop if spread else unrolled_loop
            sums = loop(builder, K, 1, sums, one_k)
            for m, row in enumerate(results):
                for v, step in enumerate(steps):
                    _store_lanes(w, sums[m * vectors + v], w.at(row, step), mask, lanes)
            return context.get_dummy_value()

        return signature, write

    return tile


def _store_lanes(w: Writer, value: Any, place: Any, mask: Any, lanes: Any) -> None:
    """Store the first lanes; all of them without a mask, for a masked store takes ten times as long on many CPUs."""
    if mask is None:
        w.store(value, place)
        return
    with w.builder.if_else(w.builder.icmp_signed(">=", lanes, count(w.lanes))) as (whole, part):
        with whole:
            w.store(value, place)
        with part:
            w.store(value, place, mask)


_wide, _wide_of_spread = _product_tile(2, WIDE), _product_tile(2, WIDE, spread=True)
_narrow = _product_tile(1, NARROW)


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


@kernel(inline="always")
def strip_width(columns, lanes):
    """How many columns the next strip takes, if there are so many left: two vectors, or what fits in one."""
    return 2 * lanes if columns >= 2 * lanes else lanes


@entry
def product(out, o, om, a, a0, moff, koff, b, b0, bk, K, rows, columns, bias, f0, fm, add):
    """out[o + m·om + n] = bias[f0 + n] + Σₖ a[a0 + moff[m] + koff[k]] · b[b0 + k·bk + n].

    For all m < rows, n < columns, k < K; if `add`, to what is in `out` in place of the bias. With an `fm` above 0 the
    bias is each row's own, bias[f0 + m·fm], and must stand there as often as two vectors have lanes.

    With bk = 0, b is packed: one strip of columns behind the other, each with its K rows next to each other, as the
    tiles read them. All rows of a strip come before the next strip, and STEPS of k before the next: what is read of `b`
    then lies in the nearest cache while every row uses it. Columns that do not fill a vector are a strip with some
    lanes switched off.
    """
    lanes, pieces = _lanes_of(out), (K + STEPS - 1) // STEPS
    n = 0
    while n < columns:
        width = strip_width(columns - n, lanes)
        line, strip = (bk, b0 + n) if bk else (width, b0 + n * K)
        height = WIDE if width > lanes else NARROW
        for piece in range(pieces):
            k = piece * K // pieces
            steps, taps, here = (piece + 1) * K // pieces - k, _from(koff, k), strip + k * line
            more = piece + add > 0
            for m in range(0, rows, height):
                to, moff_m = o + m * om + n, _from(moff, m)
                start, s0, sm = (_from(out, 0), to, om) if more else (_from(bias, 0), f0 + (m * fm if fm else n), fm)
                if width == lanes:
                    _narrow(out, to, om, a, a0, moff_m, taps, b, here, line, steps, rows - m,
                            min(columns - n, lanes), start, s0, sm)  # fmt: skip
                elif bk:
                    _wide_of_spread(out, to, om, a, a0, moff_m, taps, b, here, line, steps, rows - m, lanes, start, s0,
                                    sm)  # fmt: skip
                else:
                    _wide(out, to, om, a, a0, moff_m, taps, b, here, line, steps, rows - m, lanes, start, s0, sm)
        n += width


@intrinsic
def _dot_tile(typingctx, out, o, om, a, a0, am, b, b0, bm, length, rows, taps):
    """ROWS × TAPS sums along the vectors, added to `out`."""
    i = types.intp
    signature = types.void(out, i, i, a, i, i, b, i, i, i, i, i)

    def write(context, builder, signature, arguments):
        out, o, om, a, a0, am, b, b0, bm, length, rows, taps = pointers(context, builder, signature.args, arguments)
        w = Writer(builder, context.get_value_type(signature.args[0].dtype))
        lefts = _row_starts(w, w.at(a, a0), am, rows, ROWS)
        rights = _row_starts(w, w.at(b, b0), bm, taps, TAPS)
        after_these = builder.mul(count(TAPS), bm)

        def step(n, sums, mask=None):
            right = [w.load(w.at(start, n), mask) for start in rights]
            for start in rights:
                w.expect(w.at(start, builder.add(n, after_these)), far=True)
            new = []
            for m in range(ROWS):
                left = w.load(w.at(lefts[m], n), mask)
                new += [w.multiply_add(left, right[k], sums[m * TAPS + k]) for k in range(TAPS)]
            return new

        whole = builder.and_(length, count(-w.lanes))  # as many numbers as fill whole vectors
        sums = unrolled_loop(builder, whole, w.lanes, [w.zeros] * (ROWS * TAPS), step)
        places = [cgutils.alloca_once_value(builder, one) for one in sums]
        with builder.if_then(builder.icmp_signed("<", whole, length)):
            rest = w.first(builder.sub(length, whole))
            for place, value in zip(places, step(whole, sums, rest), strict=True):
                builder.store(value, place)
        for m in range(ROWS):
            for k in range(TAPS):
                with builder.if_then(builder.and_(_there(w, m, rows), _there(w, k, taps))):
                    place = w.at(out, builder.add(o, builder.add(builder.mul(count(m), om), count(k))))
                    total = w.total(builder.load(places[m * TAPS + k]))
                    builder.store(builder.fadd(builder.load(place), total), place)
        return context.get_dummy_value()

    return signature, write


@entry
def dots(out, o, om, a, a0, am, b, b0, bm, length, rows, taps):
    """out[o + m·om + k] += Σₙ a[a0 + m·am + n] · b[b0 + k·bm + n], for all m < rows and k < taps, n < length.

    In stretches short enough that the rows of `a` stay in the nearest cache while all taps pass over them.
    """
    stretch = 64 * _lanes_of(out)
    for n in range(0, length, stretch):
        for k in range(0, taps, TAPS):
            for m in range(0, rows, ROWS):
                _dot_tile(
                    out, o + m * om + k, om, a, a0 + m * am + n, am, b, b0 + k * bm + n, bm,
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
        types.void(number, i, i, number, i, whole, whole, number, i, i, i, i, i, number, i, i, i),
        types.void(number, i, i, number, i, i, number, i, i, i, i, i),
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
