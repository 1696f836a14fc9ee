"""The page says what Python says: the same numbers in words, the same cells of every op, the same convolution."""

from __future__ import annotations

import inspect
import json
import math
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from oracles import assert_same
from trace_networks import CASES as NETWORKS
from trace_networks import example, network

import tinycnn as tc
from tinycnn import ops
from tinycnn.formula import Formula, formulas
from tinycnn.formula.numbers import cell_number, formula_number
from tinycnn.formula.parse import FUNCTIONS, REDUCTIONS
from tinycnn.tracing.cells import RecordedCells, cell_step
from tinycnn.tracing.html import PAGE
from tinycnn.tracing.steps import names_of, parts_for
from tinycnn.verify.cases import CASES, OpCase

HERE = Path(__file__).parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node runs the page's own code")
UPDATES = ("sgd", "momentum", "nesterov", "adam", "adamw", "adagrad", "rmsprop", "adadelta", "decayed_gradient",
           "clip_value", "clip_norm", "l1_penalty", "l2_penalty")  # fmt: skip
SETTINGS = {"lr": 0.1, "momentum": 0.9, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "alpha": 0.9, "rho": 0.95, "t": 3,
            "weight_decay": 0.01, "limit": 0.3, "norm": 2.0, "strength": 0.1}  # fmt: skip


def asked(what: str, **more: Any) -> Any:
    """What the page's code answers."""
    text = json.dumps({"what": what, **more})
    program = [str(NODE), HERE / "js" / "agree.mjs"]
    run = subprocess.run(program, input=text, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def told(value: Any) -> Any:
    """A number as JSON may carry it."""
    value = float(value)
    return value if math.isfinite(value) else repr(value)


def carried(value: Any) -> Any:
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return float(value)
    return {"shape": list(value.shape), "data": [told(v) for v in value.ravel().tolist()]}


@needs_node
def test_numbers_in_words_are_those_of_python():
    rng = np.random.default_rng(0)
    values = [0.0, -0.0, 0.125, 0.375, 2.5, 0.005, 0.0005, 0.00095, 0.000999, 0.00099999, 9999.5, 9999.96, 9999.994,
              9999.995, 1e4, 1e22, 1e300, 5e-324, 0.0049999, 0.00499, 1.00005]  # fmt: skip
    values += (rng.normal(size=4000) * 10.0 ** rng.integers(-9, 9, size=4000)).tolist()
    values += [math.nan, math.inf, -math.inf]
    values += [k / 2**n for k in range(-200, 200, 7) for n in range(16)]  # many of them stand halfway
    values += rng.normal(size=1000).astype(np.float32).tolist()
    answers = asked("numbers", values=[told(v) for v in values])
    for value, answer in zip(values, answers, strict=True):
        assert answer == [cell_number(value), formula_number(value)], value


# ---------------------------------------------------------------- cells


def situation(formula: Formula, values: dict[str, Any], seed: int = 0) -> tuple[dict[str, Any], list[Any]]:
    """A formula's programs for each of its results with some cells to ask for, and what Python says of them."""
    with np.errstate(all="ignore"):
        names = names_of(formula, values)
    cells, rng = RecordedCells(formula, names), np.random.default_rng(seed)
    step: Any = SimpleNamespace(number=0, op=op_of(formula), formula={"text": formula.text})
    asks, expected = [], []
    for result in formula.results:
        shape = np.shape(cells.names[result])
        size = math.prod(shape)
        if not size:
            continue
        for flat in sorted({0, size - 1, *rng.integers(0, size, size=4).tolist()}):
            index = tuple(map(int, np.unravel_index(flat, shape))) if shape else ()
            recorded = float(cells.cell(index, result).value)
            asks.append({"result": result, "index": list(index), "recorded": told(recorded)})
            sources = sorted([symbol, list(at)] for symbol, at in cells.cell(index, result).sources if symbol in names)
            expected.append(cell_step(cells, step, result, index, recorded) | {"sources": sources})
    program = parts_for(formula, list(formula.results), names)[1]
    carrying = {name: carried(value) for name, value in names.items()}
    return {"op": step.op, "program": program, "names": carrying, "asks": asks}, expected


def op_of(formula: Formula) -> str:
    return formula.name if formula.parent is not None else f"{formula.name}_forward"


def arguments(case: OpCase, seed: int = 3) -> dict[str, Any]:
    args, options = case.build(seed=seed)
    return dict(inspect.signature(case.functions[0]).bind(*args, **options).arguments)


def of_op(case: OpCase) -> list[tuple[Formula, dict[str, Any]]]:
    forward, backward = (getattr(function, "formula", None) for function in case.functions)
    values = arguments(case)
    y, _ = case.forward(*case.build(seed=3)[0], **case.build(seed=3)[1])
    return [(forward, values), (backward, {"dy": case.upstream(y), **values})]


def assert_told_alike(expected: dict[str, Any], found: dict[str, Any], where: str) -> None:
    """Strings to the letter, numbers to rounding (a browser's exp may differ in the last bit)."""
    for key in ("result", "index", "places", "chosen", "numbers", "text", "why"):
        assert found[key] == expected[key], f"{where}: {key}"
    terms = expected["terms"]
    assert [(t["text"], t["numbers"]) for t in found["terms"]] == [(t["text"], t["numbers"]) for t in terms], where
    numbers = lambda one: [one["value"], one["total"], *(t["value"] for t in one["terms"])]  # noqa: E731
    reads = lambda one: [read for term in one["terms"] for read in term["reads"]]  # noqa: E731
    assert [(r["symbol"], r["index"]) for r in reads(found)] == [(r["symbol"], r["index"]) for r in reads(expected)]
    ours = np.array([float(v) for v in (*numbers(found), *(r["value"] for r in reads(found)))])
    theirs = np.array([float(v) for v in (*numbers(expected), *(r["value"] for r in reads(expected)))])
    size = 1 + sum(abs(t["value"]) for t in terms if math.isfinite(t["value"]))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13 * size, err_msg=where)
    assert sorted(found["sources"]) == expected["sources"], f"{where}: sources"
    made = lambda one: [(m["symbol"], m["index"], m["places"], m["numbers"]) for m in one["made"]]  # noqa: E731
    assert made(found) == made(expected), where


