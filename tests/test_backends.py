"""Which rung serves: chosen by a call or for a while, per thread, with the next one below for what it lacks."""

from __future__ import annotations

import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from tinycnn import Conv2D, MaxPool2D, ReLU, Sequential, backend, backends, ops
from tinycnn.backends import RUNGS, Rung, current, recording


@pytest.fixture(autouse=True)
def _numpy_before_and_after():
    backend("numpy")
    yield
    backend("numpy")


def test_numba_is_the_default_in_a_fresh_thread():
    assert in_thread(lambda: current().name) == backends.DEFAULT == "numba"


def test_a_call_chooses_for_good():
    backend("loops")
    assert current() is RUNGS["loops"]
    backend("numpy")
    assert current() is RUNGS["numpy"]


def test_a_context_chooses_for_a_while_and_gives_its_rung():
    with backend("loops") as rung:
        assert rung is current() is RUNGS["loops"]
    assert current() is RUNGS["numpy"]


def test_contexts_nest_and_a_call_inside_one_ends_with_it():
    with backend("loops"):
        with backend("numpy"):
            assert current().name == "numpy"
            with backend("loops"):
                assert current().name == "loops"
            assert current().name == "numpy"
        assert current().name == "loops"
        backend("numpy")
        assert current().name == "numpy"
    assert current().name == "numpy"


def test_an_error_inside_a_context_puts_the_rung_back():
    with pytest.raises(ZeroDivisionError), backend("loops"):
        raise ZeroDivisionError
    assert current().name == "numpy"


def test_a_choice_is_this_threads_own():
    with backend("loops"):
        assert in_thread(lambda: current().name) == "numba"

    def choose():
        backend("loops")
        return current().name

    assert in_thread(choose) == "loops"
    assert current().name == "numpy"


def test_threads_that_choose_at_the_same_time_do_not_meet():
    both_inside = threading.Barrier(2, timeout=20)

    def serve(name):
        with backend(name):
            both_inside.wait()
            found = current().name
            both_inside.wait()
            return found

    found = {}
    threads = [threading.Thread(target=lambda n=n: found.update({n: serve(n)})) for n in ("loops", "numpy")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {"loops": "loops", "numpy": "numpy"}


@pytest.mark.parametrize("name", ["lops", "torch", None, 3, ["numpy"]])
def test_an_unknown_rung_is_refused_and_changes_nothing(name):
    with backend("loops"):
        with pytest.raises(ValueError, match=r"no backend .*here are loops, numpy, njit, numba"):
            backend(name)
        assert current().name == "loops"


def test_a_near_name_is_suggested():
    with pytest.raises(ValueError, match=r"no backend 'nunpy'; did you mean 'numpy'\?"):
        backend("nunpy")


def test_a_rung_that_lacks_an_op_is_served_by_the_next_one_that_has_it():
    lowest = Rung("lowest", lambda: SimpleNamespace(a=min, b=max, c=sum))
    middle = Rung("middle", lambda: SimpleNamespace(b=abs), below=lowest)
    top = Rung("top", lambda: SimpleNamespace(c=len), below=middle)
    assert (top("a"), top("b"), top("c")) == (min, abs, len)
    with pytest.raises(AttributeError, match="no rung has an op 'd'"):
        top("d")


@pytest.mark.parametrize("name", ["loops", "njit"])
def test_flatten_is_served_by_numpy_because_its_formula_shows_four_axes_only(name):
    assert RUNGS[name]("flatten_forward") is ops.flatten_forward
    assert RUNGS[name]("conv2d_forward") is not ops.conv2d_forward


def test_the_four_rungs_stand_in_the_order_of_the_ladder():
    assert list(RUNGS) == ["loops", "numpy", "njit", "numba"]


def test_a_kernel_without_its_other_half_is_left_to_numpy_whose_cache_is_another(monkeypatch):
    halves = {"conv2d_forward": min, "conv2d_backward": max, "relu_forward": sum, "linear_backward": abs, "pack": len}
    kernels = SimpleNamespace(__all__=list(halves), BEYOND_OPS={}, **halves)
    monkeypatch.setitem(sys.modules, "tinycnn.kernels", kernels)
    monkeypatch.setattr("tinycnn.kernels", kernels, raising=False)
    table = backends._kernel_table()
    assert vars(table) == {"conv2d_forward": min, "conv2d_backward": max}


def test_every_pair_of_ops_is_served_on_every_rung_by_functions_of_the_same_name():
    for name in (name for name in ops.__all__ if name.endswith(("_forward", "_backward"))):
        for rung in RUNGS.values():
            assert rung(name).__name__ == name


def test_a_table_is_made_once_and_only_when_asked_for():
    made = []
    rung = Rung("slow", lambda: made.append(1) or SimpleNamespace(f=min))
    assert made == []
    rung("f"), rung("f")
    assert made == [1]


@pytest.mark.parametrize("name", ["numpy", "loops", "njit"])
def test_recording_keeps_every_call_and_the_rung_goes_on_serving(name):
    model = Sequential([Conv2D(2, 2, stride=2), ReLU(), MaxPool2D(2)], input_shape=(1, 5, 5))
    x = np.random.default_rng(0).normal(size=(1, 1, 5, 5)).astype(np.float32)
    with backend(name):
        expected = model.forward(x)
        with recording() as recorder:
            y = model.forward(x)
            model.backward(y)
        assert current() is RUNGS[name]
    np.testing.assert_array_equal(y, expected)
    assert [op for op, _, _ in recorder.calls] == [
        "conv2d_forward", "relu_forward", "max_pool2d_forward", "max_pool2d_backward", "relu_backward",
        "conv2d_backward",
    ]  # fmt: skip
    _, args, options = recorder.calls[0]
    assert args[0] is x
    assert args[1] is model.layers[0].params["w"]
    assert options["stride"] == (2, 2)


def test_recordings_nest_and_end_at_an_error():
    layer, x = ReLU(), np.array([[1.0, -1.0]])
    with recording() as outer:
        with pytest.raises(TypeError), recording() as inner:
            layer.forward(x.astype(int))
        layer.forward(x)
    layer.forward(x)
    assert (len(outer.calls), len(inner.calls)) == (2, 1)
    assert current() is RUNGS["numpy"]


def in_thread(work):
    """What `work` gives in a thread of its own."""
    found = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join(30)
    return found[0]
