"""Weights begin at random with the spread their formula says, which keeps signals alive through many layers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import Conv2D, Dense, ReLU, Sequential
from tinycnn.layers.initialisers import INITIALISERS, fans, glorot_std, he_std, initialiser

CONV, DENSE = (40, 30, 5, 7), (300, 500)  # (F, C, KH, KW) and (units, features): 42,000 and 150,000 draws
FANS = {CONV: (30 * 35, 40 * 35), DENSE: (500, 300)}


def spread(name: str, shape: tuple[int, ...]) -> float:
    """He: √(2/fan_in); Glorot: √(2/(fan_in + fan_out)); worked out here, not by the code under test."""
    fan_in, fan_out = FANS[shape]
    return math.sqrt(2 / fan_in) if name.startswith("he") else math.sqrt(2 / (fan_in + fan_out))


@pytest.mark.parametrize("shape", [CONV, DENSE])
@pytest.mark.parametrize("name", ["he_normal", "he_uniform", "glorot_normal", "glorot_uniform"])
def test_the_moments_of_many_draws_are_those_of_the_law(name, shape):
    z = INITIALISERS[name](shape, np.random.default_rng(0)) / spread(name, shape)
    assert z.shape == shape
    n = z.size
    kurtosis = 3.0 if name.endswith("normal") else 1.8  # E[z⁴]: the normal law's and the uniform's
    eighth = 105.0 if name.endswith("normal") else 9.0  # E[z⁸], for the spread of the fourth moment's estimate
    assert abs(z.mean()) < 5 / math.sqrt(n)
    assert abs((z**2).mean() - 1) < 5 * math.sqrt((kurtosis - 1) / n)
    assert abs((z**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((z**4).mean() - kurtosis) < 5 * math.sqrt((eighth - kurtosis**2) / n)
    if name.endswith("uniform"):
        assert abs(z).max() <= math.sqrt(3)
        assert abs(z).max() > math.sqrt(3) * (1 - 20 / n)
    else:
        assert abs(z).max() > 3.5


@pytest.mark.parametrize("name", ["he_normal", "glorot_uniform"])
def test_draws_do_not_depend_on_each_other(name):
    w = INITIALISERS[name]((200, 200), np.random.default_rng(1))
    w /= w.std()
    for a, b in ((w[:-1], w[1:]), (w[:, :-1], w[:, 1:])):
        assert abs((a * b).mean()) < 5 / math.sqrt(a.size)


def test_zeros_are_zeros():
    assert not INITIALISERS["zeros"]((3, 2), np.random.default_rng(0)).any()


@pytest.mark.parametrize("shape", [CONV, DENSE, (4, 1, 1, 1), (3, 2)])
def test_fans_count_what_an_output_gathers_and_an_input_feeds(shape):
    F, C, *kernel = shape
    taps = int(np.prod(kernel, dtype=int))
    assert fans(shape) == (C * taps, F * taps)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(1, 1), (27, 64), (1000, 10)])
def test_the_spreads_are_their_formulas(fan_in, fan_out):
    assert he_std(fan_in) == pytest.approx(tc.formulas["he_std"].evaluate(fan_in=fan_in), rel=1e-15)
    glorot = tc.formulas["glorot_std"].evaluate(fan_in=fan_in, fan_out=fan_out)
    assert glorot_std(fan_in, fan_out) == pytest.approx(glorot, rel=1e-15)
    assert he_std(fan_in) ** 2 * fan_in == pytest.approx(2)
    assert glorot_std(fan_in, fan_out) ** 2 * (fan_in + fan_out) == pytest.approx(2)


def _mean_squares(initializer: str) -> tuple[list[float], list[float]]:
    """The mean square of the signal after each of ten dense layers with ReLU, and of the gradient on its way back."""
    blocks = [[Dense(400, kernel_initializer=initializer), ReLU()] for _ in range(10)]
    model = Sequential([layer for block in blocks for layer in block], input_shape=(400,), seed=1)
    x = signal = np.random.default_rng(0).normal(size=(200, 400)).astype(np.float32)
    forward = [float((x**2).mean())]
    for dense, relu in blocks:
        signal = relu.forward(dense.forward(signal))
        forward.append(float((signal**2).mean()))
    dy = np.random.default_rng(1).normal(size=signal.shape).astype(np.float32)
    back = [float((dy**2).mean())]
    for dense, relu in reversed(blocks):
        dy = dense.backward(relu.backward(dy))
        back.append(float((dy**2).mean()))
    assert len(model.layers) == 20
    return forward, back


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_with_he_a_signal_keeps_its_size_through_ten_layers_of_relu_and_the_gradient_too(law):
    forward, back = _mean_squares(f"he_{law}")
    assert all(0.5 < size < 2 for size in forward), forward
    assert all(0.4 < size < 2.5 for size in back), back


def test_with_glorot_relu_halves_the_signal_at_every_layer():
    forward, _ = _mean_squares("glorot_normal")
    assert 2**-11 < forward[-1] / forward[0] < 2**-9


def test_through_convolutions_too():
    layers = [layer for _ in range(5) for layer in (Conv2D(24, 3), ReLU())]
    model = Sequential(layers, input_shape=(24, 14, 13), seed=2)
    x = np.random.default_rng(0).normal(size=(20, 24, 14, 13)).astype(np.float32)
    assert 0.3 < (model.forward(x) ** 2).mean() < 3


@pytest.mark.parametrize("name", sorted(INITIALISERS))
def test_the_same_seed_gives_the_same_weights_and_another_one_others(name):
    def draw(seed):
        return Sequential([Dense(4, kernel_initializer=name)], input_shape=(6,), seed=seed).layers[0].params["w"]

    np.testing.assert_array_equal(draw(3), draw(3))
    assert (name in ("zeros", "ones", "constant")) == np.array_equal(draw(3), draw(4))


def test_defaults_are_he_for_weights_and_zero_for_biases():
    model = Sequential([Conv2D(64, 3), tc.Flatten(), Dense(50)], input_shape=(8, 6, 5))
    for layer, fan_in in ((model.layers[0], 8 * 9), (model.layers[2], 64 * 4 * 3)):
        assert not layer.params["b"].any()
        assert layer.params["w"].std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.05)
        assert layer.params["w"].dtype == layer.params["b"].dtype == np.float32


def test_a_grouped_filter_counts_the_channels_that_it_sees():
    w = Sequential([Conv2D(256, 3, groups=4)], input_shape=(16, 3, 3)).layers[0].params["w"]
    assert w.std() == pytest.approx(math.sqrt(2 / (4 * 9)), rel=0.03)


def test_two_layers_of_one_network_draw_different_weights():
    model = Sequential([Dense(5), Dense(5)], input_shape=(5,))
    assert not np.array_equal(model.layers[0].params["w"], model.layers[1].params["w"])


def test_an_unknown_initialiser_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match=r"no initialiser 'glorot'; did you mean 'glorot_.*he_normal.*zeros"):
        initialiser("glorot")


@pytest.mark.parametrize("shape", [(4, 7), (6, 3, 2, 2), (9, 5)])
def test_orthogonal_rows_or_columns_are_of_length_one_and_at_right_angles(shape):
    w = INITIALISERS["orthogonal"](shape, np.random.default_rng(0)).reshape(shape[0], -1)
    w = w if w.shape[0] <= w.shape[1] else w.T
    np.testing.assert_allclose(tc.formulas["orthogonal"].evaluate(w=w), np.eye(len(w)), atol=1e-14)


def test_an_initialiser_with_a_number_is_its_formula():
    e = np.random.default_rng(3).normal(size=(2, 5))
    drawn = initialiser(("normal", 0.3))((2, 5), np.random.default_rng(3))
    np.testing.assert_allclose(drawn, tc.formulas["normal"].evaluate(e=e, std=0.3), rtol=1e-15)
    e = np.random.default_rng(3).random((2, 5))
    drawn = initialiser(("uniform", 0.3))((2, 5), np.random.default_rng(3))
    np.testing.assert_allclose(drawn, tc.formulas["uniform"].evaluate(e=e, limit=0.3), rtol=1e-12)
    assert (initialiser(("constant", 0.3))((2, 5), np.random.default_rng(3)) == 0.3).all()
