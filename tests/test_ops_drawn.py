"""Every op in configurations that nobody chose: each is held to its formula, to numerical derivatives, to its adjoint.

An error is relative to the sum of the absolute terms that a number is made of (tinycnn/verify/cases/terms.py); where
nothing cancels, to the largest number.
"""

from __future__ import annotations

import inspect
import os
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import EXACT, assert_same, inner
from strategies import KINKED, drawn_cases, on_the_kinks

from tinycnn.verify.cases import CASES, DRAWN, NumpyChooser, OpCase, draw_case, terms_of
from tinycnn.verify.differences import directional

RICHARDSON, RICHARDSON_WORST = 1e-9, 1e-6  # where the method itself doubts more than the second, nothing is proved
ENTRIES = 3


class Run:
    """A case that was run forward and backward once, with the terms that its results are made of."""

    def __init__(self, case: OpCase, changed=lambda args: args):
        self.case = case
        args, self.options = case.build()
        self.args = changed(args)
        self.y, cache = case.forward(*self.args, **self.options)
        self.dy = case.upstream(self.y)
        self.gradients = case.backward(self.dy, cache)
        self.y_terms, self.terms = terms_of(case, self.args, self.options, self.dy)

    def value(self, position, argument):
        """Σ dy·(y − y₀), with another array in the place of one argument; y₀ is y as it was, so that no y that the
        argument has nothing to do with leaves its rounding in the sum."""
        return ((self.forward(position, argument) - self.y) * self.dy).sum()

    def rounding(self, position, v):
        """How far that may be off because the numbers of y that change along v are rounded."""
        changed = np.imag(self.forward(position, self.args[position] + 1e-30j * v)) != 0
        size = abs(self.y) if self.y_terms is None else self.y_terms
        return np.finfo(np.float64).eps * inner(changed * size, abs(self.dy))

    def forward(self, position, argument):
        args = (*self.args[:position], argument, *self.args[position + 1 :])
        return self.case.forward(*args, **self.options)[0]

    def learned(self):
        """(position, its name, gradient, terms or None) of every argument that has a gradient."""
        assert len(self.gradients) == len(self.case.grads)
        for position, gradient, terms in zip(self.case.grads, self.gradients, self.terms, strict=True):
            name = self.case.argument_name(position)
            assert (gradient is None) == (self.args[position] is None), f"{name} or its gradient is missing"
            if gradient is not None:
                assert gradient.shape == self.args[position].shape, f"the gradient of {name} has another shape"
                yield position, name, gradient, terms


EXAMPLES = int(os.environ.get("TINYCNN_EXAMPLES", "40"))  # of each op; `.ci/run` asks for 200


def assert_near(found: float, expected: float, scale: float, what: str, tolerance: float = EXACT) -> None:
    """One number; where the terms are all 0, it must be exactly right."""
    error = abs(found - expected)
    assert error <= tolerance * scale, f"{what}: {found:.9g}, expected {expected:.9g}, {error:.2g} off of {scale:.2g}"


def assert_nothing_is_changed(case: OpCase) -> None:
    args, options = case.build()
    arrays = [a for a in args if isinstance(a, np.ndarray)]
    before = [a.tobytes() for a in arrays]
    y, cache = case.forward(*args, **options)
    dy = case.upstream(y)
    dy_before = np.asarray(dy).tobytes()
    case.backward(dy, cache)
    assert [a.tobytes() for a in arrays] == before, "an argument was changed in place"
    assert np.asarray(dy).tobytes() == dy_before, "dy was changed in place"


def assert_is_the_formula_walked(run: Run) -> None:
    forward, backward = run.case.twins()
    y, cache = forward(*run.args, **run.options)
    assert_same(run.y, y, terms=run.y_terms, what="y against its formula:")
    for (_, name, gradient, terms), walked in zip(run.learned(), _given(backward(run.dy, cache)), strict=True):
        assert_same(gradient, walked, terms=terms, what=f"the gradient of {name} against its formula:")


def _given(gradients):
    return [g for g in gradients if g is not None]


