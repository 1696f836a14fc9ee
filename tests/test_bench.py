"""The benchmark works, and says what it measured. No time is asserted: a busy machine is no error."""

from __future__ import annotations

import json
import math
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from tinycnn import backends, cli
from tinycnn.bench import child, inputs, ladder, pictures, talk, turns
from tinycnn.bench.cases import CASES, NETWORKS, OPS, Case, chosen
from tinycnn.bench.figures import picture
from tinycnn.bench.networks import macs_of, network
from tinycnn.bench.page import WORDS_END, page
from tinycnn.bench.rows import KEYS, ratio, row, spread, with_peak, wrong
from tinycnn.bench.rungs import steps_in
from tinycnn.bench.scaling import SWEEPS, cases, slope
from tinycnn.bench.table import table
from tinycnn.bench.turns import _flops, groups, measure

TINY = "conv3x3-1x4x10x10-8-forward"


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    with pytest.raises(SystemExit) as stopped:
        cli.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return stopped.value.code, out, err


def some_rows() -> list[dict]:
    """Rows of every kind, as a run might have made them."""
    known = {"torch_nchw_ms": 30.0, "torch_nhwc_ms": 20.0, "same_maths": True, "check": [2.3], "torch_check": [2.3],
             "spread": 0.02, "machine": "a machine"}  # fmt: skip
    sweep = [row(s, "numba", "scaling", size=n, tinycnn_ms=1.0 * n**p, torch_nchw_ms=2.0 * n)
             for s, p in (("batch", 1), ("side", 2), ("channels", 2)) for n in (1, 2, 4, 8)]  # fmt: skip
    return [
        row("digits", "numba", "train", tinycnn_ms=10.0, ratio=0.5, ratio_spread=0.03, gflops=50.0, **known),
        row("digits", "numpy", "train", tinycnn_ms=40.0, ratio=2.0, **known),
        row("dense-128-64x2304-forward", "numba", "op", tinycnn_ms=3.25, ratio=1.625, gflops=20.0, **known),
        row("matmul-1536", "PyTorch", "peak", gflops=100.0),
        row("digits", "numba", "compile", seconds_cold=20.0, seconds_warm=2.0),
        *sweep,
    ]  # fmt: skip


# ---------------------------------------------------------------- the command


def test_a_case_without_pytorch_is_measured_and_has_every_key(capsys):
    code, out, _ = run(capsys, "bench", "--case", "digits", "--case", TINY, "--seconds", 0, "--no-torch", "--json")
    rows = json.loads(out)
    assert code == 0
    assert all(set(r) == set(KEYS) for r in rows)
    assert [(r["case"], r["backend"], r["kind"]) for r in rows] == [
        ("digits", "numba", "train"), ("digits", "numpy", "train"), ("digits", "numba", "forward"),
        ("digits", "numpy", "forward"), (TINY, "numba", "op"), (TINY, "loops", "op"), (TINY, "numpy", "op"),
        (TINY, "njit", "op"),
    ]  # fmt: skip
    assert all(r["tinycnn_ms"] > 0 and r["ratio"] is None and "Python" in r["machine"] for r in rows)
    assert rows[0]["rss_mb"] > 0
    assert rows[0]["whole_rss_mb"] > rows[0]["rss_mb"]
    for other in rows[5:]:  # every rung gave the same
        np.testing.assert_allclose(other["check"], rows[4]["check"], rtol=1e-5)
    np.testing.assert_allclose(rows[1]["check"], rows[0]["check"], rtol=1e-3)


def test_what_was_measured_can_be_shown_again_drawn_and_made_into_the_page(capsys, tmp_path):
    kept = tmp_path / "rows.json"
    kept.write_text(json.dumps(some_rows()))
    code, out, _ = run(capsys, "bench", "--from", kept, "--plot", tmp_path / "bench.png")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    assert "0.50 ±0.03" in out
    assert "50%" in out  # of the peak, which stands in another row
    assert (tmp_path / "bench.png").read_bytes()[1:4] == b"PNG"
    code, out, _ = run(capsys, "bench", "--from", kept, "--markdown")
    assert code == 0
    assert "| digits, train | 10.0 | 30.0 | 20.0 | **0.50** ± 0.03 | 50% |" in out
    assert "a machine" in out


