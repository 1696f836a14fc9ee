"""Schedules: each is its formula and PyTorch's scheduler, moves the optimizer's rate, and travels with it."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights
from torch_optim import torch_plateau, torch_schedule

import tinycnn as tc
from tinycnn import optim
from tinycnn.optim import (
    SGD,
    Adam,
    Constant,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    StepDecay,
    Warmup,
    schedule_of,
)
from tinycnn.optim.plateau import sign_of
from tinycnn.optim.sequences import SCHEDULES
from tinycnn.verify.recorded import recorded
from tinycnn.verify.schedule_cases import CASES, PLATEAUS, literal_plateau, plateau_factors, watched_values
from tinycnn.verify.witness_schedules import factors_of, walked

X, Y = digits(20)
every_case = pytest.mark.parametrize("name", CASES)
every_plateau = pytest.mark.parametrize("name", PLATEAUS)
SOME = [
    Constant(), StepDecay(3, 0.5), ExponentialDecay(0.9, every="step"), CosineDecay(10, 0.1), Warmup(4),
    Warmup(4, 0.2, then=CosineDecay(9, every="step")), OneCycle(100), ReduceOnPlateau("loss", patience=3),
    Warmup(2, then=ReduceOnPlateau("val_accuracy")),
]  # fmt: skip


# --------------------------------------------------------------------------- the formulas


@every_case
def test_every_step_is_the_formula_walked(name):
    np.testing.assert_allclose(factors_of(CASES[name]), walked(CASES[name]), rtol=1e-14, atol=0)


@every_case
def test_every_step_is_what_pytorch_recorded(name):
    np.testing.assert_allclose(factors_of(CASES[name]), recorded("torch_schedules")[name], rtol=1e-12, atol=1e-15)


@pytest.mark.torch
@every_case
def test_every_step_is_pytorchs(name):
    pytest.importorskip("torch")
    np.testing.assert_allclose(factors_of(CASES[name]), torch_schedule(CASES[name]), rtol=1e-12, atol=1e-15)


@every_plateau
def test_a_plateau_is_its_formula_and_what_pytorch_recorded(name):
    ours = list(plateau_factors(PLATEAUS[name]))
    assert len(set(ours)) > 2
    assert ours == list(literal_plateau(PLATEAUS[name]))
    np.testing.assert_allclose(ours, recorded("torch_schedules")[name], rtol=1e-14, atol=0)


@pytest.mark.torch
@every_plateau
def test_a_plateau_is_pytorchs(name):
    pytest.importorskip("torch")
    ours = list(plateau_factors(PLATEAUS[name]))
    np.testing.assert_allclose(ours, torch_plateau(PLATEAUS[name], watched_values()), rtol=1e-14, atol=0)


@pytest.mark.torch
def test_a_warm_up_and_what_follows_are_pytorchs_in_sequence():
    torch = pytest.importorskip("torch")
    s = torch.optim.lr_scheduler
    theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    sequence = s.SequentialLR(
        theirs, [s.LinearLR(theirs, 0.2, 1.0, 5), s.CosineAnnealingLR(theirs, 12, 0.05)], milestones=[5]
    )
    ours = Warmup(5, 0.2, then=CosineDecay(12, 0.05))
    for t in range(18):
        assert ours.factor(t) == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
        theirs.step()
        sequence.step()


def test_the_ends_of_each_are_what_its_words_say():
    assert [CosineDecay(4).factor(t) for t in (0, 4, 400)] == [1.0, 0.0, 0.0]
    assert [Warmup(4, 0.25).factor(t) for t in (0, 4, 400)] == [0.25, 1.0, 1.0]
    both = Warmup(2, 0.5, then=StepDecay(1, 0.5))
    assert [both.factor(t) for t in range(5)] == [0.5, 0.75, 1.0, 0.5, 0.25]
    cycle = OneCycle(10, rise=0.5, start=0.25, final=0.125)
    assert [cycle.factor(t) for t in (0, 4, 9, 99)] == [0.25, 1.0, 0.125, 0.125]
    assert [StepDecay(2, 0.5).factor(t) for t in (1, 2, 3, 4)] == [1.0, 0.5, 0.5, 0.25]


def test_a_plateau_never_falls_below_its_least_and_a_nan_is_no_progress():
    schedule = ReduceOnPlateau("loss", gamma=0.1, patience=0, least=0.05)
    for value in (1.0, math.nan, math.nan, math.nan):
        schedule.observe({"loss": value})
    assert (schedule.factor(0), schedule.best) == (0.05, 1.0)


# --------------------------------------------------------------------------- on the optimizer


def stepped(optimizer, steps: int) -> list[float]:
    """Where a weight of 0 is after each step under a gradient of −1: the sum of the rates so far."""
    w, places = {"w": np.zeros(1)}, []
    for _ in range(steps):
        optimizer.step(w, {"w": np.array([-1.0])})
        places.append(float(w["w"][0]))
    return places


def test_each_step_is_as_long_as_the_rate_times_the_factor_of_that_step():
    schedule = Warmup(3, 0.25, then=ExponentialDecay(0.5, every="step"))
    places = stepped(SGD(0.5, schedule=schedule), 8)
    expected = np.cumsum([0.5 * schedule.factor(t) for t in range(8)])
    np.testing.assert_allclose(places, expected, rtol=1e-15)


def test_a_schedule_by_the_epoch_moves_only_between_epochs():
    optimizer = SGD(1.0, schedule=StepDecay(1, 0.5))
    assert stepped(optimizer, 3) == [1.0, 2.0, 3.0]
    optimizer.end_epoch({"loss": 1.0})
    assert stepped(optimizer, 2) == [0.5, 1.0]
    assert (optimizer.epochs, optimizer.rate_factor()) == (1, 0.5)


def test_groups_keep_the_proportions_of_their_rates():
    optimizer = SGD(0.1, groups={"dense*": {"lr": 0.4}}, schedule=StepDecay(1, 0.5, every="step"))
    w = {"conv1.w": np.zeros(1), "dense1.w": np.zeros(1)}
    for _ in range(2):
        optimizer.step(w, {key: np.array([-1.0]) for key in w})
    np.testing.assert_allclose([w["conv1.w"][0], w["dense1.w"][0]], [0.15, 0.6], rtol=1e-15)


def test_fit_counts_the_epochs_and_shows_their_numbers():
    model = compiled(optimizer=SGD(1e-9, schedule=ReduceOnPlateau("accuracy", gamma=0.5, patience=1)))
    rates = []
    model.fit(X, Y, epochs=5, verbose=0, callbacks=lambda run: rates.append(run.lr / 1e-9))
    assert rates == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.5])  # of the epoch itself; nothing is learned at such a rate
    assert model.optimizer.epochs == 5


@pytest.mark.parametrize("schedule", [StepDecay(2, 0.1), CosineDecay(6, every="step"), OneCycle(9), Constant()],
                         ids=repr)  # fmt: skip
def test_training_under_a_schedule_is_training_at_its_rates_one_by_one(schedule):
    model, by_hand = compiled(optimizer=Adam(0.01, schedule=schedule)), compiled(optimizer=Adam(0.01))
    model.fit(X, Y, epochs=3, batch_size=8, verbose=0)

    def at_the_rate_of(step: int, epoch: int) -> float:
        return 0.01 * schedule.factor(epoch if schedule.every == "epoch" else step)

    optimizer, step = by_hand.optimizer, by_hand.optimizer.step
    optimizer.step = lambda w, dw: (setattr(optimizer, "lr", at_the_rate_of(optimizer.steps, optimizer.steps // 3)),
                                    step(w, dw))  # fmt: skip
    by_hand.fit(X, Y, epochs=3, batch_size=8, verbose=0)
    assert_equal_weights(model, weights(by_hand))


def test_two_optimizers_do_not_share_what_a_plateau_remembers():
    schedule = ReduceOnPlateau("loss", patience=0)
    a, b = SGD(0.1, schedule=schedule), SGD(0.1, schedule=schedule)
    a.end_epoch({"loss": 1.0})
    a.end_epoch({"loss": 1.0})
    assert (a.rate_factor(), b.rate_factor(), schedule.factor(0)) == (0.1, 1.0, 1.0)


# --------------------------------------------------------------------------- config, files, state


@pytest.mark.parametrize("schedule", SOME, ids=repr)
def test_its_config_and_its_repr_make_an_equal_schedule(schedule):
    assert schedule_of(schedule.config()).config() == schedule.config()
    assert eval(repr(schedule), vars(optim)).config() == schedule.config()
    optimizer = Adam(0.01, schedule=schedule)
    assert type(optimizer)(**optimizer.config()).config() == optimizer.config()
    assert eval(repr(optimizer), vars(optim)).config() == optimizer.config()


@pytest.mark.parametrize("schedule", SOME, ids=repr)
def test_it_is_saved_with_the_model(schedule, tmp_path):
    model = compiled(optimizer=SGD(0.1, schedule=schedule))
    model.save(tmp_path / "model")
    assert repr(tc.load(tmp_path / "model").optimizer) == repr(model.optimizer)


def test_every_schedule_is_in_the_table_and_has_a_name_of_its_own():
    kinds = {kind for kind in vars(optim).values()
             if isinstance(kind, type) and issubclass(kind, Schedule) and kind is not Schedule}  # fmt: skip
    assert set(SCHEDULES.values()) == kinds
    assert {type(one) for one in SOME} == kinds


def test_the_state_of_an_optimizer_holds_its_schedules():
    make = lambda: SGD(0.1, schedule=Warmup(2, then=ReduceOnPlateau("loss", patience=0)))  # noqa: E731
    optimizer, twin = make(), make()
    for loss in (1.0, 1.0, 0.5, 0.5):
        optimizer.end_epoch({"loss": loss})
    twin.load_state_dict(optimizer.state_dict())
    for each in (optimizer, twin, copy.deepcopy(optimizer)):
        each.end_epoch({"loss": 0.5})
        assert (each.epochs, each.rate_factor()) == (5, pytest.approx(0.01))
    optimizer.forget()
    assert (optimizer.epochs, optimizer.steps, optimizer.state, optimizer.rate_factor()) == (0, 0, {}, 0.1)


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (lambda: StepDecay(0), ValueError, "length must be an int ≥ 1, got 0"),
        (lambda: StepDecay(2.5), ValueError, "length must be an int ≥ 1, got 2.5"),
        (lambda: StepDecay(3, -0.1), ValueError, "gamma must be ≥ 0, got -0.1"),
        (lambda: ExponentialDecay("0.9"), ValueError, "gamma must be a number, got '0.9'"),
        (lambda: CosineDecay(10, every="batch"), ValueError, "every must be 'epoch' or 'step', got 'batch'"),
        (lambda: CosineDecay(True), ValueError, "length must be an int ≥ 1, got True"),
        (lambda: OneCycle(3), ValueError, "rise=0.3 of length=3 must leave a step for the way up, and one down"),
        (lambda: OneCycle(10, rise=1.0), ValueError, "rise must be ≥ 0 and < 1, got 1.0"),
        (lambda: Warmup(3, then=OneCycle(9), every="epoch"), ValueError, "a warm-up by the epoch cannot go before"),
        (lambda: Warmup(3, then=0.1), TypeError, "schedule must be one of tinycnn.optim, such as CosineDecay(10)"),
        (lambda: ReduceOnPlateau(patience=-1), ValueError, "patience must be an int ≥ 0, got -1"),
        (lambda: ReduceOnPlateau(gamma=1.0), ValueError, "gamma must be ≥ 0 and < 1, got 1.0"),
        (lambda: ReduceOnPlateau("speed"), ValueError, "is more or less of 'speed' better? Say mode='min' or"),
        (lambda: ReduceOnPlateau("val_los"), ValueError, "mode='max', or is it 'val_loss' that is meant?"),
        (lambda: ReduceOnPlateau(mode="least"), ValueError, "Say mode='min' or mode='max', got 'least'"),
        (lambda: ReduceOnPlateau(every="step"), ValueError, "every must be 'epoch'"),
        (lambda: SGD(0.1, schedule=0.9), TypeError, "schedule must be one of tinycnn.optim, such as CosineDecay(10), "),
        (lambda: SGD(0.1, schedule=CosineDecay), TypeError, "schedule must be one of tinycnn.optim"),
        (lambda: SGD(0.1, schedule={"name": "cosin"}), ValueError, "no schedule 'cosin'; did you mean 'cosine'?"),
        (lambda: SGD(0.1, schedule={"name": "cosine", "lenght": 3}), ValueError,
         "no option of CosineDecay 'lenght'; did you mean 'length'?"),
        (lambda: SGD(0.1, schedule={"name": "cosine"}), ValueError, "CosineDecay: missing 1 required positional"),
    ],
)  # fmt: skip
def test_a_schedule_that_makes_no_sense_is_refused_where_it_is_made(make, kind, said):
    with pytest.raises(kind) as caught:
        make()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("val_loss", "watches 'val_loss', and there are no validation data: pass validation_data=(x, y), or watch"),
        ("acuracy_loss", "no number to watch 'acuracy_loss'; did you mean 'accuracy'? There are loss, accuracy"),
    ],
)
def test_a_plateau_of_a_number_that_there_is_not_is_refused_before_training(monitor, said):
    model = compiled(optimizer=SGD(0.1, schedule=ReduceOnPlateau(monitor)))
    before = weights(model)
    with pytest.raises(ValueError, match="ReduceOnPlateau") as caught:
        model.fit(X, Y, verbose=0)
    assert said in str(caught.value)
    assert_equal_weights(model, before)


def test_the_way_that_is_better_is_told_by_the_name():
    falls = ("loss", "val_loss", "mse", "val_mae", "top_error")
    rises = ("accuracy", "val_accuracy", "r2", "val_f1", "top_5_accuracy", "val_iou")
    assert [sign_of(name, None) for name in falls] == [1.0] * len(falls)
    assert [sign_of(name, None) for name in rises] == [-1.0] * len(rises)
    assert (sign_of("loss", "max"), sign_of("accuracy", "min")) == (-1.0, 1.0)
