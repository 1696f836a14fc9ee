"""Callbacks: they see what happens, stop a run in words, keep the best weights, and are refused before training."""

from __future__ import annotations

import csv
import json
import math
import time

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights

from tinycnn import BatchNorm2D, Conv2D, Dense, Flatten, ReLU, Residual, Sequential
from tinycnn.optim import SGD, Adam, CosineDecay
from tinycnn.train import Callback, Checkpoint, EarlyStopping, Log, TimeBudget, Watch, callbacks_of

X, Y = digits(40)
VAL = (X[:9], Y[:9])


class Notes(Callback):
    """Writes down every moment it is shown."""

    def __init__(self):
        self.seen: list[str] = []

    def __getattribute__(self, name):
        if name in ("check", "begin", "after_step", "after_epoch", "settle", "end"):
            return lambda run: self.seen.append(f"{name} {run.epoch}.{run.step}")
        return super().__getattribute__(name)


class Lies(Callback):
    """Puts numbers of a test's choosing in place of an epoch's, before the callbacks behind it see them."""

    def __init__(self, name: str, values: list[float]):
        self.name, self.values = name, values

    def after_epoch(self, run):
        run.numbers[self.name] = self.values[run.epoch - 1]


def test_a_callback_sees_every_moment_in_order():
    notes = Notes()
    compiled().fit(X, Y, epochs=2, batch_size=20, verbose=0, callbacks=[notes])
    epoch = lambda e: [f"after_step {e}.1", f"settle {e}.1", f"after_step {e}.2", f"settle {e}.2",  # noqa: E731
                       f"after_epoch {e}.2", f"settle {e}.2"]  # fmt: skip
    assert notes.seen == ["check 0.0", "begin 0.0", *epoch(1), *epoch(2), "end 2.2"]


