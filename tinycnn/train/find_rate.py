"""The learning-rate finder: train for a hundred steps while the rate grows, and see where the loss falls fastest.

Too small a rate changes nothing, too large a one makes the loss jump. Between the two it falls; the rate to train with
lies where it falls fastest, well before it turns.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.optim.options import check_count, check_option
from tinycnn.train.loop import numbered_batches, train_step

SMOOTHING = 0.9  # how much of the mean of the losses so far stays, at each step
TOO_LARGE = 4.0  # times the lowest smooth loss: from there on it only gets worse


@dataclass(frozen=True)
class RateSearch:
    """The rates that were tried, the loss at each, and the losses' running mean.

    `suggestion` is the rate of the steepest fall, `turning` that of the lowest smooth loss: train well below it.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smooth: tuple[float, ...]

    @property
    def turning(self) -> float:
        """The rate at which the smooth loss is lowest."""
        return self.rates[int(np.argmin(self.smooth))]

    @property
    def suggestion(self) -> float:
        """The rate at which the smooth loss falls fastest, over the logarithm of the rate, before it turns.

        Each slope is over a fifth of the way there, and the first fifth, where the mean is still of few losses and
        trembles, is left out.
        """
        turn = int(np.argmin(self.smooth))
        reach = max(1, turn // 10)
        falls = {k: self.smooth[k + reach] - self.smooth[k - reach] for k in range(2 * reach - 1, turn - reach + 1)}
        return self.rates[min(falls, key=falls.__getitem__)] if falls else self.rates[0]

    def __repr__(self) -> str:
        return (f"<search of {len(self.rates)} rates from {self.rates[0]:.2g} to {self.rates[-1]:.2g}: the loss falls "
                f"fastest at {self.suggestion:.2g}, and turns at {self.turning:.2g}>")  # fmt: skip


def find_rate(
    model: Any, x: Any, y: Any = None, lowest: float = 1e-6, highest: float = 10.0, steps: int = 100,
    batch_size: int = 32, seed: int = 0,
) -> RateSearch:  # fmt: skip
    """Train a copy of the model with a rate that grows from `lowest` to `highest`; the model itself stays as it is.

    It is compiled already; the optimizer's rate and schedule are left out, its other options kept. The search ends
    early where the loss is four times its lowest, or is no longer finite. `tinycnn.plot.learning_rate` draws it.

    Raises ValueError unless 0 < lowest < highest and steps ≥ 10, and what `fit` raises for data that do not fit.

    Source: Smith 2017, arXiv:1506.01186, section 3.3; the smoothing and the end as in fastai.
    """
    lowest, highest = check_option("lowest", lowest, 0.0), check_option("highest", highest, 0.0)
    check_count("steps", steps, least=10)
    if not 0 < lowest < highest:
        raise ValueError(f"the rates must grow, 0 < lowest < highest, got {lowest:g} and {highest:g}")
    x, y = model._given(x, y, model._compiled()[1], 1, batch_size)  # says what is wrong with the data
    twin = copy.deepcopy(model)
    twin.optimizer.forget()
    twin.optimizer.schedule = None
    factor = (highest / lowest) ** (1 / (steps - 1))
    rates: list[float] = []
    losses: list[float] = []
    smooth: list[float] = []
    mean = 0.0
    for k, (x_batch, t) in zip(range(steps), _endless(x, y, batch_size, np.random.default_rng(seed)), strict=False):
        twin.optimizer.lr = lowest * factor**k
        try:
            loss = train_step(twin, twin.prepare(x_batch), t)["loss"]
        except FloatingPointError:
            break
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        rates.append(twin.optimizer.lr)
        losses.append(loss)
        smooth.append(mean / (1 - SMOOTHING ** (k + 1)))  # without the pull of the zero it began with
        if not math.isfinite(smooth[-1]) or smooth[-1] > TOO_LARGE * min(smooth):
            break
    if len(rates) < 2:
        raise FloatingPointError(f"even at a rate of {lowest:g} the loss is not finite: look at the data")
    return RateSearch(tuple(rates), tuple(losses), tuple(smooth))


def _endless(x: Any, y: Any, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches, epoch after epoch."""
    while True:
        for x_batch, t, _ in numbered_batches(x, y, batch_size, rng):
            yield x_batch, t