def test_every_case_fits_into_a_hundred_columns():
    numbers = {"tinycnn_ms": 1234.5, "torch_nchw_ms": 1234.5, "torch_nhwc_ms": 1234.5, "ratio": 12.34, "spread": 0.25,
               "ratio_spread": 0.25, "gflops": 123.4, "rss_mb": 1234.5, "torch_rss_mb": 1234.5}  # fmt: skip
    both = ("numba", "numpy")
    text = table([row(c.name, rung, kind, **numbers) for c in CASES.values() for kind in c.kinds for rung in both])
    assert all(name in text for name in CASES)
    assert max(map(len, text.splitlines())) <= 100


def test_two_sides_that_differ_are_an_error_and_are_named(capsys, tmp_path):
    kept = tmp_path / "rows.json"
    kept.write_text(json.dumps([some_rows()[0] | {"same_maths": False, "torch_check": [2.4]}]))
    code, out, _ = run(capsys, "bench", "--from", kept)
    assert code == 1
    said = " ".join(out.split())
    assert "digits (train, numba): the two sides differ" in said
    assert "tinycnn 2.3, PyTorch 2.4" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--case", "nothing"], "no case 'nothing'; there are digits,"), (["--from", "{bad}"], "holds no rows of")],
)
def test_what_makes_no_sense_is_one_clear_line(capsys, tmp_path, arguments, says):
    (tmp_path / "bad.json").write_text('[{"no": 1}]')
    code, _, err = run(capsys, "bench", *(a.format(bad=tmp_path / "bad.json") for a in arguments))
    assert code == 2
    assert says in err
    assert len(err.splitlines()) == 1


def test_the_documented_page_is_one_that_the_command_made():
    said = Path(__file__).parent.parent.joinpath("docs/bench.md").read_text(encoding="utf-8")
    made = page([])
    for line in made.splitlines():
        assert "unknown" in line or line.strip() in said
    assert "What went wrong" not in said
    networks = re.findall(r"^\| ([\w-]+), (?:train|forward|inference) \|", said, re.MULTILINE)
    assert networks, "make it anew: tinycnn bench --page docs/bench.md"
    assert set(networks) <= set(CASES)


def test_parts_are_put_together_and_what_was_measured_last_counts(capsys, tmp_path):
    rows = some_rows()
    other = [r | {"tinycnn_ms": 7.77} for r in rows[2:3]] + [
        row("article004", "numba", "train", tinycnn_ms=5.0, ratio=0.7),
        row("digits", "numba", "train", tinycnn_ms=11.0, ratio=0.61, threads=1, machine="the same")]  # fmt: skip
    ladder_rows = [row("ladder-1x2x4x4", rung, "ladder", tinycnn_ms=t, size=576, check=[0.0], gflops=1.0)
                   for rung, t in (("loops", 8.0), ("numba", 2.0))]  # fmt: skip
    files = []
    for name, part in (("a", rows[::-1]), ("b", other), ("c", ladder_rows)):
        (tmp_path / name).write_text(json.dumps([r | {"threads": r["threads"] or 2} for r in part]))
        files += ["--from", tmp_path / name]
    code, out, _ = run(capsys, "bench", *files, "--markdown")
    assert code == 0
    assert out.index("| digits, train") < out.index("| article004, train"), "in the order of the cases"
    assert "| **0.50** ± 0.03 | 0.61 | 50% |" in out, "its ratio on one thread stands beside the other"
    assert "7.77" in out
    assert "3.25" not in out
    assert "| 1×2×4×4 | 576 | numba | 2 | 4.0 |" in out
    assert "slope" in out
    code, out, _ = run(capsys, "bench", *files, "--plot", tmp_path / "all.png")
    assert out.index("0.50 ±0.03") < out.index("0.61")


