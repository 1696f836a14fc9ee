"""The derivative of a formula is what the written backward and the complex step say it is; the rest is refused."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import assert_same

from tinycnn.formula import Formula, FormulaError, formulas
from tinycnn.verify.cases import CASES

H = 1e-30  # of the complex step


def _complex_step(entry: Formula, wrt: str, dy, arrays: dict) -> np.ndarray:
    """The gradient of sum(dy·result) by each number of `wrt`, from the formula's own loops."""
    wide = {name: np.asarray(a, complex) for name, a in arrays.items()}
    gradient = np.zeros(wide[wrt].shape)
    for place in np.ndindex(gradient.shape):
        moved = wide[wrt].copy()
        moved[place] += 1j * H
        gradient[place] = np.sum(dy * entry.evaluate(**wide | {wrt: moved})).imag / H
    return gradient


def _assert_derivative(entry: Formula, wrt: str, arrays: dict, seed: int = 0) -> None:
    dy = np.random.default_rng([seed, 5]).normal(size=np.shape(entry.evaluate(**arrays)))
    derived = entry.derivative(wrt).evaluate(dy=dy, **arrays)
    assert_same(derived, _complex_step(entry, wrt, dy, arrays), what=f"d{wrt} of {entry.text}:")


# --------------------------------------------------- the written backwards


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_written_backward_is_what_the_formula_s_derivative_computes(case):
    """No pair of ops is left out: whatever has a backward has a derivative that can be written in the language."""
    args, options = case.build()
    y, cache = case.forward(*args, **options)
    dy = case.upstream(y)
    bound = inspect.signature(case.functions[0]).bind(*args, **options)
    bound.apply_defaults()
    for position, gradient in zip(case.grads, case.backward(dy, cache), strict=True):
        name = case.argument_name(position)
        if gradient is not None:
            derived = formulas[case.name].derivative(name).evaluate(dy=dy, **bound.arguments)
            assert_same(derived, gradient, tol=1e-12, what=f"d{name}:")


READ_ALIKE = [
    "relu", "leaky_relu", "elu", "sigmoid", "tanh", "dropout", "linear", "conv1d", "conv2d", "pad2d", "max_pool2d",
    "min_pool2d", "global_avg_pool2d", "flatten", "reshape", "concat", "upsample_bilinear2d", "max_unpool2d",
]  # fmt: skip


@pytest.mark.parametrize("name", READ_ALIKE)
def test_the_derived_lines_read_as_the_written_ones(name):
    written = formulas[f"{name}_backward"]
    lines = {line for result in written.results for line in formulas[name].derivative(result[1:]).text.splitlines()}
    assert lines == set(written.text.splitlines())


@pytest.mark.parametrize(
    ("name", "wrt", "text"),
    [
        ("mse", "x", "dx = 2·dy·(x − t) / M"),
        ("hinge", "x", "dx = −dy·t·[1 − t·x > 0] / M"),
        ("mae", "x", "dx = dy·([x > t] − [x ≤ t]) / M"),
        ("conv2d", "xp", "dxp[n,c0+c,u·sv+i·dv,v·sh+j·dh] += dy[n,f,u,v]·w[f,c,ti,tj]"),
        ("upsample_nearest2d", "x", "dx[n,c,⌊u/sv⌋,⌊v/sh⌋] += dy[n,c,u,v]"),
        ("avg_pool2d", "x", "total[u,v] = Σ[i,j] counted[u·sv+i,v·sh+j]\n"
         "dxp[n,c,u·sv+i,v·sh+j] += dy[n,c,u,v] / total[u,v]\ndx[n,c,r,q] = dxp[n,c,r+top,q+left]"),
        ("softmax", "z", "total[n,…] = Σ[l] exp(z[n,l,…] − m[n,…])\n"
         "dtotal[n,…] = −(Σ[k] dy[n,k,…]·p[n,k,…]) / total[n,…]\n"
         "dm[n,…] = −(Σ[k] dy[n,k,…]·p[n,k,…] + dtotal[n,…]·total[n,…])\n"
         "dz[n,k,…] = dy[n,k,…]·p[n,k,…] + dtotal[n,…]·exp(z[n,k,…] − m[n,…])\ndz[n,a,…] += dm[n,…]"),
        ("pad2d", "value", "dy[n,c,r+top,q+left] = 0\ndvalue = Σ[n,c,u,v] dy[n,c,u,v]"),
    ],
)  # fmt: skip
def test_what_a_derivative_looks_like(name, wrt, text):
    assert formulas[name].derivative(wrt).text == text


