"""Augmentation: change a picture in a way that does not change what it shows, and the network sees another example.

A cat in a mirror is a cat. What moves a picture moves its mask too, by the same numbers; what only recolours it leaves
the mask alone. Every number is drawn from (seed, epoch, index of the example), so that a run can be repeated, by any
number of workers. Only training data are augmented: what a network is judged by stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinycnn.data.draws import Draws
from tinycnn.errors import ShapeError

Array = np.ndarray


class Augmentation:
    """A random change of pictures: `augment(x)`, or `augment(x, mask)` to have the mask moved along.

    One picture is (C, H, W), and its mask (H, W) or (K, H, W); a batch is (N, C, H, W), and its masks (N, H, W) or
    (N, K, H, W). `seed`, `epoch` and `index`, the example's place in its data set (of a batch, N; 0 … N−1 unless told),
    are all that the result depends on. Arguments are left as they are.

    >>> from tinycnn.data import RandomFlip
    >>> RandomFlip()(np.array([[[1.0, 2.0, 3.0]]]), seed=4)
    array([[[3., 2., 1.]]])
    """

    def __call__(self, x: Any, mask: Any = None, *, seed: int = 0, epoch: int = 0, index: Any = None) -> Any:
        """The changed picture or pictures; with a mask, the pair (x, mask)."""
        x, single = _batch(x)
        own = None if mask is None else _masks(mask, x, single)
        y, moved = self.apply(x, own, Draws(seed, epoch, _places(index, len(x))))
        y = y[0] if single else y
        return y if moved is None else (y, moved.reshape(np.shape(mask)[:-2] + moved.shape[-2:]))

    def batch(self, x: Array, t: Array, seed: int, epoch: int, index: Array) -> tuple[Array, Array]:
        """A training batch (N, C, H, W) and its targets, changed; the targets are moved along where they are masks.

        Targets are masks if they have the pictures' height and width as their last two axes. `fit` calls this.
        """
        x, _ = _batch(x)
        return self.pairs(x, t, Draws(seed, epoch, _places(index, len(x))))

    def pairs(self, x: Array, t: Array, draws: Draws) -> tuple[Array, Array]:
        """`batch`, with the random numbers at hand."""
        if t.ndim in (3, 4) and t.shape[-2:] == x.shape[-2:]:
            y, moved = self.apply(x, _masks(t, x, single=False), draws)
            assert moved is not None
            return y, moved.reshape(t.shape[:-2] + moved.shape[-2:])
        return self.apply(x, None, draws)[0], t

    def apply(self, x: Array, mask: Array | None, draws: Draws) -> tuple[Array, Array | None]:
        """The change itself, of (N, C, H, W) and masks (N, K, H, W) or None; neither argument may be written to."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in vars(self).items())})"


class Compose(Augmentation):
    """Several augmentations, one after the other, each with random numbers of its own.

    >>> from tinycnn.data import RandomCrop, RandomFlip
    >>> Compose([RandomFlip(), RandomCrop(8, padding=1)])(np.zeros((2, 1, 8, 8))).shape
    (2, 1, 8, 8)
    """

    def __init__(self, steps: Sequence[Augmentation]):
        self.steps = list(steps)
        for step in self.steps:
            if not isinstance(step, Augmentation):
                raise TypeError(f"Compose takes augmentations, got {step!r}")

    def apply(self, x: Array, mask: Array | None, draws: Draws) -> tuple[Array, Array | None]:
        """Every step in its turn."""
        for number, step in enumerate(self.steps):
            x, mask = step.apply(x, mask, draws.child(number))
        return x, mask

    def pairs(self, x: Array, t: Array, draws: Draws) -> tuple[Array, Array]:
        """Every step in its turn, also those that change the targets."""
        for number, step in enumerate(self.steps):
            x, t = step.pairs(x, t, draws.child(number))
        return x, t

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.steps))}])"


class Movement(Augmentation):
    """An augmentation that moves pixels: pictures and masks by the same drawn numbers, masks without blending."""

    def apply(self, x: Array, mask: Array | None, draws: Draws) -> tuple[Array, Array | None]:
        """Draw once, move twice: so a mask stays on what it marks."""
        way = self.draw(draws, x.shape[2:])
        moved = None if mask is None else self.move(mask, way, is_mask=True)
        return self.move(x, way, is_mask=False), moved

    def draw(self, draws: Draws, size: tuple[int, int]) -> Any:
        """The numbers of this movement, for pictures of this height and width."""
        raise NotImplementedError

    def move(self, x: Array, way: Any, is_mask: bool) -> Array:
        """(N, C, H, W) moved as `draw` said."""
        raise NotImplementedError


def _batch(x: Any) -> tuple[Array, bool]:
    """Pictures as a batch (N, C, H, W), and whether it was a single one."""
    x = np.asarray(x)
    if x.dtype.kind != "f":
        raise TypeError(f"x must hold floats in [0, 1], got {x.dtype}; bytes become x.astype(np.float32) / 255")
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise ShapeError(f"x must be a picture (C, H, W) or a batch (N, C, H, W), got shape {x.shape}")
    return (x[None], True) if x.ndim == 3 else (x, False)


def _masks(mask: Any, x: Array, single: bool) -> Array:
    """Masks as (N, K, H, W), once they are known to belong to the pictures."""
    given = np.asarray(mask)
    own = given[None] if single else given
    own = own[:, None] if own.ndim == 3 else own
    if own.ndim != 4 or own.shape[0] != x.shape[0] or own.shape[2:] != x.shape[2:]:
        wanted = (*x.shape[:1], *x.shape[2:]) if not single else x.shape[2:]
        raise ShapeError(f"the mask of pictures {x.shape[single:]} must be {wanted}, got shape {given.shape}")
    return own


def _places(index: Any, N: int) -> Array:
    index = np.arange(N) if index is None else np.atleast_1d(np.asarray(index))
    if index.shape != (N,) or index.dtype.kind not in "iu":
        raise ShapeError(f"index must be {N} integers, one for each picture, got {index.dtype} of shape {index.shape}")
    return index
