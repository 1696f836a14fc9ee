"""A student's file in its own process: it ends in time, leaves nothing behind, and is told in a clear line why."""

import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from bad_students import BAD, SAID
from right_students import RIGHT
from student_files import museum_file

import tinycnn.formula
from tinycnn import ops
from tinycnn.checking import check_file
from tinycnn.checking import process as process_module
from tinycnn.checking.process import StudentError, StudentProcess
from tinycnn.checking.wire import LARGEST, WireError, pack, unpack
from tinycnn.verify.museum import MUTANTS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")
SECONDS = 5.0


def running_in(folder):
    """The processes that are in a folder, or in one that was below it."""
    found = []
    for task in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(task / "cwd")
        except OSError:
            continue
        found += [task.name] if where.startswith(str(folder)) else []
    return found


@pytest.fixture
def nothing_left(tmp_path, monkeypatch):
    """After the test there is no process of the file's, and no file more than before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    yield
    assert list((tmp_path / "tmp").iterdir()) == []
    assert running_in(tmp_path) == []


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_ends_in_time_leaves_nothing_and_gets_a_clear_line(what, tmp_path, nothing_left):
    path = tmp_path / "mine.py"
    path.write_text(BAD[what])
    before = (np.abs, np.array_equal, ops.relu_forward, tinycnn.formula.literal_twin)
    started = time.monotonic()
    report = check_file(path, seconds=SECONDS)
    assert time.monotonic() - started < SECONDS + 6
    assert SAID[what] in " ".join(report.text(3).split())
    assert report.passed == (what == "ten child processes left running")
    assert (np.abs, np.array_equal, ops.relu_forward, tinycnn.formula.literal_twin) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.py", "tmp"]
    assert path.read_text() == BAD[what]


def test_processes_left_running_are_told(tmp_path, nothing_left):
    (tmp_path / "mine.py").write_text(BAD["ten child processes left running"])
    assert "the file left 10 other processes running" in " ".join(check_file(tmp_path / "mine.py").text().split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name", "could not be imported: raised ModuleNotFoundError"),
        ("def relu(x)\n    return x", "could not be imported: raised SyntaxError"),
        ("import sys; sys.exit(3)", "calls sys.exit"),
        ("def relu(x):\n    import sys\n    sys.exit(0)", "relu calls sys.exit"),
        ("import os\ndef relu(x):\n    os._exit(7)", "its process ended by itself (exit status 7)"),
        ("while True: pass", "did not come to an end while it was imported"),
        ("def relu(): pass", "its parameters are (), and it is called as relu(x"),
        ("def relu(x): pass", "y is None"),
        ("def relu(x): return 'right'", "y is a str"),
        ("def relu(x): return relu(x)", "RecursionError"),
        ("import numpy as np\ndef relu(x): return np.zeros(2**22)", "it returned"),
        ("x = 1", "no function has a name that is known"),
        ("import os\nos.kill(os.getppid(), 9)\nimport time\ntime.sleep(60)", "could not be checked"),
        ("import sys\ndef relu(x):\n    sys.stdout.write('y' * 10**7)\n    return abs(x)",
         "this is no part of the verdict"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_told_in_plain_words(text, said, tmp_path, nothing_left):
    (tmp_path / "mine.py").write_text(text)
    report = check_file(tmp_path / "mine.py", seconds=4)
    assert said.lower() in " ".join(report.text().lower().split())
    assert not report.passed
    assert len(report.printed) <= process_module.MOST_PRINTED


def test_a_file_that_hangs_in_one_op_is_still_asked_about_the_others(tmp_path):
    step = "def sgd_step(w, dw, lr):\n    return w - lr * dw\n"
    (tmp_path / "mine.py").write_text("def relu(x):\n    while True: pass\n" + step)
    verdicts = {r.subject: r.verdict for r in check_file(tmp_path / "mine.py", seconds=8).results}
    assert verdicts == {"relu": "stopped", "sgd_step": "pass"}


def test_the_process_is_in_an_empty_folder_without_our_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("A_SECRET", "of mine")
    (tmp_path / "mine.py").write_text(
        "import os, sys\n"
        "print(os.listdir('.'), os.environ.get('A_SECRET'), sys.flags.isolated, os.getpid() == os.getpgrp())\n"
    )
    with StudentProcess(tmp_path / "mine.py") as student:
        pass
    assert student.said.strip() == "[] None 1 True"


def test_nothing_is_read_from_the_process_but_plain_arrays(monkeypatch):
    with pytest.raises(WireError, match="cannot be sent"):
        pack({"a": object()})
    good = pack({"y": np.arange(6.0).reshape(2, 3), "t": (1, None, "word", float("nan"))})
    assert unpack(good)["y"].tolist() == [[0, 1, 2], [3, 4, 5]]
    other = good.replace(b"<f8", b"|O8"), good.replace(b"[2, 3]", b"[9, 9]")
    for bad in (good[:-1], good + b"x", b"", b"\xff" * 40, *other):
        with pytest.raises(WireError):
            unpack(bad)
    assert LARGEST < 2**27


def test_a_process_that_ended_answers_no_more(tmp_path):
    (tmp_path / "mine.py").write_text("import os\ndef relu(x):\n    os._exit(1)\n")
    request = {"do": "forward", "function": "relu", "args": [1.0], "options": {}, "names": ["x"]}
    request |= {"pair": True, "several": False}
    with StudentProcess(tmp_path / "mine.py") as student:
        for _ in range(2):
            with pytest.raises(StudentError, match="exit status 1"):
                student.ask(request)


def test_bubblewrap_is_used_where_it_can_run_and_left_where_it_cannot(tmp_path, monkeypatch):
    """A stand-in for bwrap that notes what it was asked, and runs what follows the double dash."""
    told = tmp_path / "told"
    bwrap = tmp_path / "bin" / "bwrap"
    bwrap.parent.mkdir()
    script = '#!/bin/sh\necho "$@" >> {told}\nwhile [ "$1" != "--" ]; do shift; done\nshift\nexec {run}\n'
    monkeypatch.setenv("PATH", f"{bwrap.parent}:{os.environ['PATH']}")
    (tmp_path / "mine.py").write_text("import numpy as np\ndef relu(x):\n    return np.maximum(x, 0)\n")
    for run, used in (('"$@"', True), ("false", False)):
        bwrap.write_text(script.format(told=told, run=run))
        bwrap.chmod(0o755)
        process_module._bwrap.cache_clear()
        assert check_file(tmp_path / "mine.py").passed
        assert bool(process_module.sandbox("/x")) == used
        assert "--ro-bind / / " in told.read_text()
        assert "--unshare-net" in told.read_text()
    process_module._bwrap.cache_clear()


@pytest.mark.parametrize("name", ["pool-overlap-overwritten", "bias-gradient-mean", "f1-averaged-wrongly"])
def test_an_exhibit_in_a_file_is_named_first(name, tmp_path):
    (tmp_path / "mine.py").write_text(museum_file(MUTANTS[name]))
    report = check_file(tmp_path / "mine.py")
    assert name in [r.mistakes[0].name for r in report.results if r.mistakes]


@pytest.mark.parametrize(
    "what", ["conv2d by einsum over a strided view, a class for a cache", "metrics by counting in Python"]
)
def test_a_right_file_passes(what, tmp_path):
    (tmp_path / "mine.py").write_text(RIGHT[what])
    assert check_file(tmp_path / "mine.py").passed
