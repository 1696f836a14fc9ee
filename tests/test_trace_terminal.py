"""The step-through on a terminal: what it prints is what the trace holds, and keys go where they say.

The golden files are made anew by `python tests/test_trace_terminal.py`; read what changed before you keep it.
"""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinycnn import AvgPool2D, BatchNorm2D, Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential
from tinycnn.data import load_digits
from tinycnn.formula.numbers import cell_number, formula_number
from tinycnn.optim import Adam
from tinycnn.tracing import trace
from tinycnn.tracing.grid import ASCII, CHANGED, LARGEST, UNICODE, WINDOW, grid, side_by_side
from tinycnn.tracing.play import Player, play
from tinycnn.tracing.terminal import box_for, safe, step_lines, stream_lines

GOLDEN = Path(__file__).with_name("golden_text")
SHOWN = {  # the steps of `traced()` that golden files hold: by op and result, and a cell of each
    "conv": ("conv2d_forward", "y", (0, 1, 3, 4)), "pool": ("max_pool2d_forward", "y", (0, 1, 1, 2)),
    "dense": ("linear_forward", "y", (0, 5)), "loss": ("cross_entropy_forward", "L", None),
    "conv_dw": ("conv2d_backward", "dw", (1, 0, 2, 0)), "conv_dx": ("conv2d_backward", "dx", (0, 0, 0, 4)),
    "pool_dx": ("max_pool2d_backward", "dx", (0, 1, 2, 5)), "adam": ("adam_step", "w", (1, 0, 1, 1)),
}  # fmt: skip


def network():
    model = Sequential(
        [Conv2D(3, 3, padding="same"), ReLU(), MaxPool2D(2), Flatten(), Dense(10)], input_shape=(1, 8, 8), seed=0
    )
    rng = np.random.default_rng(0)
    for w in model.named_params().values():  # round numbers, the same on every machine
        w[...] = rng.integers(-8, 9, w.shape) / 16
    model.compile(optimizer=Adam(1e-3), loss="cross_entropy")
    return model


@pytest.fixture(scope="module")
def traced():
    return traced_digit()


def traced_digit():
    _, _, test = load_digits()
    return trace(network(), test.x[0], test.y[0])


def found(tr, op, result):
    return next(s.number for s in tr if s.op == op and s.result == result)


def screen(tr, name, **options):
    op, result, index = SHOWN[name]
    return "\n".join(step_lines(tr, found(tr, op, result), index, **options)) + "\n"


@pytest.mark.parametrize("name", SHOWN)
def test_a_screen_is_the_golden_one(traced, name):
    assert screen(traced, name) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(traced, columns):
    for name in SHOWN:
        lines = screen(traced, name, columns=columns).splitlines()
        words = [line for line in lines if not re.search(r"[│┌└]", line)]
        assert max(map(len, words)) <= max(columns, 69), name  # nor is a sign of sum from what it sums
        assert max(map(len, lines)) <= max(columns, 69), name


def test_a_screen_has_the_four_lines(traced):
    for number in range(len(traced)):
        text = "\n".join(step_lines(traced, number))
        if traced[number].formula["text"]:
            assert "  formula " in text
        assert "  result " in text


def test_every_number_on_the_screen_of_a_cell_is_in_the_trace(traced):
    for name, (op, result, index) in SHOWN.items():
        if index is None:
            continue
        number = found(traced, op, result)
        cell = traced.cell(number, index)
        text = screen(traced, name)
        known = {formula_number(r["value"]) for t in cell["terms"] for r in t["reads"]}
        known |= {formula_number(cell["total"])}
        line = next(line for line in text.splitlines() if line.startswith("  result"))
        assert formula_number(cell["total"]) in line
        assert cell["total"] == pytest.approx(cell["recorded"], rel=1e-4, abs=1e-6)
        shown = re.search(r"  numbers(.*?)  result", text, re.DOTALL)[1]
        for value in known - {formula_number(cell["total"])}:
            if len(cell["terms"]) <= 27 and op != "adam_step":
                assert value in shown, (name, value)


def test_the_matrices_show_the_recorded_numbers(traced):
    number = found(traced, "conv2d_forward", "y")
    w = traced.names(number)["w"]
    text = screen(traced, "conv")
    for value in w[1, 0].ravel():
        assert cell_number(value) in text


