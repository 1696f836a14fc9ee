"""Schedules that follow one another, and the table of all of them by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinycnn.naming import lookup
from tinycnn.optim.options import check_count, check_option
from tinycnn.optim.plateau import ReduceOnPlateau
from tinycnn.optim.schedules import (
    Constant,
    CosineDecay,
    ExponentialDecay,
    OneCycle,
    Schedule,
    StepDecay,
    warmup_schedule,
)


class Warmup(Schedule):
    """Raise the rate from `start` of it to all of it over `length` epochs (or steps); then follow another schedule.

    `then` begins to count where the warm-up ends; both count the same, epochs or steps. A schedule may also be given
    as a mapping: its name and its options.

    >>> schedule = Warmup(4, then=CosineDecay(10))
    >>> [round(schedule.factor(t), 3) for t in (0, 2, 4, 9, 14)]
    [0.1, 0.55, 1.0, 0.5, 0.0]
    """

    name = "warmup"
    options = ("length", "start", "then")

    def __init__(
        self, length: int, start: float = 0.1, then: Schedule | Mapping[str, Any] | None = None,
        every: str | None = None,
    ):  # fmt: skip
        self.then = None if then is None else schedule_of(then)
        super().__init__(every or (self.then.every if self.then else "epoch"))
        self.length, self.start = check_count("length", length), check_option("start", start, 0.0)
        if self.then is not None and self.then.every != self.every:
            raise ValueError(f"a warm-up by the {self.every} cannot go before {self.then!r} by the {self.then.every}")
        self.monitor = None if self.then is None else self.then.monitor
        self.seen = 0  # epochs

    def factor(self, t: int) -> float:
        """By the formula, and then by that of the schedule after it."""
        if t >= self.length and self.then is not None:
            return self.then.factor(t - self.length)
        return warmup_schedule(t, self.length, self.start)

    def observe(self, numbers: Mapping[str, float]) -> None:
        """Let the schedule after it take note, once its turn has come."""
        self.seen += 1
        if self.then is not None and self.seen > self.length:
            self.then.observe(numbers)

    def state_dict(self) -> dict[str, Any]:
        """What the schedule after it remembers."""
        return {"seen": self.seen, "then": {} if self.then is None else self.then.state_dict()}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what another one remembered."""
        self.seen = int(saved["seen"])
        if self.then is not None:
            self.then.load_state_dict(saved["then"])

    def config(self) -> dict[str, Any]:
        """Its name and options, those of the schedule after it inside."""
        return super().config() | {"then": None if self.then is None else self.then.config()}


SCHEDULES: dict[str, type[Schedule]] = {
    kind.name: kind
    for kind in (Constant, StepDecay, ExponentialDecay, CosineDecay, Warmup, OneCycle, ReduceOnPlateau)
}


def schedule_of(schedule: Schedule | Mapping[str, Any]) -> Schedule:
    """The schedule itself, or the one that a mapping names with its options.

    Raises ValueError for a name or an option that is none, TypeError for what is no schedule at all.

    >>> schedule_of({"name": "cosine", "length": 10})
    CosineDecay(length=10, final=0.0)
    """
    if isinstance(schedule, Schedule):
        return schedule
    if not (isinstance(schedule, Mapping) and "name" in schedule):
        raise TypeError(f"schedule must be one of tinycnn.optim, such as CosineDecay(10), got {schedule!r}")
    kind = lookup(SCHEDULES, schedule["name"], "schedule")
    options = {key: value for key, value in schedule.items() if key != "name"}
    for option in options:
        lookup(dict.fromkeys((*kind.options, "every")), option, f"option of {kind.__name__}")
    try:
        return kind(**options)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}") from None
