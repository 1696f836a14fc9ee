"""A schedule: how the learning rate changes while training goes on, as a factor of the optimizer's own rate.

Every weight's rate is lr·factor, so groups of weights keep the proportions of their rates. `t` counts the steps that
were taken before this one, or the epochs, from 0: `every` says which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from tinycnn.formula import formula
from tinycnn.optim.options import check_count, check_option


@formula(
    "factor = 1",
    where="t is the number of steps, or epochs, before this one",
    shapes="t () -> factor ()",
    source="Robbins & Monro 1951, Ann. Math. Statist. 22(3), in its simplest form",
)
def constant_schedule(t: int) -> float:
    """The rate stays what it is.

    >>> constant_schedule(7)
    1.0
    """
    return 1.0


@formula(
    "factor = gamma**floor(t/length)",
    where="length is how many steps, or epochs, the rate stays; gamma is what it is then multiplied by",
    shapes="t (), length (), gamma () -> factor ()",
    source="He et al. 2016, arXiv:1512.03385, section 3.4; as PyTorch's StepLR",
)
def step_schedule(t: int, length: int, gamma: float = 0.1) -> float:
    """A staircase: the rate falls at once, every `length`.

    >>> [step_schedule(t, length=2, gamma=0.5) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return float(gamma ** (t // length))


@formula(
    "factor = gamma**t",
    where="gamma is what the rate is multiplied by at every step, or epoch",
    shapes="t (), gamma () -> factor ()",
    source="Senior et al. 2013, ICASSP, An empirical study of learning rates; as PyTorch's ExponentialLR",
)
def exponential_schedule(t: int, gamma: float) -> float:
    """The rate falls by the same share each time.

    >>> exponential_schedule(2, gamma=0.5)
    0.25
    """
    return float(gamma**t)


@formula(
    "factor = final + (1 - final) * (1 + cos(pi * min(t, length)/length)) / 2",
    where="length is how many steps, or epochs, the fall takes; final is the factor from there on",
    shapes="t (), length (), final () -> factor ()",
    source="Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts; as PyTorch's CosineAnnealingLR",
)
def cosine_schedule(t: int, length: int, final: float = 0.0) -> float:
    """Half a wave: the rate falls slowly, then fast, then slowly.

    >>> [round(cosine_schedule(t, length=2), 6) for t in range(4)]
    [1.0, 0.5, 0.0, 0.0]
    """
    return final + (1 - final) * (1 + math.cos(math.pi * min(t, length) / length)) / 2


@formula(
    "factor = start + (1 - start) * min(t, length)/length",
    where="length is how many steps, or epochs, the rise takes; start is the factor at the first of them",
    shapes="t (), length (), start () -> factor ()",
    source="Goyal et al. 2017, arXiv:1706.02677, section 2.2; as PyTorch's LinearLR",
)
def warmup_schedule(t: int, length: int, start: float = 0.1) -> float:
    """A straight line up: small steps first, while the gradients still say little.

    >>> [round(warmup_schedule(t, length=3, start=0.25), 6) for t in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """
    return start + (1 - start) * min(t, length) / length


@formula(
    "way = t/top if t <= top else (min(t, length - 1) - top) / (length - 1 - top)",
    "factor = 1 + (start - 1) * (1 + cos(pi*way))/2 if t <= top else final + (1 - final) * (1 + cos(pi*way))/2",
    where="top is the step of the highest rate, rise·length − 1; start and final are the factors at both ends",
    shapes="t (), length (), top (), start (), final () -> factor (), way ()",
    source="Smith & Topin 2018, arXiv:1708.07120; as PyTorch's OneCycleLR without its cycle of the momentum",
)
def one_cycle_schedule(
    t: int, length: int, top: float, start: float = 0.04, final: float = 4e-6
) -> tuple[float, float]:
    """One half wave up to the optimizer's own rate, which may be large, and one down to almost nothing.

    Returns the factor, and how far on its half wave it is, from 0 to 1.

    >>> [round(one_cycle_schedule(t, length=5, top=1, start=0.5, final=0.0)[0], 6) for t in range(6)]
    [0.5, 1.0, 0.75, 0.25, 0.0, 0.0]
    """
    if t <= top:
        way = t / top
        return 1 + (start - 1) * (1 + math.cos(math.pi * way)) / 2, way
    way = (min(t, length - 1) - top) / (length - 1 - top)
    return final + (1 - final) * (1 + math.cos(math.pi * way)) / 2, way


class Schedule:
    """What an optimizer's rate is multiplied by: `factor(t)`, at the t-th step or epoch, counted from 0.

    A subclass names its options, and calls its formula in `factor`.
    """

    name: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ()
    monitor: str | None = None  # the number that it watches, if it watches one

    def __init__(self, every: str = "epoch"):
        if every not in ("epoch", "step"):
            raise ValueError(f"every must be 'epoch' or 'step', got {every!r}")
        self.every = every

    def factor(self, t: int) -> float:
        """What the rate is multiplied by."""
        raise NotImplementedError

    def observe(self, numbers: Mapping[str, float]) -> None:
        """Take note of the numbers of an epoch; most schedules have no use for them."""

    def config(self) -> dict[str, Any]:
        """Its name and the options that make an equal schedule."""
        return {"name": self.name} | {option: getattr(self, option) for option in (*self.options, "every")}

    def state_dict(self) -> dict[str, Any]:
        """What it remembers; most remember nothing, as t says all."""
        return {}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what another one remembered."""

    def __repr__(self) -> str:
        own = {option: getattr(self, option) for option in self.options}
        if self.every != "epoch":
            own["every"] = self.every
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in own.items())})"


class Constant(Schedule):
    """The rate stays what it is: `Warmup(5)` then this is a warm-up alone.

    >>> Constant().factor(100)
    1.0
    """

    name = "constant"

    def factor(self, t: int) -> float:
        """By the formula."""
        return constant_schedule(t)


class StepDecay(Schedule):
    """Multiply the rate by `gamma` every `length` epochs (or steps).

    >>> StepDecay(30).factor(60)
    0.010000000000000002
    """

    name = "step"
    options = ("length", "gamma")

    def __init__(self, length: int, gamma: float = 0.1, every: str = "epoch"):
        super().__init__(every)
        self.length, self.gamma = check_count("length", length), check_option("gamma", gamma, 0.0)

    def factor(self, t: int) -> float:
        """By the formula."""
        return step_schedule(t, self.length, self.gamma)


class ExponentialDecay(Schedule):
    """Multiply the rate by `gamma` every epoch (or step).

    >>> ExponentialDecay(0.5).factor(3)
    0.125
    """

    name = "exponential"
    options = ("gamma",)

    def __init__(self, gamma: float, every: str = "epoch"):
        super().__init__(every)
        self.gamma = check_option("gamma", gamma, 0.0)

    def factor(self, t: int) -> float:
        """By the formula."""
        return exponential_schedule(t, self.gamma)


class CosineDecay(Schedule):
    """Let the rate fall along half a wave, over `length` epochs (or steps), to `final` of what it was.

    >>> CosineDecay(10, final=0.01).factor(10)
    0.01
    """

    name = "cosine"
    options = ("length", "final")

    def __init__(self, length: int, final: float = 0.0, every: str = "epoch"):
        super().__init__(every)
        self.length, self.final = check_count("length", length), check_option("final", final, 0.0)

    def factor(self, t: int) -> float:
        """By the formula."""
        return cosine_schedule(t, self.length, self.final)


class OneCycle(Schedule):
    """Raise the rate from `start` of it to all of it, in the share `rise` of the `length` steps; then let it fall.

    `length` is the whole training's, in steps unless `every="epoch"`; after it the factor stays at `final`.

    >>> OneCycle(1000).factor(299)
    1.0
    """

    name = "one_cycle"
    options = ("length", "rise", "start", "final")

    def __init__(
        self, length: int, rise: float = 0.3, start: float = 0.04, final: float = 4e-6, every: str = "step"
    ):
        super().__init__(every)
        self.length, self.rise = check_count("length", length), check_option("rise", rise, 0.0, 1.0)
        self.start, self.final = check_option("start", start, 0.0), check_option("final", final, 0.0)
        if not 0 < self.rise * length - 1 < length - 1:
            raise ValueError(f"rise={rise!r} of length={length!r} must leave a step for the way up, and one down")

    def factor(self, t: int) -> float:
        """By the formula."""
        return one_cycle_schedule(t, self.length, self.rise * self.length - 1, self.start, self.final)[0]

    def __repr__(self) -> str:
        own = {option: getattr(self, option) for option in (*self.options, "every")}
        return f"OneCycle({', '.join(f'{k}={v!r}' for k, v in own.items())})"
