"""How a kernel is compiled: once, on its first call, kept in a cache folder, and for machine code without surprises.

Nothing is compiled at import. The only freedom with rounding is to fuse a product and a sum; everything else that
"fast" mathematics would allow stays off: with it, isnan(nan) is False.

A *worker* is a kernel that several cores run at once, each on its part: `worker(t, workers, given)` is part t of
`workers`, and takes what it was given apart with `unpack`. All workers look the same from outside, so that one small
function, `_run`, serves to share any of them out, and each is compiled a single time; written as a parallel loop of
Numba's, it would be compiled three times over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cfunc, njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from tinycnn.kernels.code_kept import CFunc, keep_code

OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy"}
WHOLE = ir.IntType(64)
_records: dict[str, Any] = {}


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when it is first called, from Python (without Python's lock, the GIL) or another kernel."""
    if function is None:
        return lambda function: kernel(function, **options)
    compiled = njit(**({"nogil": True} | OPTIONS | options))(function)
    keep_code(compiled, function)
    return compiled


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
        self._native = cache(self._compiled)  # what it returns must live as long as it may be called

    def _compiled(self, dtype: Any) -> Any:
        number = types.CPointer(from_dtype(dtype))
        return native(self.function, types.void(types.int64, types.int64, number))

    def __call__(self, threads: int, dtype: Any, *given: Any) -> None:
        """Share the work out and wait until it is done."""
        packed = np.array([part for one in given for part in _parts(one)], np.int64)
        run = _run_alone if threads == 1 else _run
        run(self._native(dtype).address, _address(packed), threads)


def _parts(one: Any) -> Any:
    if isinstance(one, np.ndarray):
        assert one.flags.c_contiguous, "a worker would not see how this array lies in memory"
        return (_address(one),)
    return one if isinstance(one, tuple) else (one,)


def _address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


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
        numbers = builder.bitcast(arguments[0], WHOLE.as_pointer())
        place, values = 0, []
        for member in members:
            size = len(member) if isinstance(member, types.BaseTuple) else 1
            loaded = [builder.load(builder.gep(numbers, [ir.Constant(WHOLE, place + k)])) for k in range(size)]
            place += size
            if isinstance(member, types.Array):
                values.append(_array_at(context, builder, member, loaded[0]))
            elif size > 1 or isinstance(member, types.BaseTuple):
                values.append(context.make_tuple(builder, member, loaded))
            else:
                values.append(loaded[0])
        return context.make_tuple(builder, signature.return_type, values)

    return types.Tuple(members)(given, kinds), write


@intrinsic
def behind(typingctx, given, places):
    """What a worker was given, without the first whole numbers of it; an array counts as one."""

    def write(context, builder, signature, arguments):
        numbers = builder.bitcast(arguments[0], WHOLE.as_pointer())
        return builder.bitcast(builder.gep(numbers, [arguments[1]]), arguments[0].type)

    return given(given, types.int64), write


def _array_at(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    array = context.make_array(kind)(context, builder)
    number = context.get_data_type(kind.dtype)
    size, endless = ir.Constant(WHOLE, context.get_abi_sizeof(number)), ir.Constant(WHOLE, 1 << 48)
    populate_array(
        array, builder.inttoptr(address, number.as_pointer()), cgutils.pack_array(builder, [endless]),
        cgutils.pack_array(builder, [size]), size, None,
    )  # fmt: skip
    return array._getvalue()


@intrinsic
def _call(typingctx, address, t, workers, given):
    """Call the worker at an address."""

    def write(context, builder, signature, arguments):
        address, *rest = arguments
        function = ir.FunctionType(ir.VoidType(), [WHOLE] * 3)
        builder.call(builder.inttoptr(address, function.as_pointer()), rest)
        return context.get_dummy_value()

    i = types.intp
    return types.void(i, i, i, i), write


@kernel
def _run_alone(address, given, workers):
    _call(address, 0, workers, given)


@kernel(parallel=True)
def _run(address, given, workers):
    for t in prange(workers):
        _call(address, t, workers, given)
