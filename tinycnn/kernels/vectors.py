"""Vectors: one instruction on 16, 8 or 4 numbers at once. The words in which the register tile is written.

A CPU core has a few vector registers, each as wide as its kind allows: 512 bits with AVX-512, 256 with AVX, 128 else.
One *lane* holds one number, so a 512-bit register holds 16 numbers of float32 or 8 of float64. The compiler LLVM has
types for such vectors; the functions here write its instructions on them, and nothing else in this package does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from llvmlite import binding, ir
from numba.core import config

LANE_INDEX = ir.IntType(64)
_PLACE = ir.IntType(32)  # LLVM numbers the lanes of a vector with 32 bits


class Registers(NamedTuple):
    """The vector registers of a CPU and the tiles that fill them: see `tile`."""

    width: int  # bytes
    wide: int  # a product tile has so many rows of two vectors …
    narrow: int  # … or so many of one
    rows: int  # a dot-product tile has `rows` rows …
    taps: int  # … of `taps` sums
    unrolled: int  # steps of a sum in each round of its loop, a power of 2


def registers_of(features: dict[str, bool]) -> Registers:
    """The registers and tiles for a CPU with these features, by LLVM's names for them.

    All sums, one row of vectors and one more must fit: 6·2 + 2 + 1 = 15 of 16. A sum waits four cycles for the one
    before it, and two are added in a cycle, so eight sums at least must be under way. Of 32 registers, 8·2 + 2 + 1 = 19
    are enough, though more would fit: channels and filters come in multiples of 8, and none of the tile's rows is idle.

    Twelve sums are added in so few cycles that counting the steps shows, so four are done in each round. Sixteen wide
    ones hide it, and with four steps LLVM fetches so far ahead that some no longer fit and go to memory and back, which
    costs far more than counting.

    >>> registers_of({"avx512f": True, "avx": True})
    Registers(width=64, wide=8, narrow=8, rows=4, taps=6, unrolled=1)
    """
    if features.get("avx512f"):
        return Registers(64, 8, 8, 4, 6, 1)
    if features.get("neon"):
        return Registers(16, 8, 8, 4, 6, 1)
    return Registers(32 if features.get("avx") else 16, 6, 8, 4, 3, 4)


def cpu_features() -> dict[str, bool]:
    """The features of the CPU that Numba compiles for: this one's, unless NUMBA_CPU_NAME and NUMBA_CPU_FEATURES say."""
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        return dict(binding.get_host_cpu_features())
    told = (config.CPU_FEATURES or "").split(",")
    return {feature[1:]: feature[0] == "+" for feature in told if feature}


REGISTERS = registers_of(cpu_features())


