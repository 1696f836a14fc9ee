"""`explain` takes a number of a layer's output apart: its terms add up, and to what the layer itself computed."""

from __future__ import annotations

import contextlib
import io
import re

import numpy as np
import pytest
from layer_cases import CASES

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Sequential,
    ShapeError,
    Softmax,
    backend,
)

RNG = np.random.default_rng(0)

EXPLAINED = {
    "plain": lambda: Conv2D(3, (2, 3)),
    "stride": lambda: Conv2D(2, 3, stride=(2, 3)),
    "padding": lambda: Conv2D(2, 3, padding=(1, 2), stride=2),
    "same": lambda: Conv2D(2, (3, 2), padding="same", stride=2),
    "four sides": lambda: Conv2D(2, 3, padding=(2, 0, 0, 1)),
    "dilation": lambda: Conv2D(2, 2, dilation=(2, 3)),
    "groups": lambda: Conv2D(4, 2, groups=2),
    "flip": lambda: Conv2D(2, (2, 3), flip=True, padding=1),
    "flip and groups": lambda: Conv2D(2, 2, groups=2, flip=True, stride=2),
    "no bias": lambda: Conv2D(2, 2, use_bias=False),
    "max": lambda: MaxPool2D(2),
    "max, padded": lambda: MaxPool2D(3, stride=2, padding=1),
    "max, ceil": lambda: MaxPool2D((3, 2), stride=2, ceil_mode=True),
    "min": lambda: MinPool2D((2, 3), stride=1),
    "min, padded": lambda: MinPool2D(3, stride=2, padding=1),
    "avg": lambda: AvgPool2D((3, 2)),
    "avg, padded": lambda: AvgPool2D(3, stride=2, padding=1),
    "avg, border counted": lambda: AvgPool2D(3, stride=2, padding=1, count_include_pad=True),
    "global": GlobalAvgPool2D,
}
SUMS = [name for name in EXPLAINED if not name.startswith(("max", "min", "avg", "global"))]


def network(make) -> Sequential:
    """This layer on images (4, 5, 7), with a bias that is not zero."""
    layer = make()
    layer.name = "it"
    model = Sequential([layer], input_shape=(4, 5, 7), seed=3)
    for key, w in model.named_params().items():
        w[...] = RNG.normal(size=w.shape) if key.endswith(".b") else w
    return model


