"""Every method of asking for a derivative: how exact it is, and that none passes what it cannot see."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import CASES
from strategies import seeds

import tinycnn as tc
from tinycnn import Conv2D, Dense, Dropout, Flatten, MaxPool2D, ReLU, Sequential, backend, ops
from tinycnn.verify import Sweep, check_gradient, check_layer, check_model, directional, sweep
from tinycnn.verify.differences import quotient
from tinycnn.verify.sweep_figure import example


@pytest.fixture(autouse=True)
def _on_numpy():
    """What is broken here, to be found out, are functions of `tinycnn.ops`."""
    with backend("numpy"):
        yield


RNG = np.random.default_rng(0)
EXACT = {"complex": 1e-14, "richardson": 1e-9, "central": 1e-7}
TAME = {
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
    "exp": (np.exp, np.exp),
    "log": (np.log, lambda x: 1 / x),
    "sine": (np.sin, np.cos),
    "Runge's": (lambda x: 1 / (1 + x * x), lambda x: -2 * x / (1 + x * x) ** 2),
}
every_method = pytest.mark.parametrize("method", ["complex", "richardson", "central", "projection"])


@pytest.mark.parametrize("name", TAME)
@pytest.mark.parametrize("method", EXACT)
def test_a_derivative_is_as_exact_as_its_method_promises(name, method):
    f, derivative = TAME[name]
    for x in (0.1, 0.7, 1.3, 20.0):
        found = directional(lambda z: f(z)[0], np.array([x]), np.ones(1), method)
        assert found.value == pytest.approx(derivative(x), rel=EXACT[method])
        if method == "richardson":
            assert found.uncertainty < 1e-9 * abs(derivative(x))


@given(seed=seeds, size=st.integers(1, 6))
@settings(max_examples=30)
def test_richardson_is_never_further_off_than_ten_times_what_it_says(seed, size):
    rng = np.random.default_rng(seed)
    a, x, v = rng.normal(size=(size, size)), rng.normal(size=size), rng.normal(size=size)
    found = directional(lambda z: np.exp(np.sin(a @ z)).sum(), x, v, "richardson")
    true = (a.T @ (np.exp(np.sin(a @ x)) * np.cos(a @ x))) @ v
    assert abs(found.value - true) <= 10 * found.uncertainty + 1e-12 * size


def test_richardson_halves_its_step_until_it_no_longer_goes_over_a_kink():
    found = directional(lambda x: np.maximum(x, 0).sum(), np.array([2e-5]), np.ones(1), "richardson")
    assert found.value == pytest.approx(1, abs=1e-9)
    assert found.step < 2e-5
    smooth = directional(lambda x: np.sin(x).sum(), np.array([2e-5]), np.ones(1), "richardson")
    assert smooth.step > 1e-4


def test_a_step_out_of_the_domain_is_left_out_and_a_point_outside_is_refused():
    found = directional(lambda x: np.log(x).sum(), np.array([1e-4]), np.ones(1), "richardson")
    assert found.value == pytest.approx(1e4, rel=1e-8)
    with pytest.raises(ArithmeticError, match="is x in the domain of f"):
        directional(lambda x: np.log(x).sum(), np.array([-1.0]), np.ones(1), "richardson")


def test_a_quotient_is_divided_by_the_distance_really_gone():
    """1e8 + 1e-7 is not exact: with the step itself in the denominator the slope of x would not be 1."""
    value, _ = quotient(lambda x: x.sum(), np.array([1e8]), np.ones(1), 1e-7, 1e-7)
    assert value == 1
    above = 1e8 + 1e-7 - (1e8 - 1e-7)
    assert above / 2e-7 != 1


def test_the_step_is_stretched_by_the_size_of_x():
    for x in (0.0, 1.0, 1e6):
        assert directional(lambda x: (x * x).sum(), np.array([x]), np.ones(1), "central").step == 1e-5 * max(1, x)
    with pytest.raises(ValueError, match="method must be one of complex, richardson, central, got 'guess'"):
        directional(lambda x: x.sum(), np.ones(1), np.ones(1), "guess")


# --------------------------------------------------------------------------- what a method cannot see


def drops_all(x):
    return (x.real**3).sum()


def drops_by_abs(x):
    return np.abs(x).sum()


def drops_a_part(x):
    return (x**2).sum() + 3 * np.var(x)


def drops_half_the_entries(x):
    return (x[:2] ** 2).sum() + (x[2:].real ** 3).sum()


DEAF = {
    drops_all: (lambda x: 3 * x**2, lambda x: 0 * x),
    drops_by_abs: (np.sign, lambda x: 0 * x),
    drops_a_part: (lambda x: 2 * x + 6 * (x - x.mean()) / x.size, lambda x: 2 * x),
    drops_half_the_entries: (lambda x: np.append(2 * x[:2], 3 * x[2:] ** 2), lambda x: np.append(2 * x[:2], 0 * x[2:])),
}


@pytest.mark.parametrize("f", DEAF)
@pytest.mark.parametrize("right", [True, False])
def test_a_function_that_drops_imaginary_parts_never_passes_the_complex_step_and_is_told_what_to_do(f, right):
    """Not even with the gradient that the complex step would see."""
    x = np.array([0.3, -1.2, 0.8, 2.0])
    gradient = DEAF[f][0 if right else 1]
    for method in ("complex", "projection"):
        report = check_gradient(f, x, gradient=gradient, method=method)
        assert (report.passed, report.checks[0].verdict) == (False, "UNPROVED")
        assert "f drops imaginary parts on its way, so the complex step cannot hear it" in str(report)
        assert 'pass method="richardson"' in str(report)
    assert check_gradient(f, x, gradient=gradient, method="richardson").passed == right


def test_a_part_dropped_at_single_entries_alone_is_noticed_too():
    x = RNG.normal(size=40)
    f = lambda x: (x[:30] ** 2).sum() + 1e-7 * (x[30:].real ** 2).sum()  # noqa: E731
    report = check_gradient(f, x, gradient=2 * x * (np.arange(40) < 30))
    assert report.checks[0].verdict == "UNPROVED"
    assert "along 10 entries it finds 0 where" in str(report)


@pytest.mark.parametrize("power", [2, 3, 4, 5])
def test_a_derivative_that_is_truly_zero_is_not_taken_for_deafness(power):
    for x in (np.zeros(3), np.array([0.0, 1.0, 0.0])):
        assert check_gradient(lambda x: (x**power).sum(), x, gradient=lambda x: power * x ** (power - 1)).passed


@pytest.mark.parametrize("f", [lambda x: math.exp(x[0]), lambda x: x.astype(float).sum(), lambda x: np.floor(x).sum()])
def test_a_function_that_refuses_complex_numbers_is_told_what_to_do(f):
    with pytest.raises(TypeError, match=r'complex step needs a function that takes complex .*pass method="richardson"'):
        check_gradient(f, np.array([0.3]), gradient=np.zeros(1))


def test_no_function_that_takes_complex_numbers_is_called_deaf():
    for f, derivative in TAME.values():
        x = RNG.uniform(0.3, 3, size=(3, 4))
        report = check_gradient(lambda x, f=f: f(x).sum(), x, gradient=derivative)
        assert report.passed, f"\n{report}"


ROUGH = {
    "computed in float32": lambda x: (x.astype(np.float32) ** 2).sum(),
    "rounded to float32": lambda x: np.float32((x * x).sum()),
    "on a large offset": lambda x: 1e9 + (x * x).sum(),
}


@pytest.mark.parametrize("rough", ROUGH)
@pytest.mark.parametrize("method", ["richardson", "central"])
def test_a_quotient_that_cannot_tell_fails_the_row_and_says_so(rough, method):
    """Richardson to 1e-6, central to 1e-7: beyond that nothing is proved, and nobody is accused."""
    for seed in range(5):
        x = np.random.default_rng(seed).normal(size=3)
        check = check_gradient(ROUGH[rough], x, gradient=2 * x, method=method).checks[0]
        assert check.verdict == "UNPROVED", f"\n{check}"
        assert "quotient is sure to" in check.doubt or "kink or a jump" in check.doubt
        assert not check_gradient(ROUGH[rough], x, gradient=3 * x, method=method).passed
    assert check_gradient(ROUGH[rough], x, gradient=2 * x, method="richardson", tolerance=1e-2).passed


# --------------------------------------------------------------------------- every method, on layers and networks


@every_method
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_layer_passes_by_every_method(case, method):
    report = check_layer(case.build(3), case.x(2) / 2, entries=6, method=method)
    assert report.passed, f"\n{report}"


@every_method
def test_a_network_passes_by_every_method_and_a_broken_one_by_none(method, monkeypatch):
    model = Sequential([Conv2D(2, 3, stride=2, padding=1), ReLU(), Dropout(0.3), Flatten(), Dense(3)],
                       input_shape=(2, 7, 5), seed=1)  # fmt: skip
    model.compile(loss="cross_entropy")
    x, y = RNG.normal(size=(3, 2, 7, 5)), np.array([0, 2, 1])
    report = check_model(model, x, y, method=method)
    assert report.passed, f"\n{report}"
    assert {check.tolerance for check in report.checks} == {{"richardson": 1e-9, "central": 1e-7}.get(method, 1e-12)}
    right = ops.conv2d_backward

    def upside_down(dy, cache):
        dx, dw, db = right(dy, cache)
        return dx, dw[:, :, ::-1], db

    monkeypatch.setattr(ops, "conv2d_backward", upside_down)
    broken = check_model(model, x, y, method=method)
    assert [check.name for check in broken.checks if not check.passed] == ["conv1.w"]


@pytest.mark.parametrize("difference", ["complex", "richardson", "central"])
def test_projections_ask_by_any_method_three_directions_and_no_entry(difference):
    x, w, dy = RNG.normal(size=(4, 3)), RNG.normal(size=(2, 3)), RNG.normal(size=(4, 2))
    f = lambda x, w: ((x @ w.T) * dy).sum()  # noqa: E731
    report = check_gradient(f, x, w, gradient=(dy @ w, dy.T @ x), method="projection", difference=difference)
    assert report.passed
    assert [(check.method, check.checked) for check in report.checks] == [(difference, 3)] * 2
    assert not check_gradient(f, x, w, gradient=(dy @ w, -dy.T @ x), method="projection", difference=difference).passed


def test_projections_of_a_layer_draw_another_upstream_gradient_each_time(monkeypatch):
    seen = []
    layer = Dense(2)
    backward = layer.backward
    monkeypatch.setattr(layer, "backward", lambda dy: (seen.append(dy.copy()), backward(dy))[1])
    report = check_layer(layer, RNG.normal(size=(4, 3)), method="projection")
    assert report.passed
    assert [check.checked for check in report.checks] == [3, 3, 3]
    assert len(seen) == 3
    assert not np.allclose(seen[0], seen[1])
    assert all((dy > 0).any() and (dy < 0).any() for dy in seen)


def test_an_upstream_gradient_of_ones_hides_a_flipped_dy_and_a_random_one_does_not():
    x, w = RNG.normal(size=(2, 2, 6, 5)), RNG.normal(size=(3, 2, 2, 3))
    shape = ops.conv2d_forward(x, w, None)[0].shape

    def report(dy):
        def flipped(x, w):
            y, cache = ops.conv2d_forward(x, w, None)
            return (y * dy).sum(), ops.conv2d_backward(dy[..., ::-1, ::-1], cache)[:2]

        return check_gradient(flipped, x, w)

    assert report(np.ones(shape)).passed
    assert not report(RNG.normal(size=shape)).passed


class Plain:
    """A student's layer: y = x·w, with nothing of ours."""

    def __init__(self, wrong=1.0):
        self.params = {"w": np.array([[1.0, -2.0], [0.5, 3.0], [-1.5, 0.25]])}
        self.grads = {}
        self.wrong, self.calls = wrong, 0

    def forward(self, x):
        self.x, self.calls = x, self.calls + 1
        return x @ self.params["w"]

    def backward(self, dy):
        self.grads["w"] = self.wrong * self.x.T @ dy
        return dy @ self.params["w"].T


