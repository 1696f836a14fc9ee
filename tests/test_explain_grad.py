"""`explain_grad` takes a gradient's number apart: its terms and its paths to the loss add up to what backward says."""

from __future__ import annotations

import contextlib
import copy
import io
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_cases import CASES, spaced
from strategies import seeds

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    BatchNorm1D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LayerNorm,
    MaxPool2D,
    MaxUnpool2D,
    ReLU,
    Residual,
    Sequential,
    ShapeError,
    Sigmoid,
    SkipConcat,
    Softmax,
    Tanh,
    Upsample2D,
    backend,
)

RNG = np.random.default_rng(0)

NETWORKS = {
    "dense": ([Flatten(), Dense(4), Tanh(), Dense(3)], "cross_entropy"),
    "conv": ([Conv2D(2, 2, stride=(2, 1), padding=1), ReLU(), Flatten(), Dense(3)], "cross_entropy"),
    "groups and flip": ([Conv2D(2, 1), Conv2D(4, (2, 3), groups=2, flip=True), Flatten(), Dense(3)], "cross_entropy"),
    "dilation": ([Conv2D(2, 2, dilation=2), Tanh(), GlobalAvgPool2D(), Dense(3)], "mse"),
    "max pool": ([Conv2D(2, 2, padding="same"), MaxPool2D(3, stride=2, padding=1), Flatten(), Dense(3)], "mse"),
    "avg pool": ([Conv2D(2, 2), AvgPool2D(2, stride=1, padding=1), Flatten(), Dense(3)], "cross_entropy"),
    "batch norm": ([Conv2D(2, 2), BatchNorm2D(), ReLU(), Flatten(), Dense(3), BatchNorm1D()], "cross_entropy"),
    "layer norm": ([Conv2D(2, 2), LayerNorm(), Flatten(), Dense(3)], "cross_entropy"),
    "softmax": ([Flatten(), Dense(3), Softmax()], "categorical_crossentropy"),
    "dropout": ([Conv2D(2, 2), Dropout(0.4), Flatten(), Dense(3), Dropout(0.0)], "cross_entropy"),
    "residual": ([Conv2D(2, 1), Residual([Conv2D(2, 3, padding="same"), ReLU()]), Flatten(), Dense(3)], "mse"),
    "skip": ([Conv2D(2, 1), SkipConcat([Conv2D(1, 3, padding="same"), Tanh()]), Flatten(), Dense(3)], "mse"),
    "nested": ([SkipConcat([Residual([Conv2D(1, 2, padding="same")]), Sequential([Conv2D(1, 1), Tanh()])]),
                GlobalAvgPool2D(), Dense(3)], "mse"),
    "transposed": ([Conv2D(2, 2, stride=2), ConvTranspose2D(2, 3, stride=2, padding=1), Flatten(), Dense(3)], "mse"),
    "unpool": ([Conv2D(2, 2), MaxPool2D(2, name="down"), Conv2D(2, 1), MaxUnpool2D(of="down"), Flatten(), Dense(3)],
               "mse"),
    "upsample": ([Conv2D(2, 2), Upsample2D(2, mode="bilinear"), Flatten(), Dense(3), Sigmoid()],
                 "binary_crossentropy"),
}  # fmt: skip


def network(name: str, dtype=np.float64, **options) -> Sequential:
    """One of these networks, on images (1, 4, 3), with biases and scales that are not trivial."""
    layers, loss = NETWORKS[name]
    model = Sequential(copy.deepcopy(layers), input_shape=(1, 4, 3), seed=5, dtype=dtype)
    rng = np.random.default_rng(6)
    for w in model.named_params().values():
        w[...] = rng.normal(size=w.shape)
    model.compile(loss=loss, optimizer="sgd", **options)
    return model


