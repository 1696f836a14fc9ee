"""A run that is ended anywhere and resumed ends with the same bits as one that nothing disturbed."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights
from training_child import fingerprint, make, train

import tinycnn as tc
from tinycnn import Dense, Flatten, ReLU, Sequential
from tinycnn.optim import GD, OPTIMIZERS, SGD, Adam, OneCycle, ReduceOnPlateau, StepDecay
from tinycnn.train import Callback, Checkpoint, EarlyStopping, Watch, load_state

X, Y = digits(50)
VAL = (X[:9], Y[:9])
CHILD = Path(__file__).with_name("training_child.py")


class Crash(Callback):
    """Raises after the n-th step of this process, as a power cut would end it."""

    def __init__(self, step: int):
        self.left = step

    def after_step(self, run):
        self.left -= 1

    def settle(self, run):
        if self.left < 0:
            raise MemoryError("crashed")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The fingerprint of the child's training from beginning to end."""
    return train(tmp_path_factory.mktemp("undisturbed"), steps=None)


# --------------------------------------------------------------------------- in one process


@pytest.mark.parametrize("every", [1, 4, None])
@pytest.mark.parametrize("crash", [0, 1, 5, 11, 12, 17, 40, 70])
def test_a_run_that_crashed_anywhere_goes_on_to_the_same_bits(crash, every, undisturbed, tmp_path):
    with pytest.raises(MemoryError, match="crashed"):
        train(tmp_path, steps=every, callbacks=(Crash(crash),))
    assert train(tmp_path, steps=every) == undisturbed


def test_a_run_that_crashed_again_and_again_too(undisturbed, tmp_path):
    for crash in np.random.default_rng(5).integers(0, 12, size=9):
        with pytest.raises(MemoryError):
            train(tmp_path, steps=1, callbacks=(Crash(int(crash)),))
    assert train(tmp_path, steps=1) == undisturbed


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_every_optimizer_goes_on_to_the_same_bits(name, tmp_path):
    def net():
        model = compiled(optimizer=OPTIMIZERS[name](weight_decay=0.01, clip_norm=1.0, schedule=StepDecay(1, 0.5)))
        return model, {"epochs": 3, "verbose": 0} | ({} if name == "gd" else {"batch_size": 9})

    whole, options = net()
    history = whole.fit(X, Y, **options)
    model, _ = net()
    with pytest.raises(MemoryError):
        model.fit(X, Y, **options, callbacks=[Checkpoint(tmp_path, steps=1), Crash(1 if name == "gd" else 8)])
    model, _ = net()
    again = model.fit(X, Y, **options, resume_from=tmp_path / "last.safetensors")
    assert fingerprint(model, dict(again)) == fingerprint(whole, dict(history))
    np.testing.assert_array_equal(model.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    "options", [{"shuffle": False}, {"accumulate": 3}, {"batch_size": 50}, {"batch_size": 1}], ids=str
)
def test_and_so_in_order_with_accumulation_and_batches_of_one_or_of_all(options, tmp_path):
    make_one = lambda: compiled(optimizer=Adam(0.01, schedule=OneCycle(30)), loss="cross_entropy")  # noqa: E731
    options = {"batch_size": 8, "epochs": 3, "verbose": 0} | options
    whole = make_one()
    history = whole.fit(X, Y, **options)
    with pytest.raises(MemoryError):
        make_one().fit(X, Y, **options, callbacks=[Checkpoint(tmp_path, steps=1), Crash(2)])
    model = make_one()
    assert dict(model.fit(X, Y, **options, resume_from=tmp_path / "last.safetensors")) == dict(history)
    assert_equal_weights(model, weights(whole))


