"""What one kernel runs together gives what the layers give one by one, and is seen where it is meant to be."""

import copy
import pickle

import numpy as np
import pytest
from oracles import assert_same

from tinycnn import (
    AvgPool2D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    MaxUnpool2D,
    ReLU,
    Residual,
    Sequential,
    SkipConcat,
    Upsample2D,
    backend,
    backends,
    kept,
    threads,
    zoo,
)
from tinycnn.layers import Layer
from tinycnn.model.fuse import ConvReLU, DenseReLU, Fused, PoolConvReLU, SkipConvReLU, Steps, plan
from tinycnn.train.loop import gradients

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 3e-6, np.float64: 1e-13}
NETWORKS = {
    "pooled": lambda: [Conv2D(6, 3, padding=1), ReLU(), MaxPool2D(2), Conv2D(5, (3, 2), use_bias=False), ReLU(),
                       MaxPool2D(2), Flatten(), Dense(3)],
    "strided, in groups": lambda: [Conv2D(6, 3, stride=2, groups=3, dilation=2, padding=2), ReLU(),
                                   Conv2D(4, 1), ReLU(), AvgPool2D(2), Flatten(), Dense(3)],
    "inside others": lambda: [Conv2D(4, 3, padding="same"), ReLU(), MaxPool2D(2),
                              SkipConcat([Residual([Conv2D(4, 3, padding="same"), ReLU()]), MaxPool2D(2),
                                          Conv2D(5, 3, padding="same"), ReLU(), Upsample2D(2)]),
                              Flatten(), Dense(3)],
    "dense": lambda: [Flatten(), Dense(9), ReLU(), Dense(13, use_bias=False), ReLU(), Dense(3)],
}  # fmt: skip


def _trained(layers, dtype):
    model = Sequential(layers(), input_shape=(3, 16, 13 if layers is not NETWORKS["inside others"] else 24), seed=1)
    model.compile("sgd")
    return model.astype(dtype)


