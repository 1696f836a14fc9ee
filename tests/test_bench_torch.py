"""Both sides of the benchmark do the same: PyTorch's networks and ops are tinycnn's, in both memory formats."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinycnn import Dropout, Sequential, ops
from tinycnn.bench import inputs, ours, theirs
from tinycnn.bench.cases import NETWORKS, OPS
from tinycnn.bench.networks import as_torch, batch_for

pytestmark = pytest.mark.torch


def small(case):
    """A case with few examples and small pictures: the same layers and options."""
    o = dict(case.options)
    if case.what == "network":
        large = {"article003": (3, 40, 40), "unet": (1, 16, 16)}
        more = {"input_shape": large[o["net"]]} if o["net"] in large else {}
        o |= {"batch": 2, "options": o["options"] | more}
    elif "x" in o:
        o["x"] = (2, *o["x"][1:2], *(min(n, 12) for n in o["x"][2:]))
    else:
        o["size"] = 1000
    return case.as_dict() | {"options": o}


@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)
@pytest.mark.parametrize("variant", theirs.FORMATS)
def test_a_network_has_the_same_first_losses(case, variant):
    spec, train = small(case), "train" in case.kinds
    mine = ours.prepare(spec, "numba").check(train)
    assert inputs.same(case.kinds[0], mine, theirs.prepare(spec, variant).check(train))
    if train:
        assert mine[0] > mine[-1]  # it learns: later losses compare the optimizers as well


@pytest.mark.parametrize("case", OPS, ids=lambda case: case.name)
@pytest.mark.parametrize("variant", theirs.FORMATS)
def test_an_op_gives_the_same(case, variant):
    spec = small(case)
    assert inputs.same("op", ours.prepare(spec, "numba").check(False), theirs.prepare(spec, variant).check(False))
    assert inputs.same("op", ours.prepare(spec, "numpy").check(False), theirs.prepare(spec, variant).check(False))


def test_other_weights_are_noticed():
    import torch

    spec = small(NETWORKS[0])
    other = theirs.prepare(spec, "nchw")
    with torch.no_grad():
        other.net[0].weight[0, 0, 0, 0] += 0.1
    assert not inputs.same("train", ours.prepare(spec, "numba").check(True), other.check(True))


@pytest.mark.parametrize("wrong", ["dw2", "db", "dx"])
def test_a_wrong_gradient_is_noticed_even_where_adam_hides_it(wrong, monkeypatch):
    spec = small(NETWORKS[0])
    right = theirs.prepare(spec, "nchw").check(True)
    assert inputs.same("train", ours.prepare(spec, "numpy").check(True), right)
    backward = ops.conv2d_backward

    def broken(dy, cache):
        dx, dw, db = backward(dy, cache)
        return {"dw2": (dx, 1.05 * dw, db), "db": (dx, dw, db * np.float32(2)), "dx": (dx[..., ::-1], dw, db)}[wrong]

    monkeypatch.setattr(ops.conv, "conv2d_backward", broken)
    monkeypatch.setattr(ops, "conv2d_backward", broken)
    found = ours.prepare(spec, "numpy").check(True)
    assert found[0] == right[0] or abs(found[0] - right[0]) < 1e-5
    assert not inputs.same("train", found, right)


def test_losses_that_fall_too_little_are_noticed():
    spec = small(NETWORKS[0])
    right = theirs.prepare(spec, "nchw").check(True)
    slower = ours.Network(spec, "numba")
    slower.model.optimizer.lr *= 0.95
    assert not inputs.same("train", slower.check(True), right)


def test_the_largest_network_is_the_same_in_its_real_size():
    spec = next(case for case in NETWORKS if case.name == "article003").as_dict()
    mine = ours.prepare(spec, "numba").check(True)
    assert max(mine[: inputs.LOSSES]) == mine[0], "a loss that leaps compares nothing but chance"
    assert inputs.same("train", mine, theirs.prepare(spec, "nhwc").check(True))


def test_the_faster_adam_takes_over_without_a_change_of_the_losses():
    other = theirs.prepare(small(NETWORKS[0]), "nchw")
    other.check(True)
    assert other.adam.param_groups[0]["lr"] == inputs.SLOW_RATE
    assert other.adam.param_groups[0].get("fused") in ((True,) if other.fused else (None, False))


def test_a_layer_without_a_twin_is_refused_by_name():
    import torch

    model = Sequential([Dropout(0.5)], input_shape=(3,))
    with pytest.raises(TypeError, match=r"no twin in PyTorch of Dropout\("):
        as_torch(model.layers, torch)


def test_the_batch_is_the_same_at_every_call():
    model = ours.Network(small(NETWORKS[4]), "numpy").model
    a, b = batch_for(model, 3), batch_for(model, 3)
    assert all((p == q).all() for p, q in zip(a, b, strict=True))
    assert a[1].shape == (3, 16, 16)
    assert set(np.unique(a[1])) == {0, 1}


def test_the_command_compares_both_in_turns(capsys):
    from tinycnn import cli

    with pytest.raises(SystemExit) as stopped:
        cli.main(["bench", "--case", "digits", "--seconds", "0.2", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert stopped.value.code == 0
    for r in rows:
        assert r["same_maths"] is True
        assert r["ratio"] > 0
        assert min(r["torch_nchw_ms"], r["torch_nhwc_ms"]) > 0
    assert rows[0]["torch_rss_mb"] > 0
    assert rows[0]["ratio_spread"] is not None
