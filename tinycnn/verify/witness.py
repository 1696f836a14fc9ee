"""Every formula against its witnesses: one table of proofs, for whichever rung serves.

What a formula owes depends on what it is. Whatever has a gradient owes three witnesses: its formula walked literally,
numerical derivatives, and software nobody here wrote. Anything else owes two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from tinycnn import backends
from tinycnn.formula import formulas
from tinycnn.naming import lookup
from tinycnn.verify.rows import Row

Job = tuple[str, Callable[[], Iterable[Row]]]
THREE = frozenset({"op", "loss", "regulariser"})  # the kinds that have a gradient
DRAWN, DRAWN_THOROUGH = 20, 200  # cases of each op beside those of the table


def witness(
    names: Iterable[str] = (), backend: str | Sequence[str] | None = None, thorough: bool = False, seed: int = 0,
    progress: Callable[[list[Job]], Iterable[Job]] = list,
) -> list[Row]:  # fmt: skip
    """Hold every formula (or those of these names) to its witnesses; returns the rows of the table.

    `backend` names the rung that serves the ops, the one in force unless told; of several, the ops are held to their
    witnesses on each, and what no rung serves once. `thorough` draws more cases. `progress` is handed the list of jobs,
    and gives them back one by one.

    Raises ValueError for a name that is no formula, or no rung.

    >>> for row in witness(["relu"]):
    ...     print(row.witness, row.method, row.passed)
    literal forward: the formula walked True
    literal backward: the formula walked True
    numeric backward: complex step True
    numeric backward: Richardson True
    external forward: PyTorch 2.13, recorded True
    external backward: PyTorch 2.13, recorded True
    """
    chosen = [backend] if isinstance(backend, str) else backend or ()
    rungs = [lookup(backends.RUNGS, name, "backend") for name in chosen] or [backends.current()]
    wanted = {_formula_of(name) for name in names}
    jobs = [job for rung in rungs for job in _op_jobs(rung, wanted, thorough, seed)]
    jobs += _other_jobs(wanted, thorough, seed)
    rows = [row for _, job in progress(jobs) for row in job()]
    return [row for row in rows if not wanted or row.formula in wanted]


def _formula_of(name: str) -> str:
    """The formula that a name means; a backward is proved beside its forward."""
    try:
        return formulas[name].name.removesuffix("_backward")
    except KeyError as error:
        raise ValueError(error.args[0]) from None


def owed(kind: str) -> int:
    """How many different witnesses a formula of this kind owes."""
    return 3 if kind in THREE else 2


def unproved(rows: Iterable[Row]) -> dict[str, str]:
    """The formulas that have fewer witnesses than they owe, with what is missing, in words."""
    methods: dict[str, set[str]] = {}
    kinds: dict[str, str] = {}
    for row in (row for row in rows if row.cases):
        own = row.witness if row.kind in THREE else f"{row.witness}: {row.method}"
        methods.setdefault(row.formula, set()).add(own)
        kinds[row.formula] = row.kind
    found = {}
    for name in dict.fromkeys(entry.removesuffix("_backward") for entry in formulas):
        if len(methods.get(name, ())) < (needed := owed(kinds.get(name, ""))):
            found[name] = f"{needed} witnesses are owed, there is {', '.join(sorted(methods.get(name, ()))) or 'none'}"
    return found


def _op_jobs(rung: backends.Rung, wanted: set[str], thorough: bool, seed: int) -> Iterator[Job]:
    """What is to be done of the ops on a rung, one at a time."""
    from tinycnn.verify.cases import CASES, NumpyChooser, draw_case
    from tinycnn.verify.witness_ops import op_rows

    for name in dict.fromkeys(case.name for case in CASES):
        if wanted and name not in wanted:
            continue
        chooser = NumpyChooser(np.random.default_rng([seed, len(name)]))
        drawn = [draw_case(name, chooser) for _ in range(DRAWN_THOROUGH if thorough else DRAWN)]
        cases = [case for case in CASES if case.name == name] + drawn
        yield f"{name}, {rung.name}", partial(op_rows, name, cases, rung, rung.name, seed)


def _other_jobs(wanted: set[str], thorough: bool, seed: int) -> Iterator[Job]:
    """What is to be done of all else, a group of formulas at a time."""
    from tinycnn.verify.cases import CASES
    from tinycnn.verify.witness_data import data_rows
    from tinycnn.verify.witness_foundations import foundation_rows
    from tinycnn.verify.witness_images import image_rows
    from tinycnn.verify.witness_initialisers import initialiser_rows
    from tinycnn.verify.witness_judging import judging_rows
    from tinycnn.verify.witness_metrics import metric_rows
    from tinycnn.verify.witness_optimizers import optimizer_rows
    from tinycnn.verify.witness_parts import part_rows
    from tinycnn.verify.witness_schedules import schedule_rows

    pairs = {case.name for case in CASES}
    if wanted <= pairs and wanted:
        return
    yield "im2col, sizes, statistics", partial(part_rows, thorough, seed)
    yield "optimizers", partial(optimizer_rows, thorough)
    yield "schedules", schedule_rows
    yield "initialisers", partial(initialiser_rows, thorough, seed)
    yield "metrics", metric_rows
    yield "judging", judging_rows
    yield "data", partial(data_rows, thorough, seed)
    yield "images", partial(image_rows, thorough, seed)
    yield "foundations", partial(foundation_rows, thorough, seed)
