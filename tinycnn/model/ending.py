"""Whether a network's last layer and its loss belong together; if not, the loss would still fall, and mean nothing."""

from __future__ import annotations

from collections.abc import Sequence

from tinycnn.layers.activation import LogSoftmax, Sigmoid, Softmax
from tinycnn.layers.base import Layer
from tinycnn.layers.dense import Flatten
from tinycnn.layers.dropout import Dropout
from tinycnn.layers.losses import Loss
from tinycnn.layers.resize import Reshape

_SAME_NUMBERS = (Flatten, Reshape, Dropout)  # what stands before these is what the loss sees


def last_that_counts(layers: Sequence[Layer]) -> Layer | None:
    """The last layer that does something to the numbers, looked for inside nested chains as well."""
    for layer in reversed(layers):
        if isinstance(layer, _SAME_NUMBERS):
            continue
        inner = layer.children()
        return last_that_counts(inner) if inner and type(layer).__name__ in ("Chain", "Sequential") else layer
    return None


def check_ending(layers: Sequence[Layer], loss: Loss) -> None:
    """Raise ValueError if the loss and the last layer do not belong together."""
    last = last_that_counts(layers)
    if last is None:
        return
    if loss.takes == "logits" and isinstance(last, Softmax | LogSoftmax):
        raise ValueError(
            f"the network ends in {last.label}, but loss {loss.name!r} takes logits and applies softmax itself.\n"
            "  Softmax of a softmax squeezes all probabilities together: gradients shrink, though it still seems to "
            "learn.\n  Remove the last layer, or use loss='categorical_crossentropy' (one-hot) or "
            "'sparse_categorical_crossentropy' (integers) with Softmax()."
        )
    if loss.takes == "logits" and isinstance(last, Sigmoid):
        raise ValueError(
            f"the network ends in {last.label}, but loss {loss.name!r} takes logits and applies its own.\n"
            "  Remove the last layer, or use loss='binary_crossentropy' with Sigmoid()."
        )
    if loss.takes == "probabilities" and not isinstance(last, Softmax):
        raise ValueError(
            f"loss {loss.name!r} takes probabilities, but the network ends in {last.label}.\n"
            "  Add Softmax() at the end, or use loss='cross_entropy', which takes logits."
        )
    if loss.takes == "answers" and not isinstance(last, Sigmoid | Softmax):
        raise ValueError(
            f"loss {loss.name!r} takes probabilities, but the network ends in {last.label}.\n"
            "  Add Sigmoid() at the end (or Softmax(), for classes that exclude each other), or use "
            "loss='bce_with_logits'."
        )
