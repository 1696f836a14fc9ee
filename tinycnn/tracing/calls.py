"""What each call becomes: values by the names of its formula, and where a backward finds those of its forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.formula.parse import FormulaError
from tinycnn.layers.base import Array, Layer
from tinycnn.layers.losses import CrossEntropy, Loss
from tinycnn.model import Residual, SkipConcat
from tinycnn.ops.window import Window
from tinycnn.tracing.builder import Builder, results_of, same_numbers
from tinycnn.tracing.formulas import ADDED, BRANCHES, HANDED_BACK, HANDED_ON, JACOBIAN, LENGTH, PADDED
from tinycnn.tracing.limits import MOST_CLASSES
from tinycnn.tracing.sentences import Said
from tinycnn.tracing.steps import Step
from tinycnn.tracing.watch import Call

_STATISTICS = {"running_mean": "mean", "running_var": "variance"}
_PAD = {-np.inf: "−∞", np.inf: "+∞", 0.0: "zeros"}


class Calls:
    """Told of every call while a network runs; makes its steps."""

    def __init__(self, builder: Builder):
        self.builder = builder
        self.forward_of: dict[int, dict[str, Any]] = {}  # by the identity of the cache that it left
        self.kept: list[Any] = []  # so that no identity is used twice
        self.listening = True
        self.apart: tuple[Array, Any, Any] | None = None
        self.rates: set[tuple[str, str]] = set()  # what schedules were asked
        self.keys: dict[int, str] = {}  # in the update: whose weight or gradient an array is, by its identity
        self.gradients: Callable[[], Array] | None = None  # all of them end to end

    def __call__(self, call: Call) -> None:
        """One call has returned."""
        if not self.listening or not (_has_arrays(call) or self._is_new_rate(call)):
            return
        self.kept.append(call)
        values = self.values_of(call)
        if values is None:  # a backward whose forward was not seen
            return
        if call.op.endswith("_forward"):
            self.forward_of[id(call.result[1])] = {k: v for k, v in values.items() if k != "dy"}
        call = _as_its_formula(call, values)
        try:
            if "xp" in (found := _with_border(call, values)):
                self._pad(values, found)
            if self.builder.phase == "update" and self.keys:
                self._update(call, values)
            else:
                self._add(call, values)
        except FormulaError as error:  # its numbers are not such as its formula speaks of
            self._add_plainly(call, values, str(error))

    def _is_new_rate(self, call: Call) -> bool:
        """Whether it is a schedule's, which is asked anew for each weight, and told once."""
        asked = call.op, str(call.arguments)
        if not self.keys or asked in self.rates or not isinstance(call.result, float):
            return False
        self.rates.add(asked)
        return True

    def _add(self, call: Call, values: dict[str, Any]) -> None:
        builder, around = self.builder, self.builder.layer
        key = builder.weights.get(id(values.get("w")), "") if around is None else ""
        if key:  # a penalty on it
            builder.layer = key.rpartition(".")[0]
        steps = builder.add(call.formula, values, results_of(call), call.op, code=call.function, weight=key)
        builder.layer = around
        if buffer := builder.buffers.get(id(values.get("running")), ""):
            self._name_statistic(steps[0], buffer)

    def _name_statistic(self, step: Step, buffer: str) -> None:
        """Say which running statistic it is that follows (`bn1.running_var`: the variance)."""
        what = _STATISTICS.get(buffer.rpartition(".")[2], "statistic")
        notes = {"running": buffer, "batch": f"the batch's own {what}"}
        step.title = step.title.replace("running statistic", f"running {what}")
        step.text = step.text.replace("running statistic", f"running {what}")
        step.options["statistic"] = what
        step.reads = [line | {"note": notes.get(line["symbol"], line["note"])} for line in step.reads]
        step.writes[0]["note"] = f"{buffer} after this batch"
        self.builder.origins.add(step.writes[0]["tensor"], step.writes[0]["note"])

    def _add_plainly(self, call: Call, values: dict[str, Any], why: str) -> None:
        """What went in and what came out, without the formula between."""
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        said = Said(f"{self.builder.whose}: {call.op}", f"Its numbers cannot be taken apart here: {why}.")
        self.builder.plain_step(call.op, said, arrays, results_of(call), call.function)

    def _update(self, call: Call, values: dict[str, Any]) -> None:
        """A step of one array of weights: all that it changes together."""
        builder = self.builder
        key = self.keys.get(id(values.get("w"))) or self.keys.get(id(values.get("dw")), "")
        results = results_of(call)
        if "dw" in results:
            self.keys[id(results["dw"])] = key
        if call.op == "clip_norm" and self.gradients is not None:
            laid_out, self.gradients = self.gradients(), None
            length_step(builder, laid_out, values["norm"])
        around, builder.layer = builder.layer, key.rpartition(".")[0] or None
        builder.add(call.formula, values, results, call.op, code=call.function, weight=key, together=True)
        builder.layer = around

    def values_of(self, call: Call) -> dict[str, Any] | None:
        """What went in, by the names of the formula; None for a backward of what was not seen."""
        values = {k: v for k, v in call.arguments.items() if not isinstance(v, np.random.Generator)}
        if "cache" in values:
            cache = values.pop("cache")
            if id(cache) not in self.forward_of:
                return None
            values = self.forward_of[id(cache)] | values
        if call.op == "dropout_mask":
            values["draw"] = _draw(call.arguments)
        return values

    def _pad(self, values: dict[str, Any], found: dict[str, Any]) -> None:
        """A step of its own for the border, where there is one."""
        x, xp, fill = values["x"], found["xp"], found["fill"]
        if x.shape == xp.shape:
            return
        left, right = found["left"], xp.shape[-1] - x.shape[-1] - found["left"]
        note = self.builder.size_note
        self.builder.size_note = ""
        whose = self.builder.whose
        if x.ndim == 3:
            given = {"x": x, "value": fill, "left": left, "OW": xp.shape[2]}
            said = Said(f"{whose}: pad", f"{left} in front and {right} behind: a border of {_PAD.get(fill, fill)}.")
            options = {"padding": [left, right]}
            self.builder.add(PADDED, given, {"y": xp}, "pad", code=Window.pad, said=said, options=options)
        else:
            top = found["top"]
            sides = (top, xp.shape[2] - x.shape[2] - top, left, right)
            said = Said(
                f"{whose}: pad",
                f"A border of {_PAD.get(fill, fill)} lets the window stand on the outermost pixels: {sides[0]} above, "
                f"{sides[1]} below, {sides[2]} to the left, {sides[3]} to the right.",
            )
            formula = ops.pad2d_forward.formula  # type: ignore[attr-defined]
            given = {"x": x, "padding": sides, "value": fill}
            self.builder.add(formula, given, {"y": xp}, "pad2d_forward", code=Window.pad, said=said)
        self.builder.size_note = note

    # ------------------------------------------------------------------ what layers do without an op

    def finish_forward(self, layer: Layer, x: Array, y: Array, inner: Any, before: int, buffers: dict) -> None:
        """What the layer did beside its ops: a sum, or nothing at all."""
        builder = self.builder
        if isinstance(layer, Residual):
            said = Said(f"{builder.whose}: x + f(x)", "The input is added to what the layers inside made of it: they "
                        "learn a correction.")  # fmt: skip
            builder.add(ADDED, {"x": x, "fx": inner}, {"y": y}, "residual", code=Residual.forward, said=said)
        elif layer.children() or len(builder.steps) > before:
            return
        elif y is x or same_numbers(x, y):
            said = Said(f"{builder.whose}: hand on", "The numbers go through as they are.")
            builder.add(HANDED_ON, {"x": x}, {"y": y}, "handed_on", code=type(layer).forward, said=said)
        else:
            said = Said(f"{builder.whose}: {builder.kind}", "No formula is declared for what this layer does: only "
                        "what went in and what came out is recorded.")  # fmt: skip
            builder.plain_step(f"{builder.kind}.forward", said, {"x": x}, {"y": y}, type(layer).forward)

    def finish_backward(self, layer: Layer, dy: Array, dx: Array, inner: Any, before: int) -> None:
        """The same, backward: where two ways meet, their gradients add."""
        builder = self.builder
        if isinstance(layer, Residual | SkipConcat):
            past = dy if isinstance(layer, Residual) else dy[:, : layer.input_shape[0]]  # type: ignore[index]
            said = Said(f"{builder.whose}: two ways meet", "x went two ways, so its gradient comes back two ways, and "
                        "the two add: the multivariate chain rule is this +.")  # fmt: skip
            values = {"past": past, "through": inner}
            builder.add(BRANCHES, values, {"dx": dx}, "branches", code=type(layer).backward, said=said)
        elif layer.children() or len(builder.steps) > before:
            return
        elif dx is dy or same_numbers(dx, dy):
            said = Said(f"{builder.whose}: hand back", "What was handed on as it was hands its gradient back as it is.")
            builder.add(HANDED_BACK, {"dy": dy}, {"dx": dx}, "handed_back", code=type(layer).backward, said=said)
        else:
            said = Said(f"{builder.whose}: {builder.kind} backward", "No formula is declared for what this layer does.")
            builder.plain_step(f"{builder.kind}.backward", said, {"dy": dy}, {"dx": dx}, type(layer).backward)

    # ------------------------------------------------------------------ softmax and cross-entropy apart

    def unfused_forward(self, z: Array, y: Any, loss: Loss) -> None:
        """The same loss by two ops: softmax, and −log p."""
        simple = isinstance(loss, CrossEntropy) and loss.class_weights is None and not loss.label_smoothing
        if not simple or loss.ignore_index is not None:  # type: ignore[attr-defined]
            return
        self.builder.at("forward", None, "Softmax")
        p, cache = ops.softmax_forward(z)
        _, cache_loss = ops.categorical_crossentropy_forward(p, y)
        self.apart = p, cache, cache_loss

    def unfused_backward(self) -> None:
        """The same gradient by two ops, and between them the softmax's Jacobian written out."""
        if self.apart is None:
            return
        p, cache, cache_loss = self.apart
        builder = self.builder
        builder.at("backward", None, "Softmax")
        dp = ops.categorical_crossentropy_backward(1.0, cache_loss)
        if p.ndim == 2 and p.shape[1] <= MOST_CLASSES:
            J = p[:, :, None] * (np.eye(p.shape[1], dtype=p.dtype) - p[:, None, :])
            said = Said("softmax: the Jacobian diag(p) − p·pᵀ", "How each probability moves with each logit: raising "
                        "one logit raises its own probability and lowers all others.")  # fmt: skip
            builder.add(JACOBIAN, {"p": p}, {"J": J}, "softmax_jacobian", said=said)
        ops.softmax_backward(dp, cache)


