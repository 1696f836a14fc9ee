"""Saliency by finite differences, occlusion by hand, Grad-CAM by explicit sums, on networks of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import assert_equal_weights, compiled, digits, weights
from strategies import seeds

import tinycnn as tc
from tinycnn import (
    AvgPool2D,
    BatchNorm2D,
    Conv2D,
    ConvTranspose2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAvgPool2D,
    LogSoftmax,
    MaxPool2D,
    ReLU,
    Residual,
    Sequential,
    ShapeError,
    Sigmoid,
    SkipConcat,
    Softmax,
    Tanh,
    Upsample2D,
    formulas,
    zoo,
)  # fmt: skip
from tinycnn.evaluation import grad_cam, gradients, input_gradient, occluding, occlusion, saliency

NORMALISE = {"normalise": {"mean": [0.3, -0.2], "std": [0.5, 2.0]}}


def plain():
    return [Conv2D(3, (3, 2), stride=(2, 1), padding=1), ReLU(), MaxPool2D(2, stride=1), Flatten(), Dense(4)]


def normed():
    return [Conv2D(3, 3, padding="same"), BatchNorm2D(), Tanh(), AvgPool2D((2, 3)), Dropout(0.5), Flatten(), Dense(4)]


def residual():
    return [Conv2D(3, 3), Residual([Conv2D(3, 3, padding=1), ReLU()]), GlobalAvgPool2D(), Dense(4), Softmax()]


def skipping():
    inner = [MaxPool2D(2), Conv2D(3, 3, padding="same"), ReLU(), Upsample2D(2)]
    return [Conv2D(2, (2, 2)), SkipConcat(inner), Flatten(), Dense(4), LogSoftmax()]


def widening():
    return [Conv2D(3, 3, stride=2), ConvTranspose2D(2, 3, stride=2), ReLU(), Flatten(), Dense(4), Sigmoid()]


NETWORKS = {make.__name__: make for make in (plain, normed, residual, skipping, widening)}
ENDINGS = (Softmax, LogSoftmax, Sigmoid)
every_network = pytest.mark.parametrize("name", NETWORKS)


def network(name, seed=0, dtype=np.float64):
    """One of the networks in float64, its norms no longer the identity, that normalises its pictures."""
    model = Sequential(NETWORKS[name](), input_shape=(2, 7, 5), seed=seed, preprocessing=NORMALISE, dtype=dtype)
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for buffer in layer.buffers.values():
            buffer += rng.random(buffer.shape)
    return model


def images(N=3, seed=0, dtype=np.float64):
    return np.random.default_rng([seed, 9]).normal(size=(N, 2, 7, 5)).astype(dtype)


def scores_of(model, x):
    """What goes into the last softmax, layer by layer."""
    x = model.prepare(x)
    for layer in model.layers[: -1 if isinstance(model.layers[-1], ENDINGS) else None]:
        x = layer.forward(x)
    return x


@every_network
@pytest.mark.parametrize("seed", range(3))
def test_the_input_gradient_is_that_of_finite_differences(name, seed):
    model, x = network(name, seed), images(seed=seed)
    labels = np.array([1, 3, 0])
    found = input_gradient(model, x, labels)
    h, slopes = 1e-6, np.empty_like(x)
    for at in np.ndindex(*x.shape[1:]):
        up, down = x.copy(), x.copy()
        up[:, *at] += h
        down[:, *at] -= h
        slopes[:, *at] = (scores_of(model, up) - scores_of(model, down))[np.arange(3), labels] / (2 * h)
    np.testing.assert_allclose(found, slopes, atol=1e-8 * np.abs(slopes).max())
    np.testing.assert_array_equal(saliency(model, x, labels), np.abs(found).max(axis=1))


@every_network
def test_saliency_asks_for_the_highest_class_unless_told(name):
    model, x = network(name), images()
    best = scores_of(model, x).argmax(axis=1)
    np.testing.assert_array_equal(saliency(model, x), saliency(model, x, best))
    np.testing.assert_array_equal(saliency(model, x, 2), saliency(model, x, [2, 2, 2]))


@given(N=st.integers(1, 3), C=st.integers(1, 3), H=st.integers(1, 4), W=st.integers(1, 4), seed=seeds)
def test_the_maps_are_their_formulas(N, C, H, W, seed):
    rng = np.random.default_rng(seed)
    y, dy = rng.normal(size=(2, N, C, H, W))
    np.testing.assert_array_equal(gradients._largest(dy), formulas["saliency"].evaluate(dx=dy))
    literal = formulas["grad_cam"].evaluate(y=y, dy=dy)
    np.testing.assert_allclose(gradients._class_activation(y, dy), literal, rtol=1e-12, atol=1e-15)


# --------------------------------------------------------------------------- Grad-CAM


def by_explicit_sums(model, x, labels, path):
    """Grad-CAM from slopes measured at the layer itself: each cell of its output nudged, and the rest run again."""
    place = [layer.name for layer in model.layers].index(path)
    end = -1 if isinstance(model.layers[-1], ENDINGS) else None
    y = model.prepare(x)
    for layer in model.layers[: place + 1]:
        y = layer.forward(y)

    def rest(y):
        for layer in model.layers[place + 1 : end]:
            y = layer.forward(y)
        return y

    N, F, OH, OW = y.shape
    heat, h = np.zeros((N, OH, OW)), 1e-6
    for n in range(N):
        for f in range(F):
            alpha = 0.0
            for u, v in np.ndindex(OH, OW):
                up, down = y.copy(), y.copy()
                up[n, f, u, v] += h
                down[n, f, u, v] -= h
                alpha += (rest(up) - rest(down))[n, labels[n]] / (2 * h) / (OH * OW)
            heat[n] += alpha * y[n, f]
    return np.maximum(heat, 0)


@pytest.mark.parametrize(("name", "path"), [
    ("plain", "conv1"), ("plain", "pool1"), ("normed", "bn1"), ("residual", "conv1"), ("residual", "res1"),
    ("skipping", "skip1"), ("widening", "relu1"),
])  # fmt: skip
def test_grad_cam_is_what_explicit_sums_over_measured_slopes_give(name, path):
    model, x, labels = network(name, seed=1), images(2), np.array([2, 1])
    if path == "pool1":
        assert model.layer("pool1").output_shape == (3, 3, 5)
    expected = by_explicit_sums(model, x, labels, path)
    found = grad_cam(model, x, labels, path, resized=False)
    np.testing.assert_allclose(found, expected, atol=1e-7 * max(expected.max(), 1e-3))


def test_grad_cam_looks_inside_a_residual():
    """conv2 of x + relu(conv2(x)): its gradient is that behind the +, where the ReLU lets it through."""
    model, x, labels = network("residual", seed=2), images(2), np.array([2, 1])
    y = model.layers[0].forward(model.prepare(x))
    inner = model.layer("res1.conv1").forward(y)
    dsum = np.broadcast_to(model.layers[3].params["w"][labels][:, :, None, None], y.shape) / (y.shape[2] * y.shape[3])
    alpha = (dsum * (inner > 0)).mean(axis=(2, 3))
    expected = np.maximum((alpha[:, :, None, None] * inner).sum(axis=1), 0)
    found = grad_cam(model, x, labels, "res1.conv1", resized=False)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_where_only_a_mean_follows_grad_cam_is_the_class_activation_map():
    """Zhou et al. 2016: behind a global average pool, the weights are the dense layer's own, over the pixels."""
    layers = [Conv2D(4, 3, padding="same"), ReLU(), GlobalAvgPool2D(), Dense(3)]
    model = Sequential(layers, input_shape=(1, 6, 5), dtype=np.float64, seed=3)
    x = np.random.default_rng(0).normal(size=(2, 1, 6, 5))
    features = model.layers[1].forward(model.layers[0].forward(x))
    cam = np.einsum("f,nfuv->nuv", model.layers[3].params["w"][2], features) / 30
    np.testing.assert_allclose(grad_cam(model, x, 2), np.maximum(cam, 0), rtol=1e-10, atol=1e-14)


