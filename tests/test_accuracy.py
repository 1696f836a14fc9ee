"""How well the demo's network learns the digits: measured on data it has not seen. Minutes; by hand or `-m slow`."""

import numpy as np
import pytest

from tinycnn import data, demo


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_demo_reaches_98_percent_on_the_fixed_test_part(seed):
    train, val, test = data.load_digits()
    model, _ = demo.train_digits(train, val, seed, verbose=0)
    assert model.evaluate(test.x, test.y).accuracy >= 0.98


@pytest.mark.slow
def test_the_demo_reaches_98_5_percent_on_average_in_five_fold_cross_validation():
    digits = data.load_all_digits()
    accuracies = []
    for train, test in data.stratified_folds(digits.y, 5, seed=0):
        model, _ = demo.train_digits(digits[train], None, seed=0, verbose=0)
        accuracies.append(model.evaluate(digits.x[test], digits.y[test]).accuracy)
    assert np.mean(accuracies) >= 0.985