@every_method
def test_a_layer_of_your_own_needs_no_more_than_forward_backward_params_and_grads(method):
    layer, x = Plain(), RNG.normal(size=(4, 3))
    report = check_layer(layer, x, method=method)
    assert report.passed, f"\n{report}"
    assert [check.name for check in report.checks] == ["x", "plain.w"]
    assert (layer.calls, layer.grads) == (0, {})
    broken = check_layer(Plain(wrong=2.0), x, method=method).checks
    assert [check.passed for check in broken] == [True, False]
    assert broken[1].hint.startswith("2 times too large")
    with pytest.raises(TypeError, match=r"needs forward\(x\) and backward\(dy\); object has no forward"):
        check_layer(object(), x)


# --------------------------------------------------------------------------- the sweep


def test_errors_fall_as_h_h2_and_h4_before_rounding_takes_over():
    found = example()
    for method, order, high, low in (("forward", 1, 1e-1, 1e-4), ("central", 2, 1e-1, 1e-3), ("complex", 2, 0.1, 1e-5)):
        a, b = (found.errors[method][found.steps.index(h)] for h in (high, low))
        assert np.log10(a / b) / np.log10(high / low) == pytest.approx(order, abs=0.1)
    f, slope = (lambda x: np.exp(3 * x).sum()), (lambda x: 3 * np.exp(3 * x))
    fine = sweep(f, np.array([1.0]), gradient=slope, steps=(0.1, 0.05))
    a, b = fine.errors["richardson"]
    assert np.log2(a / b) == pytest.approx(4, abs=0.1)


