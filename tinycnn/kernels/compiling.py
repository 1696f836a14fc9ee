"""How a kernel is compiled: once, on its first call, kept in a cache folder, and for machine code without surprises.

Nothing is compiled at import. The only freedom with rounding is to fuse a product and a sum; everything else that
"fast" mathematics would allow stays off: with it, isnan(nan) is False.

A *worker* is a kernel that several cores run at once: `worker(t, workers, given)` is one of so many calls, and takes
what it was given apart with `unpack`. All workers look the same from outside, so that a `team` can share any of them
out, and each is compiled a single time; written as a parallel loop of Numba's, it would be compiled three times over.

Which parts of the work a call does is either settled beforehand, a `workers`-th of them, or comes as it comes:
`next_part(given)` is the number of the next part that no other call has taken. So where another program slows one core
down, the other does more. It is for parts whose results do not depend on who does them; working space goes by t.
"""

from __future__ import annotations

from array import array as numbers_in_line
from collections.abc import Callable
from operator import index
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from tinycnn.kernels import team
from tinycnn.kernels.code_kept import DATA, OPTIONS, CFunc, KeptCode, keep_code
from tinycnn.kernels.code_kept import entry as entry
from tinycnn.kernels.code_kept import kernel as kernel
from tinycnn.kernels.team import WHOLE

Array = np.ndarray
MANY = 4096  # records that are kept in line

_records: dict[str, Any] = {}
_lines: dict[int, tuple[Any, Array]] = {}


def native(function: Callable[..., Any], signature: Any) -> Any:
    """A function as machine code for arguments of these types; its `address` is where other kernels can call it."""
    result, arguments = signature.return_type, signature.args
    try:
        compiled: Any = CFunc(function, (arguments, result), {}, OPTIONS | {"nopython": True})
    except TypeError:  # another Numba: its own way, which knows nothing of our cache
        return cfunc(signature, **OPTIONS)(function)
    keep_code(compiled, function)
    compiled.compile()
    return compiled


class Worker:
    """A kernel for several cores: `worker(threads, dtype, *given)` runs it on so many, for that type of number."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function
        self._compiled: dict[Any, Any] = {}  # by type of number: the code, which must live as long as it may be called

    def __call__(self, threads: int, dtype: Any, *given: Any) -> None:
        """Share the work out and wait until it is done. Small kernels are called by the thousand: no step to spare.

        The worker gets the address of each array's object, from which it loads where the numbers begin.
        """
        found = self._compiled.get(dtype) or self.compile(dtype)
        numbers: list[int] = [0]  # how many parts are taken
        held: list[Array] = []
        for one in given:
            if type(one) is int:
                numbers.append(one)
            elif type(one) is Array and one.flags.c_contiguous:
                numbers.append(id(one))
            else:
                numbers.append(_number_for(one, held))
        line = numbers_in_line("q", numbers)
        team.run(threads, found[0], line.buffer_info()[0] + 8)

    def compile(self, dtype: Any) -> tuple[int, Any]:
        """The code for this type of number, which the first call would compile, and its address."""
        code = native(self.function, _signature(dtype))
        self._compiled[dtype] = code.address, code
        return self._compiled[dtype]

    def is_kept(self, dtype: Any) -> bool:
        """Whether that code was compiled before, here or in another process, or cannot be kept."""
        if dtype in self._compiled:
            return True
        try:
            return KeptCode(self.function).holds(_signature(dtype))
        except (RuntimeError, AttributeError, TypeError):
            return True


def _signature(dtype: Any) -> Any:
    return types.void(types.int64, types.int64, types.CPointer(from_dtype(dtype)))


def _number_for(one: Any, held: list[Array]) -> int:
    """What stands for an argument that is no plain int and no plain array; what must live for it to hold is `held`."""
    if isinstance(one, tuple):
        held.append(_in_line(one))
        return id(held[-1])
    if not isinstance(one, np.ndarray):
        return index(one)
    assert one.flags.c_contiguous, "a worker would not see how this array lies in memory"
    return id(one)


def _in_line(record: Any) -> Array:
    """A record's numbers as an array, made once: a plan has the same record for as long as it serves."""
    found = _lines.get(id(record))
    if found is None:
        if len(_lines) >= MANY:
            _lines.clear()
        found = _lines[id(record)] = record, np.array(record, np.int64)  # with the record, so that its id stays its own
    return found[1]


def record(letter: str, kind: Any) -> Any:
    """Let `unpack` know a tuple of whole numbers by a letter."""
    _records[letter] = kind
    return kind


@intrinsic(prefer_literal=True)
def unpack(typingctx, given, kinds):
    """What a worker was given, one letter each: x an array of its numbers, i, j, u, b of int64, int32, uint8, bool.

    n is a whole number, and other letters are the tuples that `record` names. An array comes as one line, and its
    length is forgotten: nobody but the kernel itself knows where it ends.
    """
    of = {"x": given.dtype, "i": types.int64, "j": types.int32, "u": types.uint8, "b": types.boolean}
    members = []
    for letter in kinds.literal_value:
        if letter in of:
            members.append(types.Array(of[letter], 1, "C"))
        elif letter == "n":
            members.append(types.int64)
        else:
            members.append(types.NamedUniTuple(types.int64, len(_records[letter]._fields), _records[letter]))

    def write(context, builder, signature, arguments):
        numbers, values = builder.bitcast(arguments[0], WHOLE.as_pointer()), []
        for place, member in enumerate(members):
            value = _word(builder, numbers, place)
            if isinstance(member, types.Array):
                value = _array_at(context, builder, member, _data(builder, value))
            elif isinstance(member, types.BaseTuple):
                line = builder.inttoptr(_data(builder, value), WHOLE.as_pointer())
                value = context.make_tuple(builder, member, [_word(builder, line, k) for k in range(len(member))])
            values.append(value)
        return context.make_tuple(builder, signature.return_type, values)

    return types.Tuple(members)(given, kinds), write


@intrinsic
def behind(typingctx, given, places):
    """What a worker was given, without the first whole numbers of it; an array counts as one."""

    def write(context, builder, signature, arguments):
        numbers = builder.bitcast(arguments[0], WHOLE.as_pointer())
        return builder.bitcast(builder.gep(numbers, [arguments[1]]), arguments[0].type)

    return given(given, types.int64), write


@intrinsic
def next_part(typingctx, given):
    """The number of the next part that nobody has taken yet: 0, 1, 2, … over all cores together."""

    def write(context, builder, signature, arguments):
        numbers = builder.bitcast(arguments[0], WHOLE.as_pointer())
        taken = builder.gep(numbers, [ir.Constant(WHOLE, -1)])
        return builder.atomic_rmw("add", taken, ir.Constant(WHOLE, 1), "monotonic")

    return types.int64(given), write


def _word(builder: Any, words: Any, place: int) -> Any:
    return builder.load(builder.gep(words, [ir.Constant(WHOLE, place)]))


def _data(builder: Any, array: Any) -> Any:
    """Where the numbers of an array are, of which Python's object is given."""
    return _word(builder, builder.inttoptr(array, WHOLE.as_pointer()), DATA)


def _array_at(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    array = context.make_array(kind)(context, builder)
    number = context.get_data_type(kind.dtype)
    size, endless = ir.Constant(WHOLE, context.get_abi_sizeof(number)), ir.Constant(WHOLE, 1 << 48)
    populate_array(
        array, builder.inttoptr(address, number.as_pointer()), cgutils.pack_array(builder, [endless]),
        cgutils.pack_array(builder, [size]), size, None,
    )  # fmt: skip
    return array._getvalue()