def compare(pairs: list[tuple[str, Formula, dict[str, Any]]]) -> int:
    situations = [(where, *situation(formula, values)) for where, formula, values in pairs]
    answers = asked("cells", cases=[one for _, one, _ in situations])
    for (where, _, expected), found in zip(situations, answers, strict=True):
        assert len(expected) == len(found) > 0, where
        for theirs, ours in zip(expected, found, strict=True):
            assert_told_alike(theirs, ours, f"{where} {theirs['result']}{theirs['index']}")
    return sum(len(found) for found in answers)


@pytest.mark.slow
@needs_node
def test_the_cells_of_every_op_are_those_of_python_to_the_letter():
    pairs = [(str(case), formula, values) for case in CASES if case.twin for formula, values in of_op(case) if formula]
    assert {case.name for case in CASES if case.twin} >= {"conv2d", "max_pool2d", "batch_norm", "cross_entropy"}
    assert compare(pairs) > 1000


@needs_node
def test_the_cells_of_every_update_are_those_of_python_to_the_letter():
    rng, pairs = np.random.default_rng(1), []
    for name in UPDATES:
        entry = formulas[name]
        arrays = {symbol: np.abs(rng.normal(size=(3, 2))) for symbol in ("w", "dw", "m", "v", "u")}
        known = {k: v for k, v in (arrays | SETTINGS).items() if k in entry._accepted}
        pairs.append((name, entry, known))
    assert compare(pairs) > 60


@needs_node
@pytest.mark.filterwarnings("ignore:invalid value")
def test_of_equals_the_first_wins_and_nan_beats_all_as_in_python():
    rng, pairs = np.random.default_rng(4), []
    for name in ("max_pool2d_backward", "min_pool2d_backward", "max_pool2d"):
        for _ in range(12):
            x = rng.integers(0, 2, size=(1, 2, 5, 6)).astype(float)
            x[0, 1, rng.integers(5), rng.integers(6)] = np.nan
            values = {"x": x, "kernel_size": 2, "stride": 1, "padding": 1}
            dy = {"dy": rng.normal(size=(1, 2, 6, 7))} if name.endswith("_backward") else {}
            pairs.append((name, formulas[name], values | dy))
    compare(pairs)


@needs_node
def test_how_many_numbers_lie_on_the_border_is_told_as_in_python():
    rng, pairs = np.random.default_rng(5), []
    for padding in (1, 2):  # a window hangs over by one number, and by two
        x, w = rng.normal(size=(1, 1, 4)), rng.normal(size=(1, 1, 3))
        pairs.append(("conv1d", formulas["conv1d"], {"x": x, "w": w, "b": np.zeros(1), "padding": padding}))
    found = [one["why"] for _, formula, values in pairs for one in situation(formula, values)[1]]
    assert "1 of the 3 numbers lie on the border." in found
    assert "2 of the 3 numbers lie on the border." in found
    compare(pairs)


