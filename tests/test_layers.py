"""Every layer keeps its contract: shapes known beforehand, gradients that are right, options that are checked."""

from __future__ import annotations

import numpy as np
import pytest
from layer_cases import CASES, LayerCase, spaced
from oracles import assert_same

import tinycnn as tc
from tinycnn import backend, layers, ops
from tinycnn.backends import recording
from tinycnn.layers import AvgPool2D, Conv2D, Dense, Flatten, GlobalAvgPool2D, Layer, MaxPool2D, Pad2D, ReLU
from tinycnn.layers.losses import LOSSES
from tinycnn.verify import check_layer

every_layer = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_layer_class_has_a_case():
    classes = {getattr(layers, name) for name in layers.__all__} - {Layer, layers.MaxUnpool2D}  # it needs its pool
    assert classes == {type(case.make()) for case in CASES}, "add the new layer to tests/layer_cases.py"


@every_layer
@pytest.mark.parametrize("N", [0, 1, 3])
def test_the_output_shape_is_known_beforehand(case: LayerCase, N):
    layer = case.build()
    y = layer.forward(case.x(N))
    assert y.shape == (N, *layer.output_shape)
    assert layer.infer(case.shape) == layer.output_shape == case.make().infer(case.shape)
    assert layer.backward(np.random.default_rng(N).normal(size=y.shape)).shape == (N, *case.shape)


@every_layer
@pytest.mark.parametrize("seed", [0, 1])
def test_gradients_agree_with_the_complex_step(case: LayerCase, seed):
    report = check_layer(case.build(seed), case.x(3, seed) / 2, seed=seed, entries=200)
    assert report.worst_error <= 1e-12, f"\n{report}"
    assert len(report.checks) == 1 + len(case.build().params)


@every_layer
def test_forward_is_the_op_and_backward_is_its_gradient(case: LayerCase):
    layer, x = case.build(seed=3), case.x(seed=3)
    with backend("numpy"), recording() as recorder:
        found = layer.forward(x, train=True)
    [(name, args, options)] = recorder.calls
    y, cache = getattr(ops, name)(*args, **options)
    np.testing.assert_array_equal(args[0], x)
    np.testing.assert_array_equal(found, y)
    op = name.removesuffix("_forward")
    dy = np.random.default_rng(4).normal(size=y.shape)
    expected = getattr(ops, f"{op}_backward")(dy, cache)
    dx, *rest = expected if isinstance(expected, tuple) else (expected,)
    np.testing.assert_array_equal(layer.backward(dy), dx)
    for key, gradient in zip(layer.params, rest, strict=False):
        np.testing.assert_array_equal(layer.grads[key], gradient)


@every_layer
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_grads_mirror_params_and_the_type_is_kept(case: LayerCase, dtype):
    layer, x = case.build(dtype=dtype), case.x(dtype=dtype)
    y = layer.forward(x, train=True)
    dx = layer.backward(np.random.default_rng(0).normal(size=y.shape).astype(dtype))
    assert list(layer.grads) == list(layer.params)
    for key, w in layer.params.items():
        assert layer.grads[key].shape == w.shape
        assert layer.grads[key].dtype == dtype
    assert (y.dtype, dx.dtype) == (dtype, dtype)


def test_a_second_backward_assigns_gradients_and_does_not_add_to_them():
    layer, x = CASES[0].build(), CASES[0].x()
    dy = np.random.default_rng(0).normal(size=layer.forward(x).shape)
    layer.backward(dy)
    once = {key: g.copy() for key, g in layer.grads.items()}
    layer.backward(dy)
    for key in once:
        np.testing.assert_array_equal(layer.grads[key], once[key])


@every_layer
def test_its_config_makes_an_equal_layer(case: LayerCase):
    layer = case.build(seed=2)
    twin = type(layer)(**layer.config())
    assert twin.config() == layer.config()
    assert repr(twin) == repr(layer)
    twin.build(case.shape, None)
    assert twin.params == {}, "without a generator no weights are drawn"
    twin.params, twin.buffers = layer.params, layer.buffers
    np.testing.assert_array_equal(twin.forward(case.x()), layer.forward(case.x()))


@every_layer
def test_its_options_can_be_read_back_from_its_repr(case: LayerCase):
    layer = case.make()
    assert eval(repr(layer), vars(layers)).config() == layer.config()


@every_layer
def test_the_loops_rung_gives_the_same_numbers(case: LayerCase):
    layer, x = case.build(seed=6), case.x(1, seed=6)
    y = layer.forward(x)
    dy = np.random.default_rng(7).normal(size=y.shape)
    dx, grads = layer.backward(dy), dict(layer.grads)
    with backend("loops"):
        assert_same(layer.forward(x), y, what="y")
        assert_same(layer.backward(dy), dx, what="dx")
    for key, gradient in grads.items():
        assert_same(layer.grads[key], gradient, what=key)


