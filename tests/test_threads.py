"""Threads: the kernels' own, as many as you choose, and Python's, any number of which may call at once."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import zoo
from tinycnn.cores import chosen_threads
from tinycnn.kernels.threads import MOST, SMALL, finite, space, threads_for


def _given(work=10 * SMALL):
    with threads_for(work) as n:
        return n


def test_a_call_chooses_for_good_and_a_context_for_a_while():
    most = _given()
    assert chosen_threads() is None
    with tc.threads(1):
        assert _given() == chosen_threads() == 1
        with tc.threads(2):
            assert _given() == min(2, most)
        assert _given() == 1
    assert chosen_threads() is None
    tc.threads(1)
    assert _given() == 1
    tc.threads(None)
    assert _given() == most


def test_a_choice_may_be_entered_more_than_once_and_holds_through_an_error():
    one = tc.threads(1)
    tc.threads(2)
    found = []
    with pytest.raises(KeyError), one:
        found.append({}[found.append(chosen_threads())])
    assert found == [1]
    assert chosen_threads() == 2
    tc.threads(None)


def test_more_than_there_are_cores_are_not_started_and_little_work_takes_one():
    most = _given()
    with tc.threads(10_000):
        assert most <= _given() <= os.cpu_count()
        assert _given(work=1) == 1


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True])
def test_a_number_that_is_none_is_refused_and_changes_nothing(n):
    with pytest.raises(ValueError, match=r"threads must be an int ≥ 1, or None for all cores, got"):
        tc.threads(n)
    assert chosen_threads() is None


def test_a_choice_is_this_python_threads_own():
    with tc.threads(1):
        assert _in_threads([chosen_threads]) == [None]


def test_one_model_asked_from_many_python_threads_at_once_mixes_nothing():
    model, rng = zoo.digits(), np.random.default_rng(0)
    given = [rng.normal(size=(5 + k, 1, 8, 8)).astype(np.float32) for k in range(6)]
    expected = [model.predict(x) for x in given]
    found = _in_threads([lambda x=x: [model.predict(x) for _ in range(10)] for x in given])
    for answers, right in zip(found, expected, strict=True):
        assert all((answer == right).all() for answer in answers)


def test_models_that_are_trained_and_asked_at_the_same_time_come_out_as_if_each_were_alone():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 1, 8, 8)).astype(np.float32), rng.integers(0, 10, 64)

    def train(seed):
        model = zoo.digits(seed=seed)
        model.compile()
        model.fit(x, y, epochs=2, verbose=0)
        return model.predict(x)

    alone = [train(seed) for seed in range(3)]
    together = _in_threads([lambda seed=seed: train(seed) for seed in range(3)])
    assert all((a == b).all() for a, b in zip(alone, together, strict=True))


def test_without_numba_numpy_trains_and_says_so_once():
    program = (
        "import warnings, numpy as np, tinycnn as tc\n"
        "model = tc.zoo.digits(); model.compile()\n"
        "x, y = np.zeros((8, 1, 8, 8), np.float32), np.arange(8)\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    model.fit(x, y, epochs=2, verbose=0); model.predict(x)\n"
        "print(len(told), told[0].message)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True,
                         env=os.environ | {"NUMBA_DISABLE_JIT": "1"})  # fmt: skip
    assert run.stdout.strip() == "1 NUMBA_DISABLE_JIT is set: NumPy serves in place of the compiled rungs"


def _in_threads(works):
    """What each gives, all of them begun at the same time."""
    found, begin = [None] * len(works), threading.Barrier(len(works), timeout=60)

    def do(k, work):
        begin.wait()
        found[k] = work()

    running = [threading.Thread(target=do, args=item) for item in enumerate(works)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return found


def test_working_space_stays_unless_it_is_large():
    def place(size):
        with threads_for(1):
            own = space(np.dtype(np.float32), size)
            assert own.size >= size
            return own.base is None, own.__array_interface__["data"][0]

    assert place(1000) == place(500)
    large = space(np.dtype(np.float32), MOST + 1)
    assert large.size == MOST + 1
    assert place(1000)[1] != large.__array_interface__["data"][0]
    assert space(np.dtype(np.float32), 1000).size <= MOST


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_finite_also_where_the_sum_of_their_squares_is_not(dtype):
    x = np.full((3, 5), np.finfo(dtype).max, dtype)
    assert finite(x)
    assert finite(x / 3)
    assert finite(np.zeros((2, 0), dtype))
    for bad in (np.nan, np.inf, -np.inf):
        for start in (x, np.zeros_like(x)):
            y = start.copy()
            y[2, 1] = bad
            assert not finite(y)