# ------------------------------------------------------- the complex step


@st.composite
def _smooth(draw, depth=3):
    """Expressions in x and w, both positive, that stay away from where a root or a logarithm ends."""
    kind = draw(st.sampled_from(("leaf", "+", "-", "*", "/", "**", "f", "if", "max", "-x"))) if depth else "leaf"
    part = lambda: draw(_smooth(depth=depth - 1))  # noqa: E731
    if kind == "leaf":
        return draw(st.sampled_from(("x", "w", "2", "0.5", "s")))
    if kind == "f":
        name = draw(st.sampled_from(("exp(-{}**2)", "log(1 + ({})**2)", "sqrt(1 + ({})**2)", "tanh({})")))
        return f"({name.format(f'({part()})')})"
    if kind == "if":
        return f"({part()} if {part()} > {part()} else {part()})"
    if kind == "max":
        return f"{draw(st.sampled_from(('max', 'min')))}({part()}, {part()})"
    if kind == "/":
        return f"({part()} / (1 + ({part()})**2))"
    if kind == "**":
        return f"(1 + ({part()})**2)**{draw(st.sampled_from(('2', '3', '0.5', '(-1)', 's')))}"
    return f"(-{part()})" if kind == "-x" else f"({part()} {kind} {part()})"


@given(expression=_smooth(), seed=st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_an_elementwise_derivative_is_the_complex_step(expression, seed):
    entry = Formula("test", (f"y = x*w + {expression}",), shapes="x (...), w (...), s () -> y (...)")
    rng = np.random.default_rng([seed, 3])
    arrays = {"x": rng.uniform(0.2, 0.9, 3), "w": rng.uniform(0.2, 0.9, 3), "s": np.array(1.3)}
    for wrt in ("x", "w"):
        _assert_derivative(entry, wrt, arrays, seed)


ARRAYS = {
    "gathers twice": (("y[n,k] = x[n,k]*x[n,l0]",), "x", "x (N,K) -> y (N,K)", "l0 = K - 1 - k"),
    "sum in a square": (("y[n] = sum[c](x[n,c]*w[c])**2",), "x w", "x (N,C), w (C) -> y (N)", ""),
    "sum times sum": (("y[n] = sum[c](x[n,c]) * sum[c](w[c]*x[n,c])",), "x w", "x (N,C), w (C) -> y (N)", ""),
    "mean in a root": (("y[n] = x[n,0] / sqrt(mean[c](x[n,c]**2) + 1)",), "x", "x (N,C) -> y (N)", ""),
    "chain": (("m[c] = mean[n](x[n,c])", "v[c] = sum[n]((x[n,c] - m[c])**2)", "y[n,c] = exp(x[n,c] - m[c])/v[c]"),
              "x", "x (N,C) -> y (N,C)", ""),
    "log of a sum": (("y[n] = log(sum[k](exp(x[n,k]*w[k])))",), "x w", "x (N,K), w (K) -> y (N)", ""),
    "diagonal": (("y[k] = x[k,k]*w[k] + sum[l](x[l,k])",), "x w", "x (K,K), w (K) -> y (K)", ""),
    "transpose and itself": (("y[k,l] = x[k,l]*x[l,k]",), "x", "x (K,K) -> y (K,K)", ""),
    "largest": (("y[n] = max[k](x[n,k]*w[k])",), "x w", "x (N,K), w (K) -> y (N)", ""),
    "largest times a factor": (("y[n,c] = max[k](x[n]*w[k,c])",), "x w", "x (N), w (K,C) -> y (N,C)", ""),
    "least in a square": (("y[n] = w[n]*min[k](x[n,k])**2",), "x w", "x (N,K), w (N) -> y (N)", ""),
    "largest of sums": (("y[n] = max[k](sum[c](x[n,c]*w[k,c]))",), "x w", "x (N,C), w (K,C) -> y (N)", ""),
    "product": (("y[n] = prod[k](x[n,k] + w[n])",), "x w", "x (N,K), w (N) -> y (N)", ""),
    "scatter": (("p[2*k] += x[n,k]*w[n]", "y[c] = p[c]**2 + p[0]"), "x w", "x (N,K), w (N), p (C) -> y (C)", ""),
    "handed out": (("p[c] += x[n,c]*w[n]", "y[c] = p[c]**2"), "x w p", "x (N,C), w (N), p (C) -> y (C)", ""),
    "written over": (("y[n,c] = w[c]*x[n,c]", "y[n,0] = p[n]"), "x w p", "x (N,C), w (C), p (N) -> y (N,C)", ""),
    "everything": (("y = mean[n,...](exp(w[n]*x[n,...])) - sum[...](x[1,...]**2)",),
                   "x w", "x (N,...), w (N) -> y ()", ""),
    "a choice": (("y[n] = sum[k](x[n,k]) if w[n] > 0 else mean[k](x[n,k]*w[n])",),
                 "x w", "x (N,K), w (N) -> y (N)", ""),
    "a mean of means": (("y = mean[n](mean[c](x[n,c]*w[c])**2)",), "x w", "x (N,C), w (C) -> y ()", ""),
}  # fmt: skip
SIZES = {"N": 2, "C": 5, "K": 3, "...": 4}


@pytest.mark.parametrize("what", ARRAYS)
def test_the_derivative_by_an_array_is_the_complex_step(what):
    lines, wrts, shapes, where = ARRAYS[what]
    entry = Formula("test", lines, where=where, shapes=shapes)
    rng = np.random.default_rng(11)
    arrays = {s: rng.normal(size=[SIZES[d] for d in entry.shapes[s]]) for s in entry.inputs}
    for wrt in wrts.split():
        _assert_derivative(entry, wrt, arrays)


def test_a_derivative_by_an_option_is_one_number():
    entry = formulas["leaky_relu"]
    x, dy = np.array([-2.0, 3.0, -1.0]), np.array([0.5, -7.0, 2.0])
    assert entry.derivative("negative_slope").evaluate(dy=dy, x=x, negative_slope=0.1) == pytest.approx(-1 - 2)


def test_each_result_has_its_own_derivative():
    x, dy = np.random.default_rng(0).normal(size=(4, 2)), np.array([2.0, -1.0])
    by_mean = formulas["batch_statistics"].derivative("x", "mean").evaluate(dy=dy, x=x)
    by_var = formulas["batch_statistics"].derivative("x", result="var").evaluate(dy=dy, x=x)
    assert_same(by_mean, np.broadcast_to(dy / 4, (4, 2)))
    assert_same(by_var, dy * 2 * (x - x.mean(axis=0)) / 3)


def test_what_is_made_on_the_way_has_a_derivative_too():
    z, t = np.random.default_rng(1).normal(size=(3, 4)), np.array([1, 3, 0])
    dlogp = formulas["cross_entropy"].derivative("logp").evaluate(dy=2.0, z=z, t=t)
    assert_same(dlogp, -2 * np.eye(4)[t] / 3)


# ------------------------------------------------------------- conventions


def test_of_two_equals_the_second_is_taken_so_relu_has_slope_0_at_0():
    assert formulas["relu"].derivative("x").evaluate(dy=np.ones(3), x=np.array([-1.0, 0.0, 1.0])).tolist() == [0, 0, 1]
    entry = Formula("test", ("y = min(x, w)",), shapes="x (...), w (...) -> y (...)")
    tie = {"x": np.array([2.0]), "w": np.array([2.0])}
    assert entry.derivative("x").evaluate(dy=np.ones(1), **tie) == [0]
    assert entry.derivative("w").evaluate(dy=np.ones(1), **tie) == [1]


def test_at_a_logit_of_0_the_binary_cross_entropy_has_its_true_slope():
    derived = formulas["binary_cross_entropy_with_logits"].derivative("z")
    assert derived.evaluate(dy=1.0, z=np.zeros(1), t=np.ones(1)) == [-0.5]


def test_of_equals_in_a_window_the_first_gets_all():
    x, dy = np.ones((1, 1, 2, 4)), np.array([[[[3.0, -5.0]]]])
    dx = formulas["max_pool2d"].derivative("x").evaluate(dy=dy, x=x, kernel_size=2)
    assert dx[0, 0].tolist() == [[3, 0, -5, 0], [0, 0, 0, 0]]


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "wrt", "message"),
    [
        ("relu", "w", "relu has no derivative by 'w'; it uses x"),
        ("relu_backward", "x", "relu_backward is a derivative already: take that of relu"),
        ("max_pool2d_indices", "xp", "max_pool2d_indices has no derivative by 'xp'"),
        ("max_unpool2d", "indices", "max_unpool2d has no derivative by 'indices'"),
        ("one_hot", "labels", r"\[k == labels\[n\]\] changes in steps"),
        ("dropout_mask", "draw", "changes in steps"),
        ("conv2d_macs", "C", "C // groups changes in steps"),
        ("sgd", "w", "sgd makes w anew from what it was"),
        ("derivative", "x", r"the derivative of lim\[h\].* is not known by its formula"),
        ("fundamental_theorem", "b", r"the derivative of F\(b\) is not known by its formula"),
        ("fundamental_theorem", "F", "no derivative by 'F'"),
        ("true_convolution", "x", r"x\[u - i, v - j\] is read only under a condition"),
        ("receptive_field", "stride", "needs a second index"),
    ],
)
def test_what_has_no_derivative_is_refused_in_words(name, wrt, message):
    with pytest.raises(FormulaError, match=message):
        formulas[name].derivative(wrt)