def batch(model: Sequential, N: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Examples without a kink near, and targets of the kind that the loss takes."""
    x = 0.2 * spaced((N, *model.input_shape), seed=1)
    classes = np.arange(N) % 3
    return x.astype(model.dtype), classes if model.loss.name == "cross_entropy" else np.eye(3)[classes]


def backward(model: Sequential, x, y) -> Sequential:
    """A copy of the network, once it has gone through forward and backward as in a training step."""
    twin = copy.deepcopy(model)
    scores = twin.forward(x, train=True)
    twin.loss.forward(scores, y)
    twin.dx = twin.backward(twin.loss.backward())
    return twin


def explained(*args, **options):
    """What `explain_grad` returns, with what it printed set aside."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tc.explain_grad(*args, **options)


def assert_explains(found, true, tolerance=1e-12):
    """The value, the formula's terms, the shares and the paths are one and the same number."""
    size = max(1.0, sum(abs(term.product) for term in found.terms))
    assert found.value == true
    sums = {"terms": sum(term.product for term in found.terms), "paths": found.paths(limit=None).total,
            "some paths": found.paths(limit=2).total}  # fmt: skip
    if found.cell is not None:
        sums |= {"cell": float(found.cell.value), "cell's terms": sum(float(t.value) for t in found.cell.terms)}
    for what, total in sums.items():
        assert abs(total - true) <= tolerance * size, f"{found.title}: the {what} make {total}, backward {true}"


@pytest.mark.parametrize("name", NETWORKS)
def test_every_gradient_of_every_weight_is_explained_to_the_last_digit(name):
    model = network(name)
    x, y = batch(model)
    for path, dw in backward(model, x, y).named_grads().items():
        layer, weight = path.rsplit(".", 1)
        for index in np.ndindex(dw.shape):
            if dw.size <= 40 or RNG.random() < 0.1:
                found = explained(model, x, y, layer=layer, weight=weight, index=index)
                assert_explains(found, dw[index])
                assert found.paths(limit=None).left_out == 0
                assert found.paths(limit=None).complete


@pytest.mark.parametrize("name", NETWORKS)
def test_the_gradient_of_a_layers_input_is_explained_too(name):
    model = network(name)
    x, y = batch(model)
    dx = backward(model, x, y).dx
    first = model.layers[0].name
    for index in [(0, 0, 0, 0), (1, 0, 3, 2), (0, 0, 2, 1)]:
        assert_explains(explained(model, x, y, layer=first, weight=None, index=index), dx[index])
    short = explained(model, x, y, layer=first, weight=None, index=(0, 2, 1))
    assert short.value == dx[0, 0, 2, 1]  # without the n, the first example


@pytest.mark.parametrize("name", ["conv", "batch norm", "residual", "transposed"])
def test_in_float32_it_agrees_to_rounding(name):
    model = network(name, np.float32)
    x, y = batch(model)
    dw = backward(model, x, y).named_grads()["dense1.w"]
    assert_explains(explained(model, x, y, layer="dense1", index=(1, 2)), dw[1, 2], tolerance=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_behind_every_kind_of_layer_the_paths_go_on(case):
    """dx of each kind of layer, in a network that it stands in the middle of, is the sum of its paths."""
    model = Sequential([case.make(), Flatten(), Dense(2)], input_shape=case.shape, seed=1, dtype=np.float64)
    model.compile(loss="mse")
    x, y = case.x(2), RNG.normal(size=(2, 2))
    dx = backward(model, x, y).dx
    name = model.layers[0].name
    for index in [(0,) * dx.ndim, tuple(s - 1 for s in dx.shape), tuple(s // 2 for s in dx.shape)]:
        assert_explains(explained(model, x, y, layer=name, weight=None, index=index), dx[index])


@st.composite
def small_networks(draw):
    """A few random layers on a small image, a head, and a loss that belongs to it."""
    C, H, W = draw(st.integers(1, 2)), draw(st.integers(3, 5)), draw(st.integers(3, 5))
    layers = []
    for _ in range(draw(st.integers(0, 3))):
        F = draw(st.integers(1, 2))
        kinds = [
            lambda F=F: Conv2D(F, (2, 3), padding="same", stride=draw(st.integers(1, 2)), flip=draw(st.booleans())),
            lambda F=F: Conv2D(F, 1, padding=draw(st.integers(0, 1)), use_bias=False),
            Tanh, ReLU, BatchNorm2D, LayerNorm,
            lambda: MaxPool2D(2, stride=1, padding="same"),
            lambda: AvgPool2D(2, stride=2, padding="same"),
            lambda: Residual([Conv2D(1, 1), Tanh(), Conv2D(channels(layers, C), 1)]),
            lambda F=F: SkipConcat([Conv2D(F, (3, 1), padding="same")]),
            lambda: Upsample2D((1, 2)),
            lambda F=F: ConvTranspose2D(F, 2, stride=draw(st.integers(1, 2))),
        ]  # fmt: skip
        layers.append(draw(st.sampled_from(kinds))())
    return [*layers, Flatten(), Dense(3)], (C, H, W), draw(st.sampled_from(["cross_entropy", "mse"])), draw(seeds)


def channels(layers, C: int) -> int:
    """How many channels these layers make of C."""
    shape = (C, 8, 8)
    for layer in layers:
        shape = copy.deepcopy(layer).infer(shape)
    return shape[0]


@settings(max_examples=25)
@given(case=small_networks())
def test_whatever_the_network_terms_and_paths_add_up_to_the_gradient(case):
    layers, shape, loss, seed = case
    rng = np.random.default_rng(seed)
    model = Sequential(layers, input_shape=shape, seed=seed % 1000, dtype=np.float64)
    model.compile(loss=loss)
    x, y = rng.normal(size=(2, *shape)), rng.integers(0, 3, size=2)
    y = y if loss == "cross_entropy" else np.eye(3)[y]
    for path, dw in backward(model, x, y).named_grads().items():
        layer, weight = path.rsplit(".", 1)
        index = tuple(int(rng.integers(s)) for s in dw.shape)
        found = explained(model, x, y, layer=layer, weight=weight, index=index)
        assert found.value == dw[index]
        some = found.paths(limit=4)
        assert len(some) <= 4
        for total in (float(found.cell.value), sum(term.product for term in found.terms), some.total):
            assert abs(total - dw[index]) <= 1e-11 * max(1.0, sum(abs(term.product) for term in found.terms))


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


def state(model: Sequential) -> list:
    """All that explaining might disturb: the very arrays, caches and generators, and what they hold."""
    found = [id(model.loss._undo), copy.deepcopy(model.optimizer.state), model.optimizer.steps,
             model._rng.bit_generator.state, model._shuffle.bit_generator.state]  # fmt: skip
    for path, layer in model.walk():
        for kind in ("params", "grads", "buffers"):
            found += [(path, kind, k, id(a), a.tobytes()) for k, a in getattr(layer, kind).items()]
        rng = getattr(layer, "rng", None)
        found += [id(layer.cache), id(layer._undo), sorted(vars(layer)), rng and rng.bit_generator.state]
    return found


@pytest.mark.parametrize("name", ["batch norm", "dropout", "unpool", "nested"])
def test_the_model_is_left_exactly_as_it_was(name):
    model = network(name)
    x, y = batch(model)
    model.fit(x, y, epochs=1, verbose=0)
    kept, before = (x.copy(), y.copy()), state(model)
    explained(model, x, y, layer="conv1" if name != "nested" else "skip1.res1.conv1", index=(0, 0, 0, 0))
    assert state(model) == before
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(y, kept[1])


def test_a_dropout_draws_what_the_next_training_step_will_draw():
    model = network("dropout")
    x, y = batch(model)
    found = explained(model, x, y, layer="conv1", index=(0, 0, 1, 1))
    again = explained(model, x, y, layer="conv1", index=(0, 0, 1, 1))
    before = model.layer("conv1").params["w"].copy()
    model.optimizer.lr = 1.0
    model.fit(x, y, epochs=1, batch_size=len(x), shuffle=False, verbose=0)
    step = before - model.layer("conv1").params["w"]
    assert found.value == again.value == pytest.approx(step[0, 0, 1, 1], rel=1e-12)


def test_a_regularisers_pull_is_told_beside_the_gradient():
    model = network("conv", regularizer=tc.optim.L2(0.5))
    x, y = batch(model)
    w = model.layer("conv1").params["w"][0, 0, 1, 1]
    text = str(explained(model, x, y, layer="conv1", index=(0, 0, 1, 1)))
    pull = re.search(r"the regulariser adds (\S+) to it before the step", text)[1]
    assert float(pull.replace("−", "-")) == pytest.approx(2 * 0.5 * w, rel=1e-3)
    assert "regulariser" not in str(explained(model, x, y, layer="conv1", weight="b", index=0))


def test_one_example_is_a_batch_of_one():
    model = network("conv")
    x, y = batch(model)
    one = explained(model, x[0], y[0], layer="conv1", index=(0, 0, 1, 1))
    assert one.value == explained(model, x[:1], y[:1], layer="conv1", index=(0, 0, 1, 1)).value
    assert one.title.endswith("gradient of w[0, 0, 1, 1], over 1 example")


@pytest.mark.parametrize("rung", ["loops", "numpy"])
def test_whichever_rung_computes_it(rung):
    model = network("max pool")
    x, y = batch(model)
    with backend(rung):
        found = explained(model, x, y, layer="conv1", index=(1, 0, 0, 1))
        assert_explains(found, backward(model, x, y).named_grads()["conv1.w"][1, 0, 0, 1])


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
