"""Augmentations that change how a picture looks and not where anything is: light, colour, noise, holes, mixtures."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.data import adjust
from tinycnn.data.augment import Array, Augmentation
from tinycnn.data.augment_moves import check_probability, span
from tinycnn.data.draws import Draws
from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import pair


class Look(Augmentation):
    """An augmentation that leaves every pixel where it is, and so masks as they are."""

    def apply(self, x: Array, mask: Array | None, draws: Draws) -> tuple[Array, Array | None]:
        """The pictures changed, the masks not."""
        return self.look(x, draws), mask

    def look(self, x: Array, draws: Draws) -> Array:
        """Pictures (N, C, H, W) in another light."""
        raise NotImplementedError


class _Factor(Look):
    """A change whose strength is one number, drawn for each picture."""

    around = 1.0

    def __init__(self, amount: Any):
        self.amount = span(amount, "amount", self.around)
        if self.around and self.amount[0] < 0:
            raise ValueError(f"a factor must not be negative, got the range {self.amount}")


class RandomBrightness(_Factor):
    """`brightness` by a factor in 1 ± amount, or in a range (low, high).

    >>> RandomBrightness((2, 2))(np.array([[[0.25, 0.75]]]))
    array([[[0.5, 1. ]]])
    """

    def look(self, x: Array, draws: Draws) -> Array:
        """Brighter or darker."""
        return adjust.brightness(x, draws.uniform(*self.amount))


class RandomContrast(_Factor):
    """`contrast` by a factor in 1 ± amount, or in a range (low, high).

    >>> RandomContrast((0, 0))(np.array([[[0.25, 0.75]]]))
    array([[[0.5, 0.5]]])
    """

    def look(self, x: Array, draws: Draws) -> Array:
        """Harder or flatter."""
        return adjust.contrast(x, draws.uniform(*self.amount))


class RandomSaturation(_Factor):
    """`saturation` by a factor in 1 ± amount, or in a range (low, high)."""

    def look(self, x: Array, draws: Draws) -> Array:
        """Purer or greyer."""
        return adjust.saturation(x, draws.uniform(*self.amount))


class RandomHue(_Factor):
    """`hue` turned by up to `amount` of the wheel either way, or by a range (low, high); pictures in colour."""

    around = 0.0

    def look(self, x: Array, draws: Draws) -> Array:
        """Round the wheel."""
        return adjust.hue(x, draws.uniform(*self.amount))


class RandomGray(Look):
    """Without its colours, with probability `p`.

    >>> RandomGray(p=1)(np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1)).ravel().tolist()
    [0.299, 0.299, 0.299]
    """

    def __init__(self, p: float = 0.1):
        self.p = check_probability(p)

    def look(self, x: Array, draws: Draws) -> Array:
        """Some of them grey."""
        return np.where(draws.chance(self.p)[:, None, None, None], adjust.gray(x), x)


class GaussianNoise(Look):
    """Noise of this standard deviation on every number, clipped to [0, 1].

    >>> float(GaussianNoise(0.1)(np.full((1, 100, 100), 0.5)).std().round(2))
    0.1
    """

    def __init__(self, std: float):
        if not (np.isfinite(std) and std >= 0):
            raise ValueError(f"std must be a number ≥ 0, got {std!r}")
        self.std = float(std)

    def look(self, x: Array, draws: Draws) -> Array:
        """As a camera sees in the dark."""
        return np.clip(x + (self.std * draws.normal(x.shape[1:])).astype(x.dtype), 0, 1)


class Cutout(Look):
    """A rectangle of this size, with its middle anywhere in the picture, painted over: look elsewhere too.

    The mask is left whole: what is hidden is still there. Source: DeVries & Taylor 2017, arXiv:1708.04552.

    >>> float(Cutout(2)(np.ones((1, 9, 9)), seed=1).sum())
    77.0
    """

    def __init__(self, size: Any, fill: float = 0.0):
        self.size, self.fill = pair(size, "size"), fill

    def look(self, x: Array, draws: Draws) -> Array:
        """With a hole."""
        inside = [self._inside(draws.whole(0, L - 1), L, k) for L, k in zip(x.shape[2:], self.size, strict=True)]
        hole = inside[0][:, :, None] & inside[1][:, None, :]  # (N, H, W)
        return np.where(hole[:, None], np.asarray(self.fill, x.dtype), x)

    @staticmethod
    def _inside(middle: Array, length: int, size: int) -> Array:
        """Which places of an axis lie in the rectangle: (N, length)."""
        first = middle[:, None] - size // 2
        return (np.arange(length) >= first) & (np.arange(length) < first + size)


class Normalise(Look):
    """`normalise` by a mean and a standard deviation for each channel; the last step, and of test data too."""

    def __init__(self, mean: Any, std: Any):
        self.mean, self.std = mean, std

    def look(self, x: Array, draws: Draws) -> Array:
        """Around 0."""
        return adjust.normalise(x, self.mean, self.std)


@formula(
    "y[n,...] = lam[n] * x[n,...] + (1 - lam[n]) * x[partner[n],...]",
    where="partner[n] is the example that n is mixed with, lam its own share",
    shapes="x (N,...), lam (N), partner (N) -> y (N,...)",
    source="Zhang et al. 2018, mixup: Beyond empirical risk minimization, arXiv:1710.09412",
)
def mixup(x: Array, lam: Array, partner: Array) -> Array:
    """Each example laid over another one, like two slides in one projector; targets are mixed by the same shares.

    >>> mixup(np.array([[0.0], [1.0]]), np.array([0.75, 0.5]), np.array([1, 0])).ravel()
    array([0.25, 0.5 ])
    """
    lam = np.asarray(lam).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
    return lam * x + (1 - lam) * x[partner]


class MixUp(Augmentation):
    """Every example of a training batch mixed with another one of it, pictures and targets by the same share.

    The shares are drawn from Beta(alpha, alpha): near 0 or 1 for a small alpha, even for 1. Targets must be
    probabilities, (N, K) or (N, K, H, W): `one_hot` makes them. Accuracy counts the class with the larger share as the
    right one. Whom an example meets depends on the batch that it is in.

    >>> x, t = MixUp(1.0).batch(np.eye(2).reshape(2, 1, 1, 2), np.eye(2), seed=0, epoch=0, index=np.arange(2))
    >>> bool((x.reshape(2, 2) == t).all())
    True
    """

    def __init__(self, alpha: float = 0.2):
        if not (np.isfinite(alpha) and alpha > 0):
            raise ValueError(f"alpha must be a number > 0, got {alpha!r}")
        self.alpha = float(alpha)

    def pairs(self, x: Array, t: Array, draws: Draws) -> tuple[Array, Array]:
        """Both mixed."""
        if t.dtype.kind != "f" or t.ndim < 2:
            raise TypeError(f"mixed targets are probabilities, (N, K): use one_hot; got {t.dtype} of shape {t.shape}")
        partner = np.argsort(draws.bits(), kind="stable")
        lam = np.array([np.random.default_rng(int(bits)).beta(self.alpha, self.alpha) for bits in draws.bits()])
        return mixup(x, lam, partner), mixup(t, lam, partner)

    def apply(self, x: Array, mask: Array | None, draws: Draws) -> tuple[Array, Array | None]:
        """Refused: a mixture without its targets would teach what is not so."""
        raise ShapeError("MixUp mixes examples with their targets: it is for fit(..., augment=) or .batch(x, t, …)")