def test_the_last_convolution_is_found_with_its_norm_and_activation():
    found = {name: gradients.last_convolution(network(name)) for name in NETWORKS}
    assert found == {"plain": "relu1", "normed": "tanh1", "residual": "res1.relu1", "skipping": "skip1.relu1",
                     "widening": "relu1"}  # fmt: skip
    with pytest.raises(ValueError, match="needs a convolution, and this network has none"):
        grad_cam(Sequential([Flatten(), Dense(3)], input_shape=(1, 4, 4)), np.zeros((1, 1, 4, 4)))


@every_network
def test_maps_have_the_size_of_the_picture_and_grad_cam_of_the_layer_if_asked(name):
    model, x = network(name), images()
    assert saliency(model, x).shape == grad_cam(model, x).shape == (3, 7, 5)
    small = grad_cam(model, x, resized=False)
    path = gradients.last_convolution(model)
    assert small.shape[1:] == model.layer(path).output_shape[1:]
    np.testing.assert_allclose(grad_cam(model, x), tc.data.resize(small, (7, 5), "bilinear"))
    assert (small >= 0).all()


# --------------------------------------------------------------------------- occlusion


def occluded_by_hand(model, x, labels, kernel, stride, value):
    N, _, H, W = x.shape
    total, count = np.zeros((N, H, W)), np.zeros((H, W))
    r = 0
    while True:
        q = 0
        while True:
            covered, here = x.copy(), np.zeros((H, W), bool)
            for i in range(kernel[0]):
                for j in range(kernel[1]):
                    if r + i < H and q + j < W:
                        covered[:, :, r + i, q + j] = value
                        here[r + i, q + j] = True
            for n in range(N):
                drop = model.predict_proba(x[n : n + 1])[0, labels[n]] - model.predict_proba(covered)[n, labels[n]]
                total[n][here] += drop
            count += here
            if q + kernel[1] >= W:
                break
            q += stride[1]
        if r + kernel[0] >= H:
            break
        r += stride[0]
    return total / count


