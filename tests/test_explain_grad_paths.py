"""The paths along which a gradient comes back: what each carries, and that together they are all of it."""

from __future__ import annotations

import numpy as np
import pytest
from explained_networks import RNG, assert_explains, backward, batch, explained, network

import tinycnn as tc
from tinycnn import (
    Dense,
    ReLU,
    Sequential,
)


def test_the_products_along_each_path_are_the_derivatives_of_a_network_worked_by_hand():
    """x → ·2 → relu → ·3 and ·(−5) → squared error: two paths."""
    model = Sequential([Dense(1, use_bias=False), ReLU(), Dense(2, use_bias=False)], input_shape=(1,), dtype=np.float64)
    model.layers[0].params["w"][:] = 2
    model.layers[2].params["w"][:] = [[3], [-5]]
    model.compile(loss="mse")
    found = explained(model, np.array([[7.0]]), np.array([[40.0, -71.0]]), layer="dense1", index=(0, 0))
    # the hidden number is 14, the outputs 42 and −70: dL/dy = 2·(y − t)/2 = 2 and 1
    first, second = found.paths(limit=None)
    assert [(step.layer, step.index, step.derivative) for step in first.steps] == [
        ("dense1", (0, 0), 7.0), ("relu1", (0, 0), 1.0), ("dense2", (0, 0), 3.0)]  # fmt: skip
    assert (first.at_loss, first.product) == (2.0, 42.0)
    assert [(step.layer, step.index, step.derivative) for step in second.steps][-1] == ("dense2", (0, 1), -5.0)
    assert (second.at_loss, second.product) == (1.0, -35.0)
    assert found.value == 7.0
    (term,) = found.terms
    assert (term.index, term.derivative, term.upstream, term.product) == ((0, 0), 7.0, 1.0, 7.0)


def test_a_weight_has_a_term_for_every_output_it_touches_with_the_number_it_met_there():
    model = network("conv")
    x, y = batch(model)
    found = explained(model, x, y, layer="conv1", index=(1, 0, 1, 0))
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    OH, OW = model.layers[0].output_shape[1:]
    assert [term.index for term in found.terms] == [(n, 1, u, v) for n, u, v in np.ndindex(2, OH, OW)]
    for term in found.terms:
        n, _, u, v = term.index
        assert term.derivative == xp[n, 0, 2 * u + 1, v]
        assert term.product == term.derivative * term.upstream


def test_round_a_residual_the_gradient_comes_back_two_ways_and_adds():
    model = network("residual")
    x, y = batch(model)
    found = explained(model, x, y, layer="res1", weight=None, index=(1, 0, 2, 1))
    twin = backward(model, x, y)
    dy = explained(model, x, y, layer="flatten1", weight=None, index=(1, 0, 2, 1)).value
    through = explained(model, x, y, layer="res1.conv1", weight=None, index=(1, 0, 2, 1)).value
    assert found.value == pytest.approx(dy + through, rel=1e-12)
    routes = [[step.layer for step in path.steps] for path in found.paths(limit=None)]
    assert ["res1", "flatten1", "dense1"] in routes
    assert all(route[:3] == ["res1.conv1", "res1.relu1", "res1"] or route[0] == "res1" for route in routes)
    assert "dx = dy + f.backward(dy)" in str(found)
    assert twin.layer("res1.conv1").grads["w"].shape == (2, 2, 3, 3)


def test_a_path_that_a_relu_cuts_carries_nothing_and_is_none():
    model = Sequential([Dense(2, use_bias=False), ReLU(), Dense(1)], input_shape=(1,), dtype=np.float64)
    model.layers[0].params["w"][:] = [[-1], [1]]
    model.compile(loss="mse")
    x, y = np.array([[1.0]]), np.array([[9.0]])
    dead = explained(model, x, y, layer="dense1", index=(0, 0))
    assert (dead.value, len(dead.paths()), dead.paths().left_out) == (0.0, 0, 0.0)
    assert "no path carries anything to the loss" in str(dead)
    alive = explained(model, x, y, layer="dense1", index=(1, 0))
    assert len(alive.paths(limit=None)) == 1
    assert alive.value != 0


def test_with_a_limit_the_heaviest_paths_are_told_and_the_others_summed():
    model = network("conv")
    x, y = batch(model)
    found = explained(model, x, y, layer="conv1", index=(0, 0, 0, 1))
    every = sorted((path.product for path in found.paths(limit=None)), key=abs, reverse=True)
    assert len(every) > 6
    few = found.paths(limit=3)
    assert len(few) == 3
    assert not few.complete
    assert few.left_out == pytest.approx(found.value - sum(path.product for path in few), rel=1e-12)
    assert [path.product for path in few] == sorted((p.product for p in few), key=abs, reverse=True)
    assert {path.product for path in few} <= set(every)
    with pytest.raises(ValueError, match="limit must be at least 1, or None"):
        found.paths(limit=0)


class Squared(tc.layers.Layer):
    """A layer of the user's own: its backward is its own, and no formula is declared for it."""

    kind = "squared"

    def forward(self, x, train=False):
        """y = x²."""
        self.cache = x
        return x * x

    def backward(self, dy):
        """dx = 2x·dy."""
        return 2 * self.cache * dy


def test_paths_end_at_a_layer_without_a_formula_with_the_gradient_that_it_hands_back():
    model = Sequential([Dense(2), Squared(), Dense(3)], input_shape=(2,), dtype=np.float64)
    model.compile()
    x, y = RNG.normal(size=(2, 2)), np.array([0, 2])
    found = explained(model, x, y, layer="dense1", index=(1, 0))
    assert_explains(found, backward(model, x, y).named_grads()["dense1.w"][1, 0])
    assert {path.steps[-1].layer for path in found.paths()} == {"dense1"}
    assert "(no formula is declared for it)" in str(found)
    with pytest.raises(ValueError, match="Squared 'squared1': no formula is declared that makes the gradient of its"):
        tc.explain_grad(model, x, y, layer="squared1", weight=None, index=(0, 1))