def test_the_best_steps_are_where_theory_says_and_are_told_in_words():
    found = example()
    assert 1e-9 < found.best("forward")[0] < 1e-5
    assert 1e-6 < found.best("central")[0] < 1e-3
    assert 1e-4 < found.best("richardson")[0] < 1e-1
    h, error = found.best("complex")
    assert error < 2e-15
    assert max(found.errors["complex"][found.steps.index(h) :]) < 1e-14
    assert str(found).splitlines()[3].startswith(f"complex     best at h = {h:.0e}, off by ")
    assert str(found).endswith("and at any smaller step")
    assert found.steps[0] == 0.1
    assert found.steps[-1] == 1e-15
    json.dumps(found.as_dict(), allow_nan=False)


def test_a_sweep_of_a_wrong_gradient_says_that_no_step_mends_it():
    found = sweep(lambda x: np.exp(x).sum(), np.array([0.3, 1.0]), gradient=lambda x: 2 * np.exp(x))
    assert "No step brings gradient and function together: the gradient is wrong" in str(found)


def test_a_sweep_goes_without_the_complex_step_where_f_takes_no_complex_numbers():
    found = sweep(lambda x: math.exp(x[0]), np.array([0.3]), gradient=lambda x: np.exp(x))
    assert list(found.errors) == ["forward", "central", "richardson"]
    assert "nan" not in str(sweep(lambda x: np.log(x).sum(), np.array([0.05]), gradient=lambda x: 1 / x))