def test_what_callbacks_and_a_plateau_remember_goes_on_too(tmp_path):
    def run(epochs: int, **more):
        model = compiled(optimizer=SGD(0.3, schedule=ReduceOnPlateau(patience=0, gamma=0.5)))
        stop, watch, keep = EarlyStopping(patience=3), Watch(), Checkpoint(more.pop("folder"))
        history = model.fit(X, Y, epochs=epochs, batch_size=9, validation_data=VAL, verbose=0,
                            callbacks=[stop, watch, keep], **more)  # fmt: skip
        return model, history, (stop.best, stop.best_epoch, stop.waited, watch.gradients, watch.dead, keep.best)

    whole, history, seen = run(40, folder=tmp_path / "whole")
    assert 4 < history.epochs < 40
    half = tmp_path / "half"
    for epochs in (1, 3, history.epochs - 1, 40):
        start = half / "last.safetensors"
        model, again, found = run(epochs, folder=half, resume_from=start if start.exists() else None)
    assert dict(again) == dict(history)
    assert found == seen
    assert_equal_weights(model, weights(whole))
    assert (half / "best.safetensors").read_bytes() == (tmp_path / "whole" / "best.safetensors").read_bytes()


def test_a_run_that_had_ended_stays_as_it_was_and_may_be_given_more_epochs(undisturbed, tmp_path):
    assert train(tmp_path, steps=None) == undisturbed
    assert train(tmp_path, steps=None) == undisturbed
    more, whole = tmp_path / "more", tmp_path / "whole"
    train(more, epochs=3)
    assert train(more, epochs=5) == train(whole, epochs=5)


def test_the_history_goes_on_in_its_order_and_the_position_is_said(tmp_path, capsys):
    model = compiled()
    model.fit(X, Y, epochs=2, verbose=0, validation_data=VAL, callbacks=[Checkpoint(tmp_path)])
    model = compiled()
    history = model.fit(X, Y, epochs=3, verbose=2, validation_data=VAL, resume_from=str(tmp_path / "last.safetensors"))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"resumed from {tmp_path / 'last.safetensors'}: epoch 2 of 3"
    assert [line[:9] for line in out[1:]] == ["Epoch 3/3"]


# --------------------------------------------------------------------------- what is refused


def other(regularizer=None, **options) -> Sequential:
    model = compiled(optimizer=Adam(0.01), **options)
    model.compile(model.optimizer, model.loss, ["accuracy"], regularizer)
    return model


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    other().fit(X, Y, batch_size=8, verbose=0, callbacks=[Checkpoint(folder)])
    return folder / "last.safetensors"


def wider() -> Sequential:
    model = Sequential([tc.Conv2D(7, 3, padding="same"), ReLU(), tc.MaxPool2D(2), Flatten(), Dense(10)], (1, 8, 8))
    model.compile(Adam(0.01), metrics=["accuracy"])
    return model


def frozen() -> Sequential:
    model = other()
    model.freeze("conv1")
    return model