def test_marks_need_no_colour():
    matrix = np.array([[1.0, -2.0], [3.5, 0.0]])
    lines = grid("x", matrix, cell_number, {(0, 1): [WINDOW], (1, 0): [WINDOW, LARGEST], (1, 1): [CHANGED]})
    assert lines[2] == "│  1.00  [−2.00] │"
    assert lines[3] == "│[ 3.50]*    ~0  │"
    assert "\x1b" not in "".join(lines)


def test_a_large_matrix_shows_what_is_marked_and_says_which_part_that_is():
    matrix = np.arange(400.0).reshape(20, 20)
    lines = grid("x", matrix, cell_number, {(15, 17): [WINDOW]}, rows=6, columns=40)
    assert "rows" in lines[0]
    assert "of 20" in lines[0]
    assert any("[317.00]" in line for line in lines)
    assert max(map(len, lines[1:])) <= 42


def test_pictures_that_do_not_fit_beside_each_other_go_below():
    one = ["ab" * 10]
    assert side_by_side([one, one], 60) == ["ab" * 10 + "   " + "ab" * 10]
    assert side_by_side([one, one], 30) == ["ab" * 10, "", "ab" * 10]


def test_ascii_is_all_there_is_where_nothing_else_can_be_shown(traced, monkeypatch):
    assert box_for(io.TextIOWrapper(io.BytesIO(), "ascii")) is ASCII
    assert box_for(io.TextIOWrapper(io.BytesIO(), "utf-8")) is UNICODE
    monkeypatch.setenv("TERM", "dumb")
    assert box_for(io.TextIOWrapper(io.BytesIO(), "utf-8")) is ASCII
    for name in SHOWN:
        text = "\n".join(safe(line, ASCII) for line in screen(traced, name, box=ASCII).splitlines())
        assert text.isascii()
        assert "?" not in text, text


def test_keys_go_where_they_say(traced):
    player = Player(traced)
    player.press("N")
    assert (player.number, player.index) == (1, None)
    player.press("n")
    assert player.index == (0, 0, 0, 0)
    player.press("n")
    assert player.index == (0, 0, 0, 1)
    player.press("p")
    player.press("p")
    assert player.index is None
    player.press("]")
    assert traced[player.number].phase == "backward"
    player.press("[")
    assert (player.number, traced[player.number].phase) == (0, "forward")
    player.press("P")
    assert "first step" in player.note
    player.press("x")
    assert "no key 'x'" in player.note
    player.press("?")
    assert "next cell" in player.note
    assert not player.over
    player.press("q")
    assert player.over


def test_the_last_cell_leads_to_the_next_step(traced):
    number = found(traced, "linear_forward", "y")
    player = Player(traced, number, (0, 9))
    player.press("n")
    assert (player.number, player.index) == (number + 1, None)


def test_an_address_leads_to_a_cell_and_a_wrong_one_is_told(traced):
    number = found(traced, "conv2d_forward", "y")
    player = Player(traced)
    player.press("g", lambda prompt: f"s={number}&c=0,2,7,7")
    assert (player.number, player.index) == (number, (0, 2, 7, 7))
    for wrong, says in ((f"{number} 0,3,0,0", "no place"), ("999", "steps 0 to"), ("home", "an address is")):
        player.press("g", lambda prompt, wrong=wrong: wrong)
        assert says in player.note
        assert (player.number, player.index) == (number, (0, 2, 7, 7))


def test_the_end_of_the_input_ends_the_player(traced):
    player = Player(traced)
    player.press("")
    assert player.over