@pytest.mark.parametrize(
    ("line", "shapes", "message"),
    [
        ("y = floor(x)", "x (...) -> y (...)", "a floor changes in steps"),
        ("y = argmax[k](x[k])", "x (K) -> y ()", "argmax says where the largest is, in whole steps"),
        ("y[n] = w[x[n]]", "x (N), w (K) -> y (N)", "says which place of w is read"),
        ("y[x[n]] = x[n]", "x (N) -> y (K)", "y is written where x says"),
        ("y[n] = 1 if x[n] > 0 else 0", "x (N) -> y (N)", "y changes with x in steps alone"),
        ("y = max[...](x[...])", "x (...) -> y ()", "a place on axes that are not named"),
        ("z = x*w", "x (), w () -> y ()", "makes z, and no 'y'"),
        ("y = x*dx", "x (), dx () -> y ()", "the gradient of x would be dx, which is taken"),
        ("y[n] = sum[l](w[l]*prod[k](x[n,k]))", "x (N,K), w (K) -> y (N)", "l would run twice at once"),
        ("y[n] = sum[c](x[n]) + sum[c](w[c])", "x (N), w (C) -> y (N)", "nothing in dx would tell how far index c"),
    ],
)
def test_what_the_form_does_not_allow_is_refused_in_words(line, shapes, message):
    entry = Formula("test", (line,), shapes=shapes)
    with pytest.raises(FormulaError, match=message):
        entry.derivative("x")


