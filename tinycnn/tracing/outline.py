"""The key steps of a trace in words: what a page shows where no script may run, and on paper."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from tinycnn.formula.numbers import cell_number

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace
    from tinycnn.tracing.steps import Step

MOST_STEPS = 60  # from the start; a page is for playing, and paper is patient but not endless
_MOST_ROWS = _MOST_COLUMNS = 12


def key_steps(trace: Trace) -> str:
    """HTML: for each step its title, why, formula, one cell worked out, the shapes and a small result."""
    shown = [_step(trace, step) for step in trace.steps[:MOST_STEPS]]
    left = len(trace.steps) - len(shown)
    more = f"<p>and {left} more steps.</p>" if left > 0 else ""
    return f"<h2>The steps in words</h2>{''.join(shown)}{more}"


def _step(trace: Trace, step: Step) -> str:
    say = html.escape
    formula = "".join(f"<br>{say(line)}" for line in step.formula["text"].splitlines())
    parts = [
        f"<h3>{step.number}. {say(step.phase)} · {say(step.title)}</h3>", f"<p>{say(step.text)}</p>",
        f"<p><code>{formula.removeprefix('<br>')}</code></p>" if formula else "",
        _example(trace, step), f"<p>{say(step.shape_note)}</p>", _result(trace, step),
        f"<p>{say(step.left_out)}</p>" if step.left_out else "",
    ]  # fmt: skip
    return f"<section>{''.join(parts)}</section>"


def _example(trace: Trace, step: Step) -> str:
    """The first cell of the result, worked out."""
    shape = step.writes[0]["shape"]
    if not step.formula["name"] or 0 in shape:
        return ""
    try:
        return f"<p><code>{html.escape(trace.cell(step, tuple(0 for _ in shape))['text'])}</code></p>"
    except ValueError:  # its arrays are kept in part, and `left_out` says so
        return ""


def _result(trace: Trace, step: Step) -> str:
    """The result's last two axes as a table, if they are small."""
    stored = trace.tensors.table[step.writes[0]["tensor"]]
    if not stored.whole or stored.array.size == 0:
        return ""
    plane = np.atleast_2d(stored.array)
    plane = plane.reshape(-1, *plane.shape[-2:])[0]
    if plane.shape[0] > _MOST_ROWS or plane.shape[1] > _MOST_COLUMNS:
        return ""
    rows = ("".join(f"<td>{cell_number(value)}</td>" for value in row) for row in plane)
    return f"<table><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"
