"""What a page does not carry is worked out to the last bit, in Python and by the page's own code."""

from __future__ import annotations

import base64
import copy
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import Dense, Sequential
from tinycnn.tracing import Trace
from tinycnn.tracing import worked as worked_file

NODE = shutil.which("node")
OPTIMIZERS = {
    "sgd": tc.optim.SGD(0.1), "momentum": tc.optim.Momentum(0.1), "nesterov": tc.optim.Nesterov(0.1),
    "adagrad": tc.optim.AdaGrad(0.1), "rmsprop": tc.optim.RMSProp(0.01), "adadelta": tc.optim.AdaDelta(),
    "adam": tc.optim.Adam(0.003), "adamw": tc.optim.AdamW(0.003, weight_decay=0.1),
    "clipped": tc.optim.Adam(0.003, clip_norm=0.1, weight_decay=0.01),
}  # fmt: skip


def trace_with(optimizer, dtype=np.float32):
    """A trace of the third step, so that no state is zero."""
    model = Sequential([Dense(24)], input_shape=(17,), dtype=dtype, seed=3)
    model.compile(copy.deepcopy(optimizer), "mse")
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(4, 17)).astype(dtype), rng.normal(size=(4, 24)).astype(dtype)
    for _ in range(2):
        tc.trace(model, x, y, apply=True)
    return tc.trace(model, x, y)


def carried(trace):
    return json.loads(json.dumps(trace.as_dict(short=True), allow_nan=False))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_array_of_a_short_trace_comes_back_to_the_last_bit(name):
    trace = trace_with(OPTIMIZERS[name])
    again = Trace.from_json(carried(trace))
    for tensor, array in trace.tensors.items():
        found = again.tensors[tensor]
        assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes()), tensor


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_the_new_weights_and_states_are_not_carried(name):
    trace = trace_with(OPTIMIZERS[name])
    entries = carried(trace)["tensors"]
    update = next(s for s in trace if s.phase == "update" and s.op == f"{OPTIMIZERS[name].name}_step")
    for line in update.writes:
        assert "data" not in entries[line["tensor"]], line["symbol"]
    for line in update.reads:
        assert "made" not in entries[line["tensor"]], line["symbol"]


@pytest.mark.skipif(NODE is None, reason="node runs the page's own code")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_page_works_out_the_same_bits(name):
    trace = trace_with(OPTIMIZERS[name])
    given = carried(trace)
    program = [str(NODE), Path(__file__).parent / "js" / "agree.mjs"]
    text = json.dumps({"what": "tensors", "trace": given})
    run = subprocess.run(program, input=text, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout)
    for tensor, entry in given["tensors"].items():
        if "made" in entry:
            assert base64.b64decode(answers[tensor]) == trace.tensors[tensor].astype("<f4").tobytes(), tensor


def test_what_the_formula_does_not_give_to_the_bit_is_carried(monkeypatch):
    trace = trace_with(OPTIMIZERS["adam"])
    before = sum("made" in entry for entry in carried(trace)["tensors"].values())
    real = worked_file._APPLY["*"]
    monkeypatch.setitem(worked_file._APPLY, "*", lambda a, b: np.nextafter(real(a, b), np.float32(9)))
    again = trace.as_dict(short=True)
    assert before == 3
    assert not any("made" in entry for entry in again["tensors"].values())
    assert all("made" not in entry for entry in trace_with(OPTIMIZERS["adam"], np.float64).as_dict(short=True)
               ["tensors"].values())  # fmt: skip


def test_a_file_whose_arrays_cannot_be_worked_out_is_refused():
    trace = trace_with(OPTIMIZERS["adam"])
    tensor = next(name for name, entry in carried(trace)["tensors"].items() if "made" in entry)
    for wrong in (["t", tensor], ["t", "t999"], ["exec", ["t", tensor]], ["+", ["num", 1]], [], ["num", "x"]):
        found = carried(trace)
        found["tensors"][tensor]["made"] = wrong
        with pytest.raises(ValueError, match=rf"array {tensor} of the trace"):
            Trace.from_json(found)