def _batch(model, dtype, n=9):
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, *model.input_shape)).astype(dtype), rng.integers(0, 3, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_fused_and_unfused_agree_in_loss_and_all_gradients(name, dtype):
    model = _trained(NETWORKS[name], dtype)
    x, t = _batch(model, dtype)
    with kept.keeping():
        fused, fused_grads = gradients(model, x, t)
    fused_grads = {key: dw.copy() for key, dw in fused_grads.items()}
    with backend("numpy"):
        plain, plain_grads = gradients(model, x, t)
    assert fused["loss"] == pytest.approx(plain["loss"], rel=TOLERANCE[dtype])
    assert fused_grads.keys() == plain_grads.keys()
    for key, dw in fused_grads.items():
        assert_same(dw, plain_grads[key], tol=30 * TOLERANCE[dtype])


@pytest.mark.parametrize("name", NETWORKS)
def test_fused_and_unfused_agree_in_the_gradient_of_the_input(name):
    model = _trained(NETWORKS[name], np.float64)
    x, _ = _batch(model, np.float64)
    dy = np.random.default_rng(6).normal(size=(9, 3))
    with kept.keeping():
        y = model.forward(x)
        assert any(isinstance(step, Fused) for step in model._steps)
        dx = model.backward(dy)
    with backend("numpy"):
        assert_same(y, model.forward(x), tol=1e-12)
        assert_same(dx, model.backward(dy), tol=1e-12)


def test_layers_called_one_by_one_are_as_they_were_also_after_training():
    model = _trained(NETWORKS["pooled"], np.float64)
    x, t = _batch(model, np.float64)
    model.fit(x, t, verbose=0)
    dy = np.random.default_rng(7).normal(size=(9, 3))
    y = x
    for layer in model.layers:
        y = layer.forward(y)
    dx = dy
    for layer in reversed(model.layers):
        dx = layer.backward(dx)
    assert_same(y, model.forward(x), tol=1e-14)
    assert_same(dx, model.backward(dy), tol=1e-14)
    assert_same(y, model.predict(x), tol=1e-12)


def test_what_one_kernel_runs_is_off_outside_on_other_rungs_while_recorded_and_where_somebody_looks_on():
    layers, steps = NETWORKS["pooled"](), Steps()
    assert steps.now(layers) == layers
    with kept.keeping():
        assert [type(step) for step in steps.now(layers)] == [ConvReLU, ConvReLU, Flatten, Dense]
        for name in ("numpy", "loops", "njit"):
            with backend(name):
                assert steps.now(layers) == layers
        with backends.recording():
            assert steps.now(layers) == layers
        layers[1].forward = layers[1].forward
        assert [type(step) for step in steps.now(layers)] == [Conv2D, ReLU, MaxPool2D, ConvReLU, Flatten, Dense]


def test_a_dense_layer_and_its_relu_are_one_step_and_the_first_of_all_is_not_asked_for_dx(monkeypatch):
    model = _trained(NETWORKS["dense"], np.float32)
    assert "one kernel each: dense1 + relu1; dense2 + relu2" in model.summary()
    x, t = _batch(model, np.float32)
    asked, whole = [], DenseReLU._gradients
    monkeypatch.setattr(DenseReLU, "_gradients", lambda *given: asked.append(given[2]) or whole(*given))
    with kept.keeping():
        gradients(model, x, t)
        assert [type(step) for step in model._steps] == [Flatten, DenseReLU, DenseReLU, Dense]
    assert asked == ["all", "weights"]
    with pytest.raises(RuntimeError, match="'dense1': backward needs a forward first"):
        model._steps[1].backward(np.zeros((9, 9), np.float32))


class MyReLU(ReLU):
    """Somebody's own: it may do anything."""


@pytest.mark.parametrize(
    ("layers", "sizes"),
    [([Conv2D(1, 1), ReLU(), MaxPool2D(2)], [3]), ([Conv2D(1, 1), ReLU(), MaxPool2D(3)], [2, 1]),
     ([Conv2D(1, 1), ReLU(), MaxPool2D(2, stride=1)], [2, 1]),
     ([Conv2D(1, 1), ReLU(), MaxPool2D(2, padding=1)], [2, 1]),
     ([Conv2D(1, 1), ReLU(), MaxPool2D(2, ceil_mode=True)], [2, 1]), ([Conv2D(1, 1), MyReLU()], [1, 1]),
     ([Dense(2), ReLU()], [2]), ([Dense(2), MyReLU()], [1, 1]), ([Dense(2), Dense(2), ReLU(), MaxPool2D(2)], [1, 2, 1]),
     ([Conv2D(1, 1), ReLU(), AvgPool2D(2)], [2, 1]), ([ReLU(), Conv2D(1, 1)], [1, 1]), ([Conv2D(1, 1)], [1])],
)  # fmt: skip
def test_only_what_the_kernel_can_do_is_planned(layers, sizes):
    assert [len(step.layers) if isinstance(step, Fused) else 1 for step in plan(layers)] == sizes


def test_a_pool_that_an_unpool_goes_by_is_a_step_of_its_own():
    layers = [Conv2D(2, 3, padding="same"), ReLU(), MaxPool2D(2), MaxUnpool2D(of="pool1"), Flatten(), Dense(3)]
    model = Sequential(layers, input_shape=(3, 8, 6))
    model.compile()
    assert "one kernel each: conv1 + relu1\n" in model.summary() + "\n"
    x, t = _batch(model, np.float32)
    model.fit(x, t, verbose=0)
    with backend("numpy"):
        expected = model.predict(x)
    assert_same(model.predict(x), expected, tol=1e-5)


def test_the_summary_shows_the_plan_also_of_layers_inside_others():
    text = zoo.digits().summary()
    assert "one kernel each: conv1 + relu1; conv2 + relu2 + pool1; conv3 + relu3 + pool2" in text
    inside = Sequential(NETWORKS["inside others"](), input_shape=(3, 16, 24)).summary()
    assert "conv1 + relu1 + pool1; conv1 + relu1; conv1 + relu1" in inside
    assert "kernel each" not in Sequential([Flatten(), Dense(2)], input_shape=(1, 2, 2)).summary()


@pytest.mark.parametrize("frozen", [(), ("conv1",), ("conv1", "conv2")])
def test_the_first_layer_that_learns_is_not_asked_for_the_gradient_of_its_input(frozen, monkeypatch):
    model = _trained(NETWORKS["pooled"], np.float32)
    x, t = _batch(model, np.float32)
    for name in frozen:
        model.freeze(name)
    asked = []
    whole = ConvReLU.backward
    monkeypatch.setattr(ConvReLU, "backward", lambda step, dy: asked.append(step.conv.name) or whole(step, dy))
    with kept.keeping():
        found = gradients(model, x, t)[1]
    expected = ["conv2"] if not frozen else []
    assert asked == expected
    assert not any(key.startswith(frozen) for key in found if frozen)


def test_a_whole_training_has_the_same_bits_on_one_thread_and_on_two():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(64, 3, 32, 32)).astype(np.float32), rng.integers(0, 10, 64)
    found = []
    for n in (1, 2):
        model = zoo.article004()
        model.compile("adam", metrics=["accuracy"])
        with threads(n):
            history = model.fit(x, y, epochs=2, batch_size=24, verbose=0)
        found.append([history.history, {key: w.tobytes() for key, w in model.named_params().items()}])
    assert found[0] == found[1]


