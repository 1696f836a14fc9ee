"""The check: a few weights of each array are moved up and down, and the loss itself says what their gradient is."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula.numbers import formula_number
from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential
from tinycnn.tracing.builder import Builder
from tinycnn.tracing.formulas import SLOPE
from tinycnn.tracing.limits import CHECKED_WEIGHTS, MOST_CHECK_WORK
from tinycnn.tracing.sentences import Said
from tinycnn.tracing.steps import plain_number
from tinycnn.tracing.twin import Twin


def check_steps(twin: Twin, y: Any, model: Sequential, builder: Builder, pulls: dict[str, Array]) -> str:
    """A step for each array of weights; says what was not checked, if the network is too large for it."""
    grads = {key: dw + pulls[key] if key in pulls else dw for key, dw in model.named_grads().items()}
    assert model.input_shape is not None
    each = 2 * len(twin.x) * max(model.facts(model.input_shape).macs, 1)
    if each * len(grads) > MOST_CHECK_WORK:
        return "The network is too large for numerical gradients here: tinycnn.verify.check_model makes them."
    most = min(CHECKED_WEIGHTS, MOST_CHECK_WORK // (each * max(len(grads), 1)))
    wide = twin.wide()
    params = wide.model.named_params()
    for key, dw in grads.items():
        builder.at("check", key.rpartition(".")[0], "check")
        _check(wide, y, key, params[key], dw, most, builder)
    return ""


def _check(wide: Twin, y: Any, key: str, w: Array, dw: Array, most: int, builder: Builder) -> None:
    places = _chosen(dw, most)
    h = 1e-5 * np.maximum(1, np.abs(w.ravel()[places]))
    above, below = np.empty(len(places)), np.empty(len(places))
    rest = wide.loss(y)  # changes are shown: two losses that agree to four digits would say nothing
    for k, place in enumerate(places):
        for moved, side in ((above, h[k]), (below, -h[k])):
            was = w.flat[place]
            w.flat[place] = was + side
            moved[k] = wide.loss(y) - rest
            w.flat[place] = was
    slope, analytic = (above - below) / (2 * h), dw.ravel()[places]
    apart = float(np.max(np.abs(slope - analytic), initial=0.0))
    scale = float(np.max(np.abs(dw), initial=0.0))
    at = np.stack(np.unravel_index(places, dw.shape), axis=1)
    words = ", ".join(f"[{','.join(map(str, place))}]" for place in at)
    said = Said(
        f"{key}: the gradient checked",
        f"Move one weight up and down a little, and see how the loss moves: the slope must be the gradient that "
        f"backward found. At {words} they differ by at most {formula_number(apart)}, where the gradient's largest "
        f"entry is {formula_number(scale)}.",
    )
    options = {"weight": key, "places": at.tolist(), "difference": plain_number(apart),
               "largest_gradient": plain_number(scale)}  # fmt: skip
    values = {"above": above, "below": below, "h": h}
    (step,) = builder.add(SLOPE, values, {"slope": slope}, "numerical_gradient", said=said, options=options, weight=key)
    for symbol, array, role, note in (
        ("dw", analytic, "gradient", f"what backward found for {key} at these places"),
        ("at", at, "index", f"the places in {key}"),
    ):
        tensor = builder.store.put(array, role)
        builder.origins.add(tensor, note)
        step.reads.append({"symbol": symbol, "tensor": tensor, "role": role, "shape": list(array.shape), "note": note})


def _chosen(dw: Array, most: int) -> Array:
    """The place of the largest gradient, and others spread over the array."""
    largest = int(np.nan_to_num(np.abs(dw)).argmax())
    spread = np.linspace(0, dw.size - 1, min(most, dw.size)).astype(int)
    return np.array(list(dict.fromkeys([largest, *map(int, spread)]))[:most])
