"""What a checkpoint keeps of a run: what no file could give back is refused before training, and bits have a rung."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from networks import assert_equal_weights, compiled, digits, weights
from training_child import fingerprint

import tinycnn as tc
from tinycnn import backends
from tinycnn.train import Callback, Checkpoint, EarlyStopping, Terminated, load_state, save_state

X, Y = digits(40)
VAL = (X[:9], Y[:9])


class Remembers(Callback):
    """Has a state of a test's choosing."""

    def __init__(self, state):
        self.remembered = state

    def state(self):
        return self.remembered


# --------------------------------------------------------------------------- the state of a callback


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"seen": {1, 2}}, "the state of Remembers 1/seen is a set"),
        ({"counts": {3: "three"}}, "the state of Remembers 1/counts is a dictionary with the key 3"),
        ({"a": [0, {"b": b"x"}]}, "the state of Remembers 1/a/1/b is a bytes"),
        ({"z": 1j}, "the state of Remembers 1/z is a complex"),
        ({"when": np.datetime64("2020-01-01")}, "the state of Remembers 1/when is a date"),
        ({"x": np.array([None])}, "the state of Remembers 1/x is an array of object"),
        ({"x": np.zeros(2, complex)}, "the state of Remembers 1/x is an array of complex128"),
        ({"array of this name": "x"}, "the state of Remembers 1 is a dictionary with the key 'array of this name'"),
        ([], None), ({"t": (1, None, "é", True, np.float32(2)), "x": np.zeros((2, 0), np.uint8)}, None),
    ],
)  # fmt: skip
def test_what_no_file_could_give_back_is_refused_before_the_first_step(state, said, tmp_path):
    model = compiled()
    before = weights(model)
    fit = lambda: model.fit(X, Y, verbose=0, callbacks=[Remembers(state), Checkpoint(tmp_path)])  # noqa: E731
    if said is None:
        assert fit().epochs == 1
        return
    with pytest.raises(TypeError) as caught:
        fit()
    assert str(caught.value).startswith(said + ", which a checkpoint cannot keep: a state is numbers, text")
    assert "\n" not in str(caught.value)
    assert_equal_weights(model, before)
    assert list(tmp_path.iterdir()) == []


def test_without_a_checkpoint_a_callback_may_remember_what_it_likes():
    assert compiled().fit(X, Y, verbose=0, callbacks=[Remembers({1: {2}})]).epochs == 1


def test_arrays_in_any_order_of_bytes_and_of_axes_come_back(tmp_path):
    there = np.arange(12.0).reshape(3, 4)
    given = {"big": there.astype(">f8"), "fortran": np.asfortranarray(there), "steps": there[::-2, ::3]}
    save_state(given, tmp_path / "state")
    found = load_state(tmp_path / "state")
    for key, array in given.items():
        np.testing.assert_array_equal(found[key], array)


# --------------------------------------------------------------------------- the rung and the type of number


@pytest.fixture
def numpy_run(tmp_path):
    """The checkpoint of two epochs on the rung numpy."""
    with tc.backend("numpy"):
        compiled().fit(X, Y, epochs=2, verbose=0, callbacks=[Checkpoint(tmp_path)])
    return tmp_path / "last.safetensors"


def test_a_run_goes_on_only_on_the_rung_that_it_began_on(numpy_run):
    model = compiled()
    before = weights(model)
    with pytest.raises(ValueError, match=r"its rung was numpy, and here it is numba: choose it by tinycnn\.backend"):
        model.fit(X, Y, epochs=3, verbose=0, resume_from=numpy_run)
    assert_equal_weights(model, before)
    whole, again = compiled(), compiled()
    with tc.backend("numpy"):
        history = whole.fit(X, Y, epochs=3, verbose=0)
        found = again.fit(X, Y, epochs=3, verbose=0, resume_from=numpy_run)
    assert fingerprint(again, dict(found)) == fingerprint(whole, dict(history))


def test_where_there_is_no_numba_the_rung_is_that_of_numpy(numpy_run, monkeypatch):
    monkeypatch.setattr(backends, "_numba_serves", lambda: False)
    monkeypatch.setattr(backends._chosen, "rung", backends.Rung("numba", dict, below=backends.RUNGS["numpy"]))
    assert backends.serving() == "numpy"
    assert compiled().fit(X, Y, epochs=3, verbose=0, resume_from=numpy_run).epochs == 3


# --------------------------------------------------------------------------- a signal at the very end


class SignalAtTheEnd(Callback):
    """Is hit by a signal while it cleans up."""

    def __init__(self, number):
        self.number = number

    def end(self, run):
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize(("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_a_signal_while_callbacks_end_is_not_lost_and_the_others_end_too(number, kind, tmp_path):
    model, stop = compiled(), EarlyStopping("loss", patience=1, min_delta=100.0)
    with pytest.raises(kind, match=r"interrupted at epoch 2 of 5; the run is saved in .*last\.safetensors") as caught:
        model.fit(X, Y, epochs=5, verbose=0, callbacks=[SignalAtTheEnd(number), stop, Checkpoint(tmp_path)])
    assert str(tmp_path) in str(caught.value)
    assert_equal_weights(model, {key: stop.weights[key] for key in model.named_params()})  # the best came back
    saved = load_state(tmp_path / "last.safetensors")["model"]["weights"]
    assert (saved["dense1.w"] != stop.weights["dense1.w"]).any()  # and the file is of the last step still


# --------------------------------------------------------------------------- one call at a time


def test_the_state_of_a_model_is_not_taken_while_a_step_changes_it():
    model, inside, states = compiled(), threading.Event(), []

    class Waits(Callback):
        def after_epoch(self, run):
            if run.epoch == 1:
                inside.set()
                thread.join(0.3)  # it has to wait until fit is over
                assert states == []

    thread = threading.Thread(target=lambda: (inside.wait(30), states.append(model.state_dict())))
    thread.start()
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[Waits()])
    thread.join(30)
    assert states[0]["epochs_seen"] == 2
    assert_equal_weights(model, states[0]["weights"])
    with model._lock:
        thread = threading.Thread(target=lambda: model.load_state_dict(states[0]))
        thread.start()
        thread.join(0.1)
        assert thread.is_alive()
    thread.join(30)
    assert not thread.is_alive()


def test_a_second_backward_in_training_says_that_it_needs_a_forward_of_its_own():
    class Twice(Callback):
        def after_step(self, run):
            run.model.backward(np.ones((32, 10), np.float32))

    with pytest.raises(RuntimeError, match=r"^Dense 'dense1': backward needs a forward first, and in training one of"):
        compiled().fit(X, Y, verbose=0, callbacks=[Twice()])
