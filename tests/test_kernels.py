"""What every kernel owes: it is the op of the same name, on the whole table of ops and in every layout of memory."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from oracles import assert_all_same, assert_same

from tinycnn import kernels, ops
from tinycnn.verify.cases import CASES, as_tuple

PAIRS = {name.removesuffix("_forward") for name in kernels.__all__ if name.endswith("_forward")}
COVERED = [case for case in CASES if case.name in PAIRS]
every_case = pytest.mark.parametrize("case", COVERED, ids=str)
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-12}

LAYOUTS = {
    "non-contiguous": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "read-only": lambda a: _read_only(a),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": lambda a: _unaligned(a),
}


def _read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def _unaligned(a):
    memory = np.empty(a.nbytes + 1, np.uint8)[1:]
    b = memory.view(a.dtype).reshape(a.shape)
    b[...] = a
    return b


def _run(module, case, args, options, dy=None):
    y, cache = getattr(module, f"{case.name}_forward")(*args, **options)
    dy = case.upstream(y) if dy is None else dy
    return y, as_tuple(getattr(module, f"{case.name}_backward")(dy, cache))


def _names(case):
    return [case.argument_name(p) for p in case.grads]


def test_every_kernel_is_the_twin_of_an_op():
    assert len(COVERED) >= len(PAIRS)
    for name in kernels.__all__:
        ours, theirs = getattr(kernels, name), getattr(ops, name)
        assert list(inspect.signature(ours).parameters.values()) == list(inspect.signature(theirs).parameters.values())
    assert all(f"{name}_backward" in kernels.__all__ for name in PAIRS)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("N", [1, 2, 5])
def test_a_kernel_gives_what_its_op_gives(case, dtype, N):
    args, options = case.build(dtype=dtype, N=N)
    y, gradients = _run(kernels, case, args, options)
    y2, gradients2 = _run(ops, case, args, options, dy=case.upstream(y))
    tol = TOLERANCE.get(dtype, 1e-12)
    assert_same(y, y2, tol=tol, what="y:")
    assert_all_same(gradients, gradients2, _names(case), tol=tol)
    assert y.dtype == y2.dtype
    assert [g if g is None else g.dtype for g in gradients] == [g if g is None else g.dtype for g in gradients2]


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_makes_no_difference_and_no_argument_changes(case, layout):
    args, options = case.build()
    y, gradients = _run(kernels, case, args, options)
    lay_out = lambda a: LAYOUTS[layout](a) if isinstance(a, np.ndarray) and a.ndim else a  # noqa: E731
    laid_out, dy = tuple(map(lay_out, args)), lay_out(case.upstream(y))
    before = [a.tobytes() for a in (*laid_out, dy) if isinstance(a, np.ndarray)]
    y2, gradients2 = _run(kernels, case, laid_out, options, dy=dy)
    assert [a.tobytes() for a in (*laid_out, dy) if isinstance(a, np.ndarray)] == before
    assert_same(y2, y)
    assert_all_same(gradients2, gradients, _names(case))


@every_case
def test_an_empty_batch_is_served_as_ops_does(case):
    args, options = case.build(N=0)
    if case.empty == "refused":
        with pytest.raises(ValueError, match="empty"):
            getattr(kernels, f"{case.name}_forward")(*args, **options)
        return
    y, gradients = _run(kernels, case, args, options)
    y2, gradients2 = _run(ops, case, args, options)
    assert y.shape == y2.shape
    assert_all_same(gradients, gradients2, _names(case))


@every_case
@pytest.mark.parametrize("bad", ["int64", "float16", "object"])
def test_other_types_are_refused_in_the_words_of_ops(case, bad):
    args, options = case.build()
    for position in (p for p in case.grads if args[p] is not None):
        given = list(args)
        given[position] = args[position].astype(bad)
        with pytest.raises(TypeError) as theirs:
            getattr(ops, f"{case.name}_forward")(*given, **options)
        with pytest.raises(TypeError) as ours:
            getattr(kernels, f"{case.name}_forward")(*given, **options)
        assert str(ours.value) == str(theirs.value)


@every_case
def test_a_dy_of_another_shape_or_type_is_refused_or_left_to_ops(case):
    args, options = case.build(dtype=np.float32)
    forward, backward = (getattr(kernels, f"{case.name}_{half}") for half in ("forward", "backward"))
    y, cache = forward(*args, **options)
    if y.ndim:
        with pytest.raises(ValueError, match="dy"):
            backward(np.ones((*y.shape, 2), np.float32), cache)
    dy = case.upstream(y).astype(np.float64)
    _, cache2 = getattr(ops, f"{case.name}_forward")(*args, **options)
    assert_all_same(
        as_tuple(backward(dy, cache)), as_tuple(getattr(ops, f"{case.name}_backward")(dy, cache2)), _names(case), 1e-5
    )


@every_case
def test_a_real_dy_behind_a_complex_forward_is_what_it_is_in_ops_in_any_layout(case):
    args, options = case.build(dtype=np.complex128)
    args = [np.asfortranarray(a) if isinstance(a, np.ndarray) and a.dtype.kind == "c" else a for a in args]
    found = []
    for module in (kernels, ops):
        y, cache = getattr(module, f"{case.name}_forward")(*args, **options)
        dy = np.ascontiguousarray(np.real(case.upstream(y)))
        found.append(as_tuple(getattr(module, f"{case.name}_backward")(dy if np.ndim(y) else 1.0, cache)))
    assert_all_same(*found, _names(case), 1e-12)


@every_case
def test_backward_can_be_called_twice_and_all_results_are_the_callers(case):
    args, options = case.build()
    forward, backward = (getattr(kernels, f"{case.name}_{half}") for half in ("forward", "backward"))
    y, cache = forward(*args, **options)
    dy = case.upstream(y)
    if y.ndim:
        assert not any(np.shares_memory(y, a) for a in args if isinstance(a, np.ndarray))
        y[...] = 777
    first = as_tuple(backward(dy, cache))
    expected = [None if g is None else g.copy() for g in first]
    for gradient in (g for g in first if g is not None):
        assert not any(np.shares_memory(gradient, a) for a in (*args, dy) if isinstance(a, np.ndarray))
        gradient[...] = 777
    assert_all_same(as_tuple(backward(dy, cache)), expected, _names(case))
