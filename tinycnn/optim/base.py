"""An optimizer: from weights and their gradients, the next weights. It keeps what it must remember between steps."""

from __future__ import annotations

import copy
import fnmatch
import math
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinycnn import backends
from tinycnn.formula import formula
from tinycnn.optim.options import check_option
from tinycnn.optim.schedules import Schedule
from tinycnn.optim.sequences import schedule_of

Array = np.ndarray
Options = dict[str, Any]


@formula(
    "dw = dw + weight_decay*w",
    where="weight_decay is twice the strength of an L2 penalty",
    shapes="w (...), dw (...) -> dw",
    source="Krogh & Hertz 1992, NeurIPS; as `weight_decay` in PyTorch",
)
def decayed_gradient(w: Array, dw: Array, weight_decay: float) -> Array:
    """The gradient with that of an L2 penalty added; AdamW decays the weights themselves instead.

    >>> decayed_gradient(np.array([2.0]), np.array([1.0]), weight_decay=0.5)
    array([2.])
    """
    return dw + weight_decay * w


@formula(
    "dw = max(min(dw, limit), -limit)",
    shapes="dw (...) -> dw",
    source="Mikolov 2012, dissertation, Brno University of Technology, section 3.3.2",
)
def clip_value(dw: Array, limit: float) -> Array:
    """Cut every entry of a gradient to ±limit.

    >>> clip_value(np.array([-3.0, 0.5, 2.0]), 1.0)
    array([-1. ,  0.5,  1. ])
    """
    return np.clip(dw, -limit, limit)


@formula(
    "dw = dw * min(1, limit / (norm + 1e-6))",
    where="norm is the length of all gradients together, laid end to end; 1e-6 guards against 0, as in PyTorch",
    shapes="dw (...) -> dw",
    source="Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1",
)
def clip_norm(dw: Array, norm: float, limit: float) -> Array:
    """Shorten a gradient so that all of them together are no longer than `limit`; their direction stays.

    >>> clip_norm(np.array([3.0]), norm=5.0, limit=1.0).round(4)
    array([0.6])
    """
    return dw * min(1.0, limit / (norm + 1e-6))


