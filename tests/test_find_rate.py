"""The learning-rate finder tries rates on a copy, and finds where the loss falls fastest."""

from __future__ import annotations

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights

from tinycnn import Dense, Sequential, ShapeError
from tinycnn.optim import SGD, Adam, StepDecay
from tinycnn.plot import learning_rate
from tinycnn.train import RateSearch, find_rate

X, Y = digits(200)


def test_it_leaves_the_model_as_it_was_and_gives_the_same_answer_twice():
    model = compiled(optimizer=Adam(0.01, schedule=StepDecay(1)))
    model.fit(X, Y, verbose=0)
    before, state = weights(model), model.state_dict()
    first = find_rate(model, X, Y, steps=30)
    assert first == find_rate(model, X, Y, steps=30)
    assert_equal_weights(model, before)
    assert model.state_dict()["optimizer"]["steps"] == state["optimizer"]["steps"]
    assert model.state_dict()["generators"] == state["generators"]


def test_the_rates_grow_by_a_factor_and_the_smooth_loss_is_the_unbiased_mean():
    search = find_rate(compiled(), X, Y, lowest=1e-5, highest=1e-2, steps=31)
    np.testing.assert_allclose(search.rates, np.geomspace(1e-5, 1e-2, 31), rtol=1e-12)
    weights_of = [0.9 ** np.arange(k, -1, -1) for k in range(31)]
    expected = [np.average(search.losses[: k + 1], weights=w) for k, w in enumerate(weights_of)]
    np.testing.assert_allclose(search.smooth, expected, rtol=1e-12)


def test_the_rate_it_suggests_learns_and_a_hundredth_or_a_hundredfold_does_not_as_well():
    search = find_rate(compiled(optimizer=SGD(0.1)), X, Y, lowest=1e-5, highest=100.0)
    assert search.suggestion < search.turning < 100
    assert len(search.rates) < 100  # it ended where the loss went up
    ends = {}
    for factor in (0.01, 1.0, 100.0):
        model = compiled(optimizer=SGD(search.suggestion * factor))
        try:
            ends[factor] = model.fit(X, Y, epochs=5, verbose=0)["loss"][-1]
        except FloatingPointError:
            ends[factor] = np.inf
    assert ends[1.0] < 0.7 * ends[0.01]
    assert ends[1.0] < 0.7 * ends[100.0]


def test_on_a_parabola_the_loss_turns_near_the_rate_that_theory_names():
    """L = w², one weight: a step of SGD multiplies w by 1 − 2·lr, so beyond lr = 1 it grows."""
    model = Sequential([Dense(1, use_bias=False)], input_shape=(1,), dtype=np.float64)
    model.layers[0].params["w"][:] = 1.0
    model.compile(SGD(0.1), "mse")
    x, y = np.ones((8, 1)), np.zeros((8, 1))
    search = find_rate(model, x, y, lowest=1e-3, highest=10.0, batch_size=8)
    assert 0.5 < search.rates[int(np.argmin(search.losses))] < 1.2
    assert 0.01 < search.suggestion < 0.5


def test_what_makes_no_sense_is_refused():
    model = compiled()
    for options, said in (({"lowest": 0.0}, "the rates must grow, 0 < lowest < highest, got 0 and 10"),
                          ({"lowest": 20.0}, "got 20 and 10"), ({"steps": 3}, "steps must be an int ≥ 10, got 3"),
                          ({"highest": "1"}, "highest must be a number, got '1'")):  # fmt: skip
        with pytest.raises(ValueError, match=r".") as caught:
            find_rate(model, X, Y, **options)
        assert said in str(caught.value)
    with pytest.raises(ShapeError, match="x has 200 examples, but y has 9 labels"):
        find_rate(model, X, Y[:9])
    with pytest.raises(RuntimeError, match="compile the model first"):
        find_rate(Sequential([Dense(2)], input_shape=(3,)), X, Y)
    model.layers[0].params["w"][...] = 1e38
    model.layers[-1].params["w"][...] = 1e38
    with pytest.raises(FloatingPointError, match=r"even at a rate of 1e-06 the loss is not finite"):
        find_rate(model, X, Y)


def test_the_figure_shows_every_rate_and_both_marks():
    search = RateSearch((0.01, 0.066, 1.0, 10.0), (3.0, 2.0, 1.0, 9.0), (3.0, 2.2, 1.5, 4.0))
    (ax,) = learning_rate(search).axes
    assert ax.get_xscale() == "log"
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), search.losses)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), search.smooth)
    assert {text.get_text() for text in ax.texts} == {"falls fastest at 0.066", "turns at 1"}
    assert repr(search) == "<search of 4 rates from 0.01 to 10: the loss falls fastest at 0.066, and turns at 1>"
