"""Kinks and jumps are found where they are, with their slopes, and nowhere else; a gradient check says so in words."""

from __future__ import annotations

import numpy as np
import pytest

from tinycnn import ops
from tinycnn.verify import check_gradient, find_kink

RNG = np.random.default_rng(0)
NEAR = [0.0, 1e-9, 1e-8, 1e-7, -1e-6, 1e-5, -3e-5, 5e-5, 1e-4, -1e-4, *RNG.uniform(-1e-4, 1e-4, 20)]
SMOOTH = {
    "linear": lambda x: 3 * x,
    "constant": lambda x: 2 + 0 * x,
    "10th power": lambda x: x**10,
    "cubic": lambda x: 1e6 * x**3 + x,
    "steep parabola": lambda x: 1e8 * x**2,
    "x|x|": lambda x: x * np.abs(x),
    "sin 1e3": lambda x: np.sin(1e3 * x),
    "sin 1e5": lambda x: np.sin(1e5 * x),
    "cos 1e4": lambda x: np.cos(1e4 * x),
    "sinc": lambda x: np.sinc(1e3 * x),
    "exp": lambda x: np.exp(10 * x),
    "log": lambda x: np.log(x**2 + 1e-4),
    "Runge's": lambda x: 1 / (1 + 25 * x**2),
    "Runge's, 1e-3 wide": lambda x: 1 / (1e-6 + x**2),
    "tanh 1e3": lambda x: np.tanh(1e3 * x),
    "tanh 1e5": lambda x: np.tanh(1e5 * x),
    "softplus 1e3": lambda x: np.logaddexp(0, 1e3 * x) / 1e3,
    "softplus 1e6": lambda x: np.logaddexp(0, 1e6 * x) / 1e6,
    "hyperbola, 1e-3 wide": lambda x: np.sqrt(x**2 + 1e-6),
    "hyperbola, 1e-6 wide, on 1": lambda x: 1 + np.sqrt(x**2 + 1e-12),
    "Gauss, 1e-2 wide": lambda x: np.exp(-1e4 * x**2),
    "Gauss, 1e-4 wide": lambda x: np.exp(-1e8 * x**2),
    "log-sum-exp": lambda x: np.log(np.exp(30 * x) + np.exp(-30 * x)),
    "all rounding": lambda x: np.sin(x) ** 2 + np.cos(x) ** 2,
    "a large offset": lambda x: 1e6 + np.sin(x),
}
KINKED = {
    "relu": (lambda x: np.maximum(x, 0), 0, 1),
    "leaky relu": (lambda x: np.where(x > 0, x, 0.01 * x), 0.01, 1),
    "abs": (np.abs, -1, 1),
    "hinge": (lambda x: np.maximum(0, 1 - (x + 1)), -1, 0),
    "max of two": (lambda x: np.maximum(x, 3 * x) + np.exp(2 * x), 3, 5),
    "a small one on a curve": (lambda x: 1e-3 * np.maximum(x, 0) + np.cos(100 * x), 0, 1e-3),
    "on a large offset": (lambda x: 1e3 + np.maximum(x, 0), 0, 1),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_no_kink_however_strongly_it_curves(name):
    for at in [0.0, 1e-3, 0.3, -0.7, *np.random.default_rng(1).normal(size=20)]:
        found = find_kink(lambda x: SMOOTH[name](x).sum(), np.array([at]), np.ones(1))
        assert found is None, f"at {at}: {found}"


@pytest.mark.parametrize("name", KINKED)
def test_a_kink_is_found_at_the_point_and_up_to_1e_4_beside_it_with_both_slopes(name):
    f, left, right = KINKED[name]
    for off in NEAR:
        found = find_kink(lambda x: f(x).sum(), np.array([off]), np.ones(1))
        assert found is not None, off
        assert found.kind == "kink"
        assert found.distance == pytest.approx(-off, abs=5e-7 if "curve" in name else 1e-8)
        assert (found.left, found.right) == pytest.approx((left, right), abs=3e-4 if "curve" in name else 1e-6)


@pytest.mark.parametrize("off", [0.0, 3e-5, -9e-5])
def test_a_jump_is_told_apart_from_a_kink(off):
    found = find_kink(lambda x: (np.where(x > 0, 2.5, 0.0) + x).sum(), np.array([off]), np.ones(1))
    assert found is not None
    assert found.kind == "jump"
    assert found.jump == pytest.approx(2.5, abs=1e-6)
    assert "f jumps" in str(found)


def test_a_kink_along_a_direction_of_many_entries_has_the_slopes_of_that_direction():
    x, v = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4))
    x[1, 2] = 0
    found = find_kink(lambda x: np.maximum(x, 0).sum(), x, v)
    one_sided = [((x > 0) * v).sum() + (v[1, 2] if side * v[1, 2] > 0 else 0) for side in (-1, 1)]
    assert (found.left, found.right) == pytest.approx(one_sided, abs=1e-8)
    assert find_kink(lambda x: np.maximum(x, 0).sum(), x, 0 * v) is None