@pytest.mark.parametrize(
    ("model", "data", "options", "said"),
    [
        (wider, (X, Y), {}, "it is of another network: its layer 1 is conv1: Conv2D(filters=6, "),
        (lambda: compiled(optimizer=Adam(0.02)), (X, Y), {}, "it was trained by Adam(lr=0.01, beta1=0.9, beta2=0.999, "
         "eps=1e-08), and this network is compiled with Adam(lr=0.02"),
        (lambda: compiled(optimizer=SGD(0.01)), (X, Y), {}, "compiled with SGD(lr=0.01"),
        (lambda: compiled(optimizer=Adam(0.01, schedule=StepDecay(3))), (X, Y), {}, "schedule=StepDecay(length=3"),
        (other, (X[:40], Y[:40]), {}, "its number of examples was 50, and here it is 40"),
        (other, (X, Y[::-1]), {}, "its fingerprint of the targets was "),
        (other, (X, Y), {"batch_size": 9}, "its batch size was 8, and here it is 9"),
        (other, (X, Y), {"shuffle": False}, "its shuffle was True, and here it is False"),
        (other, (X, Y), {"accumulate": 2}, "its accumulate was 1, and here it is 2"),
        (other, (X, Y), {"augment": tc.data.RandomFlip()}, "its augmentation was None, and here it is RandomFlip"),
        (lambda: other(seed=3), (X, Y), {}, "its seed was 0, and here it is 3"),
        (other, (X, Y), {"validation_data": VAL}, "its list of numbers was ['loss', 'accuracy'], and here it is "),
        (lambda: other(regularizer=tc.optim.L2(0.1)), (X, Y), {}, "its penalty was None, and here it is L2(0.1)"),
        (frozen, (X, Y), {}, "and here it is conv1: Conv2D(filters=6"),
    ],
)  # fmt: skip
def test_the_file_of_another_run_is_refused_in_one_line_and_nothing_changes(model, data, options, said, saved):
    model = model()
    before = weights(model)
    with pytest.raises(ValueError, match=r".") as caught:
        model.fit(*data, **{"batch_size": 8, "verbose": 0} | options, resume_from=saved)
    assert str(caught.value).startswith(f"cannot resume from {saved}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_equal_weights(model, before)
    assert model.optimizer.steps == 0


def test_a_float64_network_does_not_go_on_from_a_float32_one(saved):
    with pytest.raises(ValueError, match=r"its float type was float32, and here it is float64"):
        other(dtype=np.float64).fit(X, Y, batch_size=8, verbose=0, resume_from=saved)


def test_gradient_descent_is_one_batch_whatever_it_is_called(tmp_path):
    compiled(optimizer=GD(0.1)).fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    model = compiled(optimizer=GD(0.1))
    model.fit(X, Y, batch_size=50, epochs=2, verbose=0, resume_from=tmp_path / "last.safetensors")
    assert model.optimizer.steps == 2


# --------------------------------------------------------------------------- kill -9


def killed_and_resumed(folder: Path, kills: int, seed: int, whole: str) -> list[tuple[int, int, int]]:
    """Kill training processes at random moments, and start them again; each run that ends must have the same bits.

    Returns where the kills hit: the run, and the epoch and step of it that were saved.
    """
    rng, hits, run = np.random.default_rng(seed), [], 0
    while len(hits) < kills:
        here = folder / f"run{run}"
        here.mkdir(exist_ok=True)
        with subprocess.Popen([sys.executable, str(CHILD), str(here)], stdout=subprocess.PIPE, text=True) as child:
            try:
                first = child.stdout.readline()
                time.sleep(float(rng.uniform(0, 0.3)) if first == "begins\n" else 0)
                child.kill()
                said, _ = child.communicate(timeout=60)
            finally:
                child.kill()
        if ended := (first + said).removeprefix("begins\n"):  # it was quicker
            assert ended.strip() == whole
            run += 1
        elif (here / "last.safetensors").exists():
            state = load_state(here / "last.safetensors")
            hits.append((run, state["epoch"], state["step"]))
    last = subprocess.run([sys.executable, str(CHILD), str(folder / f"run{run}")], capture_output=True, text=True,
                          timeout=120, check=True)  # fmt: skip
    assert last.stdout.splitlines()[-1] == whole
    assert list((folder / f"run{run}").glob("*.tmp")) == []
    return hits


@pytest.mark.slow
def test_a_process_killed_at_random_moments_ends_with_the_same_bits(undisturbed, tmp_path):
    assert len(set(killed_and_resumed(tmp_path, 5, seed=1, whole=undisturbed))) >= 2


@pytest.mark.slow
def test_and_at_a_hundred(undisturbed, tmp_path):
    hits = killed_and_resumed(tmp_path, 100, seed=2, whole=undisturbed)
    assert len(set(hits)) >= 50  # at different places
    print(f"{len(hits)} kills at {len(set(hits))} places of {hits[-1][0] + 1} runs; each ended with the same bits")


def test_another_process_has_the_same_bits_as_this_one(undisturbed, tmp_path):
    run = subprocess.run([sys.executable, str(CHILD), str(tmp_path)], capture_output=True, text=True, timeout=120,
                         check=True)  # fmt: skip
    assert run.stdout.splitlines() == ["begins", undisturbed]
    assert make().seed == 7
