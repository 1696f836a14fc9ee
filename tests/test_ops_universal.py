"""What every op owes, whatever it computes: one family of tests over the table of tinycnn/verify/cases."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import EXACT, assert_all_same, assert_same, gradient_report

from tinycnn import ops
from tinycnn.errors import ShapeError
from tinycnn.verify.cases import CASES, OpCase, as_tuple

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_op = pytest.mark.parametrize("case", list({c.name: c for c in reversed(CASES)}.values())[::-1], ids=str)

LAYOUTS = {
    "non-contiguous": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed strides": lambda a: a[::-1].copy()[::-1],
    "Fortran order": np.asfortranarray,
    "read-only": lambda a: _read_only(a),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
}


def _read_only(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


def _names(case: OpCase) -> list[str]:
    return [case.argument_name(p) for p in case.grads]


def _run(case: OpCase, args, options, dy=None):
    """y and the gradients, under the case's own random dy."""
    y, cache = case.forward(*args, **options)
    return y, case.backward(case.upstream(y) if dy is None else dy, cache)


def _bytes(args) -> list[bytes]:
    return [a.tobytes() for a in args if isinstance(a, np.ndarray)]


def test_every_pair_of_ops_is_in_the_table():
    pairs = {name.removesuffix("_forward") for name in ops.__all__ if name.endswith("_forward")}
    assert pairs <= {case.name for case in CASES}
    assert all(f"{name}_backward" in ops.__all__ for name in pairs)


@every_case
def test_gradients_have_the_shape_of_their_arguments(case):
    args, options = case.build()
    _, gradients = _run(case, args, options)
    assert len(gradients) == len(case.grads)
    for position, gradient in zip(case.grads, gradients, strict=True):
        assert (gradient is None) == (args[position] is None)
        assert gradient is None or gradient.shape == args[position].shape


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_dtype_of_the_arguments_is_kept(case, dtype):
    args, options = case.build(dtype=dtype)
    y, gradients = _run(case, args, options)
    assert y.dtype == dtype
    assert {g.dtype for g in gradients if g is not None} == {np.dtype(dtype)}


@every_case
def test_the_formula_walked_literally_keeps_float32_as_well(case):
    if not case.twin:
        pytest.skip("its formula is a marked Python function, not one to walk")
    args, options = case.build(dtype=np.float32)
    forward, backward = case.twins()
    y, cache = forward(*args, **options)
    gradients = backward(case.upstream(y), cache)
    assert {np.asarray(a).dtype for a in (y, *gradients) if a is not None} == {np.dtype(np.float32)}


@every_case
def test_float32_agrees_with_float64(case):
    args, options = case.build(dtype=np.float32)
    y, gradients = _run(case, args, options)
    wide = [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args]
    y64, gradients64 = _run(case, wide, options, dy=case.upstream(y).astype(np.float64))
    assert_same(y, y64, tol=1e-5)
    assert_all_same(gradients, gradients64, _names(case), tol=1e-5)


@every_case
def test_no_argument_is_changed_neither_in_forward_nor_in_backward(case):
    args, options = case.build()
    before = _bytes(args)
    y, cache = case.forward(*args, **options)
    dy = case.upstream(y)
    dy_before = np.asarray(dy).tobytes()
    case.backward(dy, cache)
    assert _bytes(args) == before, "an argument was changed in place"
    assert np.asarray(dy).tobytes() == dy_before, "dy was changed in place"


@every_case
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_in_memory_makes_no_difference(case, layout):
    args, options = case.build()
    y, gradients = _run(case, args, options)
    dy = case.upstream(y)
    lay_out = lambda a: LAYOUTS[layout](a) if isinstance(a, np.ndarray) and a.ndim else a  # noqa: E731
    laid_out = tuple(map(lay_out, args))
    before = _bytes(laid_out)
    y2, gradients2 = _run(case, laid_out, options, dy=lay_out(dy))
    assert_same(y2, y)
    assert_all_same(gradients2, gradients, _names(case))
    assert y2.dtype.isnative
    assert all(g is None or g.dtype.isnative for g in gradients2)
    assert _bytes(laid_out) == before


