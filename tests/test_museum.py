"""Every bug in the museum is caught, by a witness with a name; the code without it is not."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import ops
from tinycnn.cli import main
from tinycnn.plot import beside
from tinycnn.verify import museum
from tinycnn.verify.museum import MUTANTS, MutantError, Patch, patched
from tinycnn.verify.museum.accuracy import NETWORKS
from tinycnn.verify.museum.habits import HABITS
from tinycnn.verify.museum.scenes import scene
from tinycnn.verify.museum.trial import GRADIENT_CHECK, hold

PAGE = Path(__file__).parent.parent / "docs" / "museum.md"
every_mutant = pytest.mark.parametrize("name", MUTANTS)


def functions_of(exhibit):
    return [patch.function for patch in exhibit.patches]


@every_mutant
def test_a_mutant_is_caught_and_the_code_without_it_is_not(name):
    found = hold(MUTANTS[name], accuracy=False)
    assert found.caught, found
    control = hold(MUTANTS[name], mutated=False, accuracy=False)
    assert control.by == (), control
    assert set(control.missed_by) >= set(found.by)


def test_an_error_is_put_down_to_the_witness_who_met_it():
    found = hold(MUTANTS["pool-drops-last-window"], accuracy=False)  # PyTorch's dy has one row more than our y
    assert found.by == ("PyTorch's forward", "PyTorch's backward")
    assert {"formula of forward", GRADIENT_CHECK} <= set(found.missed_by)


def test_the_museum_has_every_bug_that_it_promises():
    assert {exhibit.number for exhibit in MUTANTS.values()} == set(range(1, 29))
    assert all(exhibit.name == name for name, exhibit in MUTANTS.items())
    assert set(NETWORKS) <= set(MUTANTS)


def test_a_plain_gradient_check_misses_many_and_the_page_says_which():
    blind = [name for name, exhibit in MUTANTS.items() if GRADIENT_CHECK not in hold(exhibit, accuracy=False).by]
    assert len(blind) >= 6
    text = PAGE.read_text(encoding="utf-8")
    assert f"misses {len(blind)} of these {len(MUTANTS)}" in text
    listed = re.search(r"\*\*A gradient check alone misses.*?\.\s", text, re.DOTALL).group()
    assert re.findall(r"\[([\w-]+)\]", listed) == blind


@every_mutant
def test_the_page_shows_the_diff_the_story_and_a_picture(name):
    exhibit, text = MUTANTS[name], PAGE.read_text(encoding="utf-8")
    assert f"## {name}\n" in text
    for part in (exhibit.diff(), exhibit.story, exhibit.lesson, exhibit.converged, exhibit.source):
        assert part in text, "make it anew: python -m tinycnn.verify.museum.gallery docs"
    assert (PAGE.parent / "museum" / f"{name}.png").read_bytes()[1:4] == b"PNG"
    assert all(op in tc.formulas for op in exhibit.ops)


@every_mutant
def test_a_scene_shows_a_difference(name):
    view = scene(MUTANTS[name])
    assert view.right.shape == view.wrong.shape
    assert not np.array_equal(view.right, view.wrong, equal_nan=True)
    assert len(beside(view.right, view.wrong, view.what).axes) == 2


@every_mutant
def test_outside_of_the_context_nothing_is_left(name):
    before = [function.__code__ for function in functions_of(MUTANTS[name])]
    with museum.mutant(name):
        assert any(f.__code__ is not code for f, code in zip(functions_of(MUTANTS[name]), before, strict=True))
        assert tc.backends.current().name == "numpy"
    assert [function.__code__ for function in functions_of(MUTANTS[name])] == before
    with pytest.raises(KeyError), museum.mutant(name):  # nor after an error
        raise KeyError
    assert [function.__code__ for function in functions_of(MUTANTS[name])] == before


def test_a_mutant_is_in_force_for_everything_that_calls_the_function():
    relu = tc.ReLU()
    relu.build((2,), np.random.default_rng(0))
    dy = np.array([[1.0, 2.0]])
    with tc.backend("numpy"):  # a mutant is one of the ops there, and a backward is of the rung of its forward
        relu.forward(np.array([[-1.0, 1.0]]))
    with museum.mutant("dy-changed-in-place"):
        relu.backward(dy)
    assert dy.tolist() == [[0.0, 2.0]]


def test_two_patches_of_one_function_are_both_made():
    where, line = "ops.activation:relu_backward", "    return np.where(off, 0, upstream(dy, off.shape))"
    two = (
        Patch(where, line, "    one = 1\n" + line.replace(", 0,", ", one,")),
        Patch(where, "(off,) = cache", "(off,) = cache; two = 2"),
    )
    with patched(two):
        assert ops.relu_backward.__code__.co_varnames[-2:] == ("two", "one")


@pytest.mark.parametrize(("where", "find", "message"), [
    ("ops.pool:max_pool2d_backward", "dxp += everything", "is not there any more: 'dxp \\+= everything'"),
    ("ops.pool:max_pool2d_backward", "window", "stands there \\d+ times"),
    ("ops.pool:no_pool", "x", "there is no ops.pool:no_pool to change"),
    ("ops.nothing:f", "x", "there is no ops.nothing:f to change"),
    ("ops.activation:np", "x", "is no function"),
])  # fmt: skip
def test_a_patch_that_does_not_fit_is_refused_and_changes_nothing(where, find, message):
    before = ops.relu_backward.__code__
    good = Patch("ops.activation:relu_backward", "(off,) = cache", "(off,) = cache; two = 2")
    with pytest.raises(MutantError, match=message), patched((good, Patch(where, find, "y"))):
        raise AssertionError("the context was entered")
    assert ops.relu_backward.__code__ is before


def test_one_mutant_at_a_time_and_other_threads_wait():
    order, inside = [], threading.Event()

    def other():
        inside.wait(10)
        with museum.mutant("flipped-kernel"):
            order.append("second")

    thread = threading.Thread(target=other)
    thread.start()
    with museum.mutant("pool-pads-with-zero"):
        inside.set()
        thread.join(0.2)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_an_unknown_mutant_is_a_clear_error():
    with (
        pytest.raises(ValueError, match="no mutant 'fliped-kernel'; did you mean 'flipped-kernel'"),
        museum.mutant("fliped-kernel"),
    ):
        pass


def test_the_command_line_tells_who_caught_it_and_what_was_reached(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["verify", "--mutants", "pool-pads-with-zero", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert stopped.value.code == 0
    assert [row["mutant"] for row in found] == ["pool-pads-with-zero", "control"]
    assert (found[0]["caught"], found[1]["caught"]) == (True, False)
    assert GRADIENT_CHECK in found[0]["missed_by"]
    assert 0.8 < found[0]["accuracy"] <= 1


def test_a_control_that_is_found_wrong_is_status_one(capsys, monkeypatch):
    monkeypatch.setitem(HABITS, "a habit that finds fault", (frozenset({"relu"}), lambda op: False))
    with pytest.raises(SystemExit) as stopped:
        main(["verify", "--mutants", "dy-changed-in-place"])
    assert stopped.value.code == 1
    assert "THE CODE WITHOUT IT WAS FOUND WRONG" in capsys.readouterr().out
