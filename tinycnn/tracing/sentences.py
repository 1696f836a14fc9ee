"""The why of a step, in a sentence or two: short, plain, exact.

What is written here of an op may name its sizes in braces. An op that nobody wrote about is described by the first
words of its own documentation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.formula import Formula
from tinycnn.tracing.words import BACKWARD, FORWARD, NOUNS, UPDATE

Facts = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A step's title and its sentences."""

    title: str
    text: str


def say(op: str, result: str, facts: Facts, formula: Formula, code: Callable[..., Any] | None = None) -> Said:
    """What is said of a step: by its op and its result, else in the op's own words."""
    facts = facts | _counted(op, facts)
    base = op.removesuffix("_forward").removesuffix("_backward").removesuffix("_step")
    noun = NOUNS.get(f"{base}.{result}") or NOUNS.get(base, base.replace("_", " "))
    if op.endswith("_backward"):
        title = f"{facts['whose']}: {noun} backward, {result}"
        template = BACKWARD.get(f"{base}.{result}") or BACKWARD.get(base)
    elif facts["weight"]:
        title, template = f"{facts['weight']}: {noun}", UPDATE.get(base)
    else:
        title = f"{facts['whose']}: {noun}"
        template = FORWARD.get(f"{base}.{result}") or FORWARD.get(base)
    return Said(title, _filled(template, facts) or _own_words(formula, code))


def _filled(template: str | None, facts: Facts) -> str:
    """The sentence with its sizes; "" if one of them is not known."""
    try:
        return "" if template is None else template.format_map(facts)
    except (KeyError, IndexError):
        return ""


def _own_words(formula: Formula, code: Callable[..., Any] | None) -> str:
    """The first sentence of the function's documentation, or the formula itself."""
    doc = inspect.getdoc(code) or "" if code is not None else ""
    first = " ".join(doc.partition("\n\n")[0].split())
    return formula.about or first or formula.text.splitlines()[-1]


def _counted(op: str, facts: Facts) -> Facts:
    """What a sentence counts: terms of a sum, numbers that passed, the first window's winner."""
    values, result = facts["values"], facts["value"]
    found: Facts = {"all": f"{result.size:,}", "passed": f"{int(np.count_nonzero(result)):,}"}
    if "w" in values and np.ndim(values["w"]) > 1:
        found["taps"] = int(np.prod(np.shape(values["w"])[1:]))
    if "drop_prob" in facts:
        found["percent"] = f"{100 * facts['drop_prob']:g} %"
        found["factor"] = f"{1 / (1 - facts['drop_prob']):.4g}"
    if "N" in facts:
        found["summed"] = f" and all {facts['N']} examples" if facts["N"] > 1 else ""
        found["mean"] = f", a mean over {facts['N']} examples" if facts["N"] > 1 else ""
    if op.startswith(("max_pool2d", "min_pool2d")) and 0 not in np.shape(values.get("xp", [[]])):
        found |= _winner(values, facts, np.argmax if op.startswith("max") else np.argmin)
    return found


def _winner(values: dict[str, Any], facts: Facts, best: Callable[..., Any]) -> Facts:
    """Where the first window's largest (or smallest) number stands."""
    dv, dh, KH, KW = (int(facts[key]) for key in ("dv", "dh", "KH", "KW"))
    window = values["xp"][0, 0, : dv * KH : dv, : dh * KW : dh]
    row, column = np.unravel_index(best(window), window.shape)
    return {"row": int(row), "column": int(column)}


def cell_why(cell: dict[str, Any], op: str, border: int) -> str:
    """What a cell's sum means in words, where there is something to say; "" else."""
    reads = [read for term in cell["terms"] for read in term["reads"]]
    said = []
    if cell["chosen"] is not None and len(reads) > 1:
        best = reads[cell["chosen"]]["index"] if len(reads) > cell["chosen"] else None
        if best is not None and reads[cell["chosen"]]["symbol"] == reads[0]["symbol"] and len(best) >= 2:
            seen = [read["index"] for read in reads if read["symbol"] == reads[0]["symbol"]]
            row, column = (sorted({at[k] for at in seen}).index(best[k]) for k in (-2, -1))  # it may have gaps
            said.append(f"Row {row}, column {column} of the window won.")
    if border:
        said.append(f"{border} of the {len({tuple(r['index']) for r in reads if r['symbol'] == 'xp'})} numbers lie on "
                    "the border.")  # fmt: skip
    gathers = not cell["made"]  # else more than what it reads itself has come back to it, through what was made
    if gathers and op.endswith("_backward") and cell["result"] == "dx" and any(r["symbol"] == "dy" for r in reads):
        count = len({tuple(r["index"]) for r in reads if r["symbol"] == "dy"})
        said.append(f"{count} gradients come back to it, and add." if count > 1 else "One gradient comes back to it.")
    elif op.endswith("pool2d_backward") and cell["result"] == "dx" and not cell["terms"]:
        said.append(f"It {'lay in' if op.startswith('avg') else 'won'} no window, so nothing comes back to it.")
    return " ".join(said)
