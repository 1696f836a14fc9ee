"""Batch, layer and group norm against PyTorch, and the running statistics step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import assert_all_same, assert_same
from strategies import norm_shapes, seeds

from tinycnn.ops import (
    batch_norm_backward,
    batch_norm_forward,
    batch_statistics,
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
    running_update,
)

torch = pytest.importorskip("torch")
from torch_reference import torch_results  # noqa: E402

pytestmark = pytest.mark.torch


def _agree(name, forward, backward, args, positions, rng):
    y, cache = forward(*args)
    dy = rng.normal(size=y.shape)
    theirs, gradients = torch_results(name, args, {}, positions, lambda y: dy)
    assert_same(y, theirs, what=f"{name}:")
    dx, *others = backward(dy, cache)
    assert_same(dx, gradients[0], terms=10 * abs(cache[1]).max(), what=f"{name}, dx:")  # cache[1] is rstd
    assert_all_same(others, gradients[1:], ("gamma", "beta"))


@given(shape=norm_shapes(), seed=seeds, groups=st.integers(1, 3), each=st.integers(1, 2))
def test_pytorch_says_the_same(shape, seed, groups, each):
    rng = np.random.default_rng(seed)
    N, C, *rest = shape
    x, weights = rng.normal(1, 2, size=shape), [rng.normal(size=C) for _ in range(3)]
    batch = (batch_norm_forward, batch_norm_backward)
    _agree("batch_norm", *batch, (x, *weights[:2]), (0, 1, 2), rng)
    _agree("batch_norm", *batch, (x, *weights, rng.uniform(0.5, 2, size=C)), (0, 1, 2), rng)
    x, gamma, beta = (rng.normal(size=s) for s in ((N, 3, *rest, 2), (3, *rest, 2), (3, *rest, 2)))
    _agree("layer_norm", layer_norm_forward, layer_norm_backward, (x, gamma, beta), (0, 1, 2), rng)
    x, gamma, beta = (rng.normal(size=s) for s in ((N, groups * each, *rest, 3), groups * each, groups * each))
    _agree("group_norm", group_norm_forward, group_norm_backward, (x, groups, gamma, beta), (0, 2, 3), rng)


def test_the_running_statistics_are_pytorchs_step_by_step():
    theirs = torch.nn.BatchNorm2d(3, momentum=0.3, dtype=torch.float64)
    rng, mean, var = np.random.default_rng(0), np.zeros(3), np.ones(3)
    for _ in range(5):
        x = rng.normal(2, 3, size=(2, 3, 4, 2))
        theirs(torch.tensor(x))
        batch_mean, batch_var = batch_statistics(x)
        mean, var = running_update(mean, batch_mean, 0.3), running_update(var, batch_var, 0.3)
        assert_all_same((mean, var), (theirs.running_mean.numpy(), theirs.running_var.numpy()), ("mean", "var"))
    y, _ = batch_norm_forward(x, np.ones(3), np.zeros(3), mean, var)
    assert_same(y, theirs.eval()(torch.tensor(x)).detach().numpy())