def test_the_page_keeps_what_was_written_into_it_by_hand(capsys, tmp_path):
    kept, made = tmp_path / "rows.json", tmp_path / "bench.md"
    kept.write_text(json.dumps(some_rows()))
    assert run(capsys, "bench", "--from", kept, "--page", made)[:2] == (0, "")
    empty = made.read_text(encoding="utf-8")
    words = "## What limits it\n\nMemory: 10 × as slow as the cache.\n"
    made.write_text(empty.replace(WORDS_END, words + WORDS_END), encoding="utf-8")
    kept.write_text(json.dumps([r | {"ratio": 0.77} for r in some_rows()]))
    assert run(capsys, "bench", "--from", kept, "--page", made)[0] == 0
    anew = made.read_text(encoding="utf-8")
    assert words in anew
    assert "**0.77**" in anew
    (tmp_path / "letter.md").write_text("Dear friend")
    code, _, err = run(capsys, "bench", "--from", kept, "--page", tmp_path / "letter.md")
    assert code == 2
    assert "is no page of the benchmark" in err
    assert (tmp_path / "letter.md").read_text() == "Dear friend"


@pytest.mark.parametrize(
    "arguments", [("--scaling", "--ladder"), ("--ladder", "--case", "digits"), ("--data", "--plot", "a.png")]
)
def test_what_would_be_passed_over_in_silence_is_refused(capsys, arguments):
    code, _, err = run(capsys, "bench", *arguments)
    assert code == 2
    assert "do not go together" in err


# ---------------------------------------------------------------- cases


def test_the_six_networks_and_the_inference_are_there_and_every_part_of_a_convolution():
    assert [case.name for case in NETWORKS] == [
        "digits", "article004", "article002", "article003", "unet16-64", "unet32-128", "unet32-256"]  # fmt: skip
    assert {case.what for case in OPS} == {
        "conv", "max_pool", "avg_pool", "batch_norm", "dense", "cross_entropy", "upsample_nearest",
        "upsample_bilinear", "adam"}  # fmt: skip
    wide = [case for case in OPS if case.what == "conv" and case.options["w"][0] >= 32]
    assert {part: sum(case.options["part"] == part for case in wide) for part in ("forward", "dx", "dw")} == {
        "forward": 7, "dx": 7, "dw": 7}  # fmt: skip


def test_names_choose_cases_in_their_order_and_quick_chooses_some():
    assert [case.name for case in chosen(["unet*", "digits"])] == ["digits", "unet16-64", "unet32-128", "unet32-256"]
    assert chosen([]) == list(CASES.values())
    assert 5 < len(chosen([], quick=True)) < 20
    assert [len(group) for group in groups(chosen(["digits", "adam*"]))] == [1, 2]


def test_operations_are_counted_as_by_hand():
    model = network(CASES["digits"].options)
    conv1, conv2, dense = 64 * 16 * 9, 16 * 32 * 16 * 9, 2 * 2 * 32 * 10
    assert macs_of(model) == (conv1 + conv2 + dense, conv1)
    assert _flops(CASES["digits"], "forward") == 2 * 32 * (conv1 + conv2 + dense)
    assert _flops(CASES["digits"], "train") == 2 * 32 * (2 * conv1 + 3 * conv2 + 3 * dense)
    strided = CASES["conv3x3-16x64x32x32-128-s2-dw"]
    assert strided.flops == 2 * 16 * 128 * 16 * 16 * 64 * 9


