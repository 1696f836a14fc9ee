"""What a sweep tries."""

import numpy as np
import pytest

from tinycnn.runs.settings import Settings, SettingsError
from tinycnn.runs.trials import Range, choices, chosen, tried


def test_a_grid_is_every_combination_in_order():
    found = choices(tried(["lr=0.1,0.01", "net=digits,lenet5"]), None, seed=0)
    assert found == [
        {"lr": 0.1, "net": "digits"}, {"lr": 0.1, "net": "lenet5"},
        {"lr": 0.01, "net": "digits"}, {"lr": 0.01, "net": "lenet5"},
    ]  # fmt: skip


def test_random_trials_stay_the_same_when_more_are_asked_for():
    tries = tried(["lr=0.0001..0.1", "batch_size=16,32", "epochs=1..3"])
    assert choices(tries, 5, seed=1) == choices(tries, 50, seed=1)[:5]
    assert choices(tries, 5, seed=1) != choices(tries, 5, seed=2)


def test_a_wide_range_is_drawn_by_its_logarithm_and_a_narrow_one_evenly():
    rng = np.random.default_rng(0)
    wide = [Range(1e-4, 1e-1).draw(rng) for _ in range(3000)]
    assert abs(np.mean(np.array(wide) < 10**-2.5) - 0.5) < 0.04  # half of it below the middle of the logarithms
    narrow = [Range(0.5, 0.9).draw(rng) for _ in range(3000)]
    assert abs(np.mean(narrow) - 0.7) < 0.01
    whole = [Range(1, 3).draw(rng) for _ in range(300)]
    assert set(whole) == {1, 2, 3}
    assert all(isinstance(n, int) for n in whole)


def test_a_choice_reaches_into_a_table_and_keeps_the_rest():
    below = Settings(optimizer={"name": "sgd", "lr": 0.1, "momentum": 0.5}, epochs=4)
    told = chosen(below, {"optimizer.momentum": 0.9, "epochs": 2})
    assert told.optimizer == {"name": "sgd", "lr": 0.1, "momentum": 0.9}
    assert told.epochs == 2


@pytest.mark.parametrize(
    ("texts", "random", "says"),
    [
        ([], None, "needs something to try"),
        (["lr"], None, "reads lr=0.01,0.1"),
        (["lr="], None, "reads lr=0.01,0.1"),
        (["lr=1", "lr=2"], None, "tried twice"),
        (["lr=0.1..0.2"], None, "lr is a range: say how many"),
        (["lr=0.2..0.1"], 3, "goes from less to more"),
        (["lr=a..b"], 3, "a range reads"),
        (["lr=1..2..3"], 3, "a range reads"),
        (["lr=0.1,0.2"], 0, "1 to 10,000 trials, and this would have 0"),
        ([f"{name}={','.join('123456789')}" for name in ("a", "b", "c", "d", "e")], None, "would have 59,049"),
    ],
)
def test_what_cannot_be_tried_is_one_clear_line(texts, random, says):
    with pytest.raises(SettingsError, match=says):
        choices(tried(texts), random, seed=0)


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ({"epoch": 3}, "did you mean 'epochs'"),
        ({"epochs": "many"}, "epochs must be a whole number"),
        ({"optimiser.lr": 0.1}, "did you mean 'optimizer'"),
    ],
)
def test_a_trial_of_what_is_no_setting_is_refused(choice, says):
    with pytest.raises(SettingsError, match=says):
        chosen(Settings(optimizer={"name": "adam"}), choice)
