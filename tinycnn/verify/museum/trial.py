"""Which witness catches a mutant, and which is blind to it.

The witnesses are those of the table of proofs, and a few habits of a careful tester: extreme numbers, a NaN, arguments
looked at afterwards, one image predicted alone and in company. A control runs the same with no mutant at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from tinycnn import backends
from tinycnn.naming import lookup
from tinycnn.verify.cases import CASES
from tinycnn.verify.museum import MUTANTS, Mutant, mutant
from tinycnn.verify.museum.accuracy import accuracy_of
from tinycnn.verify.museum.habits import HABITS
from tinycnn.verify.rows import Row
from tinycnn.verify.witness_images import image_rows
from tinycnn.verify.witness_metrics import metric_rows
from tinycnn.verify.witness_ops import op_rows
from tinycnn.verify.witness_optimizers import optimizer_rows

GRADIENT_CHECK = "gradient check"  # numerical derivatives and nothing else
_PLAIN = {
    "forward: the formula walked": "formula of forward", "backward: the formula walked": "formula of backward",
    "backward: complex step": GRADIENT_CHECK, "backward: Richardson": GRADIENT_CHECK, "backward: adjoint": "adjoint",
    "forward: PyTorch 2.13, recorded": "PyTorch's forward", "backward: PyTorch 2.13, recorded": "PyTorch's backward",
    "scikit-learn 1.9, recorded": "scikit-learn", "100 steps of PyTorch 2.13, recorded": "PyTorch's trajectory",
}  # fmt: skip
_FOREIGN = ("forward: PyTorch 2.13, recorded", "backward: PyTorch 2.13, recorded")
_NEXT = {  # the row after which an error was met, and so the witnesses who met it
    None: ("forward: the formula walked", "backward: the formula walked"),
    "backward: the formula walked": ("backward: complex step",),
    "backward: complex step": ("backward: Richardson",),
}
_IMAGES = ("affine_places", "sample")
_AVERAGES = ("macro_average", "weighted_average", "micro_average")
_OPS = {case.name for case in CASES}


@dataclass(frozen=True)
class Trial:
    """What became of one mutant: who caught it, who missed it, and the accuracy that a network still reaches."""

    mutant: str
    caught: bool
    by: tuple[str, ...]
    missed_by: tuple[str, ...]
    accuracy: float | None
    control: bool = False  # no mutant was in force: nothing may be caught

    @property
    def as_it_should_be(self) -> bool:
        """Whether a mutant was caught, or a control was not."""
        return self.caught != self.control

    def as_dict(self) -> dict[str, Any]:
        """As `tinycnn verify --mutants --json` prints it."""
        return {key: value for key, value in asdict(self).items() if key != "control"}


def as_dicts(found: list[Trial]) -> list[dict[str, Any]]:
    """The mutants, each with the accuracy of the same network without it, and last one control for them all."""
    mutated, controls = found[::2], found[1::2]
    rows = [t.as_dict() | {"accuracy_without": c.accuracy} for t, c in zip(mutated, controls, strict=True)]
    wrong = tuple(dict.fromkeys(name for c in controls for name in c.by))
    right = tuple(dict.fromkeys(name for c in controls for name in c.missed_by if name not in wrong))
    return [*rows, Trial("control", bool(wrong), wrong, right, accuracy_of(None, "")).as_dict()]


def hold(about: Mutant, mutated: bool = True, accuracy: bool = True) -> Trial:
    """Run the witnesses of what a mutant breaks, with it in force, or (`mutated=False`) without, as a control."""
    with mutant(about.name) if mutated else nullcontext(), np.errstate(all="ignore"):
        verdicts: dict[str, bool] = {}
        for name, agrees in _witnesses(about):
            verdicts[name] = verdicts.get(name, True) and agrees
    reached = accuracy_of(about.name if mutated else None, about.name) if accuracy else None
    by = tuple(name for name, agrees in verdicts.items() if not agrees)
    missed = tuple(name for name, agrees in verdicts.items() if agrees)
    name = about.name if mutated else f"no mutant: control of {about.name}"
    return Trial(name, bool(by), by, missed, reached, control=not mutated)


def trials(names: list[str] | None = None) -> list[tuple[str, Callable[[], list[Trial]]]]:
    """Jobs, one a mutant (or those named): each gives its trial, and that of the same code without it.

    Raises ValueError for a name that is no mutant.
    """
    chosen = [lookup(MUTANTS, name, "mutant") for name in names or MUTANTS]
    return [(about.name, partial(_with_control, about)) for about in chosen]


def _with_control(about: Mutant) -> list[Trial]:
    return [hold(about), hold(about, mutated=False)]


def verdicts(found: list[Trial]) -> str:
    """The trials as text: who caught each mutant, who missed it, and what the network reached with and without it."""
    lines = []
    for trial, control in zip(found[::2], found[1::2], strict=True):
        number = MUTANTS[trial.mutant].number
        reached = ["NaN" if t.accuracy is None else f"{t.accuracy:.1%}" for t in (trial, control)]
        lines.append(f"{number:2}  {trial.mutant}: {MUTANTS[trial.mutant].title}")
        lines.append(f"      {'caught by ' + ', '.join(trial.by) if trial.caught else 'CAUGHT BY NOBODY'}")
        if trial.missed_by:
            lines.append(f"      missed by {', '.join(trial.missed_by)}")
        lines.append(f"      accuracy {reached[0]}; without the bug {reached[1]}")
        if control.caught:
            lines.append(f"      THE CODE WITHOUT IT WAS FOUND WRONG by {', '.join(control.by)}")
    mutated = found[::2]
    blind = [t for t in mutated if GRADIENT_CHECK not in t.by]
    lines.append(
        f"\n{sum(t.caught for t in mutated)} of {len(mutated)} mutants caught, "
        f"{sum(t.caught for t in found[1::2])} false alarms without them; "
        f"a gradient check alone would have missed {len(blind)}"
    )
    return "\n".join(lines)


def _witnesses(about: Mutant) -> Iterator[tuple[str, bool]]:
    """(witness, whether it finds nothing wrong), for what a mutant breaks."""
    for op in about.ops:
        for row in _rows(op):
            yield _PLAIN.get(row.method, row.method), row.passed
    for name, (concerned, agrees) in HABITS.items():
        for op in set(about.ops) & concerned:
            yield name, agrees(op)


def _rows(op: str) -> Iterator[Row]:
    """The rows of the table of proofs; a witness that runs into an error has found something too."""
    if op in _OPS:
        for case in (case for case in CASES if case.name == op):
            last = None
            try:
                for row in op_rows(op, [case], backends.RUNGS["numpy"], "numpy"):
                    last = row.method
                    yield from [row] if row.cases else []
            except (ValueError, IndexError, TypeError):
                for method in _NEXT.get(last, _FOREIGN):
                    yield Row(op, "op", "", method, "numpy", 1, float("inf"), 0.0)
        return
    if op in _IMAGES:
        yield from (row for row in image_rows() if row.formula == op)
        return
    rows = optimizer_rows() if op in ("adam", "adamw") else metric_rows()
    yield from (row for row in rows if row.formula in ((op,) if op.startswith("adam") else (op, *_AVERAGES)))
