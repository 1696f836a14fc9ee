"""How well networks learn the digits: measured on data they have not seen. Minutes; by hand or `-m slow`."""

from pathlib import Path

import numpy as np
import pytest

from tinycnn import data, demo
from tinycnn.runs.run import train_run
from tinycnn.runs.settings import Settings, read_settings

DIGITS = Path(__file__).parents[1] / "tutorials" / "settings" / "digits.toml"


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


def trained(folder: Path, **flags) -> dict:
    """What `tinycnn train digits --config tutorials/settings/digits.toml` with these flags reaches."""
    return train_run(Settings(data="digits", **flags).over(read_settings(DIGITS)), folder, verbose=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_with_augmentation_the_digits_reach_99_percent(seed, tmp_path):
    assert trained(tmp_path, seed=seed)["test"]["accuracy"] >= 0.99


def test_a_tenth_of_that_training_reaches_94_percent(tmp_path):
    assert trained(tmp_path, epochs=4)["test"]["accuracy"] >= 0.94