@needs_node
@pytest.mark.parametrize("case", NETWORKS)
def test_what_is_marked_beside_a_cell_of_any_step_is_what_python_says_it_depends_on(case):
    trace, rng = tc.trace(*example(network(case)), unfused=True), np.random.default_rng(6)
    asks, expected = [], []
    for step in (step for step in trace if step.formula["name"]):
        for line in step.writes:
            index = tuple(int(rng.integers(size)) for size in line["shape"])
            asks.append({"step": step.number, "result": line["symbol"], "index": index})
            expected.append(sorted([s["symbol"], s["index"]] for s in trace.sources(step, index, line["symbol"])))
    answers = asked("sources", trace=trace.as_dict(), asks=asks)
    for ask, found, wanted in zip(asks, answers, expected, strict=True):
        assert sorted(found) == wanted, (trace[ask["step"]].title, ask)


@pytest.mark.slow
@needs_node
def test_pointing_at_a_number_finds_every_cell_that_depends_on_it():
    """The index maps read backwards against all cells taken apart forwards: an oracle that is slow and plain."""
    cases, expected = [], []
    for case in (case for case in CASES if case.twin):
        for formula, values in (one for one in of_op(case) if one[0]):
            names = names_of(formula, values)
            cells, result = RecordedCells(formula, names), formula.results[0]
            shape = np.shape(cells.names[result])
            if not 0 < math.prod(shape) <= 250:
                continue
            arrays = {name for name, value in names.items() if np.ndim(value)}
            readers: dict[tuple[str, tuple[int, ...]], list[list[int]]] = {}
            for index in np.ndindex(shape):
                for symbol, place in cells.cell(index, result).sources:
                    if symbol in arrays:
                        readers.setdefault((symbol, place), []).append(list(index))
            some = sorted(readers)[:: max(1, len(readers) // 8)]
            program = parts_for(formula, [result], names)[1]
            asks = [{"symbol": symbol, "index": place, "result": result} for symbol, place in some]
            cases.append({"program": program, "names": {n: carried(v) for n, v in names.items()}, "asks": asks})
            expected.append([sorted(readers[one]) for one in some])
    assert len(cases) > 10
    for answer, wanted in zip(asked("readers", cases=cases), expected, strict=True):
        assert [sorted(one) for one in answer] == wanted


def test_the_page_knows_every_word_of_the_language():
    text = (PAGE / "cells.js").read_text()
    functions = re.search(r"const FUNCTIONS = \{(.*?)\};", text, re.S)
    reductions = re.search(r"const REDUCTIONS = \[(.*?)\];", text)
    assert functions is not None
    assert reductions is not None
    assert set(re.findall(r"(\w+): ", functions[1])) == set(FUNCTIONS)
    assert set(re.findall(r'"(\w+)"', reductions[1])) == set(REDUCTIONS)


# ---------------------------------------------------------------- the lab


@needs_node
def test_the_lab_convolves_as_the_ops_do_on_500_configurations():
    rng, cases, expected = np.random.default_rng(2), [], []
    while len(cases) < 500:
        H, W, KH, KW = rng.integers(1, 9), rng.integers(1, 9), rng.integers(1, 6), rng.integers(1, 6)
        stride, dilation = rng.integers(1, 5, size=2).tolist(), rng.integers(1, 4, size=2).tolist()
        padding = rng.integers(0, 4, size=4).tolist()
        x, w, b = rng.normal(size=(H, W)), rng.normal(size=(KH, KW)), float(rng.normal())
        options = {"stride": stride, "padding": padding, "dilation": dilation, "bias": b}
        fits = all(n + pads >= d * (k - 1) + 1 for n, pads, d, k in (
            (H, sum(padding[:2]), dilation[0], KH), (W, sum(padding[2:]), dilation[1], KW)))  # fmt: skip
        if not fits and rng.random() > 0.1:
            continue  # most of them should have a result
        cases.append({"x": x.tolist(), "w": w.tolist(), "options": options})
        y = None
        if fits:
            window = (tuple(stride), tuple(padding), tuple(dilation))
            y, _ = ops.conv2d_forward(x[None, None], w[None, None], np.array([b]), *window)
        expected.append(y)
    sizes = set()
    for case, y, found in zip(cases, expected, asked("convolutions", cases=cases), strict=True):
        if y is None:
            assert 0 in (found["OH"], found["OW"]), case["options"]
            continue
        assert (found["OH"], found["OW"]) == y.shape[2:]
        sizes.add(y.shape)
        w, x = np.abs(case["w"]).sum(), np.abs(case["x"]).max()
        assert_same(np.array(found["y"]), y[0, 0], terms=float(w * x + abs(case["options"]["bias"])))
    assert len(sizes) > 40
