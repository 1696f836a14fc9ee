"""The functions that are no pair, and how arguments for them are drawn: im2col, metrics, steps of optimizers, parts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinycnn import ops, optim
from tinycnn.train import metrics

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Rng = np.random.Generator
Draws = dict[str, Callable[[Rng], Arguments]]


def _image(rng: Rng, **options: Any) -> Arguments:
    kernel_size = options.pop("kernel_size", 2)
    return (rng.normal(size=(2, 2, 5, 6)).round(2), kernel_size), options


def _rows(rng: Rng, **options: Any) -> Arguments:
    (x, kernel_size), options = _image(rng, **options)
    cols, _ = ops.im2col(x, kernel_size, **options)
    return (rng.normal(size=cols.shape).round(2), x.shape, kernel_size), options


_WINDOWS: dict[str, dict[str, Any]] = {
    "plain": {}, "kernel 3×2": {"kernel_size": (3, 2)}, "stride 2": {"stride": 2}, "padding 1": {"padding": 1},
    "stride and padding": {"stride": 2, "padding": 1, "kernel_size": 3}, "dilation 2": {"dilation": 2},
    "stride and padding in pairs": {"stride": (1, 2), "padding": (1, 0)},
}  # fmt: skip


def _each_window(draw: Callable[..., Arguments]) -> Draws:
    return {label: partial(draw, **options) for label, options in _WINDOWS.items()}


def _labels(rng: Rng, **options: Any) -> Arguments:
    """True and predicted classes of 12 examples; of four classes some may never occur."""
    true = rng.choice(rng.choice(4, rng.integers(2, 5), replace=False), 12)
    pred = np.where(rng.random(12) < 0.6, true, rng.integers(0, 4, 12))
    true[0] = 3  # the largest class occurs, so that all agree how many there are
    return (true, pred), options


def _averages(*words: Any) -> Draws:
    found: Draws = {"classes": _labels}
    return found | {f"average {word}": partial(_labels, average=word) for word in words}


def _scores(rng: Rng, k: int) -> Arguments:
    return (rng.integers(0, 5, 8), rng.permutation(40).reshape(8, 5) / 4, k), {}


def _numbers(rng: Rng) -> Arguments:
    return (rng.normal(size=(5, 2)).round(2), rng.normal(size=(5, 2)).round(2)), {}


def _step(slots: int, t: bool = False, **options: Any) -> Callable[[Rng], Arguments]:
    """w, dw and what is remembered: first nothing, or (from step 2 on) something."""

    def draw(rng: Rng) -> Arguments:
        step = int(rng.integers(2, 6))
        state = [rng.uniform(0.1, 2.0, size=(2, 3)).round(2) for _ in range(slots)]
        args = [rng.normal(size=(2, 3)).round(2), rng.normal(size=(2, 3)).round(2), *state]
        return (*args, *([step] if t else [])), options

    return draw


def _first_step(slots: int, t: bool = False, **options: Any) -> Callable[[Rng], Arguments]:
    def draw(rng: Rng) -> Arguments:
        (w, dw, *_), _ = _step(slots)(rng)
        return (w, dw, *(np.zeros((2, 3)) for _ in range(slots)), *([1] if t else [])), options

    return draw


def _steps(slots: int, t: bool = False, least: dict[str, Any] | None = None, **options: Any) -> Draws:
    """The first step, a later one with the default options, and both with others."""
    base = least or {}
    return {
        "first step": _first_step(slots, t, **base), "later step": _step(slots, t, **base),
        "first step, other options": _first_step(slots, t, **(base | options)),
        "later step, other options": _step(slots, t, **(base | options)),
    }  # fmt: skip


_TINY = {"lr": 0.1}
_ADAM: dict[str, Any] = {"lr": 0.1, "beta1": 0.5, "beta2": 0.75, "eps": 0.05}
_AVERAGED = ("macro", "micro", "weighted")

DRAWS: dict[str, tuple[Callable[..., Any], Draws]] = {
    "im2col": (ops.im2col, _each_window(_image)),
    "col2im": (ops.col2im, _each_window(_rows)),
    "output_size": (ops.output_size, {
        "plain": lambda rng: ((int(rng.integers(5, 30)), 3), {}),
        "all": lambda rng: ((int(rng.integers(9, 30)), 3), {"s": 2, "pads": int(rng.integers(1, 3)), "dilation": 2}),
        "stride": lambda rng: ((int(rng.integers(9, 30)), 2), {"s": 3}),
    }),
    "transposed_size": (ops.transposed_size, {
        "plain": lambda rng: ((int(rng.integers(5, 30)), 3), {}),
        "all": lambda rng: ((int(rng.integers(3, 30)), 3),
                            {"s": 2, "pads": int(rng.integers(1, 3)), "dilation": 2, "output_padding": 1}),
    }),
    "dropout_mask": (ops.dropout_mask, {
        "plain": lambda rng: (((3, 5), 0.25, np.random.default_rng(int(rng.integers(99)))), {}),
        "per channel": lambda rng: (((2, 3, 2, 2), 0.5, np.random.default_rng(int(rng.integers(99)))),
                                    {"per_channel": True}),
    }),
    "batch_statistics": (ops.batch_statistics, {
        "rows": lambda rng: ((rng.normal(1.0, 2.0, (5, 3)).round(2),), {}),
        "images": lambda rng: ((rng.normal(1.0, 2.0, (2, 3, 2, 4)).round(2),), {}),
    }),
    "running_update": (ops.running_update, {
        "plain": lambda rng: ((rng.normal(size=3).round(2), rng.normal(size=3).round(2)), {}),
        "momentum": lambda rng: ((rng.normal(size=3).round(2), rng.normal(size=3).round(2)), {"momentum": 0.3}),
    }),
    "linear_neighbours": (ops.linear_neighbours, {
        "plain": lambda rng: ((int(rng.integers(2, 6)), 2), {}),
        "corners": lambda rng: ((int(rng.integers(2, 6)), 3), {"align_corners": True}),
    }),
    "sgd_step": (optim.sgd_step, _steps(0, least=_TINY, lr=0.5)),
    "momentum_step": (optim.momentum_step, _steps(1, least=_TINY, lr=0.5, momentum=0.5)),
    "nesterov_step": (optim.nesterov_step, _steps(1, least=_TINY, lr=0.5, momentum=0.5)),
    "adagrad_step": (optim.adagrad_step, _steps(1, lr=0.5, eps=0.05)),
    "rmsprop_step": (optim.rmsprop_step, _steps(1, lr=0.5, alpha=0.75, eps=0.05)),
    "adadelta_step": (optim.adadelta_step, _steps(2, lr=0.5, rho=0.5, eps=0.05)),
    "adam_step": (optim.adam_step, _steps(2, True, **_ADAM)),
    "adamw_step": (optim.adamw_step, _steps(2, True, **_ADAM, weight_decay=0.25)),
    "clip_value": (optim.clip_value, {"plain": lambda rng: ((rng.normal(size=(2, 3)).round(2), 0.5), {})}),
    "clip_norm": (optim.clip_norm, {
        "too long": lambda rng: ((rng.normal(size=(2, 3)).round(2), 5.0, 1.0), {}),
        "short enough": lambda rng: ((rng.normal(size=(2, 3)).round(2), 0.5, 1.0), {}),
    }),
    "l1_penalty": (optim.l1_penalty, {"plain": lambda rng: ((rng.normal(size=(2, 3)).round(2), 0.25), {})}),
    "l2_penalty": (optim.l2_penalty, {"plain": lambda rng: ((rng.normal(size=(2, 3)).round(2), 0.25), {})}),
    "accuracy": (metrics.accuracy, {"classes": _labels}),
    "confusion_matrix": (metrics.confusion_matrix, {"classes": _labels}),
    "top_k_accuracy": (metrics.top_k_accuracy, {f"k = {k}": partial(_scores, k=k) for k in (1, 2, 3)}),
    "precision": (metrics.precision, _averages(*_AVERAGED)),
    "recall": (metrics.recall, _averages(*_AVERAGED)),
    "f1": (metrics.f1, _averages(*_AVERAGED)),
    "iou": (metrics.iou, _averages(None, *_AVERAGED[1:])),
    "dice": (metrics.dice, _averages(None, *_AVERAGED[1:])),
    "mse": (metrics.mse, {"numbers": _numbers}),
    "mae": (metrics.mae, {"numbers": _numbers}),
    "r2": (metrics.r2, {"numbers": _numbers}),
}  # fmt: skip
