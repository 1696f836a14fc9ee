"""How close a kernel must be to the op it is the twin of: what rounding may cost, worked out before the run."""

from __future__ import annotations

from typing import Any

import numpy as np
from oracles import assert_same

from tinycnn import ops


def rounding(terms: int, dtype: Any) -> float:
    """γ_n = n·u/(1 − n·u): what n roundings may cost, relative to the sum of absolute products."""
    nu = terms * np.finfo(dtype).eps / 2
    return nu / (1 - nu)


def wide(value: Any) -> Any:
    """An array of numbers in float64; anything else as it is."""
    return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def absolute(value: Any) -> Any:
    return abs(value) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


def assert_twin_of_a_multilinear_op(
    name: str, kernels: Any, args: tuple, options: dict, dtype: Any, rng: np.random.Generator
) -> None:
    """Forward and backward of a kernel lie within γ of the op's in float64, entry by entry.

    In float64 the op rounds as well, and 1e-12 covers both. The sum of absolute products behind each entry is the op
    itself on absolute values.
    """
    forward, backward = getattr(ops, f"{name}_forward"), getattr(ops, f"{name}_backward")
    args = tuple(a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args)
    y, cache = getattr(kernels, f"{name}_forward")(*args, **options)
    exact, exact_cache = forward(*map(wide, args), **options)
    terms, terms_cache = forward(*(absolute(wide(a)) for a in args), **options)
    dy = rng.normal(size=exact.shape).astype(dtype)
    ours = getattr(kernels, f"{name}_backward")(dy, cache)
    theirs, bounds = backward(wide(dy), exact_cache), backward(abs(wide(dy)), terms_cache)
    ours, theirs, bounds = (g if isinstance(g, tuple) else (g,) for g in (ours, theirs, bounds))
    sizes = [a.size for a in args if isinstance(a, np.ndarray)] + [y.size]
    tol = 1e-12 if dtype == np.float64 else rounding(max(sizes) + 2, dtype)
    for what, a, b, t in zip(("y", "dx", "dw", "db"), (y, *ours), (exact, *theirs), (terms, *bounds), strict=False):
        assert (a is None) == (b is None), what
        if a is not None:
            assert a.dtype == dtype
            assert_same(a, b, terms=t, tol=tol, what=f"{name} {what} {options}:")