def test_a_result_that_does_not_depend_on_it_is_refused():
    entry = Formula("test", ("m[n] = x[n]*w[n]", "y[n] = w[n]"), shapes="x (N), w (N) -> y (N)")
    with pytest.raises(FormulaError, match="in test, y does not depend on x"):
        entry.derivative("x")
    assert entry.derivative("x", "m").text == "dx[n] = dm[n]·w[n]"  # there is a y, and its gradient is not meant


def test_what_depends_on_it_outside_of_the_statements_is_refused():
    given = lambda names: {"half": names["s"] / 2}  # noqa: E731
    entry = Formula("test", ("y[n] = half*x[n]*s",), where="half = s/2", shapes="x (N), s () -> y (N)", given=given)
    with pytest.raises(FormulaError, match="test is given half, which depends on s outside of its statements"):
        entry.derivative("s")
    assert entry.derivative("x").text == "dx[n] = dy[n]·half·s"
    with pytest.raises(FormulaError, match="contrast is given gray, which depends on x"):
        formulas["contrast"].derivative("x")


def test_two_uses_of_one_place_that_cannot_be_told_apart_are_refused():
    entry = Formula("test", ("y[n] = x[n]*w[n]", "y[w0] = x[0]**2"), shapes="x (N), w (N), w0 () -> y (N)")
    with pytest.raises(FormulaError, match="test may write twice to one place of y, and use both"):
        entry.derivative("x")
    assert entry.derivative("w").text == "dy[w0] = 0\ndw[n] = dy[n]·x[n]"


