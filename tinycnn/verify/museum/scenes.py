"""What a mutant does, as numbers to look at: the same small case with it and without it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np

from tinycnn import ops
from tinycnn.data import RandomCrop
from tinycnn.layers import BatchNorm2D
from tinycnn.optim import adam_step, adamw_step
from tinycnn.train import metrics
from tinycnn.verify.cases import CASES, OpCase
from tinycnn.verify.museum import Mutant, mutant

Array = np.ndarray


@dataclass(frozen=True)
class Scene:
    """`right` and `wrong` are the same rows and columns of numbers; `what` says what they are."""

    what: str
    right: Array
    wrong: Array


def scene(exhibit: Mutant) -> Scene:
    """A scene of its own where there is one; else the case of the table whose results differ the most.

    Raises LookupError if no case shows a difference.
    """
    if exhibit.name in OWN:
        what, compute = OWN[exhibit.name]
        right, wrong = (_with(exhibit, on, compute) for on in (False, True))
        return Scene(what, np.atleast_2d(right), np.atleast_2d(wrong))
    found = [view for op in exhibit.ops for case in CASES if case.name == op for view in _views(exhibit, case)]
    if not found:
        raise LookupError(f"no case shows what {exhibit.name} does")
    return max(found, key=lambda view: (view.right.size > 3, _share(view)))


def _with(exhibit: Mutant, on: bool, compute: Callable[[], Array]) -> Array:
    with mutant(exhibit.name) if on else nullcontext(), np.errstate(all="ignore"):
        return np.asarray(compute(), float)


def _share(view: Scene) -> float:
    """How much of what is seen is wrong, up to three quarters: a picture that is wrong all over shows no place."""
    share = float((abs(view.right - view.wrong) > 1e-9 * abs(view.right).max()).mean())
    return min(share, 0.75)


def _views(exhibit: Mutant, case: OpCase) -> list[Scene]:
    """y and every gradient of a case as a plane of numbers, where the mutant changes them."""
    results = []
    for on in (False, True):
        with mutant(exhibit.name) if on else nullcontext(), np.errstate(all="ignore"):
            args, options = case.build(N=3 if case.name == "batch_norm" else 1)
            try:
                y, kept = case.forward(*args, **options)
                results.append((y, *case.backward(case.upstream(y), kept)))
            except (ValueError, IndexError):
                return []
    if np.shape(results[0][0]) != np.shape(results[1][0]):
        return []  # another dy was drawn for it
    names = ["y", *(f"d{case.argument_name(p)}" for p in case.grads)]
    views = []
    for name, right, wrong in zip(names, *results, strict=True):
        if right is None or np.shape(right) != np.shape(wrong) or np.allclose(right, wrong, equal_nan=True):
            continue
        setting = ", ".join(f"{key} {value}" for key, value in case.build()[1].items()) or case.variant
        views.append(Scene(f"{name} of {case.name} ({setting})", *_plane(np.asarray(right), np.asarray(wrong))))
    return views


def _plane(right: Array, wrong: Array) -> tuple[Array, Array]:
    """The picture of a batch, or the rows, in which the two differ the most."""
    if right.ndim < 3:
        return np.atleast_2d(right), np.atleast_2d(wrong)
    tall = right.reshape(-1, *right.shape[-2:]), wrong.reshape(-1, *wrong.shape[-2:])
    at = int(abs(tall[0] - tall[1]).sum(axis=(1, 2)).argmax())
    return tall[0][at], tall[1][at]


def _pool_to_the_edge() -> Array:
    """Which pixels of an even image are the maximum of some window."""
    x = np.random.default_rng(6).permutation(36).reshape(1, 1, 6, 6).astype(float)
    y, kept = ops.max_pool2d_forward(x, 2)
    return ops.max_pool2d_backward(np.ones_like(y), kept)[0, 0]


def _flat_batch() -> Array:
    """Three images, the first all 1, the second all 2, the third all 3."""
    return ops.flatten_forward(np.arange(1.0, 4.0).reshape(3, 1, 1, 1) * np.ones((3, 1, 2, 4)))[0]


def _relu_in_place() -> Array:
    """The upstream gradient after backward has run: it belongs to the caller."""
    dy = np.linspace(-1, 1, 12).reshape(2, 6)
    _, kept = ops.relu_forward(np.array([[1, -1, 2, -2, 3, -3], [-1, 1, -2, 2, -3, 3]], float))
    ops.relu_backward(dy, kept)
    return dy


def _pool_with_nan() -> Array:
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    x[0, 0, 2, 3] = np.nan
    return ops.max_pool2d_forward(x, 2)[0][0, 0]


def _softmax_of_large() -> Array:
    return ops.softmax_forward(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0], [700.0, 710.0, 720.0]]))[0]


def _pooled_and_back() -> Array:
    """What is left of an image when it is pooled and unpooled."""
    x = np.random.default_rng(8).permutation(36).reshape(1, 1, 6, 6).astype(float)
    y, kept = ops.max_pool2d_forward(x, 2)
    return ops.max_unpool2d_forward(y, ops.max_pool2d_indices(kept), (6, 6))[0][0, 0]


def _negative_pool() -> Array:
    x = -1 - np.random.default_rng(2).random((1, 1, 6, 6))
    return ops.max_pool2d_forward(x, 3, stride=2, padding=1)[0][0, 0]


def _alone_and_together() -> Array:
    """One image's channel means after batch norm in evaluation: predicted alone, with one other, with seven."""
    rng = np.random.default_rng(4)
    layer, x = BatchNorm2D(momentum=1.0), rng.normal(1.0, 2.0, (8, 4, 5, 5))
    layer.build(x.shape[1:], rng)
    layer.forward(x, train=True)
    return np.array([layer.forward(x[:n])[0].mean(axis=(1, 2)) for n in (1, 2, 8)])