def corners(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The first place, the last, and one in the middle: where borders are and are not."""
    return sorted({(0,) * len(shape), tuple(s - 1 for s in shape), tuple(s // 2 for s in shape)})


@pytest.mark.parametrize("name", EXPLAINED)
@pytest.mark.parametrize("rung", ["numpy", "loops"])
def test_the_explained_value_is_the_layers_own(name, rung, capsys):
    model = network(EXPLAINED[name])
    x = RNG.normal(size=(1, 4, 5, 7)).astype(np.float32)
    y = model.predict(x)[0]
    with backend(rung):
        for index in corners(y.shape):
            found = tc.explain(model, x, layer="it", index=index)
            assert found.value == pytest.approx(y[index], rel=1e-6, abs=1e-6)
            assert found.cell.value == pytest.approx(y[index], rel=1e-5, abs=1e-5)
    assert capsys.readouterr().out.count("the layer's own value") == len(corners(y.shape))


@pytest.mark.parametrize("name", SUMS)
def test_the_terms_of_a_convolution_add_up_to_its_value_and_read_its_own_weights(name, capsys):
    model = network(EXPLAINED[name])
    layer = model.layers[0]
    x = RNG.normal(size=(1, 4, 5, 7)).astype(np.float32)
    shape = layer.output_shape
    for index in corners(shape):
        cell = tc.explain(model, x, layer="it", index=index).cell
        assert sum(float(term.value) for term in cell.terms) == pytest.approx(float(cell.value), rel=1e-5, abs=1e-6)
        weights = [(i, v) for symbol, i, v in cell.reads if symbol == "w"]
        assert len(weights) == layer.params["w"][0].size == len(cell.terms) - 1
        assert {i[0] for i, _ in weights} == {index[0]}
        for i, value in weights:
            assert value == layer.params["w"][i]


@pytest.mark.parametrize(("name", "best"), [("max", max), ("min", min)])
def test_a_pool_reads_its_window_and_takes_the_largest_or_smallest(name, best, capsys):
    model = network(EXPLAINED[name])
    x = RNG.normal(size=(4, 5, 7)).astype(np.float32)
    (KH, KW), (sv, sh) = model.layers[0].kernel_size, model.layers[0].stride
    cell = tc.explain(model, x, layer="it", index=(2, 1, 1)).cell
    window = x[2, sv : sv + KH, sh : sh + KW]
    assert sorted(v for _, _, v in cell.reads) == sorted(window.ravel())
    assert cell.value == best(window.ravel())


def test_a_dense_cell_is_bias_plus_products(capsys):
    model = Sequential([Flatten(), Dense(3)], input_shape=(1, 2, 2), seed=1)
    x = RNG.normal(size=(1, 2, 2)).astype(np.float32)
    found = tc.explain(model, x, layer="dense1", index=2)
    w, b = model.layers[1].params["w"], model.layers[1].params["b"]
    assert len(found.cell.terms) == 5
    np.testing.assert_allclose(
        [float(t.value) for t in found.cell.terms], [b[2], *(x.ravel() * w[2])], rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize(("layer", "index"), [("conv1", (1, 0, 2)), ("relu1", (1, 0, 2)), ("pool1", (0, 0, 1)),
                                              ("flatten1", (3,)), ("dense1", (0,)), ("softmax1", (1,))])  # fmt: skip
def test_in_the_middle_of_a_network_what_reaches_the_layer_is_explained(layer, index, capsys):
    model = Sequential([Conv2D(2, 2), ReLU(), MaxPool2D(2, stride=(2, 1)), Flatten(), Dense(3), Softmax()],
                       input_shape=(1, 4, 5), seed=2)  # fmt: skip
    x = RNG.normal(size=(1, 4, 5)).astype(np.float32)
    y = x[None]
    for one in model.layers:
        y = one.forward(y)
        if one.name == layer:
            break
    found = tc.explain(model, x, layer=layer, index=index)
    assert found.value == pytest.approx(y[(0, *index)], rel=1e-6, abs=1e-7)
    assert float(found.cell.value) == pytest.approx(y[(0, *index)], rel=1e-5, abs=1e-6)
    assert repr(found) == f"<explanation of {model.layer(layer).label}: output {list(index)}>"


GOLDEN = """\
Conv2D 'conv1': output [0, 0, 1]
  y[n,f,u,v] = b[f] + Σ[c,i,j] xp[n,c0+c,u·sv+i·dv,v·sh+j·dh]·w[f,c,ti,tj]
  = b[0]
    + xp[0,0,0,1]·w[0,0,0,0] + xp[0,0,0,2]·w[0,0,0,1]
    + xp[0,0,1,1]·w[0,0,1,0] + xp[0,0,1,2]·w[0,0,1,1]
  = 10
    + 2·1    + 3·(−1)
    + 5·0.5  + 6·2
  = 23.5    the layer's own value: 23.5
"""


def test_the_printed_text(capsys):
    model = Sequential([Conv2D(1, 2)], input_shape=(1, 2, 3))
    model.layers[0].params["w"][...] = np.array([[[[1, -1], [0.5, 2]]]])
    model.layers[0].params["b"][...] = 10
    found = tc.explain(model, np.arange(1.0, 7.0).reshape(1, 2, 3).astype(np.float32), layer="conv1", index=(0, 0, 1))
    assert capsys.readouterr().out == GOLDEN == f"{found}\n"


def test_of_a_batch_the_first_example_is_explained(capsys):
    model = network(EXPLAINED["plain"])
    x = RNG.normal(size=(3, 4, 5, 7)).astype(np.float32)
    found = tc.explain(model, x, layer="it", index=(1, 2, 3))
    assert found.value == pytest.approx(model.predict(x)[0, 1, 2, 3], rel=1e-6)


def test_explaining_leaves_weights_and_later_predictions_alone(capsys):
    model = network(EXPLAINED["padding"])
    x = RNG.normal(size=(2, 4, 5, 7)).astype(np.float32)
    before, kept = model.predict(x), x.copy()
    tc.explain(model, x, layer="it", index=(0, 0, 0))
    np.testing.assert_array_equal(model.predict(x), before)
    np.testing.assert_array_equal(x, kept)


@pytest.mark.parametrize(
    ("layer", "index", "x", "kind", "said"),
    [
        ("conv9", (0, 0, 0), (4, 5, 7), KeyError, "no layer 'conv9'; there are it"),
        ("it", (3, 0, 0), (4, 5, 7), IndexError, "Conv2D 'it' gives (3, 4, 5) for an example; index (3, 0, 0) is no"),
        ("it", (0, -1, 0), (4, 5, 7), IndexError, "index (0, -1, 0) is no place in it"),
        ("it", (0, 0), (4, 5, 7), IndexError, "index (0, 0) is no place in it"),
        ("it", (0, 0, 0, 0), (4, 5, 7), IndexError, "index (0, 0, 0, 0) is no place in it"),
        ("it", 1, (4, 5, 7), IndexError, "index (1,) is no place in it"),
        ("it", (0, 0, 0), (4, 5, 6), ShapeError, "takes one example of shape (4, 5, 7), or a batch of them, got"),
        ("it", (0, 0, 0), (0, 4, 5, 7), ShapeError, "got (0, 4, 5, 7)"),
        ("it", (0, 0, 0), (), ShapeError, "got ()"),
    ],
)
def test_what_cannot_be_explained_is_refused_in_words(layer, index, x, kind, said, capsys):
    with pytest.raises(kind, match=re.escape(said)):
        tc.explain(network(EXPLAINED["plain"]), np.zeros(x, np.float32), layer=layer, index=index)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_kind_of_layer_is_explained_to_its_own_value(case, dtype, capsys):
    """In float64 to 1e-12, in float32 to what rounding leaves; with statistics and weights that are not trivial."""
    model = Sequential([case.make()], input_shape=case.shape, dtype=dtype)
    layer, rng = model.layers[0], np.random.default_rng(4)
    layer.params = {key: rng.normal(size=w.shape).astype(dtype) for key, w in layer.params.items()}
    layer.buffers = {key: rng.uniform(0.5, 2, size=w.shape).astype(dtype) for key, w in layer.buffers.items()}
    x = case.x(1, dtype=dtype)
    y = model.predict(x)[0]
    tolerance = 1e-12 if dtype is np.float64 else 1e-5
    for index in {*corners(y.shape), tuple(int(rng.integers(s)) for s in y.shape)}:
        found = tc.explain(model, x, layer=layer.name, index=index)
        assert found.value == y[index]
        scale = 1 + sum(abs(float(term.value)) for term in found.cell.terms)
        assert abs(float(found.cell.value) - float(y[index])) <= tolerance * scale, f"{case} at {index}"
    assert "the layer's own value" in capsys.readouterr().out


def test_a_layer_inside_another_one_is_explained_by_its_path():
    layers = [tc.Conv2D(2, 3, padding="same"), tc.Residual([tc.Conv2D(2, 3, padding="same"), tc.ReLU()])]
    model = tc.Sequential(layers, input_shape=(1, 5, 4), seed=1)
    x = np.random.default_rng(0).random((1, 5, 4), np.float32)
    found = tc.explain(model, x, layer="res1.conv1", index=(1, 2, 3))
    assert abs(found.cell.value - found.value) < 1e-5


def test_two_ways_that_meet_are_explained_as_the_sum_or_the_join_that_they_are(capsys):
    layers = [Conv2D(2, 3, padding="same"), tc.Residual([Conv2D(2, 3, padding="same"), ReLU(), Conv2D(2, 1)]),
              tc.SkipConcat([Conv2D(3, 1), ReLU()])]  # fmt: skip
    model = Sequential(layers, input_shape=(1, 5, 4), seed=1, dtype=np.float64)
    x = np.random.default_rng(0).normal(size=(1, 1, 5, 4))
    before = model.layers[0].forward(x)
    after = model.layers[1].forward(before)
    joined = model.layers[2].forward(after)
    place = (1, 2, 3)
    found = tc.explain(model, x, layer="res1", index=place)
    ways = [before[0, 1, 2, 3], (after - before)[0, 1, 2, 3]]
    np.testing.assert_allclose([term.value for term in found.cell.terms], ways, rtol=0, atol=1e-14)
    assert found.value == after[0, 1, 2, 3]
    assert found.formula == "y = x + fx"
    own, theirs = (tc.explain(model, x, layer="skip1", index=(c, 2, 3)) for c in (1, 4))
    assert own.cell.text(numbers=False) == "a[0,1,2,3]"
    assert theirs.cell.text(numbers=False) == "b[0,2,2,3]"
    assert [own.value, theirs.value] == [joined[0, 1, 2, 3], joined[0, 4, 2, 3]] == [own.cell.value, theirs.cell.value]
    assert "forward" not in vars(model.layers[1])
    assert "forward" not in vars(model.layers[1].inner)


def test_what_hands_its_input_on_says_so(capsys):
    model = Sequential([Dense(3), tc.Dropout()], input_shape=(4,), seed=1)
    x = RNG.normal(size=(1, 4)).astype(np.float32)
    found = tc.explain(model, x, layer="dropout1", index=1)
    assert found.value == model.predict(x)[0, 1] == found.cell.value
    assert "y = x\n  = x[0,1]\n" in capsys.readouterr().out


def test_a_maximum_put_back_and_a_network_within_a_network_are_explained_too():
    down = MaxPool2D(2, name="down")
    model = Sequential([down, tc.MaxUnpool2D(of="down"), Sequential([Conv2D(2, 2), ReLU()], name="inner")],
                       input_shape=(1, 4, 4), seed=1)  # fmt: skip
    x = np.random.default_rng(0).normal(size=(1, 1, 4, 4)).astype(np.float32)
    y = model.layers[1].forward(model.layers[0].forward(x))
    for r, q in np.ndindex(4, 4):
        found = tc.explain(model, x, layer="unpool1", index=(0, r, q))
        assert found.value == found.cell.value == y[0, 0, r, q]
    assert tc.explain(model, x, layer="inner.conv1", index=(1, 0, 0)).cell.reads
    with pytest.raises(ValueError, match=r"Sequential 'inner' is made of layers: explain one of those, inner\.conv1"):
        tc.explain(model, x, layer="inner", index=(0, 0, 0))


class Doubled(tc.layers.Layer):
    """A layer of the user's own that calls no op."""

    kind = "doubled"

    def forward(self, x, train=False):
        """y = 2x."""
        return 2 * x


def test_a_layer_without_a_formula_is_refused_in_words():
    model = Sequential([Doubled()], input_shape=(3,))
    with pytest.raises(ValueError, match="Doubled 'doubled1' makes 0 calls of ops, so no one formula explains it"):
        tc.explain(model, np.ones((1, 3), np.float32), layer="doubled1", index=0)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_nothing_printed_is_wider_than_the_terminal(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    layers = [Conv2D(12, 3, padding="same"), tc.BatchNorm2D(), MaxPool2D(3, stride=2), Conv2D(4, (3, 4)),
              tc.GroupNorm(2), AvgPool2D(2, stride=1), Flatten(), Dense(11), tc.LayerNorm(), Softmax()]  # fmt: skip
    model = Sequential(layers, input_shape=(2, 11, 12), seed=3)
    x = np.random.default_rng(1).normal(size=(2, 11, 12)).astype(np.float32)
    for layer in model.layers:
        index = tuple(s // 2 for s in layer.output_shape)
        body = str(explained(model, x, layer.name, index)).splitlines()
        assert len(body) <= 45
        assert max(map(len, body)) <= columns, "\n".join(body)


def test_rows_of_taps_stand_below_each_other(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    model = Sequential([Conv2D(2, 3, padding=1)], input_shape=(1, 5, 5), seed=0)
    lines = str(explained(model, np.ones((1, 5, 5), np.float32), "conv1", (1, 2, 3))).splitlines()
    taps = [line for line in lines if line.startswith("    + ")]
    assert len(taps) == 6
    for three in (taps[:3], taps[3:]):
        assert len({tuple(m.start() for m in re.finditer(r" \+ ", line)) for line in three}) == 1
    assert [re.findall(r"w\[1,0,(\d)", line) for line in taps[:3]] == [["0"] * 3, ["1"] * 3, ["2"] * 3]


def test_most_of_a_deep_window_is_summed_up_and_the_sum_is_right(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    model = network(lambda: Conv2D(2, 3))
    wide = Sequential([Conv2D(2, 3, name="it")], input_shape=(30, 4, 4), seed=0, dtype=np.float64)
    x = RNG.normal(size=(30, 4, 4))
    found = explained(wide, x, "it", (1, 0, 1))
    more = re.search(r"… (\d+) more in (\d+) rows \(sum = ([^)]+)\)", str(found))
    hidden = found.cell.terms[1 + 18 : -6]
    assert (int(more[1]), int(more[2])) == (len(hidden), len(hidden) // 3)
    assert float(more[3].replace("−", "-")) == pytest.approx(sum(t.value for t in hidden), rel=1e-3)
    assert "more in" not in str(explained(model, RNG.normal(size=(4, 5, 7)), "it", (0, 0, 0)))


def explained(model, x, layer, index):
    """What `explain` returns, with nothing printed."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tc.explain(model, x, layer=layer, index=index)