def test_the_figure_draws_every_method_on_logarithmic_axes():
    found = example()
    ax = tc.plot.gradient_sweep(found).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1]
    for line, errors in zip(lines, found.errors.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), np.maximum(errors, 1e-17))
    assert len({line.get_linestyle() for line in lines}) == 4  # told apart without colour
    tc.plot.gradient_sweep(Sweep((0.1, 0.01), {"central": (math.nan, 0.0)}))


@pytest.mark.slow
def test_the_largest_network_of_the_zoo_is_checked_by_projections():
    model = tc.zoo.resnet8()
    model.compile(loss="cross_entropy")
    x = RNG.normal(size=(2, *model.input_shape))
    assert check_model(model, x, np.array([1, 0]), method="projection").passed


def test_a_network_with_a_pool_is_checked_by_projections_of_either_kind():
    layers = [Conv2D(3, 3, padding=1), MaxPool2D(2), ReLU(), Flatten(), Dense(3)]
    model = Sequential(layers, input_shape=(1, 8, 7), seed=2)
    model.compile(loss="cross_entropy")
    x, y = RNG.normal(size=(2, 1, 8, 7)), np.array([2, 0])
    for difference in ("complex", "richardson"):
        report = check_model(model, x, y, method="projection", difference=difference)
        assert report.passed, f"\n{report}"
        assert all(check.checked == 3 for check in report.checks)


def test_the_programs_of_the_page_run_and_print_what_it_shows(capsys):
    page = (Path(__file__).parent.parent / "docs" / "verify.md").read_text(encoding="utf-8")
    names: dict = {}
    for program in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(compile(program, "verify.md", "exec"), names)
    printed = capsys.readouterr().out
    shown = re.findall(r"```\n(array .*?)```", page, re.DOTALL)
    assert len(shown) == 1
    assert shown[0] in printed
    assert printed.count("WRONG") == 2
    report = check_gradient(lambda x: np.maximum(x, 0).sum(), np.array([1.0, -1, 2, 0]), gradient=np.ones(4))
    assert str(report.kinks[0]) in page
