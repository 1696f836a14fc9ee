"""A trace is what happened: real numbers of a real training step, chained, mirrored, and nothing else changed."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import digits
from strategies import seeds
from test_trace_ops import assert_cell_is_its_sum, places
from trace_networks import CASES, drawn_network, example, network

import tinycnn as tc
from tinycnn import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
)
from tinycnn.errors import ShapeError
from tinycnn.formula.numbers import formula_number
from tinycnn.layers.base import Layer
from tinycnn.optim import Adam
from tinycnn.tracing import Trace
from tinycnn.tracing import store as store_file
from tinycnn.tracing.terminal import step_lines
from tinycnn.train.loop import train_step


def small(dtype=np.float64, optimizer="adam", loss="cross_entropy", **options):
    """A small network on images of 6×5, with its step."""
    model = Sequential([Conv2D(3, 3, padding=(1, 0, 2, 1), stride=(1, 2)), ReLU(), MaxPool2D(2, stride=1), Flatten(),
                        Dense(4)], input_shape=(2, 6, 5), dtype=dtype)  # fmt: skip
    model.compile(optimizer, loss, **options)
    rng = np.random.default_rng(0)
    return model, rng.normal(size=(3, 2, 6, 5)).astype(dtype), np.array([1, 3, 0])


def everything(model):
    """All that a model holds, to the bit."""
    return pickle.dumps([
        {k: v.tobytes() for k, v in model.named_params().items()}, {k: v.tobytes() for k, v in
        model.named_buffers().items()}, [rng.bit_generator.state for _, layer in model._paths()
        for rng in vars(layer).values() if isinstance(rng, np.random.Generator)],
        model.optimizer and {k: {s: a.tobytes() for s, a in v.items()} for k, v in model.optimizer.state.items()},
        model.optimizer and model.optimizer.steps, [sorted(vars(layer)) for _, layer in model._paths()],
        model._rng.bit_generator.state, model._shuffle.bit_generator.state,
    ])  # fmt: skip


# ---------------------------------------------------------------------------------------------- what happened


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_a_trace_is_the_sum_of_its_terms(case):
    trace = tc.trace(*example(network(case)), unfused=True)
    rng = np.random.default_rng(0)
    for step in trace:
        for line in step.writes:
            for index in places(line["shape"], rng, 4):
                assert_cell_is_its_sum(trace, step, line["symbol"], index)


@settings(max_examples=8)
@given(seed=seeds)
def test_drawn_networks_can_be_traced_and_every_number_is_the_sum_of_its_terms(seed):
    trace = tc.trace(*example(drawn_network(seed), seed))
    rng = np.random.default_rng(seed)
    assert_chained(trace)
    for step in trace:
        for line in step.writes:
            for index in places(line["shape"], rng, 2):
                assert_cell_is_its_sum(trace, step, line["symbol"], index)


@pytest.mark.parametrize("case", CASES)
def test_the_trace_is_the_very_step_that_training_takes(case):
    model = network(case)
    model, x, y = example(model)
    trace = tc.trace(model, x, y)
    with tc.backend("numpy"):
        numbers = train_step(model, model.prepare(x), y)
    assert trace.example["loss"] == pytest.approx(numbers["loss"], rel=1e-14)
    params = model.named_params()
    updates = [s for s in trace.find(phase="update") if s.result == "w"]
    assert [s.writes[0]["note"] for s in updates] == [f"w of {key}" for key in params]
    for step, key in zip(updates, params, strict=True):
        np.testing.assert_array_equal(trace.tensors[step.writes[0]["tensor"]], params[key])
        for slot, value in model.optimizer.state[key].items():
            written = {line["symbol"]: line["tensor"] for line in step.writes}
            np.testing.assert_array_equal(trace.tensors[written[slot]], value)


@pytest.mark.parametrize("case", CASES)
def test_what_one_step_writes_the_next_reads_and_backward_mirrors_forward(case):
    assert_chained(tc.trace(*example(network(case))))


def assert_chained(trace):
    """Every activation and gradient that a step reads was written by a step before it, or given."""
    known = {trace.example["x"], trace.example["y"]}
    first = trace.steps[0].reads[0]["tensor"]
    known |= {first}  # the input, as prepared
    for step in trace:
        if step.phase in ("forward", "backward"):
            inputs = {"x", "z", "p", "dy", "a", "fx", "past", "through"}
            for line in step.reads:
                if line["symbol"] in inputs and line["tensor"] not in known:
                    part = line["symbol"] == "past"  # the channels that went straight on
                    assert part, f"{step}: nobody wrote {line}"
        known |= {line["tensor"] for line in step.writes}
    forward = list(dict.fromkeys(s.layer for s in trace.find(phase="forward") if s.layer))
    backward = list(dict.fromkeys(s.layer for s in trace.find(phase="backward") if s.layer))
    assert sorted(forward) == sorted(backward)
    plain = [path for path in forward if "." not in path]
    assert [path for path in backward if path in plain] == plain[::-1]


@pytest.mark.parametrize("case", CASES)
def test_before_and_contributions_make_after(case):
    trace = tc.trace(*example(network(case)))
    for step in trace.find(phase="update"):
        if step.result != "w":
            continue
        before, after = trace.tensors[step.before["w"]], trace.tensors[step.after["w"]]
        for index in places(before.shape, np.random.default_rng(0), 3):
            cell = trace.cell(step, index)
            read = [r["value"] for term in cell["terms"] for r in term["reads"] if r["symbol"] == "w"]
            read += [m["value"] for m in cell["made"] if m["symbol"] == "w"]
            assert before[index] in read or trace.cell(step, index)["made"]
            assert cell["total"] == pytest.approx(after[index], rel=1e-12, abs=1e-15)


def test_the_last_step_is_the_loss_after_the_update():
    model, x, y = small()
    trace = tc.trace(model, x, y)
    with tc.backend("numpy"):
        train_step(model, x, y)
        after = model.loss.forward(model.forward(x, train=True), y)
    last = trace[-1]
    assert trace.tensors[last.after["L"]] == pytest.approx(after, rel=1e-14)
    assert trace.tensors[last.before["L"]] == trace.example["loss"]
    assert trace.example["loss_after"] == float(after)


def test_the_numerical_gradient_stands_beside_the_analytic_one():
    model, x, y = small()
    trace = tc.trace(model, x, y)
    checks = trace.find(phase="check")
    assert [step.options["weight"] for step in checks] == list(model.named_params())
    for step in checks:
        analytic = next(line for line in step.reads if line["symbol"] == "dw")
        grads = trace.tensors[analytic["tensor"]]
        np.testing.assert_allclose(trace.tensors[step.writes[0]["tensor"]], grads, rtol=1e-6, atol=1e-9)
        assert np.abs(grads).max() == pytest.approx(step.options["largest_gradient"])


def test_a_wrong_gradient_shows_in_the_check(monkeypatch):
    model, x, y = small()
    layer = model.layer("dense1")
    monkeypatch.setattr(type(layer), "assign", lambda self, dw, db: setattr(self, "grads", {"w": 2 * dw, "b": db}))
    found = {step.options["weight"]: step.options for step in tc.trace(model, x, y).find(phase="check")}
    wrong, right = found["dense1.w"], found["conv1.w"]
    assert wrong["difference"] > 0.1 * wrong["largest_gradient"]
    assert right["difference"] < 1e-6 * right["largest_gradient"]


def test_unfused_softmax_and_cross_entropy_come_to_the_same_gradient():
    trace = tc.trace(*small(), unfused=True)
    steps = {step.op: step for step in trace}
    fused, apart = steps["cross_entropy_backward"], steps["softmax_backward"]
    np.testing.assert_allclose(*(trace.tensors[s.writes[0]["tensor"]] for s in (fused, apart)), atol=1e-15)
    p = trace.tensors[steps["softmax_forward"].writes[0]["tensor"]]
    J = trace.tensors[steps["softmax_jacobian"].writes[0]["tensor"]]
    for n in range(3):
        np.testing.assert_allclose(J[n], np.diag(p[n]) - np.outer(p[n], p[n]), atol=1e-16)


@pytest.mark.parametrize("case", CASES)
def test_no_two_steps_of_a_phase_have_the_same_title(case):
    titles = [(step.phase, step.title) for step in tc.trace(*example(network(case)), unfused=True)]
    assert len(set(titles)) == len(titles)


def test_a_running_statistic_says_which_one_it_is_everywhere():
    trace = tc.trace(*example(network("norms")))
    steps = [step for step in trace if step.op == "running_update"]
    for layer in ("bn1", "bn2"):
        mean, variance = (step for step in steps if step.layer == layer)
        for step, what, buffer in ((mean, "mean", "running_mean"), (variance, "variance", "running_var")):
            assert step.title == f"{layer}: the running {what} follows"
            assert step.text.startswith(f"The running {what} moves")
            assert step.options["statistic"] == what
            assert [line["note"] for line in step.reads] == [f"the batch's own {what}", f"{layer}.{buffer}"][::-1]
            assert step.writes[0]["note"] == f"{layer}.{buffer} after this batch"
            assert f"the running {what} follows" in "\n".join(step_lines(trace, step.number, (0,)))


# ---------------------------------------------------------------------------------------------- what stays as it was


@pytest.mark.parametrize("case", CASES)
def test_the_model_is_left_as_it_was_to_the_last_bit(case):
    model, x, y = example(network(case))
    with tc.backend("numpy"):
        train_step(model, x, y)  # so that the optimizer has something to remember
    before, given = everything(model), (x.copy(), y.copy())
    tc.trace(model, x, y)
    assert everything(model) == before
    np.testing.assert_array_equal(x, given[0])
    np.testing.assert_array_equal(y, given[1])


def test_with_apply_the_model_takes_the_step_that_was_recorded():
    model, x, y = small()
    twin = copy.deepcopy(model)
    tc.trace(model, x, y, apply=True)
    with tc.backend("numpy"):
        train_step(twin, x, y)
    assert everything(model) == everything(twin)


def test_the_optimizers_own_memory_is_shown():
    model, x, y = small()
    for _ in range(3):
        train_step(model, x, y)
    m = model.optimizer.state["conv1.w"]["m"].copy()
    step = next(s for s in tc.trace(model, x, y).find("conv1", "update") if s.title.startswith("conv1.w"))
    assert step.options["t"] == 4
    np.testing.assert_array_equal(tc.trace(model, x, y).tensors[step.before["m"]], m)


def test_another_optimizer_stands_in_for_the_models_own():
    model, x, y = small()
    trace = tc.trace(model, x, y, optimizer="sgd")
    assert {s.op for s in trace.find(phase="update")} == {"sgd_step", "cross_entropy_forward"}
    assert isinstance(model.optimizer, Adam)


def test_the_backend_in_force_is_in_force_again():
    model, x, y = small()
    with tc.backend("loops"):
        tc.trace(model, x, y)
        assert tc.backend("loops")._before.name == "loops"
    tc.backend("numpy")


def test_clipping_decay_penalty_and_schedule_are_steps_of_their_own():
    options = {"clip_value": 0.01, "clip_norm": 0.05, "weight_decay": 0.1, "schedule": tc.optim.StepDecay(1, 0.5)}
    model, x, y = small(optimizer=tc.optim.Adam(0.1, **options), regularizer=tc.optim.L2(0.01))
    trace = tc.trace(model, x, y)
    ops = [s.op for s in trace.find(phase="update")]
    assert ops.count("with_penalty") == 2
    assert ops.count("clip_value") == ops.count("clip_norm") == 4
    assert ops.count("gradient_length") == 1
    assert ops.count("decayed_gradient") == 4
    assert ops.count("step_schedule") == 1
    assert ops[-2:] == ["cross_entropy_forward", "penalised_loss"]
    bare, last = trace.steps[-2:]
    assert bare.title == "the loss after the update, without its penalty"
    assert last.title == "the loss with its penalty after the update"
    both = [formula_number(float(trace.tensors[s.writes[0]["tensor"]])) for s in trace.steps
            if s.op == "penalised_loss"]  # fmt: skip
    assert f"the loss with its penalty was {both[0]} and is {both[1]}." in last.text
    assert trace.tensors[bare.writes[0]["tensor"]] < trace.tensors[last.writes[0]["tensor"]]
    rng = np.random.default_rng(0)
    for step in trace:
        for line in step.writes:
            for index in places(line["shape"], rng, 3):
                assert_cell_is_its_sum(trace, step, line["symbol"], index)


# ---------------------------------------------------------------------------------------------- windows


@settings(max_examples=20)
@given(seed=seeds, k=st.integers(1, 3), s=st.integers(1, 3), d=st.integers(1, 2), p=st.integers(0, 2))
def test_im2col_and_the_visits_are_those_of_the_ops(seed, k, s, d, p):
    x = np.random.default_rng(seed).normal(size=(2, 2, 7, 6))
    model = Sequential([Conv2D(2, (k, 2), stride=(s, 1), dilation=(d, 1), padding=p)], input_shape=(2, 7, 6),
                       dtype=np.float64)  # fmt: skip
    trace = tc.trace(model, x)
    step = next(s for s in trace if s.op == "conv2d_forward")
    options = {"kernel_size": (k, 2), "stride": (s, 1), "padding": p, "dilation": (d, 1)}
    rows, _ = tc.ops.im2col(x, **options)
    np.testing.assert_array_equal(trace.im2col(step), rows)
    visits = tc.ops.col2im(np.ones_like(rows), x.shape, **options)[0, 0]
    np.testing.assert_array_equal(trace.visits(step), visits)
    for pixel in np.ndindex(7, 6):
        windows = trace.windows_of(step, pixel)
        assert len(windows) == visits[pixel]
        for window in windows:
            seen = trace.window(step, (0, 0, *window["place"]))
            assert [0, 0, *pixel] in [cell["place"] for cell in seen]


def test_a_window_marks_what_lies_on_the_border():
    model, x, _ = small()
    trace = tc.trace(model, x)
    step = trace.find("conv1")[-1]
    seen = trace.window(step, (0, 1, 0, 0))
    assert len(seen) == 2 * 9
    assert sum(cell["padding"] for cell in seen) == 2 * (3 + 4)
    for cell in seen:
        assert cell["value"] == (0 if cell["padding"] else x[tuple(cell["place"])])
    with pytest.raises(ValueError, match="has no window"):
        trace.visits(trace.find("dense1")[0])
    with pytest.raises(IndexError, match="no pixel"):
        trace.windows_of(step, (9, 0))


# ---------------------------------------------------------------------------------------------- the file


def test_a_trace_goes_through_json_and_back(tmp_path):
    trace = tc.trace(*small(np.float32))
    trace.save_json(tmp_path / "trace.json")
    again = Trace.from_json(tmp_path / "trace.json")
    assert again.as_dict() == trace.as_dict()
    assert len(again) == len(trace)
    for step in trace:
        index = (0,) * len(step.writes[0]["shape"])
        assert again.cell(step.number, index) == trace.cell(step, index)
    assert np.array_equal(again.im2col(1), trace.im2col(1))


def test_a_file_that_is_no_trace_is_refused(tmp_path):
    path = tmp_path / "trace.json"
    for text, message in (("no json", "is no trace"), ("[1]", "holds a list"), ('{"format": "x"}', "its format is 'x'"),
                          ('{"format": "tinycnn.trace", "version": 9}', "version 9")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            Trace.from_json(path)
    found = tc.trace(*small()).as_dict()
    found["tensors"]["t0"]["shape"] = [9, 9]
    with pytest.raises(ValueError, match="numbers, and shape"):
        Trace.from_json(found)
    found = tc.trace(*small()).as_dict()
    found["steps"][1]["formula"]["name"] = "unheard"
    with pytest.raises(ValueError, match="does not know"):
        Trace.from_json(found).cell(1, (0, 0, 0, 0))


def test_equal_arrays_are_stored_once_and_nobody_can_change_them():
    trace = tc.trace(*small())
    arrays = [(a.shape, a.dtype, a.tobytes()) for a in trace.tensors.values()]
    assert len(set(arrays)) == len(arrays)
    with pytest.raises(ValueError, match="read-only"):
        trace.tensors["t0"][:] = 0


def test_an_array_that_is_too_large_is_kept_in_part_and_that_is_said(monkeypatch):
    monkeypatch.setattr(store_file, "FIRST_NUMBERS", 8)
    monkeypatch.setattr(store_file.Store.__init__, "__defaults__", (700,))
    model, x, y = small()
    trace = tc.trace(model, x, y)
    cut = [step for step in trace if step.left_out]
    assert cut
    assert "the first 8 numbers of" in cut[0].left_out
    assert any(stored.first == 8 for stored in trace.tensors.table.values())
    assert "are kept in part" in trace.limits_text
    unreadable = next(s for s in cut if any(trace.tensors.table[line["tensor"]].first for line in s.reads))
    with pytest.raises(ValueError, match="only 8 numbers were kept"):
        trace.cell(unreadable, (0,) * len(unreadable.writes[0]["shape"]))
    assert json.dumps(trace.as_dict(), allow_nan=False)


def test_json_carries_as_many_numbers_as_it_is_told():
    trace = tc.trace(*small())
    entry = next(e for e in trace.as_dict(most=5)["tensors"].values() if np.prod(e["shape"]) > 5)
    assert entry["first"] == 5


# ---------------------------------------------------------------------------------------------- without, and wrong


def test_without_labels_or_loss_only_the_forward_pass_is_there_and_that_is_said():
    model, x, _ = small()
    for trace in (tc.trace(model, x), tc.trace(Sequential([Dense(2)], input_shape=(3,)), np.ones((1, 3), np.float32))):
        assert {step.phase for step in trace} == {"forward"}
        assert "forward pass of a prediction" in trace.limits_text


def test_one_example_may_come_without_a_batch():
    model, x, y = small()
    one, batch = tc.trace(model, x[0], y[0]), tc.trace(model, x[:1], y[:1])
    assert one.as_dict() == batch.as_dict()


def test_in_prediction_dropout_hands_on():
    model = Sequential([Dropout(0.5), Dense(2)], input_shape=(3,))
    (step, _) = tc.trace(model, np.ones((1, 3), np.float32))
    assert step.op == "handed_on"
    assert "as they are" in step.text


def test_nan_in_the_input_is_recorded_and_marked():
    model, x, y = small()
    x[0, 0, 1, 1] = np.nan
    trace = tc.trace(model, x, y)
    assert trace[0].marks == ["x: 1 NaN of 180 numbers", "y: 1 NaN of 336 numbers"]
    assert trace.example["loss"] is None
    assert json.dumps(trace.as_dict(), allow_nan=False)
    assert "NaN" in trace.cell(1, (0, 0, 1, 1))["text"]


def test_a_layer_without_a_formula_shows_what_went_in_and_came_out():
    class Twice(Layer):
        def forward(self, x, train=False):
            return 2 * x

        def backward(self, dy):
            return 2 * dy

    model = Sequential([Twice(name="twice"), Dense(2)], input_shape=(3,))
    model.compile("sgd")
    trace = tc.trace(model, np.ones((1, 3), np.float32), np.array([1]))
    there, back = trace.find("twice")
    assert (there.op, back.op) == ("Twice.forward", "Twice.backward")
    assert "No formula" in there.text
    with pytest.raises(ValueError, match="has no formula to take apart"):
        trace.cell(there, (0, 0))


def test_a_frozen_layer_takes_no_step():
    model, x, y = small()
    model.freeze("conv1")
    trace = tc.trace(model, x, y)
    assert {step.layer for step in trace.find(phase="update")} == {"dense1", None}


def test_what_does_not_fit_is_refused_in_words():
    model, x, y = small()
    with pytest.raises(ShapeError, match="x must be a batch of"):
        tc.trace(model, x[:, :, :3], y)
    with pytest.raises(TypeError, match="float32 or float64"):
        tc.trace(model, x.astype(int), y)
    with pytest.raises(ValueError, match="is no class"):
        tc.trace(model, x, np.array([1, 2, 9]))
    with pytest.raises(ShapeError, match="3 examples"):
        tc.trace(model, x, y[:2])
    with pytest.raises(ValueError, match="at most 64 examples, got 66"):
        tc.trace(model, np.repeat(x, 22, 0), np.repeat(y, 22))
    with pytest.raises(ValueError, match="no layers"):
        tc.trace(Sequential(), np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="x is empty"):
        tc.trace(model, x[:0])
    with pytest.raises(TypeError, match="takes a Sequential"):
        tc.trace(Dense(3), x, y)
    with pytest.raises(ValueError, match="model's own step"):
        tc.trace(model, x, apply=True)
    with pytest.raises(ValueError, match="real numbers"):
        tc.trace(model.astype(np.complex128), x.astype(np.float32))


def test_a_place_that_is_not_there_is_refused_in_words():
    trace = tc.trace(*small())
    with pytest.raises(IndexError, match="steps 0 to"):
        trace.seek(999)
    with pytest.raises(IndexError, match="there is no place"):
        trace.cell(1, (0, 0, 99, 0))
    with pytest.raises(ValueError, match="not 'nothing'"):
        trace.cell(1, (0, 0, 0, 0), "nothing")
    with pytest.raises(KeyError, match="no layer 'conv9'; there are conv1"):
        trace.find("conv9")
    with pytest.raises(ValueError, match="no phase 'sideways'"):
        trace.find(phase="sideways")


def test_a_network_on_digits_is_traced_as_it_is_trained():
    x, y = digits(4)
    model = Sequential([Conv2D(4, 3, activation="relu"), MaxPool2D(2), Flatten(), Dense(10)], input_shape=(1, 8, 8))
    model.compile("adam")
    trace = tc.trace(model, x[0], y[0])
    assert trace.find("conv1")[0].text.startswith("Each of the 4 filters slides over the image")
    assert trace.model["layers"][0]["size"] == "OH = ⌊(8 + 0 − 3)/1⌋ + 1 = 6"
