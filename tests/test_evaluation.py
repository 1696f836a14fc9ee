"""Cross-validation and mistakes: every example is tested once, by a network that has not seen it; seeds repeat it."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from networks import digits
from strategies import seeds

import tinycnn as tc
from tinycnn import Dense, Flatten, Sequential, ShapeError
from tinycnn.data.split import group_folds, stratified_folds
from tinycnn.evaluation import Mistakes, cross_validate, mean_and_sd, misclassified
from tinycnn.train import Callback
from tinycnn.train.metrics import accuracy

X, Y = digits(60)


def small(seed, **options):
    model = Sequential([Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=seed, **options)
    model.compile(tc.optim.Adam(0.01), metrics=["accuracy"])
    return model


def test_every_example_is_tested_once_by_a_network_that_has_not_seen_it(monkeypatch):
    trained = []
    fit = Sequential.fit

    def watched(model, x, y, **options):
        trained.append(x)
        return fit(model, x, y, **options)

    monkeypatch.setattr(Sequential, "fit", watched)
    result = cross_validate(small, X, Y, folds=4, epochs=2)
    assert sorted(np.concatenate([fold.test for fold in result.folds])) == list(range(60))
    for x, fold in zip(trained, result.folds, strict=True):
        assert np.array_equal(x, X[fold.train])
        assert not set(fold.train) & set(fold.test)
        assert len(fold.train) + len(fold.test) == 60
        assert fold.history.epochs == 2
        assert set(fold.history) == set(fold.scores) == {"loss", "accuracy"}


def test_a_fold_is_what_training_by_hand_gives_to_the_last_bit():
    result = cross_validate(small, X, Y, folds=3, epochs=2, batch_size=7, seed=5)
    for fold, (train, test) in zip(result.folds, stratified_folds(Y, 3, seed=5), strict=True):
        assert np.array_equal(fold.train, train)
        assert np.array_equal(fold.test, test)
        model = small(fold.seed)
        history = model.fit(X[train], Y[train], epochs=2, batch_size=7, verbose=0)
        assert dict(history) == dict(fold.history)
        assert np.array_equal(result.predictions[test], model.predict(X[test]))
        assert model.evaluate(X[test], Y[test]).as_dict() == fold.scores
    assert len({fold.seed for fold in result.folds}) == 3
    assert accuracy(Y, result.predictions) == pytest.approx(
        np.average(result["accuracy"], weights=[len(fold.test) for fold in result.folds])
    )


def test_the_same_call_gives_the_same_numbers_and_another_seed_others():
    one, same, other = (cross_validate(small, X, Y, folds=3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.predictions, same.predictions)
    assert one.mean == same.mean
    assert not np.array_equal(one.predictions, other.predictions)


def test_the_spread_is_that_of_a_sample_and_is_printed():
    result = cross_validate(small, X, Y, folds=3, epochs=3)
    for name in ("loss", "accuracy"):
        values = [fold.scores[name] for fold in result.folds]
        assert result[name].tolist() == values
        assert result.mean[name] == pytest.approx(statistics.mean(values), rel=1e-13)
        assert result.sd[name] == pytest.approx(statistics.stdev(values), rel=1e-12)
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines] == ["fold", "1", "2", "3", "mean", "sd"]
    assert lines[4].split()[1:] == [f"{result.mean[name]:.4f}" for name in ("loss", "accuracy")]
    with pytest.raises(KeyError, match="no metric 'f1'; there are loss, accuracy"):
        result["f1"]


def test_statistics_are_those_of_the_training_part_alone():
    made = []

    def make_model(seed):
        made.append(small(seed))
        return made[-1]

    x = X.copy()
    x[7] = 100.0  # who has seen this one knows it
    result = cross_validate(make_model, x, Y, folds=3, normalise=True)
    for model, fold in zip(made, result.folds, strict=True):
        found = model.preprocessing["normalise"]
        assert found["mean"][0] == pytest.approx(x[fold.train].astype(np.float64).mean())
        assert found["std"][0] == pytest.approx(x[fold.train].astype(np.float64).std())
        assert (found["mean"][0] > 1) == (7 in fold.train)


def test_a_callback_remembers_nothing_of_the_fold_before():
    class TwoEpochs(Callback):
        seen = 0

        def after_epoch(self, run):
            self.seen += 1
            if self.seen == 2:
                run.stop("two are enough")

    result = cross_validate(small, X, Y, folds=3, epochs=5, callbacks=[TwoEpochs()])
    assert [fold.history.epochs for fold in result.folds] == [2, 2, 2]


def test_no_group_is_divided():
    groups = np.arange(60) // 7
    result = cross_validate(small, X, Y, folds=4, groups=groups)
    for fold, (_, test) in zip(result.folds, group_folds(groups, 4, seed=0), strict=True):
        assert np.array_equal(fold.test, test)
        assert not set(groups[fold.train]) & set(groups[fold.test])


def test_stratified_folds_have_the_mix_of_all_also_from_one_hot_rows_and_numbers_need_none():
    rows = tc.data.one_hot(Y, 10)
    by_rows, by_labels = (cross_validate(small, X, y, folds=3) for y in (rows, Y))
    for a, b in zip(by_rows.folds, by_labels.folds, strict=True):
        assert np.array_equal(a.test, b.test)
        assert np.abs(np.bincount(Y[a.test], minlength=10) - np.bincount(Y, minlength=10) / 3).max() <= 1

    def regression(seed):
        model = Sequential([Flatten(), Dense(1)], input_shape=(1, 8, 8), seed=seed)
        model.compile("sgd", loss="mse")
        return model

    t = Y[:, None].astype(np.float32) / 10
    with pytest.raises(ValueError, match=r"a class for each example is needed.*stratified=False"):
        cross_validate(regression, X, t, folds=3)
    assert set(cross_validate(regression, X, t, folds=3, stratified=False)) == {"loss"}


def test_a_class_too_rare_for_all_folds_is_said():
    y = Y.copy()
    y[y == 3] = 4
    y[0] = 3
    with pytest.warns(UserWarning, match="class 3 has 1 examples, and there are 3 folds: some test none of it"):
        cross_validate(small, X, y, folds=3)


def test_a_network_that_may_have_seen_the_test_part_is_refused():
    once = small(0)
    with pytest.raises(ValueError, match="must make a new network each time"):
        cross_validate(lambda seed: once, X, Y, folds=3)
    layer = Dense(10)

    def shares(seed):
        model = Sequential([Flatten(), layer], input_shape=(1, 8, 8), seed=seed)
        model.compile("adam")
        return model

    with pytest.raises(ValueError, match="layers and all: this one was trained before"):
        cross_validate(shares, X, Y, folds=3)
    everything = tc.data.channel_statistics(X)
    with pytest.raises(ValueError, match="the network brings statistics of its own"):
        cross_validate(lambda seed: small(seed, preprocessing={"normalise": everything}), X, Y, folds=3)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"make_model": small(0)}, TypeError, "make_model must be a function of a seed"),
        ({"make_model": lambda: small(0)}, TypeError, r"must take one argument, the seed of the fold; got \(\)"),
        ({"make_model": lambda seed: None}, TypeError, "must return a tinycnn.Sequential, got NoneType"),
        ({"make_model": lambda seed: Sequential([Flatten(), Dense(10)])}, RuntimeError, "compile the model first"),
        ({"y": Y[:59]}, ShapeError, "same number of examples"),
        ({"folds": 1}, ValueError, "folds must be from 2 to the number of examples, 60; got"),
        ({"folds": 61, "stratified": False}, ValueError, "folds must be from 2 to the number of examples, 60; got"),
        ({"seed": -1}, ValueError, "seed must be an int"),
        ({"groups": np.zeros(3)}, ShapeError, "one for each of the 60 examples, got shape"),
        ({"validation_data": (X, Y)}, TypeError, "validation_data is not for you to give"),
        ({"resume_from": "run"}, TypeError, "resume_from is not for you to give"),
        ({"epochs": 0}, ValueError, "epochs must be an int"),
    ],
)
def test_what_cannot_be_cross_validated_is_named(options, error, message):
    given_ = {"make_model": small, "x": X, "y": Y, "folds": 3} | options
    with pytest.raises(error, match=message):
        cross_validate(**given_)


@given(N=st.integers(2, 12), seed=seeds)
def test_mean_and_sd_are_their_formula_and_those_of_the_standard_library(N, seed):
    values = np.random.default_rng(seed).normal(3, 2, N)
    mean, sd = mean_and_sd(values)
    np.testing.assert_allclose((mean, sd), tc.formulas["mean_and_sd"].evaluate(values=values), rtol=1e-12)
    assert (mean, sd) == pytest.approx((statistics.mean(values), statistics.stdev(values)), rel=1e-12)


def test_one_number_does_not_scatter():
    with pytest.raises(ValueError, match="at least two numbers"):
        mean_and_sd([1.0])


def test_the_examples_of_the_page_run(capsys):
    page = Path(__file__).parents[1].joinpath("docs", "evaluation.md").read_text(encoding="utf-8")
    names = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    assert names["result"].mean["accuracy"] > 0.6
    assert "weighted" in capsys.readouterr().out
    for name in tc.evaluation.__all__:
        assert name in page or name in ("CrossValidation", "Fold", "Mistakes", "mean_and_sd")


# --------------------------------------------------------------------------- mistakes


@given(N=st.integers(1, 20), K=st.integers(2, 5), seed=seeds)
def test_mistakes_are_those_of_the_accuracy_with_the_largest_loss_first(N, K, seed):
    rng = np.random.default_rng(seed)
    true, p = rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)
    found = misclassified(true, p)
    assert isinstance(found, Mistakes)
    assert len(found.indices) == round(N * (1 - accuracy(true, p)))
    expected = sorted((n for n in range(N) if max(range(K), key=lambda k: p[n, k]) != true[n]),
                      key=lambda n: p[n, true[n]])  # fmt: skip
    assert found.indices.tolist() == expected
    for place, n in enumerate(expected):
        assert found.true[place] == true[n] != found.predicted[place]
        assert found.probability[place] == p[n].max()
        assert found.loss[place] == pytest.approx(-np.log(p[n, true[n]]), rel=1e-13)


def test_no_chance_at_all_is_an_infinite_loss_and_comes_first():
    found = misclassified([1, 0, 1], [[0.6, 0.4], [0.0, 1.0], [0.6, 0.4]])
    assert found.indices.tolist() == [1, 0, 2]
    assert np.isinf(found.loss[0])
    assert len(misclassified([0], [[0.9, 0.1]]).indices) == 0


def test_one_column_and_scores_are_no_probabilities():
    with pytest.raises(ValueError, match=r"expected probabilities \(N, K\)"):
        misclassified([0, 1], [0.2, 0.9])
    with pytest.raises(ValueError, match="Are these scores"):
        misclassified([0, 1], [[0.2, 0.9], [0.1, 0.3]])
