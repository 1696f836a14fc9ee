"""Dropout: in training, leave numbers out at random, so that no unit may rely on one other.

What stays is divided by the probability of staying ("inverted" dropout), so that the mean is the same with and without
it, and evaluation needs no dropout at all. Drawing the mask is one step, applying it another: the draw has no
gradient, and what was drawn is an ordinary array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, number, upstream


@formula(
    "mask = (draw >= drop_prob)",
    where="draw is uniform in [0, 1): anew for each number, or with per_channel for each channel of each example",
    shapes="draw (...) -> mask (...)",
    source="Srivastava et al. 2014, JMLR 15; per channel: Tompson et al. 2015, arXiv:1411.4280",
)
def dropout_mask(
    shape: tuple[int, ...], drop_prob: float, rng: np.random.Generator, per_channel: bool = False
) -> Array:
    """Draw which numbers stay: True with probability 1 − drop_prob.

    With `per_channel`, whole channels stay or go: neighbouring pixels say almost the same, so leaving out single ones
    would hide nothing.

    Raises ValueError for a probability outside [0, 1), TypeError for anything but a NumPy Generator.

    >>> dropout_mask((1, 3, 2), 0.5, np.random.default_rng(0), per_channel=True)
    array([[[ True,  True],
            [False, False],
            [False, False]]])
    """
    drop_prob = _probability(drop_prob)
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a NumPy generator, such as np.random.default_rng(0), got {type(rng).__name__}")
    if not per_channel:
        return rng.random(shape) >= drop_prob
    if len(shape) < 2:
        raise ShapeError(f"to drop channels, the shape must be (N,C,…), got {shape}")
    channels = rng.random((*shape[:2], *(1,) * (len(shape) - 2))) >= drop_prob
    return np.broadcast_to(channels, shape).copy()


@formula(
    "y = x * mask / (1 - drop_prob)",
    where="mask is 1 for what stays (with probability 1 − drop_prob) and 0 for what is dropped",
    shapes="x (...), mask (...) -> y (...)",
    source="Srivastava et al. 2014, JMLR 15, section 10",
)
def dropout_forward(x: Array, mask: Array, drop_prob: float) -> tuple[Array, tuple]:
    """Keep what the mask says, divided by the probability of keeping it; `dropout_mask` draws the mask.

    Raises ShapeError if the mask has another shape than x, TypeError if it is not of bool, ValueError for a
    `drop_prob` (the probability of dropping, not of keeping) outside [0, 1).

    >>> dropout_forward(np.array([1.0, 2.0, 3.0]), np.array([True, False, True]), drop_prob=0.5)[0]
    array([2., 0., 6.])
    """
    x, keep = floating(x, "x"), 1 - _probability(drop_prob)
    if not (isinstance(mask, np.ndarray) and mask.dtype == bool):
        raise TypeError(f"mask must be an array of bool, got {getattr(mask, 'dtype', type(mask).__name__)}")
    if mask.shape != x.shape:
        raise ShapeError(f"mask must have the shape of x, {x.shape}, got {mask.shape}")
    return np.where(mask, x / keep, 0), (mask, keep)


@formula("dx = dy * mask / (1 - drop_prob)", shapes="-> dx")
def dropout_backward(dy: Array, cache: tuple) -> Array:
    """The same mask and the same factor: what was left out gets no gradient."""
    mask, keep = cache
    return np.where(mask, upstream(dy, mask.shape) / keep, 0)


def _probability(drop_prob: Any) -> float:
    if not 0 <= number(drop_prob, "drop_prob") < 1:
        raise ValueError(f"drop_prob is the probability of dropping, 0 ≤ drop_prob < 1, got {drop_prob!r}")
    return float(drop_prob)
