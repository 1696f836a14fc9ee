"""Every op that there is can be traced, and every number of every step is the sum that its cell says it is."""

from __future__ import annotations

import numpy as np
import pytest
from program_walker import Walker

from tinycnn import ops
from tinycnn.tracing.builder import Builder
from tinycnn.tracing.calls import Calls
from tinycnn.tracing.recorded import Trace
from tinycnn.tracing.watch import watching
from tinycnn.verify.cases import CASES

FEW = 6  # cells of each array
_TRACED: dict[tuple[str, str], Trace] = {}


def traced(case, dtype=np.float64) -> Trace:
    """One call of a pair of ops, forward and backward, as steps; made once."""
    key = str(case), np.dtype(dtype).name
    if key not in _TRACED:
        _TRACED[key] = trace_of(case, dtype)
    return _TRACED[key]


def trace_of(case, dtype) -> Trace:
    builder = Builder()
    args, options = case.build(dtype=dtype)
    with watching(Calls(builder)):
        builder.at("forward", "layer", "Layer")
        y, cache = case.forward(*args, **options)
        builder.at("backward", "layer", "Layer")
        case.backward(case.upstream(y), cache)
    return Trace(builder.store, builder.steps, {"layers": []}, {})


def places(shape, rng, most=FEW):
    """Some places of an array, all of them if they are few."""
    size = int(np.prod(shape))
    return [tuple(map(int, np.unravel_index(k, shape))) for k in rng.choice(size, min(most, size), replace=False)]


def assert_cell_is_its_sum(trace, step, symbol, index, eps=1e-12):
    """The terms add up to the total, and the total is what was recorded, both to rounding."""
    cell = trace.cell(step, index, symbol)
    assert cell["total"] == pytest.approx(cell["value"], rel=1e-12, abs=0, nan_ok=True)
    read = sum(abs(one["value"]) for term in cell["terms"] for one in term["reads"])
    size = sum(abs(term["value"]) for term in cell["terms"]) + abs(cell["recorded"]) + read
    same = np.array_equal(cell["total"], cell["recorded"], equal_nan=True)
    assert same or abs(cell["total"] - cell["recorded"]) <= eps * size, (step, symbol, index, cell["text"])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_number_of_every_op_is_the_sum_of_its_terms(case):
    trace, rng = traced(case), np.random.default_rng(0)
    assert all(step.formula["name"] for step in trace)
    for step in trace:
        for line in step.writes:
            for index in places(line["shape"], rng):
                assert_cell_is_its_sum(trace, step, line["symbol"], index)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_program_gives_what_the_formula_gives(case):
    """The program is walked by another hand (tests/program_walker.py), as docs/trace.md says."""
    trace, rng = traced(case), np.random.default_rng(1)
    for step in trace:
        walker = Walker(step.program, trace.names(step))
        for line in step.writes:
            for index in places(line["shape"], rng, 2):
                wanted = trace.cell(step, index, line["symbol"])["value"]
                assert walker.cell(line["symbol"], index) == pytest.approx(wanted, rel=1e-12, abs=1e-14, nan_ok=True)


def test_no_op_is_left_out():
    forward = {name for name in ops.__all__ if name.endswith("_forward") and f"{name[:-8]}_backward" in ops.__all__}
    pairs = forward | {name.replace("_forward", "_backward") for name in forward}
    assert pairs <= {step.op for case in CASES for step in traced(case)}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_numbers_are_their_sums_to_their_own_rounding(case):
    if case.name in ("softmax", "log_softmax", "layer_norm", "group_norm", "batch_norm"):
        pytest.skip("a difference of nearly equal numbers has no bound in its terms' sizes")
    trace, rng = traced(case, np.float32), np.random.default_rng(2)
    for step in trace:
        for line in step.writes:
            for index in places(line["shape"], rng, 3):
                assert_cell_is_its_sum(trace, step, line["symbol"], index, eps=1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_step_says_what_it_is_and_why(case):
    for step in traced(case):
        assert step.title
        assert step.text.endswith("."), step.text
        assert "{" not in step.text
        assert step.shape_note.count("→") >= 1
        assert step.code["source"]
        assert step.formula["mathml"].startswith("<math")
        assert step.reads
        assert step.writes
        assert step.result in [line["symbol"] for line in step.writes]
