"""A helper compiles what will be needed, fills the same folder, and never outlives or disturbs whom it helps."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
from numba import config

from tinycnn import beside, demo
from tinycnn.kernels import ahead
from tinycnn.kernels.ahead import compiled_ahead, of_type

SMALL = of_type("float64", "steps._sgd", "steps._momentum")  # a second or two to compile


@pytest.fixture
def cold(monkeypatch, tmp_path):
    """An empty folder for compiled code, here and in every process that this one starts."""
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    for name in SMALL:
        monkeypatch.setattr(ahead._worker(name)[0], "_compiled", {})
    return tmp_path


def wait_for(what, seconds=60.0):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_helper_compiles_all_that_is_named_for_this_process_to_find(cold):
    with compiled_ahead(SMALL) as first:
        assert first
        wait_for(lambda: all(map(ahead._kept, SMALL)))
    assert not list(cold.rglob("*.tmp.*"))
    before = set(cold.rglob("*.nbc"))
    for worker, dtype in map(ahead._worker, SMALL):
        worker.compile(dtype)
    assert set(cold.rglob("*.nbc")) == before


def test_no_helper_is_started_where_all_is_compiled(cold, monkeypatch):
    for worker, dtype in map(ahead._worker, SMALL):
        worker.compile(dtype)
    monkeypatch.setattr(beside, "_start", lambda *_: pytest.fail("a helper was started"))
    with compiled_ahead(SMALL) as first:
        assert not first


@pytest.mark.slow
def test_the_helper_begins_with_the_last_of_the_first_list(cold, monkeypatch):
    asked = []
    monkeypatch.setattr(beside, "_start", lambda _, *needed: asked.append(needed))
    monkeypatch.setattr(beside, "cores", lambda: 2)
    with compiled_ahead(SMALL, of_type("float32", "steps._sgd")):
        pass
    assert asked == [("steps._momentum:float64", "steps._sgd:float64", "steps._sgd:float32")]


def test_a_helper_that_cannot_be_started_or_fails_is_no_matter(cold, monkeypatch):
    for executable in ("", str(cold / "no python"), sys.executable):
        monkeypatch.setattr(sys, "executable", executable)
        with compiled_ahead([*SMALL, "steps._sgd:float16"]) as first:
            assert first


@pytest.mark.slow
def test_the_helper_ends_when_the_work_does_and_leaves_no_half_written_file(cold):
    with compiled_ahead(of_type("float64", *demo.TRAINING)):
        begun = time.monotonic()
    assert time.monotonic() - begun < ahead.LEAVING + 1
    assert not list(cold.rglob("*.tmp.*"))


@pytest.mark.slow
def test_the_helper_ends_when_the_process_it_helps_is_killed(cold):
    code = (
        "import time; from tinycnn import beside; from tinycnn.kernels import ahead\n"
        "start = beside._start\n"
        "def told(*given):\n"
        "    helper = start(*given); print(helper.pid, flush=True); return helper\n"
        "beside._start = told; beside.cores = lambda: 2\n"
        f"with ahead.compiled_ahead({of_type('float64', *demo.TRAINING)}): time.sleep(60)\n"
    )
    one = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert one.stdout is not None
    pid = int(one.stdout.readline())
    one.kill()
    one.wait()
    one.stdout.close()
    wait_for(lambda: not _lives(pid), ahead.LEAVING + 5)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"


def test_every_kernel_that_the_demo_names_is_there():
    for name in (*demo.TRAINING, *demo.PROOF):
        assert isinstance(ahead._worker(f"{name}:float32")[0], ahead.Worker)


@pytest.mark.slow
def test_what_the_demo_names_is_what_a_run_of_it_compiles(monkeypatch):
    """Were one missing, the helper would leave it out; were one too many, it would compile what nobody needs."""
    compiled = set()
    call = ahead.Worker.__call__

    def noted(worker, threads, dtype, *given):
        compiled.add((f"{worker.function.__module__.split('.')[-1]}.{worker.function.__name__}", np.dtype(dtype).name))
        return call(worker, threads, dtype, *given)

    monkeypatch.setattr(ahead.Worker, "__call__", noted)
    train, _, _ = demo.data.load_digits()
    model, _ = demo.train_digits(train[:64], train[64:96], 0, epochs=1, verbose=0)
    demo.check_model(model, train.x[:2].astype(np.float64), train.y[:2], entries=1)
    assert {name for name, dtype in compiled if dtype == "float32"} == set(demo.TRAINING)
    assert {name for name, dtype in compiled if dtype == "float64"} == set(demo.PROOF)
