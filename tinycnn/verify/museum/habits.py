"""What a careful tester tries beside formulas and derivatives: each habit has found bugs that no derivative shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.data import RandomCrop
from tinycnn.layers import BatchNorm2D
from tinycnn.verify.cases import CASES

_WINDOWS = frozenset({"max_pool2d", "min_pool2d", "avg_pool2d", "conv2d"})
_SOFT = frozenset({"softmax", "log_softmax", "cross_entropy"})


def arguments_left_alone(op: str) -> bool:
    """Neither forward nor backward changes an array that the caller holds."""
    for case in (case for case in CASES if case.name == op):
        args, options = case.build()
        y, kept = case.forward(*args, **options)
        dy = case.upstream(y)
        before = [np.array(a) for a in (*args, dy) if isinstance(a, np.ndarray)]
        case.backward(dy, kept)
        after = [a for a in (*args, dy) if isinstance(a, np.ndarray)]
        if not all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)):
            return False
    return True


def extreme_numbers(op: str) -> bool:
    """Logits of ten thousand give finite results, or −20,000 where a logarithm is asked for."""
    z = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
    args: tuple[Any, ...] = (z, np.array([0, 1])) if op == "cross_entropy" else (z,)
    y, kept = getattr(ops, f"{op}_forward")(*args)
    dz = getattr(ops, f"{op}_backward")(np.float64(0.5) if op == "cross_entropy" else 0.5 + 0 * z, kept)
    return bool(np.isfinite(y).all() and np.isfinite(dz).all())


def nan_stays_nan(op: str) -> bool:
    """A NaN in a window is seen in what comes out."""
    for case in (case for case in CASES if case.name == op and case.variant in ("plain", "overlapping")):
        args, options = case.build()
        broken = args[0].copy()
        broken[0, 0, 1, 1] = np.nan
        if not np.isnan(case.forward(broken, *args[1:], **options)[0]).any():
            return False
    return True


def alone_and_in_company(op: str) -> bool:
    """In evaluation, an example gives the same by itself as among others."""
    rng = np.random.default_rng(0)
    layer, x = BatchNorm2D(), rng.normal(2.0, 3.0, (6, 3, 4, 5))
    layer.build(x.shape[1:], rng)
    layer.forward(x, train=True)
    together = layer.forward(x)
    return bool(np.allclose(together[:1], layer.forward(x[:1])) and np.allclose(together[:2], layer.forward(x[:2])))


def mean_over_masks(op: str) -> bool:
    """On average, over many masks, dropout changes nothing."""
    rng = np.random.default_rng(1)
    x = np.ones((2000, 5))
    mask = ops.dropout_mask(x.shape, 0.4, rng)
    return abs(ops.dropout_forward(x, mask, 0.4)[0].mean() - 1) < 5 * np.sqrt(0.4 / 0.6 / x.size)


def back_where_it_was(op: str) -> bool:
    """Unpooling a pool puts each maximum where it was found."""
    x = np.abs(np.random.default_rng(2).normal(size=(2, 2, 6, 4)))
    y, kept = ops.max_pool2d_forward(x, 2)
    back, _ = ops.max_unpool2d_forward(y, ops.max_pool2d_indices(kept), (6, 4))
    return bool(np.array_equal(back[back > 0], x[back > 0]))


def examples_kept_apart(op: str) -> bool:
    """What is done to one example changes nothing of another."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(3, 2, 3, 4))
    other = x.copy()
    other[0] += 1.0
    forward = getattr(ops, f"{op}_forward")
    return bool(np.array_equal(forward(x)[0][1:], forward(other)[0][1:]))


def mask_matches_image(op: str) -> bool:
    """A mask made from the image itself still matches it after both were moved."""
    x = np.random.default_rng(4).permutation(2 * 36).reshape(2, 1, 6, 6) / 72.0
    moved, mask = RandomCrop(6, padding=2)(x, mask=(72 * x[:, 0]).round().astype(np.int64), seed=5)
    return bool(np.array_equal((72 * moved[:, 0]).round(), mask))


HABITS: dict[str, tuple[frozenset[str], Callable[[str], bool]]] = {
    "arguments looked at afterwards": (frozenset(case.name for case in CASES), arguments_left_alone),
    "extreme numbers": (_SOFT, extreme_numbers),
    "a NaN put in": (_WINDOWS, nan_stays_nan),
    "one example alone": (frozenset({"batch_norm"}), alone_and_in_company),
    "the mean over many masks": (frozenset({"dropout"}), mean_over_masks),
    "unpooling a pool": (frozenset({"max_unpool2d"}), back_where_it_was),
    "a mask made from the image": (frozenset({"affine_places"}), mask_matches_image),
    "one example changed": (frozenset({"flatten", "relu", "global_avg_pool2d"}), examples_kept_apart),
}
