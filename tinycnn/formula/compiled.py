"""The loops of a formula, compiled by Numba: the same source that Python walks, as machine code.

Nobody writes it by hand, so it cannot differ from the formula. Numba is given few types only, float64 and int64 laid
out row by row, so that each statement is compiled once; Numba keeps the machine code on disk for the next time.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tinycnn.formula import loops
from tinycnn.formula.declare import Formula
from tinycnn.formula.loops import LoopNest

# An index outside its array raises IndexError, as in Python, and does not read on in memory; a division by zero gives
# an infinity or NaN, as in NumPy. No `fastmath`: it would drop NaN, and add in another order than the formula.
_OPTIONS: Any = {"boundscheck": True, "error_model": "numpy"}


def compiled(formula: Formula) -> Formula:
    """The same formula, whose loops are compiled when it is first evaluated.

    >>> double = Formula("double", ("y[n] = 2*x[n]",), shapes="x (N)")
    >>> compiled(double).evaluate(x=np.arange(3.0))
    array([0., 2., 4.])
    """
    twin = copy.copy(formula)
    vars(twin).update(_first=tuple(map(CompiledNest, formula._first)), _nests=tuple(map(CompiledNest, formula._nests)))
    return twin


def is_covered(value: Any) -> bool:
    """Whether compiled loops compute with this: real numbers of at most 64 bits, in an array or alone.

    >>> is_covered(np.float32(1)), is_covered(1j)
    (True, False)
    """
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind in "biuf" and value.dtype.itemsize <= 8
    return isinstance(value, int | float)


class CompiledNest(LoopNest):
    """One statement of a formula, compiled at its first run; where it does not cover the numbers, Python walks."""

    def __init__(self, nest: LoopNest):
        vars(self).update(vars(nest))
        exprs = (*self.places, self.expr, *(expr for _, expr in self.macros.tuples))
        binary = [node for expr in exprs for node in ast.walk(expr) if isinstance(node, ast.BinOp)]
        whole = [ast.unparse(n.right) + ", " for n in binary if isinstance(n.op, ast.FloorDiv | ast.Mod)]
        source = f"def loops({', '.join(self.used)}): return ({''.join(whole)})"
        self._divisors = loops.define(source, {}, f"<divisors of {self.target}>")

    def walk(self, out: Any, arguments: dict[str, Any]) -> None:
        """Go through the loops in machine code.

        All arithmetic is in float64, and is rounded to the type of `out` at the end: no less exact than Python's loops.
        """
        if not all(map(is_covered, (out, *arguments.values()))) or self._may_divide_by_0(arguments):
            return super().walk(out, arguments)
        given = {name: _plain(value) for name, value in arguments.items()}
        filled = out if out.dtype == np.float64 and out.flags.c_contiguous else np.array(out, np.float64, order="C")
        run = compile_loops(self.source)
        try:
            run(filled, **given)
        except OSError:  # it is compiled and has not run; there was no room on the disk to keep it
            run(filled, **given)
        if filled is not out:
            out[...] = filled

    def _may_divide_by_0(self, arguments: dict[str, Any]) -> bool:
        """Whether a whole number may be divided by 0: an error in Python, and 0 in machine code."""
        try:
            return 0 in self._divisors(**{name: arguments[name] for name in self.used})
        except NameError:  # by an index: who knows
            return True


def _plain(value: Any) -> Any:
    """A value in one of few types: float64 or int64, an array row by row that may be written (a type of its own)."""
    is_float = isinstance(value, float) or getattr(getattr(value, "dtype", None), "kind", "") == "f"
    if isinstance(value, np.ndarray):
        return np.require(value, np.float64 if is_float else np.int64, ["C", "A", "W"])
    return float(value) if is_float else int(value)


@cache
def compile_loops(source: str) -> Callable[..., None]:
    """The function that this source defines, compiled at its first call."""
    import numba

    # Numba keeps machine code under the function's file and name, until the file changes. The source has no file; it
    # is given that of its vocabulary, which is compiled into it, and a name that only this source has.
    function = loops.define(source, _words(), inspect.getfile(loops))
    digest = hashlib.sha256(f"{source}{_OPTIONS}".encode()).hexdigest()[:16]
    function.__qualname__ = function.__name__ = f"loops_{digest}"
    if _can_keep():
        return numba.njit(cache=True, **_OPTIONS)(function)
    return numba.njit(**_OPTIONS)(function)


@cache
def _words() -> dict[str, Any]:
    """What the words of the source mean to Numba: functions of ours are compiled with it."""
    import numba

    compile_ours = lambda word: numba.njit(word, **_OPTIONS) if inspect.isfunction(word) else word  # noqa: E731
    return {word: compile_ours(meaning) for word, meaning in loops.VOCABULARY.items()}


@cache
def _can_keep() -> bool:
    """Whether Numba finds a folder to keep machine code in; if not, it is said, once."""
    import numba

    try:
        numba.njit(cache=True)(loops.larger)
    except RuntimeError:
        warnings.warn(
            "Numba finds no folder that it may write machine code to, so the njit rung compiles anew in every run; "
            "NUMBA_CACHE_DIR names one",
            RuntimeWarning,
            stacklevel=2,
        )
        return False
    return True