def test_an_upstream_gradient_is_as_long_as_the_result():
    for case in (case for case in OPS if math.prod(case.options.get("w", ())) < 10**6):
        options = case.options | ({"x": (2, *case.options["x"][1:])} if "x" in case.options else {"size": 50})
        a = inputs.arrays_for({"what": case.what, "options": options})
        if case.what in ("conv", "max_pool", "dense"):
            op = {"conv": "conv2d", "max_pool": "max_pool2d", "dense": "linear"}[case.what]
            place = {k: options[k] for k in ("stride", "padding") if k in options and case.what == "conv"}
            given = (a["x"], 2) if case.what == "max_pool" else (a["x"], a["w"], a["b"])
            y = backends.RUNGS["numpy"](f"{op}_forward")(*given, **place)[0]
            assert a["dy"].size == y.size, case.name


# ---------------------------------------------------------------- numbers


def test_the_ratio_is_the_median_over_turns_against_the_faster_format():
    ours, nchw, nhwc = [[2.0], [20.0], [3.0]], [[5.0], [50.0], [5.0]], [[4.0], [40.0], [4.0]]
    assert ratio(ours, [nchw, nhwc])[0] == 0.5  # of 2/4, 20/40, 3/4: a machine slower for a while changes nothing
    assert ratio(ours, [nhwc])[0] == ratio(ours, [nchw, nhwc])[0]
    assert spread([5.0]) == 0.0
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1 / 3)


class _Peaks:
    """A machine that runs twice as fast in every other turn."""

    def __init__(self):
        self.turns, self.children = 0, ()

    def turn(self):
        self.turns += 1
        return 50.0 if self.turns % 2 else 100.0


def test_each_case_is_held_to_the_peak_of_its_own_turns():
    case = CASES["adam-1M"]
    flops, times = 1e9, [[0.04], [0.02]] * 3  # 25 and 50 GFLOP/s: half of either peak
    assert turns._fraction(flops, times, [50.0, 100.0] * 3) == pytest.approx(0.5)
    assert turns._fraction(flops, times, []) is None
    peak = _Peaks()
    optimizer, convolution = measure([case, CASES[TINY]], 0.01, 1, "", torch=False, memory=False, peak=peak)[::2][:2]
    assert peak.turns == turns.ROUNDS
    assert optimizer["peak_fraction"] is None, "nobody counts the operations of an optimizer"
    assert 0 < convolution["peak_fraction"] < 1


def test_a_row_that_has_its_own_peak_keeps_it():
    best = row("m", "x", "peak", gflops=100.0)
    assert with_peak([best, row("a", "numba", "op", gflops=30.0, peak_fraction=0.9)])[1]["peak_fraction"] == 0.9


def test_a_fraction_of_the_peak_needs_the_best_peak():
    peaks = [row("m", name, "peak", gflops=speed) for name, speed in (("x", 40.0), ("y", 60.0))]
    rows = [row("a", "numba", "op", gflops=30.0), *peaks]
    assert [r["peak_fraction"] for r in with_peak(rows)] == [0.5, None, None]
    assert with_peak(rows[:1])[0]["peak_fraction"] is None


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "verdict"),
    [
        ("train", [2.3, 2.2], [2.3, 2.2005], True), ("train", [2.3, 2.2], [2.3, 2.21], False),
        ("train", [2.3, 2.2], [2.3001, 2.2001], False), ("train", [2.3, 2.2], [2.3, 2.3], False),
        ("train", [np.nan], [np.nan], False), ("train", [2.3], [2.3, 2.2], False),
        ("train", [4.0, 3.0, 2.0, 1.0, 9.0, 5.0, 0.3], [4.0, 3.0, 2.0, 1.0, 9.0, 5.01, 0.3], True),
        ("train", [4.0, 3.0, 2.0, 1.0, 9.0, 5.0, 0.3], [4.0, 3.0, 2.0, 1.0, 9.0, 5.1, 0.3], False),
        ("train", [4.0, 3.0, 2.0, 1.0, 9.0, 5.0, 0.3], [4.0, 3.0, 2.0, 1.0, 9.0, 5.0, 0.35], False),
        ("op", [100.0, 9.0, 0.3], [100.0, 9.0, 0.3], True), ("op", [100.0, 9.0, 0.3], [99.0, 9.0, 0.3], False),
        ("op", [100.0, 9.0, 0.3], [100.0, 9.1, 0.3], False), ("op", [100.0, 9.0, 0.3], [100.0, 9.0, 0.31], False),
    ],
)  # fmt: skip
def test_two_sides_are_the_same_only_if_their_numbers_are(kind, ours, theirs, verdict):
    assert inputs.same(kind, ours, theirs) is verdict