def assert_is_the_derivative(run: Run) -> None:
    rng = np.random.default_rng(run.case.seed)
    for position, name, gradient, terms in run.learned():
        x, f = run.args[position], lambda a, p=position: run.value(p, a)
        v = rng.normal(size=x.shape)
        expected, scale = inner(gradient, v), inner(abs(gradient) if terms is None else terms, abs(v))
        found = directional(f, x, v, "complex").value
        assert_near(expected, found, scale, f"d{name} in a random direction, against the complex step")
        found = directional(f, x, v, "richardson")
        doubt = max(found.uncertainty, run.rounding(position, v) / found.step) / scale if scale else 0.0
        assert doubt <= RICHARDSON_WORST, f"Richardson in {name} is sure to {doubt:.2g} only: no proof"
        what = f"d{name} in a random direction, against Richardson"
        assert_near(expected, found.value, scale or 1.0, what, max(RICHARDSON, doubt))
        for flat in rng.permutation(x.size)[:ENTRIES]:
            at = tuple(map(int, np.unravel_index(flat, x.shape)))
            unit = np.zeros(x.shape)
            unit[at] = 1.0
            scale = float(abs(gradient).max() if terms is None else terms[at])
            what = f"d{name}{list(at)} against the complex step"
            assert_near(gradient[at], directional(f, x, unit, "complex").value, scale, what)


def assert_backward_is_the_adjoint(run: Run) -> None:
    """⟨Ax, dy⟩ = ⟨x, Aᵀdy⟩, where a bias is left out: with one, forward is not linear."""
    case = run.case
    args = tuple(None if case.argument_name(p) == "b" else a for p, a in enumerate(run.args))
    y, cache = case.forward(*args, **run.options)
    dx = case.backward(run.dy, cache)[0]
    terms, _ = terms_of(case, args, run.options, run.dy)
    what = "⟨x, Aᵀdy⟩ against ⟨Ax, dy⟩"
    assert_near(inner(args[0], dx), inner(y, run.dy), inner(terms, abs(run.dy)), what)


@pytest.mark.parametrize("op", DRAWN)
@settings(max_examples=EXAMPLES)
@given(data=st.data())
def test_whatever_is_drawn_is_its_formula_and_its_derivative(op, data):
    case = data.draw(drawn_cases(op), label="case")
    assert_nothing_is_changed(case)
    run = Run(case)
    if case.twin:
        assert_is_the_formula_walked(run)
    assert_is_the_derivative(run)
    if case.linear:
        assert_backward_is_the_adjoint(run)


@pytest.mark.parametrize("op", KINKED)
@given(data=st.data())
def test_at_kinks_and_ties_the_gradient_is_what_the_formula_says(op, data):
    assert_is_the_formula_walked(Run(data.draw(drawn_cases(op), label="case"), on_the_kinks))


def test_every_op_of_the_table_can_be_drawn():
    assert set(DRAWN) == {case.name for case in CASES}


def drawn(op, many=300):
    chooser = NumpyChooser(np.random.default_rng(1))
    return [draw_case(op, chooser) for _ in range(many)]


@pytest.mark.parametrize("op", DRAWN)
def test_what_is_drawn_sets_every_option_there_is_to_values_of_several_kinds(op):
    kinds = defaultdict(set)
    for case in drawn(op):
        for parameter, kind in case.parameters.items():
            kinds[parameter].add(kind)
    parameters = inspect.signature(case.functions[0]).parameters
    assert set(kinds) <= set(parameters)
    assert set(kinds) >= {name for name, p in parameters.items() if p.default is not p.empty}
    assert all(len(seen) > 1 for seen in kinds.values()), dict(kinds)


NUMBER = {"1", "> 1", "per axis"}
STRIDE = {*NUMBER, "over the kernel"}
PADDING = {"0", "> 0", "pair", "four sides", "same", "valid"}
YES_NO = {"True", "False"}
AXES = {"rows", "sequences", "images"}
CONV = {"w": {"square", "oblong"}, "stride": STRIDE, "padding": PADDING, "dilation": NUMBER,
        "groups": {"1", "> 1", "depthwise"}, "b": {"none", "given"}}  # fmt: skip