class Writer:
    """Writes LLVM instructions on vectors of one number type into the function that Numba is building."""

    def __init__(self, builder: Any, number: Any, lanes: int = 0):
        self.builder, self.number = builder, number
        self.bytes = 4 if isinstance(number, ir.FloatType) else 8
        self.lanes = lanes or REGISTERS.width // self.bytes
        self.vector = ir.VectorType(number, self.lanes)
        self.zeros = ir.Constant(self.vector, [0.0] * self.lanes)

    def at(self, pointer: Any, index: Any) -> Any:
        """The address `index` numbers further on."""
        return self.builder.gep(pointer, [index])

    def load(self, pointer: Any, mask: Any = None) -> Any:
        """The vector that begins at an address; with a mask, the lanes that are off are 0 and *not read*."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            return self.builder.load(address, align=self.bytes)  # it may begin anywhere, not at a multiple of 64 bytes
        given = [address, ir.Constant(_PLACE, self.bytes), mask, self.zeros]
        return self._call("masked.load", ".p0", self.vector, given)

    def store(self, value: Any, pointer: Any, mask: Any = None) -> None:
        """Write a vector to an address; with a mask, only the lanes that are on."""
        address = self.builder.bitcast(pointer, self.vector.as_pointer())
        if mask is None:
            self.builder.store(value, address, align=self.bytes)
            return
        self._call("masked.store", ".p0", ir.VoidType(), [value, address, ir.Constant(_PLACE, self.bytes), mask])

    def expect(self, pointer: Any, to_write: bool = False, far: bool = False) -> None:
        """Have the cache line at an address brought into the nearest cache, to be read or written soon.

        If that is too `far` off for so small a cache, into the second. The program reads nothing by it: the address may
        be any.
        """
        byte, whole = ir.IntType(8).as_pointer(), ir.IntType(32)
        module, name = self.builder.module, "llvm.prefetch.p0"
        types = ir.FunctionType(ir.VoidType(), [byte, whole, whole, whole])
        how = [ir.Constant(whole, number) for number in (int(to_write), 2 if far else 3, 1)]  # the last: data, no code
        given = [self.builder.bitcast(pointer, byte), *how]
        self.builder.call(module.globals.get(name) or ir.Function(module, types, name), given)

    def first(self, count: Any) -> Any:
        """The mask whose first `count` lanes are on."""
        numbers = ir.VectorType(LANE_INDEX, self.lanes)
        return self.builder.icmp_signed("<", ir.Constant(numbers, list(range(self.lanes))), self.everywhere(count))

    def everywhere(self, value: Any) -> Any:
        """A broadcast: one number in every lane, so that a single multiplication gives it to all of them."""
        empty = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        one = self.builder.insert_element(empty, value, ir.Constant(_PLACE, 0))
        return self.builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(_PLACE, self.lanes), [0] * self.lanes))

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a·b + c lane by lane: one instruction where the CPU has it fused, else a multiplication and an addition."""
        return self._call("fmuladd", "", self.vector, [a, b, c])

    def total(self, vector: Any) -> Any:
        """The sum of all lanes."""
        return self.folded(vector, self.builder.fadd)

    def larger(self, a: Any, b: Any) -> Any:
        """The larger of a and b lane by lane; b where a is a NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def folded(self, vector: Any, join: Any) -> Any:
        """All lanes joined: fold the upper half onto the lower one until one lane is left, always in this order."""
        lanes = self.lanes
        while lanes > 1:
            lanes //= 2
            places = ir.VectorType(_PLACE, lanes)
            lower, upper = ir.Constant(places, list(range(lanes))), ir.Constant(places, list(range(lanes, 2 * lanes)))
            half = self.builder.shuffle_vector(vector, vector, lower)
            vector = join(half, self.builder.shuffle_vector(vector, vector, upper))
        return self.builder.extract_element(vector, ir.Constant(_PLACE, 0))

    def turned(self, vectors: list[Any]) -> list[Any]:
        """As many vectors as lanes, rows and columns exchanged.

        A CPU mixes the lanes within 128 bits (a *chunk*) at once, and moves whole chunks more slowly. So first each
        chunk is done by itself: lanes of two rows in turns, then pairs of lanes, as one shuffles cards; that brings the
        numbers of a column together, and leaves the columns in the order of their reversed binary digits. Then chunks
        change places as the corners of a 2×2 matrix do.
        """
        few, size = min(16 // self.bytes, self.lanes), 1
        while size < few:
            vectors = self._in_pairs(vectors, size, [
                [chunk + half * few // 2 + k + lane + row * self.lanes for chunk in range(0, self.lanes, few)
                 for k in range(0, few // 2, size) for row in (0, 1) for lane in range(size)] for half in (0, 1)
            ])  # fmt: skip
            size *= 2
        digits = few.bit_length() - 1
        order = [sum((k >> d & 1) << digits - 1 - d for d in range(digits)) for k in range(few)]
        vectors = [vectors[first + k] for first in range(0, self.lanes, few) for k in order]
        while size < self.lanes:
            vectors = self._in_pairs(vectors, size, [
                [chunk + half * size + lane + row * self.lanes for chunk in range(0, self.lanes, 2 * size)
                 for row in (0, 1) for lane in range(size)] for half in (0, 1)
            ])  # fmt: skip
            size *= 2
        return vectors

    def _in_pairs(self, vectors: list[Any], apart: int, places: list[list[int]]) -> list[Any]:
        """Vectors k and k + `apart` become two that take their lanes from these places of both."""
        kinds, new = ir.VectorType(_PLACE, self.lanes), list(vectors)
        for k in range(len(vectors)):
            if not k & apart:
                for to, lanes in zip((k, k + apart), places, strict=True):
                    new[to] = self.builder.shuffle_vector(vectors[k], vectors[k + apart], ir.Constant(kinds, lanes))
        return new

    def _call(self, name: str, kind: str, result: Any, given: list[Any]) -> Any:
        """Call one of LLVM's own functions: `llvm.fmuladd.v16f32` is fmuladd on 16 numbers of float32."""
        full = f"llvm.{name}.v{self.lanes}f{8 * self.bytes}{kind}"
        module = self.builder.module
        types = ir.FunctionType(result, [one.type for one in given])
        return self.builder.call(module.globals.get(full) or ir.Function(module, types, full), given)


def count(number: int) -> Any:
    """A whole number as LLVM knows it."""
    return ir.Constant(LANE_INDEX, number)


def counted_loop(builder: Any, end: Any, step: int, begin: list[Any], body: Any, first: Any = None) -> list[Any]:
    """Write `for k in range(first, end, step): values = body(k, values)`, and give the last values; first is 0 or more.

    What changes from round to round is a *phi*: "the value from before the loop, or from its last round". A phi that
    LLVM can keep in a register never goes to memory, and that is the point of the tile. LLVM would unroll the loop as
    it thinks best and run out of registers; an empty line of assembly through which the counter goes hides from it how
    often the loop runs.
    """
    first = count(0) if first is None else first
    before = builder.block
    head, inside, after = (builder.append_basic_block(f"loop_{part}") for part in ("head", "inside", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    k = builder.phi(LANE_INDEX)
    values = [builder.phi(value.type) for value in begin]
    builder.cbranch(builder.icmp_signed("<", k, end), inside, after)
    builder.position_at_end(inside)
    results = body(k, values)
    following = builder.asm(ir.FunctionType(LANE_INDEX, [LANE_INDEX]), "", "=r,0", [builder.add(k, count(step))], False)
    for phi, start, last in zip([k, *values], [first, *begin], [following, *results], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(last, builder.block)
    builder.branch(head)
    builder.position_at_end(after)
    return values


def unrolled_loop(builder: Any, end: Any, step: int, begin: list[Any], body: Any) -> list[Any]:
    """The same from 0, with as many k in each round as suit the registers: less is spent on counting.

    `step` is a power of 2, and `end` is 0 or more.
    """
    unrolled = REGISTERS.unrolled
    if unrolled == 1:
        return counted_loop(builder, end, step, begin, body)

    def some(k, values):
        for j in range(unrolled):
            values = body(builder.add(k, count(j * step)), values)
        return values

    whole = builder.and_(end, count(-unrolled * step))
    values = counted_loop(builder, whole, unrolled * step, begin, some)
    return counted_loop(builder, end, step, values, body, whole)