class Backwards(SkipConcat):
    """Somebody's own: what it makes of the two is his business."""

    def forward(self, x, train=False):
        return np.concatenate((self.inner.forward(x, train), x), axis=1)


def _unet(skip=SkipConcat, dtype=np.float32):
    layers = lambda n: [Conv2D(n, 3, padding="same"), ReLU()]  # noqa: E731, said twice otherwise
    inner = [MaxPool2D(2), *layers(32), MaxPool2D(2), *layers(16), Upsample2D(4)]
    model = Sequential([*layers(16), skip(inner), *layers(16), Conv2D(3, 1)], input_shape=(3, 36, 44), seed=2)
    model.compile("sgd")
    return model.astype(dtype)


def _kinds(steps):
    return [type(step) for step in steps]


def _pixels(model, n=3):
    rng = np.random.default_rng(5)
    return rng.normal(size=(n, *model.input_shape)).astype(model.dtype), rng.integers(0, 3, (n, 36, 44))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("skip", [SkipConcat, Backwards])
def test_where_one_only_asks_skips_are_not_joined_and_pools_not_written_and_the_answer_is_the_same(skip, dtype):
    model = _unet(skip, dtype)
    x, t = _pixels(model)
    asked, scored = model.predict(x), model.evaluate(x, t).loss
    planned = [ConvReLU, SkipConvReLU, Conv2D] if skip is SkipConcat else [ConvReLU, Backwards, ConvReLU, Conv2D]
    assert _kinds(model._steps) == planned
    assert _kinds(model.layers[2].inner._steps) == [PoolConvReLU, ConvReLU, Upsample2D]
    with backend("numpy"):
        assert_same(asked, model.predict(x), tol=30 * TOLERANCE[dtype])
        assert scored == pytest.approx(model.evaluate(x, t).loss, rel=30 * TOLERANCE[dtype])


def test_training_after_a_question_and_a_question_after_training_are_planned_anew():
    model, other = _unet(), _unet()
    x, t = _pixels(model)
    for _ in range(2):
        model.predict(x)
        model.fit(x, t, epochs=2, batch_size=2, verbose=0)
        assert _kinds(model._steps) == [ConvReLU, SkipConcat, ConvReLU, Conv2D]
        assert _kinds(model.layers[2].inner._steps) == [MaxPool2D, ConvReLU, ConvReLU, Upsample2D]
        other.fit(x, t, epochs=2, batch_size=2, verbose=0)
    for key, w in model.named_params().items():
        assert w.tobytes() == other.named_params()[key].tobytes()


def test_a_question_leaves_nothing_to_go_back_through():
    model = _unet()
    x, _ = _pixels(model)
    with kept.keeping():
        dy = np.ones_like(model.forward(x))
    model.predict(x)
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        model.backward(dy)


@pytest.mark.parametrize("layers", [(Conv2D(2, 1), ReLU()), (Dense(2), ReLU())])
def test_after_a_forward_that_failed_there_is_nothing_to_go_back_through(layers):
    x = np.ones((2, 3, 4, 4) if isinstance(layers[0], Conv2D) else (2, 3), np.float32)
    layers[0].build(x.shape[1:], np.random.default_rng(0))
    (step,) = plan(layers)
    dy = step.forward(x)
    with pytest.raises(ValueError, match="4"):
        step.forward(x.repeat(4, axis=1)[:, :4])
    with pytest.raises(RuntimeError, match="backward needs a forward first"):
        step.backward(dy)


def test_a_layer_that_changes_after_the_plan_was_made_is_gone_by():
    model = _unet()
    x, _ = _pixels(model)
    model.predict(x)
    skip, inner = model.layers[2], model.layers[2].inner
    inner.layers[0].kernel_size, inner.layers[0].stride, inner.layers[0].padding = (3, 3), (2, 2), 1
    with backend("numpy"):
        expected = model.predict(x)
    assert_same(model.predict(x), expected, tol=1e-4)
    assert _kinds(inner._steps) == [MaxPool2D, ConvReLU, ConvReLU, Upsample2D]
    seen = []
    skip.forward = lambda x, train=False: seen.append(x.shape) or type(skip).forward(skip, x, train)
    assert_same(model.predict(x), expected, tol=1e-4)
    assert seen == [(3, 16, 36, 44)]
    del skip.forward
    model.layers[4].forward = lambda x, train=False: np.abs(x)
    assert not np.allclose(model.predict(x), expected, atol=1e-3)
    assert _kinds(model._steps) == [ConvReLU, SkipConcat, Conv2D, ReLU, Conv2D]
    del model.layers[4].forward
    assert_same(model.predict(x), expected, tol=1e-4)
    assert _kinds(model._steps) == [ConvReLU, SkipConvReLU, Conv2D]
    model.layers[1:2] = []
    model.predict(x)
    assert _kinds(model._steps) == [Conv2D, SkipConvReLU, Conv2D]