def length_step(builder: Builder, g: Array, norm: float) -> None:
    """How long all gradients are together, before they are cut to length."""
    said = Said("the length of all gradients", "All gradients laid end to end are one arrow: this is its length.")
    builder.add(LENGTH, {"g": g}, {"norm": norm}, "gradient_length", said=said)


def _has_arrays(call: Call) -> bool:
    result = call.result if isinstance(call.result, tuple) else (call.result,)
    return any(isinstance(value, np.ndarray) for value in (*call.arguments.values(), *result))


def _draw(arguments: dict[str, Any]) -> Array:
    """The numbers that a mask was drawn from, drawn once more by a copy of the generator."""
    shape, rng = tuple(arguments["shape"]), arguments["rng"]
    if not arguments["per_channel"]:
        return rng.random(shape)
    return np.broadcast_to(rng.random((*shape[:2], *(1,) * (len(shape) - 2))), shape)


def _as_its_formula(call: Call, values: dict[str, Any]) -> Call:
    """Flatten's formula shows images; other shapes are counted through by that of reshape."""
    if call.op.startswith("flatten_") and np.ndim(values["x"]) != 4:
        values["shape"] = (-1,)
        found = Call(getattr(ops, call.op.replace("flatten", "reshape")), call.arguments, call.result)
        return found
    return call


def _with_border(call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """The padded image and what it is padded with, if the op pads."""
    if call.op.endswith("_backward") or "xp" not in call.formula._accepted or call.formula.given is None:
        return {}
    names = call.formula.names(**values)
    xp, x = names.get("xp"), names.get("x")
    if not (isinstance(xp, np.ndarray) and isinstance(x, np.ndarray)):
        return {}
    fill = xp.flat[0] if names.get("top") or names["left"] else xp.flat[-1]
    return {"xp": xp, "fill": float(fill), "top": int(names.get("top", 0)), "left": int(names["left"])}