# ------------------------------------------------------ a formula like any


def test_a_derivative_is_a_formula_that_prints_and_is_not_in_the_table():
    before = list(formulas)
    derived = formulas["linear"].derivative("w")
    assert list(formulas) == before
    assert (derived.name, derived.results, derived.parent) == ("linear_dw", ("dw",), formulas["linear"])
    assert derived.source == formulas["linear"].source
    assert derived.shapes_text == "dy (N, F) → dw (F, C)"
    assert derived.latex.startswith(r"\frac{\partial \mathcal{L}}{\partial w_{f,c}} = \sum_{n}")
    assert "for n in range(size_n):" in derived.loops
    assert derived.terms((0, 1), dy=np.ones((2, 3)), x=np.ones((2, 4)), w=np.ones((3, 4)), b=None).text() == "1·1 + 1·1"


def test_every_gradient_of_a_chain_is_printed_as_one():
    latex = formulas["cross_entropy"].derivative("z").latex
    assert r"\frac{\partial \mathcal{L}}{\partial \mathrm{logp}_{n,k,\dots}} &= -\frac{\mathrm{dy}\," in latex


def test_a_gradient_that_is_one_number_is_printed_as_a_gradient_and_a_loss_s_own_is_not():
    assert formulas["mse"].derivative("x").latex.count(r"\partial \mathcal{L}") == 1
    by_slope = formulas["leaky_relu"].derivative("negative_slope").latex
    assert by_slope.startswith(r"\frac{\partial \mathcal{L}}{\partial \mathrm{negative\_slope}} = \sum_{\dots}")


def test_a_derivative_refuses_a_misspelt_option_and_a_dy_of_another_shape():
    derived = formulas["conv2d"].derivative("w")
    arrays = {"x": np.ones((1, 1, 3, 3)), "w": np.ones((2, 1, 2, 2)), "b": None}
    with pytest.raises(FormulaError, match="has no 'strides'"):
        derived.evaluate(dy=np.ones((1, 2, 2, 2)), strides=2, **arrays)
    with pytest.raises(FormulaError, match="dy has shape"):
        derived.evaluate(dy=np.ones((1, 3, 2, 2)), **arrays)


def test_where_an_input_is_called_y_the_upstream_gradient_is_that_of_the_result():
    derived = formulas["covariance"].derivative("y")
    assert "dCovXY" in derived.text
    rng = np.random.default_rng(0)
    x, y, p = rng.normal(size=4), rng.normal(size=4), np.full(4, 0.25)
    assert_same(derived.evaluate(dCovXY=2.0, x=x, y=y, p=p), 2 * (x - x.mean()) / 4)