class Drawing(Sequential):
    """Drops numbers also where it is asked: the spread of its answers says how sure it is (Gal & Ghahramani 2016)."""

    def forward(self, x, train=False):
        return super().forward(x, train=True)


def test_whether_it_is_training_is_told_to_what_is_inside_a_skip():
    conv = lambda: [Conv2D(16, 3, padding="same"), ReLU()]  # noqa: E731, said three times otherwise
    inner = [MaxPool2D(2), *conv(), Dropout(0.5), Upsample2D(2)]
    model = Drawing([*conv(), SkipConcat(inner), *conv()], input_shape=(1, 16, 16), seed=0)
    x = np.random.default_rng(1).normal(size=(2, 1, 16, 16)).astype(np.float32)
    assert not np.array_equal(model.predict(x), model.predict(x))
    assert _kinds(model._steps) == [ConvReLU, SkipConvReLU]
    seen, forward = [], model.layers[2].inner.forward
    model.layers[2].inner.forward = lambda x, train: seen.append(train) or forward(x, train)
    model.predict(x)
    assert seen == [True]


def test_a_chain_that_loses_its_layers_loses_its_steps():
    layers = [Conv2D(4, 3), ReLU(), MaxPool2D(3)]  # of which more might be fused, if the pool were another
    steps = Steps()
    with kept.asking():
        assert _kinds(steps.now(layers)) == [ConvReLU, MaxPool2D]
        layers.clear()
        assert steps.now(layers) == []


class Halving(Layer):
    """Somebody's own layer, which has a method of the same name as a skip's."""

    def forward(self, x, train=False):
        return np.concatenate(self.halves(x)[::-1], axis=1)

    def halves(self, x):
        half = x.shape[1] // 2
        return x[:, :half], x[:, half:]


class LoudReLU(ReLU):
    """What a layer may turn into."""

    def forward(self, x, train=False):
        return 2 * super().forward(x, train)


def test_a_layer_of_ones_own_is_taken_for_no_other_also_if_it_becomes_one():
    model = Sequential([Conv2D(16, 3), ReLU(), Halving(), Conv2D(16, 3), ReLU()], input_shape=(2, 20, 20), seed=1)
    x = np.random.default_rng(2).normal(size=(3, 2, 20, 20)).astype(np.float32)
    for _ in range(2):
        with backend("numpy"):
            expected = model.predict(x)
        assert_same(model.predict(x), expected, tol=1e-5)
        assert abs(expected).max() > 0
        model.layers[1].__class__ = LoudReLU
    assert _kinds(model._steps) == [Conv2D, LoudReLU, Halving, ConvReLU]


def test_a_pool_that_becomes_what_can_be_fused_is():
    model = Sequential([MaxPool2D(3), Conv2D(16, 3), ReLU()], input_shape=(16, 24, 24), seed=1)
    x = np.random.default_rng(2).normal(size=(3, 16, 24, 24)).astype(np.float32)
    model.predict(x)
    assert _kinds(model._steps) == [MaxPool2D, ConvReLU]
    model.layers[0].kernel_size = model.layers[0].stride = (2, 2)
    with backend("numpy"):
        scores = model.layers[2].forward(model.layers[1].forward(model.layers[0].forward(x)))
    with kept.asking():
        assert_same(model.forward(x), scores, tol=1e-5)
    assert _kinds(model._steps) == [PoolConvReLU]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_plans_for_itself(again):
    model = _unet()
    x, _ = _pixels(model)
    model.loss = None
    expected = model.predict(x)
    twin = again(model)
    twin.layers[0].params["w"][...] = 0
    assert twin.predict(x).tobytes() != expected.tobytes() == model.predict(x).tobytes()
    assert twin._steps[0] is not model._steps[0]


def test_validation_leaves_nothing_behind_and_is_what_evaluate_says():
    model = _unet()
    x, t = _pixels(model, 4)
    history = model.fit(x, t, epochs=2, batch_size=2, verbose=0, validation_data=(x, t)).history
    assert _kinds(model._steps) == [ConvReLU, SkipConvReLU, Conv2D]
    assert all(step._undo is None for step in model._steps)
    assert history["val_loss"][-1] == model.evaluate(x, t).loss


def test_who_calls_a_chain_himself_has_it_let_go_of_what_its_plan_remembers():
    model = _unet()
    x, _ = _pixels(model)
    with kept.keeping():
        model.forward(x)
        (first, *_) = model._steps
        assert first._undo is not None
    model.forward(x)
    assert not any(isinstance(step, Fused) for step in (*model._steps, *model._plan._planned))