def _steps(step: Callable[..., tuple[Array, Array, Array]]) -> Callable[[], Array]:
    """How two weights go down: one sees small gradients, one large ones."""

    def walk() -> Array:
        w, m, v, seen = np.array([1.0, 1.0]), np.zeros(2), np.zeros(2), []
        for t in range(1, 13):
            w, m, v = step(w, np.array([0.01, 10.0]) * w, m, v, t)
            seen.append(w)
        return np.stack(seen, axis=1)

    return walk


def _f1s() -> Array:
    """Macro F1 of three classifiers on unbalanced classes."""
    rng, found = np.random.default_rng(0), []
    true = np.repeat([0, 1, 2], [40, 8, 2])
    for keep in (0.9, 0.6, 0.3):
        pred = np.where(rng.random(50) < keep, true, rng.integers(0, 3, 50))
        found.append(metrics.f1(true, pred, "macro"))
    return np.array([found])


def _moved_mask() -> Array:
    """The mask of a picture whose right half is marked, after both were cropped."""
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    mask = np.zeros((1, 6, 6), np.int64)
    mask[..., 3:] = 1
    return np.asarray(RandomCrop(6, padding=2)(x, mask=mask, seed=3)[1])[0]


OWN: dict[str, tuple[str, Callable[[], Array]]] = {
    "mask-moves-apart": ("the mask of a picture whose right half is marked, moved along with it", _moved_mask),
    "pool-drops-last-window": ("dx of a 2×2 max pool of a 6×6 image, with a dy of ones", _pool_to_the_edge),
    "batch-resplit": ("three images, all 1, all 2 and all 3, as vectors", _flat_batch),
    "dy-changed-in-place": ("the caller's dy after relu_backward has run", _relu_in_place),
    "pool-ignores-nan": ("a max pool of an image with one NaN", _pool_with_nan),
    "unpool-forgets-indices": ("a 6×6 image, max-pooled and unpooled again", _pooled_and_back),
    "softmax-overflow": ("softmax of logits around 2, 20 and 710", _softmax_of_large),
    "pool-pads-with-zero": ("a padded max pool of an image that is negative everywhere", _negative_pool),
    "batchnorm-test-statistics": ("one image's channel means: alone, with one other, with seven", _alone_and_together),
    "adam-without-correction": ("two weights over twelve steps of Adam, lr = 0.1",
                                _steps(lambda w, dw, m, v, t: adam_step(w, dw, m, v, t, lr=0.1))),
    "adamw-decay-in-moments": ("two weights over twelve steps of AdamW, decay 0.5",
                               _steps(lambda w, dw, m, v, t: adamw_step(w, dw, m, v, t, lr=0.1, weight_decay=0.5))),
    "f1-averaged-wrongly": ("macro F1 of three classifiers on unbalanced classes", _f1s),
}  # fmt: skip