def test_a_fingerprint_tells_a_turned_or_shifted_result_from_the_right_one():
    y = np.random.default_rng(0).normal(size=(4, 5, 6))
    right = inputs.fingerprint(y)
    for other in (y[::-1], y.transpose(0, 2, 1), np.roll(y, 1), -y, 1.01 * y):
        assert not inputs.same("op", inputs.fingerprint(other), right)
    assert inputs.same("op", inputs.fingerprint(y.astype(np.float32)), right)


def test_what_went_wrong_is_said():
    rows = [row("a", "numba", "op", error="it ended"), row("b", "numba", "op", same_maths=True)]
    assert wrong(rows) == ["a (numba): it ended"]
    assert "it ended" in table(rows)
    assert "it ended" in page(rows)


# ---------------------------------------------------------------- scaling, pictures


def test_a_size_twice_as_large_is_as_much_more_work_as_the_slope_says():
    for sweep, (theory, sizes) in SWEEPS.items():
        work = [_flops(case, "train") for _, case in cases(sweep)]
        assert slope(sizes, work) == pytest.approx(theory, abs=0.02), sweep


def test_the_figure_has_a_bar_for_each_case_and_a_line_for_each_side():
    fig = picture(some_rows())
    axes = [ax for part in fig.subfigs for ax in part.axes]
    assert [len(ax.patches) for ax in axes] == [2, 0, 0, 0]
    legends = [t.get_text() for t in axes[2].get_legend().get_texts()]
    assert legends == ["tinycnn: slope 2.00", "PyTorch: slope 1.00", "arithmetic: slope 2"]
    with pytest.raises(ValueError, match="nothing was measured"):
        picture([])


# ---------------------------------------------------------------- processes


def test_a_case_that_fails_is_a_row_and_the_others_are_measured_all_the_same():
    broken = Case("broken", "network", ("train",), {"net": "nothing", "batch": 1, "options": {}})
    rows = measure([broken, CASES["adam-1M"]], 0.0, 1, "here", torch=False)
    assert [r["case"] for r in rows] == ["broken", "adam-1M", "adam-1M"]
    assert "KeyError: 'nothing'" in rows[0]["error"]
    assert rows[1]["tinycnn_ms"] > 0


def test_a_process_that_grows_too_large_is_ended():
    with talk.Child("ours", 1, most=2**20) as greedy, pytest.raises(talk.ChildError, match="more than 1 MB of memory"):
        greedy.wait()


def test_a_process_that_takes_too_long_is_ended(monkeypatch):
    with talk.Child("ours", 1) as busy:
        busy.wait()
        monkeypatch.setattr(talk, "PATIENCE", 0.2)
        with pytest.raises(talk.ChildError, match="gave no answer within 0 seconds"):
            busy.ask("call", module="rungs", function="ladder", shapes=[[4, 8, 60, 60]])
        assert busy._process.poll() is not None


def test_a_turn_waits_until_no_thread_of_the_others_runs():
    with talk.Child("ours", 1) as one:
        one.wait()
        assert talk.settle([one], 5.0)
        busy = {"do": "call", "module": "peaks", "function": "speed_of", "library": "openblas", "seconds_each": 1.0}
        one._process.stdin.write(json.dumps(busy).encode() + b"\n")
        one._process.stdin.flush()
        time.sleep(0.3)
        assert one.running() == 1
        assert not talk.settle([one], 0.01)
        assert one._answer(20.0)["found"] > 0
        assert talk.settle([one], 5.0)