@every_case
def test_an_empty_batch_gives_an_empty_result_and_no_gradient(case):
    args, options = case.build(N=0)
    if case.empty == "refused":
        with pytest.raises(ValueError, match="empty"):
            case.forward(*args, **options)
        return
    y, gradients = _run(case, args, options)
    assert y.shape[0] == 0
    assert y.shape[1:] == case.forward(*case.build()[0], **options)[0].shape[1:]
    for position, gradient in zip(case.grads, gradients, strict=True):
        if gradient is not None:
            assert gradient.shape == args[position].shape
            assert not gradient.any()


@every_case
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_forward_and_backward_are_their_formulas_walked_literally(case, dtype):
    if not case.twin:
        pytest.skip("its formula is a marked Python function, not one to walk")
    args, options = case.build(dtype=dtype)
    y, gradients = _run(case, args, options)
    twin_forward, twin_backward = case.twins()
    y2, cache2 = twin_forward(*args, **options)
    assert_same(y, y2, what="y:")
    assert_all_same(gradients, twin_backward(case.upstream(y), cache2), _names(case))


@every_case
def test_backward_is_the_complex_step_through_forward(case):
    args, options = case.build()
    report = gradient_report(case.forward, case.backward, args, options, case.grads)
    assert len(report.checks) == sum(args[p] is not None for p in case.grads)
    assert report.worst_error <= EXACT, f"\n{report}"


@pytest.mark.parametrize("case", [c for c in CASES if c.linear], ids=str)
def test_a_linear_op_and_its_backward_are_adjoint(case):
    args, options = case.build()
    args = tuple(None if case.argument_name(p) == "b" else a for p, a in enumerate(args))
    y, gradients = _run(case, args, options)
    dy, x, dx = case.upstream(y), args[0], gradients[0]
    terms = _run(case, tuple(abs(a) if isinstance(a, np.ndarray) else a for a in args), options, abs(dy))[0]
    assert_same((y * dy).sum(), (x * dx).sum(), terms=(terms * abs(dy)).sum())


@every_case
@pytest.mark.parametrize("bad", ["int64", "float16", "bool", "object"])
def test_other_dtypes_are_refused_by_name(case, bad):
    args, options = case.build()
    for position in (p for p in case.grads if args[p] is not None):
        given = list(args)
        given[position] = args[position].astype(bad)
        with pytest.raises(TypeError, match=rf"\b{case.argument_name(position)} must hold float.*{bad}"):
            case.forward(*given, **options)


@every_case
def test_lists_are_refused_by_name(case):
    args, options = case.build()
    for position in (p for p in case.grads if args[p] is not None):
        given = list(args)
        given[position] = args[position].tolist()
        with pytest.raises(TypeError, match=rf"\b{case.argument_name(position)} must be a NumPy array, got list"):
            case.forward(*given, **options)


@every_op
def test_an_upstream_gradient_of_another_shape_is_refused(case):
    args, options = case.build()
    y, cache = case.forward(*args, **options)
    with pytest.raises(ShapeError, match="dy"):
        case.backward(np.ones((*y.shape, 2)), cache)
    if y.ndim:
        with pytest.raises(ShapeError, match="dy"):
            case.backward(np.ones(y.shape[1:]), cache)  # would broadcast


@every_case
def test_what_forward_returned_may_be_overwritten_before_backward(case):
    args, options = case.build()
    expected_y, expected = _run(case, args, options)
    y, cache = case.forward(*args, **options)
    if y.ndim:
        assert not any(np.shares_memory(y, a) for a in args if isinstance(a, np.ndarray)), "y is a view of an argument"
        y[...] = 777.0
    assert_all_same(case.backward(case.upstream(expected_y), cache), expected, _names(case))


@every_case
def test_backward_can_be_called_twice_and_its_results_overwritten(case):
    args, options = case.build()
    y, cache = case.forward(*args, **options)
    dy = case.upstream(y)
    first = case.backward(dy, cache)
    expected = [None if g is None else g.copy() for g in first]
    arrays = [a for a in (*args, dy) if isinstance(a, np.ndarray)]
    for gradient in (g for g in first if g is not None):
        assert not any(np.shares_memory(gradient, a) for a in arrays), "a gradient is a view of an argument or of dy"
        gradient[...] = 777.0
    assert_all_same(case.backward(dy, cache), expected, _names(case))


@every_op
def test_forward_carries_its_formula_and_shows_it(case):
    if not case.twin:
        pytest.skip("its formula is a marked Python function")
    for function in case.functions:
        assert function.formula.text in "\n".join(line.strip() for line in function.__doc__.splitlines())
    assert as_tuple(case.functions[0].formula.results)