@pytest.mark.parametrize(("kernel", "stride", "value"), [
    ((1, 1), (1, 1), 0.0), ((3, 2), (2, 1), 0.0), ((3, 3), (2, 3), [0.5, -1.0]), ((7, 5), (1, 1), 1.0),
    ((2, 4), 2, 0.25),
])  # fmt: skip
@pytest.mark.parametrize("name", ["plain", "residual"])
def test_occlusion_is_what_loops_by_hand_give(name, kernel, stride, value):
    model, x, labels = network(name), images(2), np.array([3, 0])
    both = (stride, stride) if isinstance(stride, int) else stride
    expected = occluded_by_hand(model, x, labels, kernel, both, value)
    found = occlusion(model, x, labels, kernel, stride, value)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@given(H=st.integers(1, 6), W=st.integers(1, 6), seed=seeds, data=st.data())
def test_the_heat_of_occlusion_is_its_formula(H, W, seed, data):
    kernel = data.draw(st.tuples(st.integers(1, H), st.integers(1, W)))
    stride = data.draw(st.tuples(st.integers(1, kernel[0]), st.integers(1, kernel[1])))
    places = occluding._places((H, W), kernel, stride)
    assert sorted({r for rows in places[0] for r in range(H)[rows]}) == list(range(H))
    rng = np.random.default_rng(seed)
    arrays = {"p": rng.random(2), "hidden": rng.random((2, *map(len, places)))}
    found = occluding._heat(**arrays, kernel_size=kernel, stride=stride, size=(H, W))
    literal = formulas["occlusion"].evaluate(**arrays, kernel_size=kernel, stride=stride, size=(H, W))
    for ours, theirs in zip(found, literal, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-15)


def test_many_patches_are_asked_about_in_parts_and_no_examples_give_no_maps(monkeypatch):
    model, x = network("plain"), images(5)
    whole = occlusion(model, x), saliency(model, x, [0, 1, 2, 3, 0]), grad_cam(model, x, [0, 1, 2, 3, 0])
    monkeypatch.setattr(occluding, "AT_ONCE", 4)
    monkeypatch.setattr(gradients, "BATCH", 2)
    parts = occlusion(model, x), saliency(model, x, [0, 1, 2, 3, 0]), grad_cam(model, x, [0, 1, 2, 3, 0])
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    for look in (saliency, occlusion, grad_cam):
        assert look(model, x[:0]).shape == (0, 7, 5)


# --------------------------------------------------------------------------- all of them


