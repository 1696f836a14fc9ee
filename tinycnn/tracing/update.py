"""The penalty, the update of every weight with all that the optimizer remembers, and the loss after it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula.numbers import formula_number
from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential
from tinycnn.optim import clip_value
from tinycnn.tracing.builder import Builder
from tinycnn.tracing.calls import Calls
from tinycnn.tracing.formulas import WITH_PENALTY, WITH_PULL
from tinycnn.tracing.sentences import Said
from tinycnn.tracing.twin import Twin

Pulls = dict[str, Array]


def penalty_steps(model: Sequential, builder: Builder, loss: Any) -> tuple[Pulls, Any]:
    """The regulariser's steps, if there is one: each array's penalty, and the loss with all of them."""
    if model.regularizer is None:
        return {}, loss
    builder.at("forward", None, type(model.regularizer).__name__)
    first = len(builder.steps)
    _, pulls = model.penalty()
    penalties = [builder.array(step) for step in builder.steps[first:] if step.result == "R"]
    return pulls, add_penalty(builder, loss, np.array(penalties, np.float64))


def add_penalty(builder: Builder, loss: Any, penalties: Array) -> Any:
    """The loss and every penalty together."""
    total = np.float64(loss) + penalties.sum()
    said = Said("the loss and the penalty", "What training lowers is the loss with the price of large weights.")
    builder.add(WITH_PENALTY, {"L": loss, "R": penalties}, {"total": total}, "penalised_loss", said=said)
    return total


def update_steps(model: Sequential, builder: Builder, calls: Calls, pulls: Pulls) -> None:
    """Every weight takes its step, as `fit` would have it do."""
    optimizer, params, grads = model.optimizer, model.named_params(), model.named_grads()
    assert optimizer is not None
    builder.at("update", None, type(optimizer).__name__)
    params = {key: w for key, w in params.items() if key in grads}  # what is frozen has no gradient
    for key, pull in ((key, pull) for key, pull in pulls.items() if key in grads):
        builder.layer = key.rpartition(".")[0]
        said = Said(f"{key}: gradient and penalty", "The penalty pulls weights towards 0, beside what the loss says.")
        values = {"dw": grads[key], "pull": pull}
        grads[key] = grads[key] + pull
        builder.add(WITH_PULL, values, {"dw": grads[key]}, "with_penalty", said=said, weight=key)
    builder.at("update", None, type(optimizer).__name__)
    calls.keys = {id(w): key for key, w in params.items()} | {id(dw): key for key, dw in grads.items()}
    calls.gradients = lambda: _laid_out(grads, optimizer.clip_value)
    optimizer.step(params, grads)
    calls.keys = {}


def _laid_out(grads: dict[str, Array], limit: float | None) -> Array:
    """All gradients end to end, as they are when their length is taken."""
    cut = grads.values() if limit is None else [clip_value(dw, limit) for dw in grads.values()]
    return np.concatenate([dw.ravel() for dw in cut])


def loss_after(twin: Twin, y: Any, model: Sequential, builder: Builder, calls: Calls, before: Any) -> Any:
    """The last step: the same examples once more, with the new weights and the same chance."""
    assert model.loss is not None
    calls.listening = False
    scores = twin.scores(model.named_params())
    calls.listening = True
    builder.at("update", None, type(model.loss).__name__)
    builder.origins.add(builder.store.put(scores, "activation"), "the scores with the new weights")
    loss = twin.model.loss.forward(scores, y)  # type: ignore[union-attr]
    what = "loss"
    if model.regularizer is not None:
        calls.listening = False
        penalties = [model.regularizer.penalty(w, model.regularizer.strength)[0]
                     for key, w in model.named_params().items() if key.endswith(".w")]  # fmt: skip
        calls.listening = True
        bare = builder.steps[-1]
        bare.title = "the loss after the update, without its penalty"
        bare.text = f"The same examples, the new weights. {bare.text} The price of large weights comes on top."
        loss = add_penalty(builder, loss, np.array(penalties, np.float64))
        what = "loss with its penalty"
    last = builder.steps[-1]
    last.title = f"the {what} after the update"
    last.text = (
        f"The same examples, the new weights: the {what} was {formula_number(before)} and is {formula_number(loss)}. "
        + ("One step down the slope." if loss < before else "The step was too long for this slope, or the slope is 0.")
    )
    last.before = {last.result: builder.store.put(np.asarray(before), "number")}
    last.after = {last.result: last.writes[0]["tensor"]}
    return loss
