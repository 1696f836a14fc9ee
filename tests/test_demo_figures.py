"""The demo's figures come from a second process, and from this one where that fails."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinycnn import beside, demo_figures
from tinycnn.demo_figures import Drawing, drawing_beside

GIVEN = {
    "out": Path("runs"), "history": {"loss": [0.1, 1e-300]}, "classes": ("0", "–"), "matrix": np.eye(2, dtype=np.int64),
    "w": np.ones((2, 1, 3, 3), np.float32) / 3,
}  # fmt: skip


def process(program):
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE)


@pytest.fixture
def drawn(monkeypatch):
    """What this process is asked to draw."""
    asked = []
    monkeypatch.setattr(demo_figures, "draw", lambda **given: asked.append(given))
    return asked


@pytest.mark.parametrize(
    ("program", "here"),
    [("import sys; sys.stdin.read()", False), ("import sys; sys.stdin.read(); sys.exit(1)", True),
     ("import os; os.kill(os.getpid(), 9)", True)],
    ids=["draws", "fails", "is killed"],
)  # fmt: skip
def test_what_the_other_process_does_not_draw_is_drawn_here(drawn, program, here):
    with process(program) as other:
        drawing = Drawing(other)
        drawing.begin(**GIVEN)
        drawing.finish()
    assert len(drawn) == here


def test_what_is_to_be_drawn_arrives_as_it_was():
    found = demo_figures._unpacked(demo_figures._packed(**GIVEN))
    assert found.keys() == GIVEN.keys()
    assert (found["out"], found["history"], found["classes"]) == (GIVEN["out"], GIVEN["history"], ["0", "–"])
    for name in ("matrix", "w"):
        assert found[name].dtype == GIVEN[name].dtype
        np.testing.assert_array_equal(found[name], GIVEN[name])


def test_without_another_process_this_one_draws(drawn):
    drawing = Drawing(None)
    drawing.begin(**GIVEN)
    drawing.finish()
    assert [one.keys() for one in drawn] == [GIVEN.keys()]


def test_a_process_that_nobody_waits_for_is_ended(monkeypatch):
    monkeypatch.setattr(beside, "cores", lambda: 2)
    with drawing_beside() as drawing:
        assert drawing.process.poll() is None
    assert drawing.process.returncode is not None


def test_with_one_core_there_is_no_other_process(monkeypatch):
    monkeypatch.setattr(beside, "cores", lambda: 1)
    with drawing_beside() as drawing:
        assert drawing.process is None
