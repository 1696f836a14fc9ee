"""Drawn cases of the losses: targets of every kind, with the options that weight, smooth or leave them out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinycnn.verify.cases.case import Draw, OpCase
from tinycnn.verify.cases.choices import AXES, batch_shape, case_of
from tinycnn.verify.cases.chooser import Chooser

Shape = tuple[int, ...]
Targets = Callable[[Draw], np.ndarray]
CLASS_WEIGHTS = [0.5, 2.0, 1.0, 0.25]
NO_CLASS = -100  # which label it is that counts for nothing, as PyTorch has it


def _loss(name: str, shapes: dict[str, Any], arguments: Any, kinds: dict[str, str], **options: Any) -> OpCase:
    return case_of(name, shapes, arguments, kinds, options, empty="refused")


def _class_targets(chooser: Chooser, shape: Shape, kinds: tuple[str, ...]) -> tuple[str, Targets]:
    """Targets for scores of this shape: labels, labels in a column, one-hot rows, or soft ones."""
    kind = chooser.choice(kinds if len(shape) == 2 else [k for k in kinds if k != "column"])
    K, behind = shape[1], shape[2:]
    draws: dict[str, Targets] = {
        "labels": lambda d: d.labels(K, d.N, *behind),
        "column": lambda d: d.labels(K, d.N, 1),
        "one-hot": lambda d: d.one_hot(d.N, K, *behind),
        "soft": lambda d: d.probabilities(d.N, K, *behind).real,
    }
    return kind, draws[kind]


def _with_ignored(draw: Targets, K: int, ignored: int) -> Targets:
    """The labels, of which the first is never ignored, so that a mean is left."""

    def drawn(d: Draw) -> np.ndarray:
        t = draw(d)
        if ignored == NO_CLASS:
            t = np.where(d.rng.random(t.shape) < 0.4, ignored, t)
        if t.size and t.flat[0] == ignored:
            t.flat[0] = (max(ignored, 0) + 1) % K
        return t

    return drawn


def _class_weights(chooser: Chooser, K: int) -> tuple[str, list[float] | None]:
    given = chooser.choice((False, True))
    return ("given", CLASS_WEIGHTS[:K]) if given else ("none", None)


def cross_entropy(chooser: Chooser) -> OpCase:
    """Every kind of target, weighted, smoothed, with labels that do not count."""
    axes, z = batch_shape(chooser, least=2, most=4)
    kind, draw = _class_targets(chooser, z, ("labels", "one-hot", "soft", "column"))
    weighted, weights = _class_weights(chooser, z[1])
    smoothing = chooser.choice((0.0, 0.1, 0.6))
    ignore = chooser.choice(("none", "a class", "no class")) if kind == "labels" else "none"
    ignored = None
    if ignore != "none":
        ignored = NO_CLASS if ignore == "no class" else chooser.integer(0, z[1] - 1)
        draw = _with_ignored(draw, z[1], ignored)
    kinds = {"z": axes, "t": kind, "class_weights": weighted, "label_smoothing": str(smoothing), "ignore_index": ignore}
    options = {"class_weights": weights, "label_smoothing": smoothing, "ignore_index": ignored}
    return _loss("cross_entropy", {"z": z, "t": kind}, lambda d: (d.normal(d.N, *z[1:]), draw(d)), kinds, **options)


def categorical_crossentropy(chooser: Chooser) -> OpCase:
    """Probabilities with room on both sides: none is nearer to 0 than a fifteenth."""
    axes, p = batch_shape(chooser, least=2, most=4)
    kind, draw = _class_targets(chooser, p, ("labels", "one-hot", "soft", "column"))

    def arguments(d: Draw) -> tuple[Any, ...]:
        scores = d.positive(d.N, *p[1:])
        return scores / scores.sum(axis=1, keepdims=True), draw(d)

    return _loss("categorical_crossentropy", {"p": p, "t": kind}, arguments, {"p": axes, "t": kind})


def focal(chooser: Chooser) -> OpCase:
    """Every gamma that is allowed, at the edges and between."""
    axes, z = batch_shape(chooser, least=2, most=4)
    kind, draw = _class_targets(chooser, z, ("labels", "one-hot", "soft", "column"))
    gamma, (weighted, weights) = chooser.choice((2.0, 0.0, 1.0, 1.5, 5.0)), _class_weights(chooser, z[1])
    kinds = {"z": axes, "t": kind, "gamma": str(gamma), "class_weights": weighted}
    options = {"gamma": gamma, "class_weights": weights}
    return _loss("focal", {"z": z, "t": kind}, lambda d: (d.normal(d.N, *z[1:]), draw(d)), kinds, **options)


def multi_margin(chooser: Chooser) -> OpCase:
    """Scores 0.3 apart, whose differences keep away from the margin."""
    axes, z = batch_shape(chooser, least=2, most=4)
    kind, draw = _class_targets(chooser, z, ("labels", "one-hot", "column"))
    margin = chooser.choice((1.0, 0.5, 2.0))
    kinds = {"z": axes, "t": kind, "margin": str(margin)}
    arguments = lambda d: (3 * d.spaced(d.N, *z[1:]), draw(d))  # noqa: E731
    return _loss("multi_margin", {"z": z, "t": kind}, arguments, kinds, margin=margin)


def _any_shape(chooser: Chooser) -> tuple[str, Shape]:
    """An array of one to four axes."""
    kind = chooser.choice(("numbers", *AXES))
    axes = 1 if kind == "numbers" else 2 + AXES[kind]
    return kind, tuple(chooser.integer(1, 3) for _ in range(axes))


def _answers(d: Draw, *shape: int) -> np.ndarray:
    return d.rng.integers(0, 2, shape).astype(np.float64)


def _soft_answers(d: Draw, *shape: int) -> np.ndarray:
    return d.rng.uniform(size=shape)


def mse(chooser: Chooser) -> OpCase:
    """Numbers and targets of any shape."""
    axes, x = _any_shape(chooser)
    arguments = lambda d: (d.normal(d.N, *x[1:]), d.normal(d.N, *x[1:]))  # noqa: E731
    return _loss("mse", {"x": x}, arguments, {"x": axes})


def mae(chooser: Chooser) -> OpCase:
    """Numbers that keep away from their targets, where the slope jumps."""
    axes, x = _any_shape(chooser)

    def arguments(d: Draw) -> tuple[Any, ...]:
        t = d.normal(d.N, *x[1:])
        return t + d.spaced(d.N, *x[1:]), t

    return _loss("mae", {"x": x}, arguments, {"x": axes})


def hinge(chooser: Chooser) -> OpCase:
    """Numbers that keep away from the margin of 1, on both sides of it."""
    axes, x = _any_shape(chooser)
    arguments = lambda d: (d.spaced(d.N, *x[1:]), 2 * _answers(d, d.N, *x[1:]) - 1)  # noqa: E731
    return _loss("hinge", {"x": x}, arguments, {"x": axes})


def _binary(chooser: Chooser, name: str, argument: str, numbers: Callable[..., np.ndarray]) -> OpCase:
    axes, x = _any_shape(chooser)
    kind = chooser.choice(("answers", "soft"))
    draw = _answers if kind == "answers" else _soft_answers
    arguments = lambda d: (numbers(d, d.N, *x[1:]), draw(d, d.N, *x[1:]))  # noqa: E731
    return _loss(name, {argument: x, "t": kind}, arguments, {argument: axes, "t": kind})


def dice(chooser: Chooser) -> OpCase:
    """Masks and soft masks, also without anything to keep 0/0 away."""
    axes, p = batch_shape(chooser)
    kind, smooth = chooser.choice(("answers", "soft")), chooser.choice((1.0, 0.5, 0.0))
    draw = _answers if kind == "answers" else _soft_answers
    arguments = lambda d: (d.inside(d.N, *p[1:]), draw(d, d.N, *p[1:]))  # noqa: E731
    return _loss("dice", {"p": p, "t": kind}, arguments, {"p": axes, "t": kind, "smooth": str(smooth)}, smooth=smooth)


LOSSES: dict[str, Callable[[Chooser], OpCase]] = {
    "cross_entropy": cross_entropy,
    "categorical_crossentropy": categorical_crossentropy,
    "focal": focal,
    "mse": mse,
    "mae": mae,
    "hinge": hinge,
    "multi_margin": multi_margin,
    "binary_cross_entropy_with_logits": partial(
        _binary, name="binary_cross_entropy_with_logits", argument="z", numbers=Draw.normal
    ),
    "binary_cross_entropy": partial(_binary, name="binary_cross_entropy", argument="p", numbers=Draw.inside),
    "dice": dice,
}
