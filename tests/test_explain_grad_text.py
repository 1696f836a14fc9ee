"""What is printed of an explained gradient, and what is refused in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from explained_networks import NETWORKS, RNG, backward, batch, explained, network

import tinycnn as tc
from tinycnn import (
    Conv2D,
    Dense,
    Flatten,
    Sequential,
    ShapeError,
)

GOLDEN = """\
Conv2D 'conv1': gradient of w[0, 0, 0, 1], over 1 example
  dw[f,c,ti,tj] = Σ[n,u,v] dy[n,f,u,v]·xp[n,c0+c,u·sv+i·dv,v·sh+j·dh]
  = dy[0,0,0,1]·xp[0,0,0,2] = 8·3 = 24
  + dy[0,0,0,0]·xp[0,0,0,1] = 4·2 = 8
  = 32    backward's own value: 32
  dy of conv1 is what flatten1 hands back: dx[n,c,r,q] = dy[n,(c·H+r)·W+q]
    dx[0,0,0,1] = dy[0,1] = 8
    dx[0,0,0,0] = dy[0,0] = 4
  dy of flatten1 is what the loss 'mse' hands back: dx = dy·2·(x − t) / M
    dx[0,1] = dy·2·(x[0,1] − t[0,1]) / M = 1·2·(8 − 0) / 2 = 8
    dx[0,0] = dy·2·(x[0,0] − t[0,0]) / M = 1·2·(5 − 1) / 2 = 4
  every path to the loss, and the derivatives along them:
    w[0,0,0,1] → conv1[0,0,0,1] → flatten1[0,1] → loss
      3 · 1 · 8 = 24
    w[0,0,0,1] → conv1[0,0,0,0] → flatten1[0,0] → loss
      2 · 1 · 4 = 8
"""


def test_the_printed_text(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    model = Sequential([Conv2D(1, (1, 2)), Flatten()], input_shape=(1, 1, 3), dtype=np.float64)
    model.layers[0].params["w"][...] = [[[[1, 2]]]]
    model.compile(loss="mse")
    x, y = np.array([[[1.0, 2.0, 3.0]]]), np.array([1.0, 0.0])
    found = tc.explain_grad(model, x, y, layer="conv1", index=(0, 0, 0, 1), depth=2)
    assert capsys.readouterr().out == GOLDEN == f"{found}\n"
    assert repr(found) == "<explanation of Conv2D 'conv1': gradient of w[0, 0, 0, 1], over 1 example>"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("name", NETWORKS)
def test_it_fits_on_a_screen_and_in_the_terminal(name, columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    model = network(name)
    x, y = batch(model, N=3)
    for path in backward(model, x, y).named_grads():
        layer, weight = path.rsplit(".", 1)
        index = (0,) * model.layer(layer).params[weight].ndim
        lines = str(explained(model, x, y, layer=layer, weight=weight, index=index)).splitlines()
        assert len(lines) <= (36 if columns < 80 else 30)
        if columns >= 80:
            assert max(map(len, lines)) <= columns, "\n".join(lines)


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"layer": "conv9"}, KeyError, "no layer 'conv9'; there are conv1, relu1"),
        ({"weight": "gamma"}, KeyError, "Conv2D 'conv1' has no weight 'gamma'; it has w, b (weight=None explains"),
        ({"layer": "relu1"}, KeyError, "ReLU 'relu1' has no weight 'w'; it has none (weight=None explains"),
        ({"index": (0, 0, 0)}, IndexError, "w of Conv2D 'conv1' has shape (2, 1, 2, 2); index (0, 0, 0) is no place"),
        ({"index": (0, 0, 2, 0)}, IndexError, "index (0, 0, 2, 0) is no place in it"),
        ({"index": (0, -1, 0, 0)}, IndexError, "index (0, -1, 0, 0) is no place in it"),
        ({"weight": None, "index": (2, 0, 0, 0)}, IndexError, "the input of Conv2D 'conv1', with the batch, has shape"),
        ({"index": 0.5}, TypeError, "'float' object cannot be interpreted as an integer"),
        ({"depth": -1}, ValueError, "depth is how many layers onwards, an int of at least 0, got -1"),
        ({"y": np.array([0, 7])}, ValueError, "7"),
        ({"y": np.array([0])}, ShapeError, "x has 2 examples, but y has 1 labels"),
        ({"y": np.array([0.5, 1.0])}, TypeError, "labels"),
        ({"x": np.zeros((2, 1, 3, 4))}, ShapeError, "x must be a batch of (1, 4, 3) examples"),
        ({"x": np.zeros((2, 1, 4, 3), int)}, TypeError, "x must hold float32 or float64"),
        ({"x": np.zeros((0, 1, 4, 3))}, ValueError, "x is empty"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_words(options, kind, said, capsys):
    model = network("conv")
    x, y = batch(model)
    with pytest.raises(kind, match=re.escape(said)):
        tc.explain_grad(model, **{"x": x, "y": y, "layer": "conv1", "index": (0, 0, 0, 0)} | options)
    assert capsys.readouterr().out == ""


def test_a_model_that_is_not_compiled_is_refused_in_words():
    model = Sequential([Dense(2)], input_shape=(3,))
    with pytest.raises(RuntimeError, match="compile the model first"):
        tc.explain_grad(model, np.zeros((1, 3)), np.array([0]), layer="dense1", index=(0, 0))


def test_a_network_that_is_not_built_yet_stays_so():
    model = Sequential([Dense(2)])
    model.compile()
    found = explained(model, np.ones((2, 3)), np.array([0, 1]), layer="dense1", index=(0, 2))
    assert found.value == sum(term.product for term in found.terms)
    assert model.input_shape is None
    assert model.layers[0].params == {}


def test_four_convolutions_are_explained_in_little_time():
    """Every weight reaches the loss on millions of paths; those that carry most are found without the others."""
    layers = [Conv2D(6, 3, padding="same", activation="relu") for _ in range(4)]
    model = Sequential([*layers, Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=0, dtype=np.float64)
    model.compile()
    x, y = RNG.normal(size=(1, 1, 8, 8)), np.array([3])
    found = explained(model, x, y, layer="conv1", index=(2, 0, 1, 1))
    paths = found.paths(limit=20)
    assert len(paths) == 20
    assert paths.total == pytest.approx(found.value, rel=1e-10)
