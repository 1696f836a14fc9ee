"""The gradient check: right gradients pass, every kind of wrong one fails, and the message names the place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

from tinycnn import ops
from tinycnn.verify import check_gradient, complex_step

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(3, 4)), RNG.normal(size=(2, 4))
DY = RNG.normal(size=(3, 2))


def _linear(spoil=lambda dx, dw: (dx, dw)):
    """A linear map under a random dy, with its gradients spoilt."""

    def f(x, w):
        y, cache = ops.linear_forward(x, w, None)
        dx, dw, _ = ops.linear_backward(DY, cache)
        return (y * DY).sum(), spoil(dx, dw)

    return f


def _one_off(dx, dw):
    dw = dw.copy()
    dw[1, 2] += 1e-9
    return dx, dw


WRONG = {
    "its sign": lambda dx, dw: (dx, -dw),
    "a factor": lambda dx, dw: (dx, 2 * dw),
    "a factor near 1": lambda dx, dw: (dx, dw * (1 + 1e-9)),
    "one entry": _one_off,
    "two entries swapped": lambda dx, dw: (dx, dw[:, [1, 0, 2, 3]]),
    "zeros": lambda dx, dw: (dx, 0 * dw),
    "a mean for a sum": lambda dx, dw: (dx, dw / 3),
    "a NaN": lambda dx, dw: (dx, np.where(dw == dw[0, 0], np.nan, dw)),
    "an infinity": lambda dx, dw: (dx, np.where(dw == dw[0, 0], np.inf, dw)),
}


@pytest.mark.parametrize(
    ("f", "derivative"),
    [
        (lambda x: x**3, lambda x: 3 * x**2),
        (np.exp, np.exp),
        (np.log, lambda x: 1 / x),
        (np.sin, np.cos),
        (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
    ],
)
def test_the_complex_step_is_the_derivative_to_the_last_digits(f, derivative):
    for x in (0.1, 0.7, 1.3, 20.0):
        found = complex_step(lambda z: f(z)[0], np.array([x]), np.array([1.0]))
        assert found == pytest.approx(derivative(x), rel=1e-14)


@given(seed=seeds, size=st.integers(1, 6))
@settings(max_examples=30)
def test_a_direction_gives_the_gradient_times_it(seed, size):
    rng = np.random.default_rng(seed)
    a, x, v = rng.normal(size=(size, size)), rng.normal(size=size), rng.normal(size=size)
    gradient = (a + a.T) @ x
    assert complex_step(lambda z: z @ a @ z, x, v) == pytest.approx(gradient @ v, rel=1e-12, abs=1e-12 * abs(a).sum())


def test_right_gradients_pass_and_are_reported():
    report = check_gradient(_linear(), X, W, names=("x", "w"))
    assert report.passed
    assert report.worst_error < 1e-14
    assert [check.name for check in report.checks] == ["x", "w"]
    assert [check.checked for check in report.checks] == [3 + X.size, 3 + W.size]
    table = str(report).splitlines()
    assert table[0].split() == ["array", "method", "checks", "worst", "error", "allowed", "where"]
    assert [line.split()[0] for line in table[1:]] == ["x", "w"]
    assert all(line.endswith("ok") for line in table[1:])


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_gradient_fails_and_only_its_own_array(wrong):
    report = check_gradient(_linear(WRONG[wrong]), X, W, names=("x", "w"))
    assert not report.passed
    right, spoilt = report.checks
    assert right.passed
    assert not spoilt.passed
    assert not report.worst_error <= 1e-12  # a NaN too
    _, x, w, why = str(report).splitlines()
    assert x.startswith("x ")
    assert x.endswith("ok")
    assert w.startswith("w ")
    assert w.endswith("WRONG")
    assert why.startswith(f"w is WRONG at {spoilt.where}: the gradient says ")
    assert str(spoilt).startswith("w: worst relative error")


def test_one_wrong_entry_is_named_with_its_place_and_both_values():
    def spoil(dx, dw):
        dw = dw.copy()
        dw[1, 2] = 100.0
        return dx, dw

    spoilt = check_gradient(_linear(spoil), X, W).checks[1]
    true = (DY.T @ X)[1, 2]
    assert (spoilt.where, spoilt.said, spoilt.wrong) == ("[1, 2]", 100, 4)  # the entry, and every direction
    assert spoilt.witness == pytest.approx(true, rel=1e-12)
    assert spoilt.worst_error > 0.5
    assert f"WRONG at [1, 2]: the gradient says 100, by complex step it is {true:.6g}, a ratio of" in str(spoilt)
    only = check_gradient(_linear(spoil), X, W, directions=0).checks[1]
    assert (only.where, only.wrong, only.checked) == ("[1, 2]", 1, W.size)


LOOKS = {
    "its sign is flipped, everywhere": lambda g: -g,
    "2 times too large, everywhere": lambda g: 2 * g,
    "3 times too small, everywhere": lambda g: g / 3,
    "it is zero everywhere, as if forgotten": lambda g: 0 * g,
    "it looks transposed": lambda g: g.T,
    "it looks flipped along axis 1": lambda g: g[:, ::-1],
    "it looks flipped along its last two axes, as a kernel turned by 180° is": lambda g: g[::-1, ::-1],
    "it looks shifted by one along axis 0": lambda g: np.roll(g, 1, axis=0),
    "2 of its 16 entries are not finite": lambda g: np.where(g > np.sort(g.ravel())[-3], np.inf, g),
}


@pytest.mark.parametrize("looks", LOOKS)
@pytest.mark.parametrize("method", ["complex", "richardson", "central", "projection"])
def test_the_report_says_what_the_mistake_looks_like(looks, method):
    a, weights = RNG.normal(size=(4, 4)), RNG.normal(size=(4, 4))
    right = np.cos(a) * weights
    wrong = LOOKS[looks](right)
    check = check_gradient(lambda a: (np.sin(a) * weights).sum(), a, gradient=wrong, method=method).checks[0]
    assert not check.passed
    assert check.hint == looks
    assert looks in str(check)


def test_a_gradient_reshaped_where_it_should_be_transposed_is_recognised():
    right = np.cos(X) * 2
    check = check_gradient(lambda x: 2 * np.sin(x).sum(), X, gradient=right.T.reshape(3, 4)).checks[0]
    assert check.hint == "it looks reshaped where it should be transposed"


def test_no_mistake_is_named_that_would_not_explain_every_place():
    wrong = 2 * X
    wrong[1, 2] *= 1.37
    assert check_gradient(lambda x: (x * x).sum(), X, gradient=wrong).checks[0].hint == ""


def test_a_report_is_json_also_where_nothing_is_finite():
    for gradient in (2 * X, np.full(X.shape, np.nan)):
        report = check_gradient(lambda x: (x * x).sum(), X, gradient=gradient)
        found = json.loads(json.dumps(report.as_dict(), allow_nan=False))
        assert found["passed"] == report.passed
        assert found["checks"][0]["name"] == "x"
    assert found["checks"][0]["worst_error"] is None


@pytest.mark.parametrize("spoil", [lambda dy: -dy, lambda dy: dy[..., ::-1], lambda dy: dy * 1.001])
def test_ops_given_another_upstream_gradient_fail(spoil):
    """A random, signed dy: an upstream gradient of ones would hide that it is flipped."""
    x, w, b = RNG.normal(size=(2, 2, 4, 5)), RNG.normal(size=(3, 2, 2, 2)), RNG.normal(size=3)
    dy = RNG.normal(size=(2, 3, 3, 4))

    def f(*arrays):
        y, cache = ops.conv2d_forward(*arrays)
        return (y * dy).sum(), ops.conv2d_backward(spoil(dy), cache)

    report = check_gradient(f, x, w, b)
    assert not report.checks[0].passed
    assert not report.checks[1].passed


def test_many_entries_are_sampled_and_a_large_error_anywhere_is_still_seen():
    x = RNG.normal(size=1000)
    right = lambda x: ((x * x).sum(), [2 * x])  # noqa: E731
    assert check_gradient(right, x).checks[0].checked == 3 + 64
    assert check_gradient(right, x, entries=5, directions=1).checks[0].checked == 6
    for place in (0, 499, 999):
        wrong = lambda x, place=place: ((x * x).sum(), [np.where(np.arange(1000) == place, -2 * x, 2 * x)])  # noqa: E731
        assert not check_gradient(wrong, x).passed


def test_an_array_without_a_gradient_is_passed_over():
    report = check_gradient(lambda x, w: ((x * x).sum() + w.sum(), [2 * x, None]), X, W)
    assert [check.name for check in report.checks] == ["x"]
    assert check_gradient(lambda x: ((x * x).sum(), [2 * x]), np.ones((0, 3))).checks == ()


def test_a_gradient_that_is_zero_everywhere_is_checked_too():
    assert check_gradient(lambda x: ((0 * x).sum(), [0 * x]), X).passed
    assert not check_gradient(lambda x: ((0 * x).sum(), [0 * x + 1e-3]), X).passed


def test_the_tolerance_can_be_stated():
    spoil = lambda dx, dw: (dx, dw * (1 + 1e-9))  # noqa: E731
    assert check_gradient(_linear(spoil), X, W, tolerance=1e-8).passed
    assert not check_gradient(_linear(spoil), X, W, tolerance=1e-10).passed


def test_what_cannot_be_checked_is_refused_in_words():
    with pytest.raises(TypeError, match=r"w must be float64 for a gradient check, got float32: use \.astype"):
        check_gradient(_linear(), X, W.astype(np.float32), names=("x", "w"))
    with pytest.raises(ValueError, match="f returned 1 gradients for 2 arrays"):
        check_gradient(lambda x, w: (0.0, [x]), X, W)
    with pytest.raises(ValueError, match=r"gradient of array 0 has shape \(4, 3\), but array 0 has \(3, 4\)"):
        check_gradient(lambda *arrays: (arrays[0].sum(), [arrays[0].T]), X)
    with pytest.raises(ValueError, match=r"f must give one number, got shape \(3, 4\): multiply by a random"):
        check_gradient(lambda x: x, X, gradient=X)
    with pytest.raises(ValueError, match=r"f must return \(value, gradients\), or `gradient=` say"):
        check_gradient(lambda x: x.sum(), X)
    with pytest.raises(ValueError, match="method must be one of complex, richardson, central, projection, got 'exact'"):
        check_gradient(lambda x: x.sum(), X, gradient=1 + 0 * X, method="exact")
    with pytest.raises(ValueError, match="difference must be one of"):
        check_gradient(lambda x: x.sum(), X, gradient=1 + 0 * X, difference="exact")
    with pytest.raises(ValueError, match="nothing would be checked with entries=0 and directions=0"):
        check_gradient(lambda x: x.sum(), X, gradient=1 + 0 * X, entries=0, directions=0)


def test_gradients_may_be_given_as_a_function_a_tuple_of_them_or_arrays():
    value = lambda x, w: ((x @ w.T) * DY).sum()  # noqa: E731
    for gradient in (lambda x, w: (DY @ w, DY.T @ x), (DY @ W, DY.T @ X), [DY @ W, None]):
        assert check_gradient(value, X, W, gradient=gradient).passed
    assert not check_gradient(value, X, W, gradient=(DY @ W, -DY.T @ X)).passed
    assert check_gradient(lambda x: (x * x).sum(), X, gradient=lambda x: 2 * x).passed
    assert check_gradient(lambda x: x**3, np.array(2.0), gradient=lambda x: 3 * x**2).passed


def test_terms_hold_small_entries_to_their_own_size_and_true_zeros_to_zero():
    """Relative to the largest entry, an error of 1e-13 in an entry of 1e-6 is nothing; relative to its own it is."""
    x = np.array([1.0, 1e-6, 1.0])
    w = np.array([1.0, 1e-6, 0.0])
    value = lambda x: (x * w).sum()  # noqa: E731
    for off in (np.array([0, 1e-13, 0]), np.array([0, 0, 1e-14])):
        assert check_gradient(value, x, gradient=w + off).passed
        check = check_gradient(value, x, gradient=w + off, terms=[abs(w)]).checks[0]
        assert not check.passed
    assert check_gradient(value, x, gradient=w, terms=[abs(w)]).passed


def test_the_same_seed_gives_the_same_report():
    assert str(check_gradient(_linear(_one_off), X, W, seed=5)) == str(check_gradient(_linear(_one_off), X, W, seed=5))


def test_an_array_whose_gradient_is_a_true_zero_is_held_to_the_largest_gradient_of_all():
    """What is taken off again, as by a batch norm, leaves rounding: relative to itself that would be all wrong."""
    value = lambda x, b: (((x + b) - (x + b).mean()) ** 3).sum()  # noqa: E731

    def gradient(x, b):
        z = x - x.mean()
        dx = 3 * z**2 - (3 * z**2).mean()
        return dx, np.array(1e-16)  # truly 0; what rounding leaves of it

    x = np.random.default_rng(3).normal(size=7)
    report = check_gradient(value, x, np.array(0.3), gradient=gradient)
    assert report.passed, f"\n{report}"
    assert not check_gradient(value, x, np.array(0.3), gradient=lambda x, b: (gradient(x, b)[0], np.array(1e-6))).passed


@pytest.mark.parametrize("method", ["complex", "projection"])
def test_directions_have_both_signs(method):
    asked = []

    def f(x):
        asked.append(np.imag(x))
        return (x * x).sum()

    assert check_gradient(f, np.ones(50), gradient=2 * np.ones(50), method=method, entries=0, directions=3).passed
    directions = [v for v in asked if v.any()]
    assert len(directions) == 3
    assert all(10 < (v > 0).sum() < 40 for v in directions)