class Optimizer:
    """`step(params, grads)` updates every weight in place; `state` holds what each weight's update remembers.

    Beside its own options every optimizer takes `weight_decay` (an L2 penalty's pull, in the gradient), `clip_value`
    and `clip_norm`, applied as PyTorch users do: clip by value, then by norm, then decay. `groups` gives some weights
    other options: `{"dense*": {"lr": 1e-4}, "*.b": {"weight_decay": 0.0}}`, by the weight's path; the first that
    matches counts. `schedule` multiplies every rate as training goes on: `Adam(1e-3, schedule=CosineDecay(10))`.

    A subclass names its options and states, and calls its formula in `update`.
    """

    name: ClassVar[str] = ""
    options: ClassVar[tuple[str, ...]] = ("lr",)
    slots: ClassVar[tuple[str, ...]] = ()  # arrays remembered for each weight; they begin at zero
    decoupled: ClassVar[bool] = False  # whether the formula itself decays the weights
    full_batch: ClassVar[bool] = False  # whether one step is meant to see all data at once

    def __init__(
        self, lr: float, weight_decay: float = 0.0, clip_value: float | None = None, clip_norm: float | None = None,
        groups: Mapping[str, Mapping[str, float]] | None = None,
        schedule: Schedule | Mapping[str, Any] | None = None,
    ):  # fmt: skip
        self.lr = check_option("lr", lr, least=0.0)
        self.weight_decay = check_option("weight_decay", weight_decay, least=0.0)
        self.clip_value = None if clip_value is None else check_option("clip_value", clip_value, least=0.0)
        self.clip_norm = None if clip_norm is None else check_option("clip_norm", clip_norm, least=0.0)
        self.groups = {pattern: dict(options) for pattern, options in (groups or {}).items()}
        for pattern, options in self.groups.items():
            unknown = [o for o in options if o not in (*self.options, "weight_decay")]
            if unknown:
                raise ValueError(f"group {pattern!r}: {type(self).__name__} has no option {unknown[0]!r}")
            try:  # an optimizer with these options would say what is wrong with them
                type(self)(**{o: getattr(self, o) for o in self.options if hasattr(self, o)} | options)
            except ValueError as error:
                raise ValueError(f"group {pattern!r}: {error}") from None
        self.schedule = None if schedule is None else copy.deepcopy(schedule_of(schedule))  # it may remember things
        self.steps, self.epochs = 0, 0
        self.state: dict[str, dict[str, Array]] = {}
        self._owner: Any = None

    def step(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Move every weight once; `params` and `grads` have the same keys."""
        self.steps += 1
        grads, steps, jobs = self._clipped(grads), backends.steps_in_place(), []
        usual = None if self.groups else self.options_of("")  # of every weight
        for key, w in params.items():
            o, dw = usual or self.options_of(key), grads[key]
            if (state := self.state.get(key)) is None:
                state = self.state[key] = {slot: np.zeros_like(w) for slot in self.slots}
            fits = steps is not None and steps.serves(w, dw, *state.values())
            if fits and (job := self.job(steps, w, dw, state, o)) is not None:
                jobs.append(job)
                continue
            o = dict(o)
            if not self.decoupled and (decay := o.pop("weight_decay")):
                dw = decayed_gradient(w, dw, decay)
            w[...] = self.update(w, dw, state, o)
        if jobs:
            steps.do(jobs)

    def belong_to(self, owner: Any, anew: bool = False) -> None:
        """Serve one network: what is remembered of its weights would be wrong for those of another.

        Raises ValueError if it has taken steps for another one.
        """
        other = None if self._owner is None else self._owner()
        if self.steps and other is not None and other is not owner and not anew:
            raise ValueError(f"this {type(self).__name__} already trains another network: make a new one for this one")
        self._owner = weakref.ref(owner)

    def __getstate__(self) -> dict[str, Any]:
        """All but who it belongs to, which a copy does not share."""
        return vars(self) | {"_owner": None}

    def update(self, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Array:
        """The next value of one weight, by the options `o` of its group; replaces what `state` remembers."""
        raise NotImplementedError

    def job(self, steps: Any, w: Array, dw: Array, state: dict[str, Array], o: Options) -> Any:
        """The same, decay and all, as a job of `steps` (`tinycnn.kernels.steps`); None if that has no such job."""
        return None

    def options_of(self, key: str) -> Options:
        """The options in force for one weight."""
        own = {option: getattr(self, option) for option in (*self.options, "weight_decay")}
        for pattern, options in self.groups.items():
            if fnmatch.fnmatchcase(key, pattern):
                own |= options
                break
        own["lr"] *= self.rate_factor()
        return own

    def rate_factor(self) -> float:
        """What the schedule multiplies the rates by, in the step that is being taken, or was taken last."""
        if self.schedule is None:
            return 1.0
        return self.schedule.factor(self.epochs if self.schedule.every == "epoch" else max(self.steps - 1, 0))

    def end_epoch(self, numbers: Mapping[str, float]) -> None:
        """Count an epoch, and show its numbers to the schedule."""
        self.epochs += 1
        if self.schedule is not None:
            self.schedule.observe(numbers)

    def forget(self) -> None:
        """Begin anew: no steps, no epochs, nothing remembered."""
        self.steps, self.epochs, self.state = 0, 0, {}
        if self.schedule is not None:
            self.schedule = schedule_of(self.schedule.config())

    def config(self) -> dict[str, Any]:
        """The options that make an equal optimizer."""
        common: dict[str, Any] = {"weight_decay": 0.0, "clip_value": None, "clip_norm": None, "groups": {}}
        changed = {k: getattr(self, k) for k, usual in common.items() if getattr(self, k) != usual}
        if self.schedule is not None:
            changed["schedule"] = self.schedule.config()
        return {option: getattr(self, option) for option in self.options} | changed

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that is remembered, so that training can go on from it to the same bits."""
        state = {key: {slot: value.copy() for slot, value in slots.items()} for key, slots in self.state.items()}
        schedule = {} if self.schedule is None else self.schedule.state_dict()
        return {"name": self.name, "steps": self.steps, "epochs": self.epochs, "schedule": schedule, "state": state}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from a saved state; raises ValueError if it is another optimizer's."""
        if not {"name", "steps", "state"} <= set(saved):
            raise ValueError(f"this is no optimizer's state: it has {sorted(saved)}, not name, steps and state")
        if saved.get("name") != self.name:
            raise ValueError(f"this state is of {saved.get('name')!r}, and the optimizer is {self.name!r}")
        for key, slots in saved["state"].items():
            if set(slots) != set(self.slots):
                raise ValueError(f"the state of {key} has {sorted(slots)}, and {self!r} remembers {sorted(self.slots)}")
        self.steps, self.epochs = int(saved["steps"]), int(saved.get("epochs", 0))
        if self.schedule is not None and saved.get("schedule"):
            self.schedule.load_state_dict(saved["schedule"])
        self.state = {key: {s: np.array(v) for s, v in slots.items()} for key, slots in saved["state"].items()}

    def _clipped(self, grads: Mapping[str, Array]) -> Mapping[str, Array]:
        """Each entry first, then all together by the length that is left."""
        if self.clip_value is not None:
            grads = {key: clip_value(dw, self.clip_value) for key, dw in grads.items()}
        if self.clip_norm is not None:
            norm = math.sqrt(sum(float(np.square(dw, dtype=np.float64).sum()) for dw in grads.values()))
            grads = {key: clip_norm(dw, norm, self.clip_norm) for key, dw in grads.items()}
        return grads

    def __repr__(self) -> str:
        shown = self.config() | ({} if self.schedule is None else {"schedule": self.schedule})
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"
