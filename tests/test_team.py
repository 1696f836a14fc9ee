"""The helpers of the kernels: every part is done once, nobody waits for one that is late, and a fork has its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tinycnn.kernels import apart, team
from tinycnn.kernels.compiling import Worker, next_part, unpack
from tinycnn.kernels.threads import threads_for

PARTS = 64


@Worker
def _take(t, workers, given):
    """Parts so small that the calls ask for the next one all the time."""
    done, parts = unpack(given, "xn")
    part = next_part(given)
    while part < parts:
        done[part] += 1
        part = next_part(given)


@Worker
def _count(t, workers, given):
    """Each part counts itself, the work it makes of it, and the call that did it."""
    done, by, claims, parts = unpack(given, "xxxn")
    claims[t] += 1
    part = next_part(given)
    while part < parts:
        total = done[part]
        for k in range(20_000):
            total += k % 2
        done[part] = total - 9_999
        by[part] = t
        part = next_part(given)


def _counted(threads):
    done, by, claims = np.zeros(PARTS), np.full(PARTS, -1.0), np.zeros(threads)
    with threads_for(1):
        _count(threads, done.dtype, done, by, claims, PARTS)
    return done.tolist(), by.tolist(), claims.tolist()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_every_part_and_every_claim_is_done_once_by_however_many(threads):
    for _ in range(200):
        done, by, claims = _counted(threads)
        assert done == [1.0] * PARTS
        assert claims == [1.0] * threads
        assert set(by) <= set(range(threads))


def test_no_two_calls_get_the_same_part():
    for _ in range(100):
        done = np.zeros(200_000)
        with threads_for(1):
            _take(2, done.dtype, done, len(done))
        assert (done == 1).all()


def test_helpers_do_a_part_of_the_work():
    _counted(2)
    ends = time.monotonic() + 60
    while len(set(_counted(2)[1])) < 2:
        assert time.monotonic() < ends, "the helper never lent a hand"


def test_nobody_waits_for_a_helper_that_does_not_come(monkeypatch):
    monkeypatch.setattr(team, "_helpers", lambda wanted: [])
    for _ in range(100):
        done, _, claims = _counted(3)
        assert (done, claims) == ([1.0] * PARTS, [1.0] * 3)


def test_where_the_system_starts_no_more_threads_those_that_there_are_do_the_work(monkeypatch):
    def refused(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(team.Helper, "start", refused)
    assert _counted(40)[0] == [1.0] * PARTS


def test_helpers_sleep_while_there_is_nothing_to_do_and_wake_for_the_next_kernel():
    _counted(2)
    helper = team._team[0]
    ends = time.monotonic() + 60
    while not helper._asleep:
        assert time.monotonic() < ends, "the helper never went to sleep"
        time.sleep(0.01)
    assert _counted(2)[0] == [1.0] * PARTS
    assert not helper._asleep or len(team._team) > 1


ONE_CORE = not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2


@pytest.mark.skipif(ONE_CORE, reason="there is no other core, or the system does not let one choose")
def test_a_helper_is_kept_off_the_core_of_whoever_calls(monkeypatch):
    mine = os.sched_getaffinity(0)
    for core in sorted(mine):
        monkeypatch.setattr(team, "current_core", lambda core=core: core)
        assert _counted(2)[0] == [1.0] * PARTS
        assert os.sched_getaffinity(team._team[0].native_id) == mine - {core}


@pytest.mark.skipif(ONE_CORE, reason="there is no other core, or the system does not let one choose")
def test_where_a_thread_may_use_one_core_alone_its_helpers_use_that_too():
    found = []

    def alone():
        core = min(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {core})
        found.append(apart.current_core() == core)
        helper = threading.get_native_id()
        apart.keep_off(core, helper)
        found.append(os.sched_getaffinity(helper) == {core})

    thread = threading.Thread(target=alone)
    thread.start()
    thread.join()
    assert found == [True, True]


def test_a_system_that_does_not_tell_the_core_is_not_asked_to_move_anybody(monkeypatch):
    monkeypatch.setattr(apart.os, "sched_setaffinity", None, raising=False)
    apart.keep_off(apart.UNKNOWN, 1)
    apart.keep_off(0, None)


def test_many_python_threads_may_call_at_once():
    found, begin = [], threading.Barrier(6, timeout=60)

    def call():
        begin.wait()
        found.extend(_counted(3)[0] == [1.0] * PARTS for _ in range(30))

    running = [threading.Thread(target=call) for _ in range(6)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert found == [True] * 180


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_process_that_is_forked_has_helpers_of_its_own():
    program = (
        "import os, numpy as np\n"
        "from tinycnn import kernels\n"
        "x = np.random.default_rng(0).random(3_000_000, np.float32)\n"
        "y = kernels.relu_forward(x)[0]\n"
        "child = os.fork()\n"
        "again = kernels.relu_forward(x)[0]\n"
        "assert (again == y).all()\n"
        "if not child: os._exit(7)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
        "print('both')\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=120,
        env=os.environ | {"NUMBA_NUM_THREADS": "2"},
    )  # fmt: skip
    assert run.stdout.strip() == "both", run.stderr[-1500:]


def test_after_late_helpers_work_goes_on_alone_for_some_kernels_but_for_no_long_time():
    trust, late = team.Trust(), 2 * team.LONG
    assert not trust.goes_alone(now=1.0)
    alone = []
    for _ in range(10):  # late each time that help is asked for
        trust.note(worked=late / 2, waited=late, now=1.0)
        alone.append(sum(trust.goes_alone(now=1.0) for _ in range(1000)))
    assert alone == [2, 4, 8, 16, 32, 64, 128, 256, 256, 256]
    trust.note(worked=late / 2, waited=late, now=1.0)
    assert trust.goes_alone(now=1.0 + 0.9 * team.LONGEST_ALONE)
    assert not trust.goes_alone(now=1.0 + 1.1 * team.LONGEST_ALONE)
    assert not trust.goes_alone(now=1.0)
    for _ in range(team.MOST_ALONE):
        trust.note(worked=late, waited=late / 2, now=2.0)  # no longer than the work itself
    trust.note(worked=late / 2, waited=late, now=3.0)
    assert [trust.goes_alone(now=3.0) for _ in range(4)] == [True, True, False, False]
