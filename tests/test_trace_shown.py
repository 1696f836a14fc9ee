"""What a step shows is what it had: no array that was never looked at, sizes by their names, lines that fit."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import numpy as np
import pytest
from trace_networks import CASES, example, network

import tinycnn as tc
from tinycnn import BatchNorm2D, Conv1D, Conv2D, Flatten, Sequential
from tinycnn.tracing.play import Player, _keys
from tinycnn.tracing.terminal import step_lines


@cache
def traced(case):
    return tc.trace(*example(network(case)), unfused=True)


def test_in_training_a_batch_norm_shows_no_mean_that_it_was_not_given():
    model = Sequential([Conv2D(2, 3), BatchNorm2D(), Flatten(), tc.Dense(3)], input_shape=(1, 5, 4), seed=0)
    x = np.random.default_rng(0).normal(size=(3, 1, 5, 4)).astype(np.float32)
    predicted = next(step for step in tc.trace(model, x) if step.op == "batch_norm_forward")
    assert [line["symbol"] for line in predicted.reads] == ["mean", "var", "x", "gamma", "beta"]
    model.compile("sgd", "cross_entropy")
    trained = {step.result: step for step in tc.trace(model, x, np.arange(3)) if step.op.startswith("batch_norm")}
    reads = {result: {line["symbol"] for line in step.reads} for result, step in trained.items()}
    assert reads == {"y": {"x", "gamma", "beta"}, "dgamma": {"dy", "x"}, "dbeta": {"dy"}, "dx": {"dy", "x", "gamma"}}
    assert "mean" not in trained["y"].shape_note


@pytest.mark.parametrize("case", CASES)
def test_all_that_a_step_shows_as_read_some_number_of_it_depends_on(case):
    """An array that no cell depends on was not read: a placeholder, or a branch that is not taken."""
    trace = traced(case)
    for step in (step for step in trace if step.formula["name"] and step.phase != "check"):
        shown = {line["symbol"] for line in step.reads}
        for line in step.writes:
            for flat in range(int(np.prod(line["shape"]))):
                index = np.unravel_index(flat, line["shape"]) if line["shape"] else ()
                shown -= {one["symbol"] for one in trace.sources(step, index, line["symbol"])}
                if not shown:
                    break
        assert not shown, (step.title, shown)


@pytest.mark.parametrize(
    ("layer", "shape", "size"),
    [
        (Conv2D(2, 3, stride=2), (1, 11, 8), "OH = ⌊(11 + 0 − 3)/2⌋ + 1 = 5, OW = ⌊(8 + 0 − 3)/2⌋ + 1 = 3"),
        (Conv2D(2, 3, stride=2), (1, 8, 8), "OH = ⌊(8 + 0 − 3)/2⌋ + 1 = 3"),
        (Conv1D(2, 3, stride=2), (1, 11), "OW = ⌊(11 + 0 − 3)/2⌋ + 1 = 5"),
    ],
)
def test_a_size_is_said_by_the_name_that_the_formula_has_for_it(layer, shape, size):
    trace = tc.trace(Sequential([layer], input_shape=shape), np.ones(shape, np.float32))
    assert trace.model["layers"][0]["size"] == size
    assert trace[-1].shape_note.startswith(f"{size}; ")


@pytest.mark.parametrize("case", CASES)
def test_of_every_kind_of_step_no_line_is_wider_than_80_columns(case):
    trace = traced(case)
    for step in {step.op: step for step in trace}.values():
        cell = tuple(size // 2 for size in step.writes[0]["shape"])
        for index in (None, *([cell] if step.formula["name"] else [])):
            wide = [line for line in step_lines(trace, step.number, index, 80) if len(line) > 80]
            assert not wide, (step.title, index)


@pytest.mark.parametrize(
    ("ask", "error", "said"),
    [
        (lambda t: t.cell(0, (0, 1, 2.5, 1)), TypeError, r"whole numbers, such as \(0, 3, 4\), got \(0, 1, 2.5, 1\)"),
        (lambda t: t.sources(0, "abcd"), TypeError, "whole numbers, .* got 'abcd'"),
        (lambda t: t.print(0, 5), IndexError, r"there is no place \[5\] in it"),
        (lambda t: t.show(0, 5), IndexError, r"there is no place \[5\] in it"),
        (lambda t: t.cell(0.0, (0, 0, 0, 0)), TypeError, "by its number, 0 to 0, got 0.0"),
        (lambda t: t.show("conv1"), TypeError, "by its number, 0 to 0, got 'conv1'; find"),
        (lambda t: t.windows_of(0, (2,)), IndexError, r"a row and a column, got \(2,\)"),
        (lambda t: t.windows_of(0, 2), IndexError, "a row and a column, got 2"),
    ],
)
def test_what_is_no_place_and_no_step_is_refused_in_words(ask, error, said):
    trace = tc.trace(Sequential([Conv2D(2, 3)], input_shape=(1, 5, 5)), np.ones((1, 5, 5), np.float32))
    with pytest.raises(error, match=said):
        ask(trace)


def test_a_trace_is_read_from_a_file_by_the_name_that_the_page_gives(tmp_path):
    """In a Python of its own, where nothing has been traced yet."""
    path = tmp_path / "trace.json"
    tc.trace(Sequential([Flatten()], input_shape=(1, 2, 2)), np.ones((1, 2, 2), np.float32)).save_json(path)
    code = f"import tinycnn as tc; print(tc.tracing.Trace.from_json({str(path)!r}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.startswith("<trace of 1 steps"), run.stderr


@pytest.fixture(scope="module")
def windowed():
    return tc.trace(Sequential([Conv2D(2, 3), Flatten()], input_shape=(1, 5, 5)), np.ones((1, 5, 5), np.float32))


@pytest.mark.parametrize("text", ["-1", "0 0,1,1.5,1", "1e3", "0 0,-1,1,1", "conv1", "", "0 0,1,1,1 v=", "s=0&c=a"])
def test_what_is_no_address_goes_nowhere(windowed, text):
    player = Player(windowed, 1)
    player.press("g", lambda prompt: text)
    assert (player.number, player.index) == (1, None)
    assert f"got {text.strip()!r}" in player.note


@pytest.mark.parametrize("text", ["0 0,1,2,1", "0: 0, 1, 2, 1", "#s=0&c=0,1,2,1&v=im2col", "0 0 1 2 1 v=im2col"])
def test_an_address_may_be_written_as_the_page_writes_it(windowed, text):
    player = Player(windowed, 1)
    player.press("g", lambda prompt: text)
    assert (player.number, player.index, player.note) == (0, (0, 1, 2, 1), "")
    assert player.view == ("im2col" if "v=" in text else "window")


def test_an_arrow_is_one_key_and_what_is_typed_ahead_is_kept():
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r+b", buffering=0) as stream, _keys(stream) as key:
        os.write(ours, b"\x1b[Cn\x1b[1;2D\x1b[5~\x1b[Z")
        found = [key() for _ in range(5)]
        assert found == ["n", "n", "P", "[", "\x1b[Z"]
    os.close(ours)