@pytest.mark.parametrize("look", [saliency, occlusion, grad_cam, input_gradient])
def test_the_model_is_left_as_it_was_and_trains_on_as_if_nothing_had_been_asked(look):
    x, y = digits(16)
    asked, alone = (compiled(head=(Dropout(0.3),)) for _ in "ab")
    for model in (asked, alone):
        model.fit(x, y, verbose=0)
    before, grads = weights(asked), {k: g.copy() for k, g in asked.named_grads().items()}
    scores, x_before = asked.forward(x, train=False), x.copy()
    alone.forward(x, train=False)
    dx = alone.backward(np.ones_like(scores))
    look(asked, x)
    assert_equal_weights(asked, before)
    assert all(np.array_equal(g, asked.named_grads()[k]) for k, g in grads.items())
    assert np.array_equal(x, x_before)
    assert np.array_equal(asked.backward(np.ones_like(scores)), dx), "what the last forward left is still there"
    for model in (asked, alone):
        model.fit(x, y, epochs=2, verbose=0)
    assert_equal_weights(asked, weights(alone))
    assert not any({"forward", "backward"} & set(vars(layer)) for _, layer in asked._paths())


@pytest.mark.parametrize("look", [saliency, occlusion, grad_cam, input_gradient])
@pytest.mark.parametrize(
    ("x", "target", "error", "message"),
    [
        (np.zeros((1, 7, 5, 2)), None, ShapeError, "Channels come first here"),
        (np.zeros((2, 7, 5)), None, ShapeError, "must be a batch of"),
        (np.zeros((1, 2, 7, 5), np.uint8), None, TypeError, "x must hold float32 or float64"),
        (np.zeros((2, 2, 7, 5)), 4, ValueError, "target: 4 at position 0 is not a class"),
        (np.zeros((2, 2, 7, 5)), [0, -1], ValueError, "target: -1 at position 1 is not a class"),
        (np.zeros((2, 2, 7, 5)), [0, 1, 1], ShapeError, "one for each of the 2 examples, got 3"),
        (np.zeros((2, 2, 7, 5)), 1.5, TypeError, "target: expected integers"),
    ],
)
def test_what_cannot_be_asked_is_named(look, x, target, error, message):
    with pytest.raises(error, match=message):
        look(network("plain"), x, target)


@pytest.mark.parametrize("look", [saliency, occlusion, grad_cam])
def test_a_network_without_a_score_for_each_class_is_refused(look):
    pixels = Sequential([Conv2D(3, 3, padding="same")], input_shape=(1, 5, 4))
    with pytest.raises(ShapeError, match="a score for each class is needed"):
        look(pixels, np.zeros((1, 1, 5, 4)))
    with pytest.raises(TypeError, match=r"model must be a tinycnn.Sequential, got str"):
        look("model", np.zeros((1, 1, 5, 4)))
    vectors = Sequential([Dense(3)], input_shape=(4,))
    with pytest.raises(ShapeError, match=r"x must be pictures \(N, C, H, W\)"):
        look(vectors, np.zeros((1, 4)))


def test_patches_and_layers_that_do_not_fit_are_named():
    model, x = network("plain"), images()
    with pytest.raises(ValueError, match="a patch 8 high does not fit a picture 7 high"):
        occlusion(model, x, kernel_size=(8, 2))
    with pytest.raises(ValueError, match="steps of 3 between patches 2 wide, pixels would stay uncovered"):
        occlusion(model, x, kernel_size=(3, 2), stride=3)
    with pytest.raises(ShapeError, match="one for each of the 2 channels"):
        occlusion(model, x, value=[1.0, 2.0, 3.0])
    with pytest.raises(KeyError, match="no layer 'conv7'"):
        grad_cam(model, x, layer="conv7")
    with pytest.raises(ShapeError, match="'dense1' gives"):
        grad_cam(model, x, layer="dense1")


@pytest.mark.parametrize("name", ["lenet5", "resnet8", "digits"])
def test_the_networks_of_the_zoo_can_be_asked(name):
    model = zoo.NETWORKS[name]()
    x = np.random.default_rng(0).random((2, *model.input_shape)).astype(np.float32)
    for heat in (saliency(model, x), grad_cam(model, x)):
        assert heat.shape == (2, *model.input_shape[1:])
        assert heat.dtype == np.float32
        assert np.isfinite(heat).all()