def test_with_one_thread_the_time_counts_that_was_worked(monkeypatch):
    for threads, worked in (("1", False), ("2", True)):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        slept = inputs.step_times(lambda: time.sleep(0.02), 0.0)[0]
        assert (slept > 0.015) is worked


def test_threads_and_blas_are_chosen_in_the_process_that_measures_alone():
    before = dict(os.environ)
    with talk.Child("ours", 1, {"OPENBLAS_CORETYPE": "Haswell"}) as one:
        assert one.environment["NUMBA_NUM_THREADS"] == one.environment["OMP_NUM_THREADS"] == "1"
        assert one.environment["OPENBLAS_CORETYPE"] == "Haswell"
        assert one.ask("call", module="machine", function="version_of", package="no-such-package") == ""
    assert dict(os.environ) == before


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can forget a peak")
def test_the_peak_of_memory_is_seen_after_it_is_over_and_can_be_forgotten():
    child.forget_peak()
    before = child.rss()
    block = np.ones(30_000_000)
    del block
    assert child.peak() - before > 200e6
    child.forget_peak()
    assert child.peak() - before < 50e6


# ---------------------------------------------------------------- the ladder and the data


def test_the_ladder_climbs_all_four_rungs_and_holds_their_results_together(capsys):
    code, out, _ = run(capsys, "bench", "--ladder", "--quick", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [r["backend"] for r in rows] == ["loops", "numpy", "njit", "numba"]
    assert all(r["check"][0] <= 1e-5 and r["tinycnn_ms"] > 0 for r in rows)
    steps = steps_in(rows)
    assert steps[0].times == 1.0
    assert steps[3].times == rows[0]["tinycnn_ms"] / rows[3]["tinycnn_ms"]
    assert "the register tile" in table(rows)
    assert "| 2×8×16×16 | 294,912 | numba |" in page(rows)
    large = ladder([(1, 120, 10, 10)], seconds=0.0)
    assert [step.rung for step in large] == ["numpy", "njit", "numba"]  # Python's loops would take a minute


def test_a_rung_that_gives_something_else_stops_the_ladder(monkeypatch):
    right = backends.RUNGS["numpy"]("conv2d_forward")

    class Wrong(backends.Rung):
        def __call__(self, op):
            return lambda *args, **options: (right(*args, **options)[0] * np.float32(1.001), None)

    monkeypatch.setitem(backends.RUNGS, "numba", Wrong("numba", lambda: None))
    with pytest.raises(ArithmeticError, match=r"numba differs from the one below it by 1\.0e-03"):
        ladder([(1, 2, 5, 5)], seconds=0.0)


def test_the_data_promises_are_measured_on_files_made_for_it():
    found = pictures.promises(quick=True)
    assert [(p["unit"], p["allowed"]) for p in found if p["unit"] != "s"] == [
        ("files", 0), ("%", 15), ("MB/s", 200), ("MB/s", 200)]  # fmt: skip
    assert found[1]["holds"]  # nothing is decoded again: this is no matter of speed
    for p in found:
        assert p["holds"] == (p["measured"] >= p["allowed"] if p["least"] else p["measured"] <= p["allowed"])
    text = pictures.as_text(found)
    assert "128 PNG files" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_files_made_are_those_the_readers_know(tmp_path):
    from tinycnn import data

    mnist, size = pictures.write_idx(tmp_path / "mnist", 30)
    assert [len(part) for part in data.load_mnist(mnist)] == [30, 30]
    assert size == 2 * (16 + 30 * 784 + 8 + 30)
    cifar, size = pictures.write_cifar(tmp_path / "cifar", 60)
    assert [len(part) for part in data.load_cifar10(cifar)] == [50, 10]
    assert size == 60 * 3073
