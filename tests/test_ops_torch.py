"""Every op against PyTorch, forward and backward, over random configurations, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make_golden import RECORDED
from oracles import assert_all_same, assert_same
from strategies import KINKED, conv_cases, drawn_cases, on_the_kinks, score_shapes, seeds

from tinycnn import ops
from tinycnn.verify.cases import CASES, DRAWN, terms_of
from tinycnn.verify.cases.losses import LOSS_CASES

torch = pytest.importorskip("torch")
from torch_reference import REFERENCE, torch_results  # noqa: E402

torch.set_num_threads(1)  # small arrays, and several workers side by side

pytestmark = pytest.mark.torch
NAMES = ("first", "second", "third")


def _agree(name, args, options, grads=(0,), seed=0, terms=None):
    """Our pair and PyTorch's autograd give the same, under the same random dy; `terms(dy)` is what dx cancels from."""
    dy = lambda y: np.random.default_rng(seed).normal(size=np.shape(y))  # noqa: E731
    y, cache = getattr(ops, f"{name}_forward")(*args, **options)
    upstream = dy(y)
    gradients = getattr(ops, f"{name}_backward")(upstream if upstream.ndim else float(upstream), cache)
    theirs, their_gradients = torch_results(name, args, options, grads, lambda y: np.asarray(dy(y)))
    assert_same(y, theirs, what="y:")
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    if terms is not None:
        assert_same(gradients[0], their_gradients[0], terms=terms(abs(upstream)), what="dx:")
        return
    assert_all_same(gradients, their_gradients, NAMES[: len(grads)])


@pytest.mark.parametrize("case", [c for c in CASES if c.name in REFERENCE], ids=str)
def test_every_case_of_the_table_is_pytorchs(case):
    args, options = case.build(seed=5)
    y, cache = case.forward(*args, **options)
    theirs, their_gradients = torch_results(case, args, options, case.grads, lambda y: np.asarray(case.upstream(y)))
    assert_same(y, theirs, what="y:")
    assert_all_same(case.backward(case.upstream(y), cache), their_gradients, map(case.argument_name, case.grads))


@pytest.mark.parametrize("op", DRAWN)
@settings(max_examples=200)
@given(data=st.data())
def test_whatever_is_drawn_is_pytorchs(op, data):
    case = data.draw(drawn_cases(op), label="case")
    _is_pytorchs(case, *case.build())


@pytest.mark.parametrize("op", KINKED)
@given(data=st.data())
def test_at_kinks_and_ties_the_convention_is_pytorchs(op, data):
    case = data.draw(drawn_cases(op), label="case")
    args, options = case.build()
    _is_pytorchs(case, on_the_kinks(args), options)


def _is_pytorchs(case, args, options):
    y, cache = case.forward(*args, **options)
    dy = case.upstream(y)
    theirs, their_gradients = torch_results(case, args, options, case.grads, lambda y: np.asarray(case.upstream(y)))
    y_terms, terms = terms_of(case, args, options, dy)
    assert_same(y, theirs, terms=y_terms, what="y:")
    gradients = zip(case.grads, case.backward(dy, cache), their_gradients, terms, strict=True)
    for position, gradient, their_gradient, its_terms in gradients:
        assert (gradient is None) == (their_gradient is None)
        if gradient is not None:
            what = f"the gradient of {case.argument_name(position)}:"
            assert_same(gradient, their_gradient, terms=its_terms, what=what)


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@given(case=conv_cases())
def test_conv2d_same_at_stride_one_is_pytorchs_own_same(case):
    x, w, b = case.arrays()
    y, _ = ops.conv2d_forward(x, w, b, padding="same", dilation=case.dilation, groups=case.groups)
    tensors = (torch.tensor(a) for a in (x, w, b))
    theirs = torch.nn.functional.conv2d(*tensors, padding="same", dilation=case.dilation, groups=case.groups)
    assert_same(y, theirs.numpy())


@given(shape=score_shapes(), seed=seeds, smoothing=st.floats(0, 0.9), gamma=st.sampled_from([0.0, 1.0, 1.5, 2.0, 5.0]))
def test_the_options_of_the_class_losses(shape, seed, smoothing, gamma):
    rng = np.random.default_rng(seed)
    z, labels = 3 * rng.normal(size=shape), rng.integers(0, shape[1], size=(shape[0], *shape[2:]))
    weights = rng.uniform(0.1, 3, size=shape[1]).tolist()
    options = {"class_weights": weights, "label_smoothing": smoothing}
    total = np.take(weights, labels).sum()
    _agree("cross_entropy", (z, labels), options, seed=seed, terms=lambda dy: 3 * dy / total)
    ignored = int(labels.flat[0])
    if (labels != ignored).any():
        total = np.take(weights, labels[labels != ignored]).sum()
        options |= {"ignore_index": ignored}
        _agree("cross_entropy", (z, labels), options, seed=seed, terms=lambda dy: 3 * dy / total)
    soft, options = ops.softmax_forward(rng.normal(size=shape))[0], options | {"ignore_index": None}
    _agree("cross_entropy", (z, soft), options, seed=seed, terms=lambda dy: 3 * dy / labels.size)
    options = {"gamma": gamma, "class_weights": weights}
    _agree("focal", (z, labels), options, seed=seed, terms=lambda dy: 3 * (1 + gamma) * dy / labels.size)
    _agree("multi_margin", (z, labels), {"margin": smoothing}, seed=seed, terms=lambda dy: dy / labels.size)


def test_every_loss_has_a_reference_and_golden_vectors():
    names = {case.name for case in LOSS_CASES}
    assert names <= set(REFERENCE)
    assert names <= set(RECORDED)


def test_the_extremes_are_pytorchs():
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    for name in ("softmax", "log_softmax"):
        _agree(name, (z,), {})
    _agree("cross_entropy", (z, np.array([1, 2])), {})


def test_nan_and_infinities_in_a_max_pool_are_pytorchs():
    x = np.array([[1, np.nan, -np.inf, -np.inf], [2, 3, -np.inf, -np.inf], [np.inf, 0, 5, 5], [1, np.inf, 5, 5]])
    y, _ = ops.max_pool2d_forward(x[None, None], 2)
    theirs = torch.nn.functional.max_pool2d(torch.tensor(x)[None, None], 2)
    assert_same(y, theirs.numpy())
    _agree("max_pool2d", (x[None, None],), {"kernel_size": 2})