POOL = {"kernel_size": {"square", "oblong"}, "stride": {*STRIDE, "none"}, "padding": PADDING, "ceil_mode": YES_NO}
LABELS = {"labels", "column", "one-hot"}
EVERY_KIND = {
    "conv2d": CONV | {"flip": YES_NO},
    "conv1d": {"stride": STRIDE - {"per axis"}, "padding": PADDING - {"pair", "four sides"} | {"two sides"},
               "dilation": NUMBER - {"per axis"}, "groups": CONV["groups"], "b": CONV["b"], "flip": YES_NO},
    "conv_transpose2d": CONV | {"output_padding": {"0", "> 0", "per axis"}},
    "max_pool2d": POOL | {"dilation": NUMBER},
    "min_pool2d": POOL | {"dilation": NUMBER},
    "avg_pool2d": POOL | {"count_include_pad": YES_NO},
    "pad2d": {"padding": PADDING - {"same", "valid"}, "value": {"0.0", "-1.5"}},
    "batch_norm": {"x": AXES, "mean": {"given", "the batch's"}, "var": {"given", "the batch's"},
                   "eps": {"1e-05", "0.001", "0.1"}},
    "group_norm": {"x": AXES, "groups": {"1", "> 1", "each channel"}, "eps": {"1e-05", "0.001", "0.1"}},
    "upsample_bilinear2d": {"scale": NUMBER, "align_corners": YES_NO},
    "cross_entropy": {"z": AXES, "t": {*LABELS, "soft"}, "class_weights": {"none", "given"},
                      "label_smoothing": {"0.0", "0.1", "0.6"}, "ignore_index": {"none", "a class", "no class"}},
    "focal": {"z": AXES, "t": {*LABELS, "soft"}, "class_weights": {"none", "given"},
              "gamma": {"0.0", "1.0", "1.5", "2.0", "5.0"}},
    "multi_margin": {"z": AXES, "t": LABELS, "margin": {"0.5", "1.0", "2.0"}},
    "dice": {"p": AXES, "t": {"answers", "soft"}, "smooth": {"0.0", "0.5", "1.0"}},
}  # fmt: skip


@pytest.mark.parametrize("op", EVERY_KIND)
def test_every_kind_of_value_comes_up(op):
    cases = drawn(op)
    for parameter, kinds in EVERY_KIND[op].items():
        assert {case.parameters[parameter] for case in cases} == kinds, parameter


def test_a_case_is_drawn_again_from_the_same_seed_and_says_what_it_is():
    once, again, other = (draw_case("conv2d", NumpyChooser(np.random.default_rng(seed))) for seed in (4, 4, 5))
    assert repr(once) == repr(again) != repr(other)
    for a, b in zip(once.build()[0], again.build()[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(once.build(seed=0)[0][0], once.build(seed=1)[0][0])
    (x, w, _), options = once.build()
    assert once.variant.startswith(f"x {'×'.join(map(str, x.shape))}, w {'×'.join(map(str, w.shape))}")
    assert f"stride {options['stride']}" in once.variant or options["stride"] == 1


def test_an_op_that_is_not_there_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="no op 'conv3d'; did you mean 'conv2d'"):
        draw_case("conv3d", NumpyChooser(np.random.default_rng(0)))


@pytest.mark.parametrize("op", DRAWN)
def test_the_terms_behind_a_number_are_no_less_than_it(op):
    sums = defaultdict(lambda: np.zeros(2))
    for case in drawn(op, 40):
        run = Run(case)
        assert run.y_terms is None or (run.y_terms >= abs(run.y) * (1 - EXACT)).all()
        for _, name, gradient, terms in run.learned():
            assert terms is None or (terms >= abs(gradient) * (1 - EXACT)).all(), name
            assert terms is None or terms.shape == gradient.shape, name
            sums[name] += abs(gradient).sum(), 0 if terms is None else terms.sum()
    assert all(terms <= 30 * gradients for gradients, terms in sums.values()), "such terms would hide an error"