@pytest.mark.parametrize(("forward_on", "backward_on"), [("loops", "numpy"), ("numpy", "loops")])
def test_backward_runs_on_the_rung_that_ran_forward(forward_on, backward_on, monkeypatch):
    ran = []
    for name, rung in tc.backends.RUNGS.items():
        real = rung("conv2d_backward")
        spy = lambda dy, cache, name=name, real=real: (ran.append(name), real(dy, cache))[1]  # noqa: E731
        monkeypatch.setitem(rung.__dict__, "_table", _Only(rung._table, "conv2d_backward", spy))
    case = LayerCase(lambda: Conv2D(2, 3, stride=2, padding=1), (3, 6, 4))
    layer, x = case.build(), case.x(1)
    with backend(forward_on):
        y = layer.forward(x)
    with backend(backward_on):
        layer.backward(np.random.default_rng(0).normal(size=y.shape))
    assert ran == [forward_on]


class _Only:
    """A table with one entry replaced."""

    def __init__(self, table, name, function):
        self._table = table
        setattr(self, name, function)

    def __getattr__(self, name):
        return getattr(self._table, name)


@every_layer
def test_backward_before_forward_is_refused(case: LayerCase):
    layer = case.build()
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        layer.backward(np.zeros((1, *layer.output_shape)))


@pytest.mark.parametrize("make", [lambda: Conv2D(2, 1, name="eye"), lambda: Dense(3, name="eye")])
def test_forward_before_build_is_refused_and_names_the_layer(make):
    layer = make()
    with pytest.raises(RuntimeError, match=r"'eye' has no weights yet: call build\(input_shape, rng\) first"):
        layer.forward(spaced((1, 2, 3, 3)))


BAD_OPTIONS = [
    (lambda: Conv2D(0, 3), "filters must be an int ≥ 1, got 0"),
    (lambda: Conv2D(2.0, 3), "filters must be an int ≥ 1, got 2.0"),
    (lambda: Conv2D(True, 3), "filters must be an int ≥ 1, got True"),
    (lambda: Conv2D(2, 0), "kernel_size must be an int ≥ 1 or a pair (vertical, horizontal) of them, got 0"),
    (lambda: Conv2D(2, (3, -1)), "kernel_size must be an int ≥ 1 or a pair"),
    (lambda: Conv2D(2, (3, 3, 3)), "got (3, 3, 3)"),
    (lambda: Conv2D(2, 3, stride=0), "stride must be an int ≥ 1 or a pair"),
    (lambda: Conv2D(2, 3, stride="2"), "stride must be an int ≥ 1 or a pair (vertical, horizontal) of them, got '2'"),
    (lambda: Conv2D(2, 3, dilation=(1, 0)), "dilation must be an int ≥ 1 or a pair"),
    (lambda: Conv2D(2, 3, padding=-1), "padding must be an int ≥ 0"),
    (lambda: Conv2D(2, 3, padding="full"), "got 'full'"),
    (lambda: Conv2D(2, 3, padding=(1, 2, 3)), "got (1, 2, 3)"),
    (lambda: Conv2D(2, 3, groups=0), "groups must be an int ≥ 1, got 0"),
    (lambda: Conv2D(2, 3, use_bias="no"), "use_bias must be True or False, got 'no'"),
    (lambda: Conv2D(2, 3, flip=1), "flip must be True or False, got 1"),
    (lambda: Conv2D(2, 3, activation="rely"), "no activation 'rely'; did you mean 'relu'?"),
    (lambda: Conv2D(2, 3, activation=ReLU()), "no activation ReLU()"),
    (lambda: Conv2D(2, 3, kernel_initializer="he_norm"), "no initialiser 'he_norm'; did you mean 'he_normal'?"),
    (lambda: Conv2D(2, 3, bias_initializer=None), "no initialiser None"),
    (lambda: Dense(-3), "units must be an int ≥ 1, got -3"),
    (lambda: Dense(3, activation="sotfmax"), "did you mean 'softmax'?"),
    (lambda: Dense(3, use_bias=0), "use_bias must be True or False, got 0"),
    (lambda: Dense(3, kernel_initializer="one"), "no initialiser 'one'; did you mean 'ones'?"),
    (lambda: Dense(3, kernel_initializer=("constant", "a")), "its number must be a finite number, got 'a'"),
    (lambda: MaxPool2D(0), "kernel_size must be an int ≥ 1"),
    (lambda: MaxPool2D(2, stride=-2), "stride must be an int ≥ 1"),
    (lambda: MaxPool2D(2, dilation=0), "dilation must be an int ≥ 1"),
    (lambda: MaxPool2D(2, padding=(0, -1)), "padding must be an int ≥ 0"),
    (lambda: MaxPool2D(2, ceil_mode="yes"), "ceil_mode must be True or False, got 'yes'"),
    (lambda: AvgPool2D(2, padding=1.5), "got 1.5"),
    (lambda: AvgPool2D(2, count_include_pad=2), "count_include_pad must be True or False, got 2"),
    (lambda: Pad2D("same"), "got 'same'"),
    (lambda: Pad2D(-1), "padding must be an int ≥ 0"),
    (lambda: Pad2D(1, value="0"), "value must be a number, got '0'"),
    (lambda: Pad2D(1, value=float("nan")), "value must be a number, got nan"),
    (lambda: Dense(3, input_shape=8), "input_shape is (C, H, W) or (features,) of one example, of ints ≥ 1, got 8"),
    (lambda: Dense(3, input_shape=(0,)), "got (0,)"),
    (lambda: Conv2D(3, 1, input_shape=(None, 8, 8)), "got (None, 8, 8)"),
    (lambda: Conv2D(3, 1, input_shape=(1, 8.5, 8)), "got (1, 8.5, 8)"),
]