def test_where_nobody_can_press_a_key_all_steps_are_printed(traced, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    play(traced)
    printed = capsys.readouterr().out
    for step in traced:
        assert f"step {step.number} of" in printed
    assert "\x1b" not in printed
    assert printed.rstrip("\n") == "\n".join(stream_lines(traced)).rstrip("\n")


def test_print_prints_one_step_or_one_cell(traced, capsys):
    traced.print(1, (0, 0, 3, 4))
    assert "y[0,0,3,4] = " in capsys.readouterr().out
    traced.print(2)
    assert "step 2 of" in capsys.readouterr().out
    with pytest.raises(IndexError, match="steps 0 to 25, got 99"):
        traced.print(99)
    with pytest.raises(TypeError, match="goes by its number, 0 to 25, got 'conv1'"):
        traced.print("conv1")


def test_equal_arrays_go_by_the_name_that_they_have_where_they_are_read():
    model = Sequential([Conv2D(4, 3), ReLU(), Conv2D(4, 3), Flatten(), Dense(4)], input_shape=(1, 8, 8), seed=0)
    model.compile("adam", "cross_entropy")
    _, _, test = load_digits()
    tr = trace(model, test.x[0], 1)
    for step in tr:
        for read in step.reads:
            if read["symbol"] in ("w", "b") and step.phase == "forward":
                assert read["note"] == f"{step.layer}.{read['symbol']}", step
    biases = [s for s in tr if s.phase == "update" and s.op == "adam_step"]
    notes = [next(r["note"] for r in s.reads if r["symbol"] == "w") for s in biases]
    assert notes == list(model.named_params())


def test_what_is_not_shown_is_counted_and_what_letters_mean_is_told(traced):
    text = screen(traced, "conv_dx")
    assert "… and 1 more of dy, 1 more of w" in text
    number = found(traced, "cross_entropy_backward", "dz")
    whole, cell = ("\n".join(step_lines(traced, number, index)) for index in (None, (0, 5)))
    assert "where   " in whole
    assert "more" in cell or len(traced.cell(number, (0, 5))["made"]) <= 4
    assert "comes back to it" not in cell


def test_what_a_sum_reads_itself_comes_before_what_lies_behind_it():
    """The gradient of a batch norm's input reads dgamma, which is made last, of every x̂ of its channel."""
    model = Sequential([BatchNorm2D(), Flatten(), Dense(2)], input_shape=(1, 4, 4), seed=0)
    model.compile("sgd", "cross_entropy")
    tr = trace(model, np.random.default_rng(1).normal(size=(2, 1, 4, 4)).astype(np.float32), np.array([0, 1]))
    number = next(s.number for s in tr if (s.op, s.result) == ("batch_norm_backward", "dx"))
    made = tr.cell(number, (0, 0, 1, 2))["made"]
    lines = step_lines(tr, number, (0, 0, 1, 2))
    told = [line.split()[1] for line in lines if line.strip().startswith("where")]
    assert told[:5] == ["rstd[0]", "dbeta[0]", "xhat[0,0,1,2]", "dgamma[0]", "…"]
    assert f"… and {len(made) - 4} more" in "\n".join(lines)


def test_nan_and_batches_are_shown():
    model = Sequential([BatchNorm2D(), AvgPool2D(2), Flatten(), Dense(2)], input_shape=(1, 4, 4), seed=0)
    model.compile("sgd", "cross_entropy")
    x = np.random.default_rng(1).normal(size=(3, 1, 4, 4)).astype(np.float32)
    assert "step 0 of" in "\n".join(stream_lines(trace(model, x, np.array([0, 1, 1]))))
    x[0, 0, 1, 1] = np.nan
    assert "NaN" in "\n".join(stream_lines(trace(model, x)))


def step_command(*words):
    command = [sys.executable, "-m", "tinycnn.cli", "step", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, check=False)


@pytest.mark.slow
def test_the_command_shows_a_layer_of_a_model_and_refuses_what_is_not_there(tmp_path):
    small = network()
    small.preprocessing = {"reader": "digit"}
    small.save(tmp_path / "m.safetensors")
    model = ("--model", str(tmp_path / "m.safetensors"))
    one = step_command(*model, "--layer", "pool1", "--phase", "backward", "--plain")
    assert one.returncode == 0, one.stderr
    assert one.stdout.count(" of ") >= 1
    assert "max pool" in one.stdout
    for words, says in (
        (["--layer", "pool9"], "no layer 'pool9'"), (["--phase", "sideways"], "no phase 'sideways'"),
        (["--image", "999"], "0 to 359"), (["--image", str(tmp_path / "none.png")], "none.png"),
        (["--model", str(tmp_path / "none.safetensors")], "none.safetensors"),
    ):  # fmt: skip
        bad = step_command(*model, *words)
        assert bad.returncode == 2
        assert says in bad.stderr
        assert len(bad.stderr.strip().splitlines()) == 1, bad.stderr
    data = json.loads(step_command(*model, "--json").stdout)
    assert data["format"] == "tinycnn.trace"


def test_the_lesson_is_small_enough_to_mail(tmp_path):
    from tinycnn.tracing.lesson import digits, train_a_little, untrained

    _, test = digits()
    trace(train_a_little(untrained(small=True)), test.x[0], test.y[0]).save_html(tmp_path / "lesson.html")
    assert (tmp_path / "lesson.html").stat().st_size <= 300_000


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    made = traced_digit()
    for name in SHOWN:
        (GOLDEN / f"{name}.txt").write_text(screen(made, name), encoding="utf-8")
