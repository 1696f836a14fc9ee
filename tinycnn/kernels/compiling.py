"""How a kernel is compiled: once, on its first call, kept in a cache folder, and for machine code without surprises.

Nothing is compiled at import. The only freedom with rounding is to fuse a product and a sum; everything else that
"fast" mathematics would allow stays off: with it, isnan(nan) is False.

A *worker* is a kernel that several cores run at once, each on its part: `worker(t, workers, given)` is part t of
`workers`, and takes what it was given apart with `unpack`. All workers look the same from outside, so that one small
function, `_run`, serves to share any of them out, and each is compiled a single time; written as a parallel loop of
Numba's, it would be compiled three times over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.core.caching import FunctionCache, NullCache
from numba.core.ccallback import CFunc
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

OPTIONS = {"fastmath": {"contract"}, "error_model": "numpy"}
WHOLE = ir.IntType(64)
_records: dict[str, Any] = {}


def kernel(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Compile a function when it is first called, from Python (without Python's lock, the GIL) or another kernel."""
    if function is None:
        return lambda function: kernel(function, **options)
    compiled = njit(**({"nogil": True} | OPTIONS | options))(function)
    compiled._cache = kept_code(function)
    return compiled


def native(function: Callable[..., Any], signature: Any) -> Any:
    """A function as machine code for arguments of these types; its `address` is where other kernels can call it."""
    result, arguments = signature.return_type, signature.args
    compiled: Any = CFunc(function, (arguments, result), {}, OPTIONS | {"nopython": True})
    compiled._cache = kept_code(function)
    compiled.compile()
    return compiled


class KeptCode(FunctionCache):
    """Compiled code on disk, renewed when any file of this package changes: a function holds the code of others.

    What cannot be written or read is compiled anew.
    """

    def __init__(self, function: Callable[..., Any]):
        super().__init__(function)
        self._cache_file._source_stamp = (self._cache_file._source_stamp, sources())

    def load_overload(self, *about: Any) -> Any:
        """The code for these types, or None."""
        try:
            return super().load_overload(*about)
        except Exception:  # a torn file may fail in any way
            return None

    def save_overload(self, *about: Any) -> None:
        """Keep the code for these types, if the disk lets us; a torn list of what is kept is begun anew."""
        with suppress(OSError):
            try:
                super().save_overload(*about)
            except (EOFError, ValueError, UnpicklingError):
                self._cache_file.flush()
                super().save_overload(*about)


def kept_code(function: Callable[..., Any]) -> Any:
    """The code kept on disk for a function, or none if no folder can be written to."""
    try:
        return KeptCode(function)
    except RuntimeError:
        return NullCache()


@cache
def sources() -> str:
    """A fingerprint of the files of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


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
        _run(self._native(dtype).address, _address(packed), threads)


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
    """What a worker was given, one letter each: x an array of its numbers, i, j and b of int64, int32 and bool.

    n is a whole number, and other letters are the tuples that `record` names. An array comes as one line, and its
    length is forgotten: nobody but the kernel itself knows where it ends.
    """
    of = {"x": given.dtype, "i": types.int64, "j": types.int32, "b": types.boolean}
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


@kernel(parallel=True)
def _run(address, given, workers):
    for t in prange(workers):
        _call(address, t, workers, given)