def test_a_function_of_your_own_is_called_with_the_run_after_every_epoch():
    seen = []
    model = compiled()
    history = model.fit(
        X, Y, epochs=3, verbose=0, validation_data=VAL, callbacks=lambda run: seen.append((run.epoch, run.numbers))
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    assert [numbers["val_loss"] for _, numbers in seen] == history["val_loss"]


def test_watching_changes_nothing_that_is_learned(tmp_path):
    plain, watched = compiled(), compiled()
    plain.fit(X, Y, epochs=3, batch_size=7, verbose=0)
    every = [EarlyStopping("loss", patience=99, restore_best=False), Log(tmp_path / "log.csv"), Watch(),
             Checkpoint(tmp_path, steps=2), TimeBudget(hours=1), lambda run: None]  # fmt: skip
    watched.fit(X, Y, epochs=3, batch_size=7, verbose=0, callbacks=every)
    assert_equal_weights(watched, weights(plain))


# --------------------------------------------------------------------------- stopping


def test_early_stopping_stops_after_its_patience_and_the_best_weights_come_back(capsys):
    kept, stop = {}, EarlyStopping("loss", patience=2)
    lies = Lies("loss", [3.0, 1.0, 2.0, 1.0, 0.0])
    model = compiled()
    history = model.fit(X, Y, epochs=9, verbose=2,
                        callbacks=[lies, stop, lambda run: kept.update({run.epoch: weights(model)})])  # fmt: skip
    assert history.epochs == 4  # epoch 4 is as good as epoch 2, which is no better
    assert (stop.best_epoch, stop.best) == (2, 1.0)
    assert_equal_weights(model, kept[2])
    said = "stopped after epoch 4 of 9: loss got no better for 2 epochs; it was best in epoch 2"
    assert said in capsys.readouterr().out


def test_without_restore_best_the_last_weights_stay():
    kept = {}
    model = compiled()
    model.fit(X, Y, epochs=9, verbose=0, callbacks=[
        Lies("loss", [1.0, 2.0, 3.0]), EarlyStopping("loss", patience=1, restore_best=False),
        lambda run: kept.update({run.epoch: weights(model)})])  # fmt: skip
    assert list(kept) == [1, 2]
    assert_equal_weights(model, kept[2])


def test_the_best_weights_come_back_where_training_was_not_stopped_too_with_running_statistics():
    model = Sequential([Conv2D(3, 3), BatchNorm2D(), ReLU(), Flatten(), Dense(10)], input_shape=(1, 8, 8))
    model.compile("adam")
    kept = {}
    model.fit(X, Y, epochs=3, batch_size=16, verbose=0, callbacks=[
        Lies("loss", [2.0, 1.0, 3.0]), EarlyStopping("loss"),
        lambda run: kept.update({run.epoch: model.named_buffers()["bn1.running_mean"].copy()})])  # fmt: skip
    np.testing.assert_array_equal(model.named_buffers()["bn1.running_mean"], kept[2])
    assert (kept[2] != kept[3]).all()


@pytest.mark.parametrize(
    ("monitor", "values", "delta", "epochs"),
    [
        ("loss", [1.0, 0.95, 0.9, 0.85], 0.2, 3),  # better each time, but not by enough
        ("loss", [1.0, 0.7, 0.4, 0.1], 0.2, 4),
        ("accuracy", [0.1, 0.2, 0.3, 0.4], 0.0, 4),
        ("accuracy", [0.4, 0.3, 0.2, 0.1], 0.0, 3),
        ("loss", [math.nan, math.nan, math.nan, math.nan], 0.0, 2),
    ],
)
def test_what_counts_as_better(monitor, values, delta, epochs):
    stop = EarlyStopping(monitor, patience=2, min_delta=delta)
    assert compiled().fit(X, Y, epochs=4, verbose=0, callbacks=[Lies(monitor, values), stop]).epochs == epochs


def test_one_object_may_watch_several_runs_one_after_the_other():
    stop = EarlyStopping("loss", patience=1)
    for _ in range(2):
        assert compiled().fit(X, Y, epochs=9, verbose=0, callbacks=[Lies("loss", [1.0, 2.0]), stop]).epochs == 2


def test_a_time_budget_ends_the_run_after_the_step_in_which_it_is_used_up(monkeypatch, capsys):
    clock = iter(np.arange(100.0))
    monkeypatch.setattr("tinycnn.train.callbacks.time.monotonic", lambda: next(clock))
    model = compiled()
    history = model.fit(X, Y, epochs=5, batch_size=10, verbose=2, callbacks=[TimeBudget(seconds=7)])
    assert (history.epochs, model.optimizer.steps) == (1, 6)  # a look after each of 4 steps, the epoch, and 2 steps
    assert "stopped after epoch 2 of 5, step 2 of 4: the time budget of 7 s is used up" in capsys.readouterr().out


def test_a_real_clock_ends_a_run_in_time():
    started = time.monotonic()
    compiled().fit(X, Y, epochs=10**6, verbose=0, callbacks=[TimeBudget(seconds=0.3)])
    assert 0.3 <= time.monotonic() - started < 5


def test_a_function_may_stop_the_run(capsys):
    history = compiled().fit(X, Y, epochs=9, verbose=2, callbacks=lambda run: run.epoch == 2 and run.stop("enough"))
    assert history.epochs == 2
    assert "stopped after epoch 2 of 9: enough" in capsys.readouterr().out


# --------------------------------------------------------------------------- logs


def test_a_log_has_a_row_an_epoch_with_the_rate_and_every_number(tmp_path):
    model = compiled(optimizer=Adam(0.01, schedule=CosineDecay(3)))
    logs = [Log(tmp_path / "log.csv"), Log(tmp_path / "deep" / "log.jsonl")]
    history = model.fit(X, Y, epochs=3, validation_data=VAL, verbose=0, callbacks=logs)
    with (tmp_path / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["epoch", "seconds", "lr", "loss", "accuracy", "val_loss", "val_accuracy"]
    lines = [json.loads(line) for line in (tmp_path / "deep" / "log.jsonl").read_text().splitlines()]
    for each in (rows, lines):
        assert [int(row["epoch"]) for row in each] == [1, 2, 3]
        assert [float(row["val_loss"]) for row in each] == history["val_loss"]
    assert sorted((tmp_path).iterdir()) == [tmp_path / "deep", tmp_path / "log.csv"]  # and nothing else


def test_a_disk_that_is_full_is_a_warning_and_training_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("tinycnn.train.callbacks.write_whole", full_from(2))
    with pytest.warns(RuntimeWarning, match=r"log\.csv was not written at epoch . of 2: No space left on device"):
        history = compiled().fit(X, Y, epochs=2, verbose=0, callbacks=[Log(tmp_path / "log.csv")])
    assert history.epochs == 2


def full_from(call: int):
    """A `write_whole` that finds the disk full from its n-th call on."""
    from tinycnn.files import write_whole

    calls = iter(range(1, 10**6))

    def write(path, data):
        if next(calls) >= call:
            raise OSError(28, "No space left on device")
        write_whole(path, data)

    return write


# --------------------------------------------------------------------------- what goes wrong inside


def test_gradients_are_measured_and_match_those_of_the_step():
    model, watch, lengths = compiled(optimizer=SGD(0.0)), Watch(), []
    model.fit(X, Y, epochs=2, batch_size=40, verbose=0, shuffle=False, callbacks=[
        watch, lambda run: lengths.append(float(np.linalg.norm(model.named_grads()["conv1.w"])))])  # fmt: skip
    assert watch.gradients.keys() == model.named_params().keys()
    np.testing.assert_allclose(watch.gradients["conv1.w"], lengths, rtol=1e-6)
    assert watch.said == []


def test_an_exploding_gradient_is_said_in_words_and_once(capsys):
    class Blows(Callback):
        def after_step(self, run):
            run.model.named_params()["dense1.w"][...] *= 1000 if run.step == 7 else 1

    watch = Watch()
    with np.errstate(all="ignore"):
        compiled(optimizer=SGD(1e-6)).fit(X, Y, batch_size=4, verbose=2, callbacks=[Blows(), watch])
    said = [text for text in watch.said if "explodes" in text]
    assert len([text for text in said if "conv1.w" in text]) == 1
    assert said[0].startswith("epoch 1 of 1, step 8 of 10: the gradient of conv1.w is ")
    assert "times what is usual: it explodes. A smaller rate helps, or clip_norm=1.0" in said[0]
    assert said[0] in capsys.readouterr().out


def test_dead_relus_are_counted_and_said_inside_a_residual_too():
    inner = [Conv2D(4, 3, padding="same"), ReLU()]
    model = Sequential([Conv2D(4, 3), ReLU(), Residual(inner), Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=1)
    model.compile(SGD(0.0))
    model.layer("conv1").params["b"][:] = [-1e3, 0, 0, 1e3]
    model.layer("res1.conv1").params["b"][:] = [-1e5, -1e5, -1e5, 1e5]
    assert 0 < (model.layer("conv1").forward(X)[:, 1:3] > 0).mean() < 1  # which are alive, now above 0 and now below
    watch = Watch()
    model.fit(X, Y, verbose=0, callbacks=[watch])
    assert watch.dead == {"relu1": [0.25], "res1.relu1": [0.75]}
    assert [text for text in watch.said if "dead:" in text] == [
        "epoch 1 of 1: 75% of the units of res1.relu1 are dead: they give 0 for every example looked at. A smaller "
        "rate keeps them alive, or LeakyReLU"
    ]


def test_a_weight_that_gets_no_gradient_is_said():
    model, watch = compiled(optimizer=SGD(0.0)), Watch()
    model.layer("conv1").params["b"][:] = -1e3
    model.fit(X, Y, verbose=0, callbacks=[watch])
    assert any("the gradient of conv1.w was 0 in every step: it learns nothing" in text for text in watch.said)


# --------------------------------------------------------------------------- refused before training


@pytest.mark.parametrize(
    ("callback", "said"),
    [
        (lambda: EarlyStopping(), "EarlyStopping watches 'val_loss', and there are no validation data: pass "
         "validation_data=(x, y), or watch 'loss'"),
        (lambda: EarlyStopping("acuracy", mode="max"), "EarlyStopping: no number to watch 'acuracy'; did you mean "
         "'accuracy'? There are loss, accuracy"),
        (lambda: EarlyStopping("loss", patience=0), "patience must be an int ≥ 1, got 0"),
        (lambda: EarlyStopping("loss", min_delta=-1), "min_delta must be ≥ 0, got -1"),
        (lambda: EarlyStopping("acuracy"), "EarlyStopping: no number to watch 'acuracy'; did you mean 'accuracy'? "
         "There are loss, accuracy"),
        (lambda: EarlyStopping("los"), "EarlyStopping: no number to watch 'los'; did you mean 'loss'? There are loss"),
        (lambda: EarlyStopping("loss", mode="least"), "is more or less of 'loss' better? Say mode='min' or mode='max', "
         "got 'least'"),
        (lambda: Checkpoint("/tmp/never", monitor="acuracy"), "Checkpoint: no number to watch 'acuracy'; did you mean"),
        (lambda: Checkpoint("/tmp/never", mode="least"), "is more or less of 'loss' better?"),
        (lambda: Checkpoint("/tmp/never", monitor="val_acuracy", mode="max"), "Checkpoint: no number to watch"),
        (lambda: Checkpoint("/tmp/never", steps=0), "steps must be an int ≥ 1, got 0"),
        (lambda: TimeBudget(), "a time budget is more than 0"),
        (lambda: TimeBudget(seconds=-3), "the time budget must be ≥ 0, got -3"),
        (lambda: Log("log.txt"), "a log is a .csv or a .jsonl file, got 'log.txt'"),
        (lambda: Watch(explodes=0.5), "explodes must be ≥ 1, got 0.5"),
    ],
)  # fmt: skip
def test_a_callback_that_cannot_work_is_refused_in_one_line(callback, said):
    model = compiled()
    before = weights(model)
    with pytest.raises(ValueError, match=r".") as caught:
        model.fit(X, Y, verbose=0, callbacks=[callback()])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_equal_weights(model, before)


def test_a_number_of_ones_own_must_be_said_to_rise_or_to_fall_before_training(tmp_path):
    def speed(t, p):
        return 1.0

    for make in (lambda mode: EarlyStopping("speed", mode=mode), lambda mode: Checkpoint(tmp_path, "speed", mode)):
        model = compiled()
        model.metrics["speed"] = speed
        before = weights(model)
        with pytest.raises(ValueError, match=r"of 'speed' better\? Say mode='min' or mode='max'$"):
            model.fit(X, Y, verbose=0, callbacks=[make(None)])
        assert_equal_weights(model, before)
        assert model.fit(X, Y, verbose=0, callbacks=[make("max")]).epochs == 1


def test_what_is_no_callback_is_refused():
    with pytest.raises(TypeError, match=r"did you mean EarlyStopping\(…\)\?"):
        compiled().fit(X, Y, verbose=0, callbacks=[EarlyStopping])
    with pytest.raises(TypeError, match=r"callbacks must be those of tinycnn\.train, or functions of a run; got 3"):
        callbacks_of([3])
    stop = EarlyStopping("loss")
    with pytest.raises(ValueError, match="a callback is in the list twice"):
        callbacks_of([stop, stop])
    assert callbacks_of(stop) == [stop]


def test_a_folder_that_cannot_be_written_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for make in (lambda: Log(tmp_path / "file" / "log.csv"), lambda: Checkpoint(tmp_path / "file")):
        model = compiled()
        before = weights(model)
        with pytest.raises(OSError, match="cannot be written into the folder"):
            model.fit(X, Y, verbose=0, callbacks=[make()])
        assert_equal_weights(model, before)
