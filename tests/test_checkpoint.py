"""Checkpoints: whole or not at all, read back to the bit, kept on Ctrl-C, and no danger where they are broken."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights
from training_child import fingerprint, train

import tinycnn as tc
from tinycnn import Dense, Flatten, ModelFormatError, ReLU, Sequential
from tinycnn.optim import SGD
from tinycnn.train import Callback, Checkpoint, Terminated, load_state, save_state

X, Y = digits(40)
VAL = (X[:9], Y[:9])
TESTS = Path(__file__).parent


class At(Callback):
    """Calls a function at one step, or at the end of one epoch."""

    def __init__(self, act, step: int = 0, epoch: int = 0):
        self.act, self.step, self.epoch, self.seen = act, step, epoch, 0

    def after_step(self, run):
        self.seen += 1
        if self.seen == self.step:
            self.act()

    def after_epoch(self, run):
        if run.epoch == self.epoch:
            self.act()


# --------------------------------------------------------------------------- the state as a file


def test_a_state_comes_back_to_the_bit(tmp_path):
    rng = np.random.default_rng(0)
    state = {
        "numbers": [1, 0.1, -0.0, math.inf, math.nan, 2**127 + 1, True, None, "text", "käse"],
        "arrays": {"w/x": rng.normal(size=(2, 3)).astype(np.float32), "b": [np.arange(3), rng.normal(size=4)[::2]]},
        "numpy": [np.float32(0.1), np.int64(3), np.bool_(True)], "empty": {}, "none": [],
        "generator": np.random.default_rng(3).bit_generator.state,
    }  # fmt: skip
    save_state(state, tmp_path / "state")
    found = load_state(tmp_path / "state")
    assert repr(found["numbers"]) == repr(state["numbers"])
    assert found["numpy"] == [float(np.float32(0.1)), 3, True]
    assert (found["empty"], found["none"], found["generator"]) == ({}, [], state["generator"])
    assert list(found) == list(state)
    for ours, theirs in ((found["arrays"]["w/x"], state["arrays"]["w/x"]), (found["arrays"]["b"][1],
                         state["arrays"]["b"][1]), (found["arrays"]["b"][0], np.arange(3))):  # fmt: skip
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


def test_two_arrays_of_one_name_are_refused_rather_than_mixed_up(tmp_path):
    with pytest.raises(ValueError, match="two arrays of the state would be called 'a/b/c'"):
        save_state({"a": {"b/c": np.ones(2), "b": {"c": np.ones(3)}}}, tmp_path / "state")


def test_a_state_that_is_cut_or_changed_anywhere_is_refused_and_changes_nothing(tmp_path):
    compiled().fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    data = (tmp_path / "last.safetensors").read_bytes()
    rng = np.random.default_rng(1)
    broken = [data[:n] for n in (0, 7, 8, 100, len(data) // 2, len(data) - 1)] + [data + b"\0", b"\0" * 64, b"x" * 999]
    flips = ((place, data[place] ^ (1 << int(rng.integers(8)))) for place in rng.integers(0, len(data), size=60))
    broken += [data[:place] + bytes([byte]) + data[place + 1 :] for place, byte in flips]
    model = compiled()
    before = weights(model)
    for bad in broken:
        (tmp_path / "bad").write_bytes(bad)
        with pytest.raises(ModelFormatError, match=f"^{tmp_path / 'bad'}: "):
            model.fit(X, Y, verbose=0, resume_from=tmp_path / "bad")
        assert_equal_weights(model, before)


def edited(path: Path, change) -> Path:
    """The same file with its state changed and its SHA-256 right."""
    from safetensors.numpy import load

    from tinycnn.tensorfile import digest, read_header, to_bytes

    entry, tensors = read_header(path)["__metadata__"], load(path.read_bytes())
    state = json.loads(entry["state"])
    change(state, entry)
    entry["state"] = json.dumps(state)
    entry["sha256"] = digest(entry["state"], tensors)
    path.with_name("edited").write_bytes(to_bytes(tensors, entry))
    return path.with_name("edited")


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda s, e: e.update(format_version="2"), ModelFormatError, "format version '2'; this tinycnn reads 1"),
        (lambda s, e: s.pop("model"), ValueError, "it is not whole (KeyError: 'model')"),
        (lambda s, e: s["model"].pop("optimizer"), ValueError, "it is not whole (KeyError: 'optimizer')"),
        (lambda s, e: s["model"]["weights"].pop("conv1.w"), ValueError, "conv1.w is missing"),
        (lambda s, e: s["model"]["generators"].clear(), ValueError, "draw chance from other generators"),
    ],
)
def test_a_file_that_says_other_things_than_it_should_is_refused(change, kind, said, tmp_path):
    compiled().fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    model = compiled()
    before = weights(model)
    with pytest.raises(kind) as caught:
        model.fit(X, Y, verbose=0, resume_from=edited(tmp_path / "last.safetensors", change))
    assert said in str(caught.value)
    assert_equal_weights(model, before)


def test_models_and_states_are_told_apart_and_a_file_that_is_not_there_is_said(tmp_path):
    model = compiled()
    model.fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    with pytest.raises(ModelFormatError, match=r"this is the state of a training, not a model: model\.fit"):
        tc.load(tmp_path / "last.safetensors")
    with pytest.raises(ModelFormatError, match=r"not the state of a training: it is a model \(tinycnn\.load"):
        model.fit(X, Y, verbose=0, resume_from=tmp_path / "best.safetensors")
    with pytest.raises(FileNotFoundError, match="no training to resume from: there is no file nowhere"):
        model.fit(X, Y, verbose=0, resume_from="nowhere")


# --------------------------------------------------------------------------- which files there are


def test_the_last_the_best_and_every_nth_are_kept(tmp_path):
    kept, model = {}, compiled(optimizer=SGD(0.5))
    history = model.fit(X, Y, epochs=7, batch_size=8, validation_data=VAL, verbose=0, callbacks=[
        Checkpoint(tmp_path, keep_every=3), lambda run: kept.update({run.epoch: weights(model)})])  # fmt: skip
    assert sorted(os.listdir(tmp_path)) == [
        "best.safetensors", "epoch_0003.safetensors", "epoch_0006.safetensors", "last.safetensors"]  # fmt: skip
    best = int(np.argmin(history["val_loss"])) + 1
    assert_equal_weights(tc.load(tmp_path / "best.safetensors"), kept[best])
    assert_equal_weights(tc.load(tmp_path / "epoch_0003.safetensors"), kept[3])


def test_the_best_is_by_the_number_that_is_asked_for(tmp_path):
    kept, model = {}, compiled(optimizer=SGD(0.5))
    history = model.fit(X, Y, epochs=6, batch_size=8, verbose=0, callbacks=[
        Checkpoint(tmp_path, monitor="accuracy"), lambda run: kept.update({run.epoch: weights(model)})])  # fmt: skip
    best = int(np.argmax(history["accuracy"])) + 1
    assert_equal_weights(tc.load(tmp_path / "best.safetensors"), kept[best])


def test_a_layer_that_no_file_can_hold_is_said_before_training(tmp_path):
    class Mine(ReLU):
        pass

    model = Sequential([Mine(), Flatten(), Dense(10)], input_shape=(1, 8, 8))
    model.compile()
    before = weights(model)
    with pytest.raises(TypeError, match=r"Mine 'relu1' cannot be saved: a file holds tinycnn's own layers"):
        model.fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    assert_equal_weights(model, before)


def test_what_a_killed_run_left_half_written_is_cleared_away(tmp_path):
    (tmp_path / ".tinycnn-0123.tmp").write_bytes(b"half")
    compiled().fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)])
    assert sorted(os.listdir(tmp_path)) == ["best.safetensors", "last.safetensors"]


# --------------------------------------------------------------------------- full disks, lost folders


def child_program(line: str) -> str:
    """A program that runs one line with what training_child.py has."""
    return f"import sys; sys.path.insert(0, {str(TESTS)!r})\nfrom training_child import *\n{line}"


def limited() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # as Python has it: a write fails, the process lives


def test_a_disk_that_is_full_keeps_the_old_checkpoint_and_leaves_no_litter(tmp_path):
    """No file may grow over 4000 bytes: the state does not fit, and the one written before stays."""
    whole = train(tmp_path / "whole", epochs=4, steps=None)
    train(tmp_path / "run", epochs=1)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    program = child_program(f"print(train(Path({str(tmp_path / 'run')!r}), epochs=4))")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120,
                         preexec_fn=limited, check=True)  # fmt: skip
    assert run.stdout.strip() == whole  # training itself lost nothing
    said = "last.safetensors was not written at epoch 2 of 4, step 1 of 12: File too large. Training goes on"
    assert said in run.stderr
    after = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert after.keys() == before.keys()
    assert after["last.safetensors"] == before["last.safetensors"]
    assert train(tmp_path / "run", epochs=4) == whole  # and once there is room again, it goes on


def test_a_folder_that_is_lost_while_training_is_a_warning(tmp_path):
    def lose():
        for path in (tmp_path / "run").iterdir():
            path.unlink()
        (tmp_path / "run").rmdir()
        (tmp_path / "run").write_text("a file in its place")

    model, plain = compiled(), compiled()
    with pytest.warns(RuntimeWarning, match=r"(last|best)\.safetensors was not written at epoch 2 of 2"):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[At(lose, epoch=2), Checkpoint(tmp_path / "run")])
    plain.fit(X, Y, epochs=2, verbose=0)
    assert_equal_weights(model, weights(plain))


def test_the_best_is_tried_again_where_it_could_not_be_written(tmp_path, monkeypatch):
    model, tried = compiled(optimizer=SGD(0.0)), []

    def save(path):
        path.write_bytes(b"")
        tried.append(path.name)
        if len(tried) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", save)
    with pytest.warns(RuntimeWarning, match=r"best\.safetensors was not written at epoch 1 of 3: No space left"):
        model.fit(X, Y, epochs=3, shuffle=False, batch_size=40, verbose=0, callbacks=[Checkpoint(tmp_path)])
    assert tried == [".tinycnn-trial.tmp", "best.safetensors", "best.safetensors"]


# --------------------------------------------------------------------------- Ctrl-C and SIGTERM


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
@pytest.mark.parametrize("when", [{"step": 3}, {"epoch": 1}, {"step": 10}], ids=str)
def test_a_signal_ends_the_run_after_its_step_saved_and_it_goes_on_to_the_same_bits(number, kind, when, tmp_path):
    whole, model = compiled(), compiled()
    history = whole.fit(X, Y, epochs=3, batch_size=10, verbose=0)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(kind) as caught:
        model.fit(X, Y, epochs=3, batch_size=10, verbose=0,
                  callbacks=[At(lambda: os.kill(os.getpid(), number), **when), Checkpoint(tmp_path)])  # fmt: skip
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    last = tmp_path / "last.safetensors"
    assert f"; the run is saved in {last}: go on with resume_from={str(last)!r}" in str(caught.value)
    assert "training was interrupted at epoch " in str(caught.value)
    model = compiled()
    again = model.fit(X, Y, epochs=3, batch_size=10, verbose=0, resume_from=last)
    assert fingerprint(model, dict(again)) == fingerprint(whole, dict(history))


def test_a_second_ctrl_c_is_obeyed_at_once(tmp_path):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        compiled().fit(X, Y, verbose=0, callbacks=[At(twice, step=1), Checkpoint(tmp_path)])
    assert str(caught.value) == ""
    assert not (tmp_path / "last.safetensors").exists()


def test_without_a_checkpoint_ctrl_c_is_pythons_own():
    with pytest.raises(KeyboardInterrupt) as caught:
        compiled().fit(X, Y, verbose=0, callbacks=[At(lambda: os.kill(os.getpid(), signal.SIGINT), step=1)])
    assert str(caught.value) == ""


def test_where_the_state_cannot_be_saved_the_message_does_not_say_it_was(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tinycnn.train.state.write_whole", full)
    not_saved = pytest.raises(KeyboardInterrupt, match="the run is not saved")
    with pytest.warns(RuntimeWarning, match="No space left"), not_saved:
        compiled().fit(X, Y, verbose=0, callbacks=[At(lambda: os.kill(os.getpid(), signal.SIGINT), step=1),
                                                   Checkpoint(tmp_path)])  # fmt: skip


def test_a_thread_that_is_not_the_main_one_trains_and_checkpoints_too(tmp_path):
    thread = threading.Thread(target=lambda: compiled().fit(X, Y, verbose=0, callbacks=[Checkpoint(tmp_path)]))
    thread.start()
    thread.join(60)
    assert (tmp_path / "last.safetensors").exists()


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_exit_status_of_a_program_says_which_signal_it_was(number, status, tmp_path):
    program = child_program(f"train(Path({str(tmp_path)!r}), 10**6, None, (Begins(),))")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True) as child:  # fmt: skip
        try:
            assert child.stdout.readline() == "begins\n"
            child.send_signal(number)
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode in (status, -number)  # a shell shows 130 for either
    assert (tmp_path / "last.safetensors").exists()
    assert "training was interrupted at epoch 1 of 1000000, step " in said


# --------------------------------------------------------------------------- NaN


def test_a_loss_that_is_no_number_names_step_and_layer_and_the_state_that_is_left(tmp_path):
    def spoil():
        model.named_params()["dense1.w"][...] = 1e38

    model = compiled()
    with pytest.raises(FloatingPointError) as caught:
        model.fit(X, Y, epochs=3, batch_size=10, verbose=0, callbacks=[At(spoil, step=6), Checkpoint(tmp_path)])
    said = str(caught.value)
    assert said.startswith("training stopped at epoch 2, step 3: the loss is ")
    assert "Dense 'dense1' (layer 5)" in said
    assert said.endswith(f"\n  The state saved last is in {tmp_path / 'last.safetensors'}.")
    model = compiled()
    assert model.fit(X, Y, epochs=3, batch_size=10, verbose=0, resume_from=tmp_path / "last.safetensors").epochs == 3


# --------------------------------------------------------------------------- what an interrupted step leaves behind


def test_a_run_that_is_stopped_within_an_epoch_is_saved_there(tmp_path):
    class Enough(Callback):
        def after_step(self, run):
            run.stop("enough")

    compiled().fit(X, Y, epochs=2, batch_size=8, verbose=0, callbacks=[Enough(), Checkpoint(tmp_path)])
    saved = load_state(tmp_path / "last.safetensors")
    assert (saved["epoch"], saved["step"], saved["epoch_is_over"]) == (1, 1, False)


def test_a_step_that_failed_leaves_the_running_statistics_as_they_were():
    model = Sequential([tc.Conv2D(2, 3), tc.BatchNorm2D(), ReLU(), Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=0)
    model.compile(SGD(0.01), "cross_entropy")
    model.fit(X, Y, epochs=1, verbose=0)
    before = {key: value.copy() for key, value in model.named_buffers().items()}
    spoilt = X.copy()
    spoilt[3] = np.inf
    with pytest.raises(FloatingPointError, match="The weights are those before this step"):
        model.fit(spoilt, Y, epochs=1, batch_size=len(X), verbose=0)
    for key, value in model.named_buffers().items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


def test_a_run_does_not_go_on_with_another_augmentation_or_another_preprocessing(tmp_path):
    first = compiled()
    first.fit(X, Y, epochs=1, verbose=0, augment=tc.data.RandomFlip(), callbacks=[Checkpoint(tmp_path)])
    last = tmp_path / "last.safetensors"
    with pytest.raises(ValueError, match="augmentation"):
        compiled().fit(X, Y, epochs=2, verbose=0, augment=tc.data.RandomFlip("vertical"), resume_from=last)
    other = compiled()
    other.preprocessing["normalise"] = {"mean": [0.5], "std": [1.0]}
    with pytest.raises(ValueError, match="preprocessing"):
        other.fit(X, Y, epochs=2, verbose=0, augment=tc.data.RandomFlip(), resume_from=last)