@pytest.mark.parametrize(("make", "said"), BAD_OPTIONS, ids=[said for _, said in BAD_OPTIONS])
def test_a_bad_option_is_refused_at_construction_with_its_value(make, said):
    with pytest.raises(ValueError, match=r".") as caught:
        make()
    assert said in str(caught.value)


def test_numpy_integers_are_integers():
    three, one = np.int64(3), np.int32(1)
    layer = Conv2D(three, (three, one), stride=one, padding=(one, one), groups=one, input_shape=(one, three, three))
    assert layer.config() == Conv2D(3, (3, 1), padding=(1, 1)).config()
    assert {type(v) for v in (layer.filters, *layer.padding, *layer.wanted_shape)} == {int}
    assert Dense(three).units == 3


BAD_SHAPES = [
    (lambda: Dense(3), (2, 4, 4), "Dense takes vectors, got (2, 4, 4) for each example: put Flatten()"),
    (lambda: Conv2D(3, 2), (8,), "Conv2D takes images (C,H,W), got (8,) for each example"),
    (MaxPool2D, (8,), "MaxPool2D takes images"),
    (GlobalAvgPool2D, (8, 8), "GlobalAvgPool2D takes images"),
    (lambda: Pad2D(1), (8,), "Pad2D takes images"),
    (lambda: Conv2D(4, 2, groups=2), (3, 5, 5), "groups=2 must divide both the 3 channels and the 4 filters"),
    (lambda: Conv2D(3, 2, groups=2), (4, 5, 5), "groups=2 must divide both the 4 channels and the 3 filters"),
    (lambda: Conv2D(3, 4), (1, 3, 5), "kernel 4×4 is larger than its 3×5 input.\n"
     "  OH = ⌊(H + pads − KH)/s⌋ + 1 = ⌊(3 + 0 − 4)/1⌋ + 1 = 0"),
    (lambda: Conv2D(3, (1, 4), padding=(0, 1), stride=2), (1, 9, 1),
     "kernel 1×4 is larger than its 9×1 input with 2 of padding.\n"
     "  OW = ⌊(W + pads − KW)/s⌋ + 1 = ⌊(1 + 2 − 4)/2⌋ + 1 = 0"),
    (lambda: MaxPool2D(2), (4, 1, 1), "⌊(1 + 0 − 2)/2⌋ + 1 = 0"),
    (lambda: AvgPool2D(2, padding=2), (1, 4, 4), "window 0 would see border alone"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "shape", "said"), BAD_SHAPES, ids=[said[:40] for *_, said in BAD_SHAPES])
def test_an_input_that_does_not_fit_is_refused_before_any_data(make, shape, said):
    layer = make()
    with pytest.raises(tc.ShapeError, match=r".") as caught:
        layer.build(shape, np.random.default_rng(0))
    assert said in str(caught.value)


def test_a_layer_costs_nothing_to_make_and_to_place_on_a_huge_image():
    for make in (lambda **o: Conv2D(2, **o), MaxPool2D, AvgPool2D):
        layer = make(kernel_size=10**6, stride=10**6, padding=10**5)
        assert layer.infer((1, 10**9, 10**9))[1:] == (1000, 1000)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_a_loss_needs_a_forward_before_its_backward(name):
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        LOSSES[name]().backward()


def test_keras_words_are_the_same_classes():
    assert layers.MaxPooling2D is layers.MaxPool2D is tc.MaxPooling2D
    assert layers.AveragePooling2D is layers.AvgPool2D is tc.AveragePooling2D
    assert layers.GlobalAveragePooling2D is layers.GlobalAvgPool2D is tc.GlobalAveragePooling2D


def test_flatten_lays_out_channel_by_channel_row_by_row():
    y = Flatten().forward(np.arange(12.0).reshape(1, 2, 3, 2))
    np.testing.assert_array_equal(y, np.arange(12.0)[None])