def test_a_pool_tie_is_a_kink():
    x = RNG.normal(size=(1, 1, 2, 4))
    x[0, 0, 0, 0] = x[0, 0, 1, 1] = 3.0
    unit = np.zeros(x.shape)
    unit[0, 0, 1, 1] = 1
    found = find_kink(lambda x: ops.max_pool2d_forward(x, 2)[0].sum(), x, unit)
    assert (found.kind, found.left, found.right) == ("kink", 0, pytest.approx(1))
    unit = np.roll(unit, 2, axis=3)  # in the other window, which has no tie
    assert find_kink(lambda x: ops.max_pool2d_forward(x, 2)[0].sum(), x, unit) is None


@pytest.mark.parametrize("method", ["richardson", "central"])
def test_a_check_on_a_kink_is_no_proof_and_says_where_the_kink_is_and_its_slopes(method):
    x = np.array([0.5, -0.25, 1.0, 0.0, -2.0])
    f = lambda x: np.where(x > 0, 1.2 * x, -0.5 * x).sum()  # noqa: E731
    report = check_gradient(f, x, gradient=np.where(x > 0, 1.2, -0.5), method=method)
    check = report.checks[0]
    assert (report.passed, check.verdict, check.where) == (False, "UNPROVED", "[3]")
    assert [kink.place for kink in report.kinks] == ["[3]"]
    assert "f has a kink at x[3] = 0: its slope is -0.5 on the left and 1.2 on the right; a difference" in str(report)
    assert "Check the convention (such as relu'(0) = 0) on its own, or move the point." in str(report)
    assert report.as_dict()["kinks"][0]["said"] == str(report.kinks[0])


def test_the_complex_step_takes_a_side_of_the_kink_and_the_report_says_that_there_is_one():
    x = np.array([[0.5, -0.25], [0.0, -2.0]])
    dy = RNG.normal(size=x.shape)

    def f(x):
        y, cache = ops.relu_forward(x)
        return (y * dy).sum(), [ops.relu_backward(dy, cache)]

    report = check_gradient(f, x)
    assert report.passed  # the op's own convention is the branch that the complex step takes
    assert [(kink.kind, kink.place) for kink in report.kinks] == [("kink", "[1, 0]")]
    assert check_gradient(f, x + 0.01).kinks == ()


@pytest.mark.parametrize("method", ["complex", "richardson", "central"])
def test_a_kink_excuses_no_other_entry(method):
    x = np.array([0.5, -0.25, 1.0, 0.0, -2.0])
    wrong = np.array([1, 0, 1.1, 0, 0])
    check = check_gradient(lambda x: np.maximum(x, 0).sum(), x, gradient=wrong, method=method).checks[0]
    assert (check.verdict, check.where) == ("WRONG", "[2]")


def test_a_kink_beside_the_point_is_named_where_a_step_went_over_it():
    x = np.array([0.5, 4e-6])
    report = check_gradient(lambda x: np.maximum(x, 0).sum(), x, gradient=np.ones(2), method="central")
    assert report.checks[0].verdict == "UNPROVED"
    assert "f has a kink at x[1] = 0, 4.0e-06 from the point checked" in str(report)
    assert check_gradient(lambda x: np.maximum(x, 0).sum(), x, gradient=np.ones(2), method="richardson").passed
    assert check_gradient(lambda x: np.maximum(x, 0).sum(), x, gradient=np.ones(2), method="complex").passed


@pytest.mark.parametrize("name", SMOOTH)
def test_no_gradient_check_of_a_smooth_function_speaks_of_kinks(name):
    x = np.random.default_rng(2).normal(size=5)
    report = check_gradient(lambda x: SMOOTH[name](x).sum(), x, gradient=np.ones(5), method="central")
    assert report.kinks == ()
