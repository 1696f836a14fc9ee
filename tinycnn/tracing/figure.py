"""A step as a figure for a slide: the matrices it reads, the window in them, and the number that comes of it.

Below the matrices of a sum of products stand its terms as a row of im2col, the row of weights, and their products.
White is exactly 0, orange positive, blue negative; each array has its own scale, and the sign is always printed.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.explanation.layout import wrap
from tinycnn.formula.numbers import cell_number, formula_number
from tinycnn.plot.style import BODY, DIVERGING, MUTED, RULE, SMALL, TEXT, TITLE, WIDTH, bare, new_figure
from tinycnn.tracing.grid import CHANGED, LARGEST, WINDOW, part_around
from tinycnn.tracing.pictures import Picture, factors, in_words
from tinycnn.tracing.terminal import four_lines, reason, seen_as, where_lines

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace

Index = tuple[int, ...]
NUMBERED = 12  # rows or columns in which numbers can be read
MOST_ACROSS = 4  # matrices beside each other
MOST_ROWS = 2  # of such
MOST_TERMS = 27  # of a row of im2col
_TALLEST, _LARGEST_SIDE = 3.0, 0.4  # inches of a matrix, and of a cell in it
_SIDES = {
    (-1, 0): ((-0.5, 0.5), (-0.5, -0.5)), (1, 0): ((-0.5, 0.5), (0.5, 0.5)),
    (0, -1): ((-0.5, -0.5), (-0.5, 0.5)), (0, 1): ((0.5, 0.5), (-0.5, 0.5)),
}  # of a place: where its neighbour lies, and the side between them as x and y  # fmt: skip
_COLUMNS = 100  # of text
_LINE = 0.145  # inches of a line of text
_LETTER = 0.62  # of a letter's height is its width


def show(trace: Trace, step: int, index: Index | None = None, view: str = "window") -> Figure:
    """A figure of a step, or with `index` of one cell of its result; `figure.savefig` writes it.

    Raises IndexError for a step or a place that is not there, ValueError for a view that the step does not have.
    """
    number = trace.seek(step).number
    cell = None if index is None else trace.cell(number, index)
    found, counts, said = seen_as(trace, trace[number], cell, view)
    found = [_cut(one) for one in found] if said else found
    made = [one for one in found if not one.is_read]
    found = [one for one in found if one.is_read][: MOST_ROWS * MOST_ACROSS - len(made)] + made
    pairs = factors(cell) if cell and view == "window" else []
    caption = _caption(trace, number, cell, [(view, said)] if said else [], in_words(found, counts))
    shelves = _shelves(found)
    strip = 1.2 if pairs else 0.0
    heights = [part for part in (*map(_tall, shelves), strip, _LINE * len(caption)) if part]
    fig = new_figure(height=0.45 + sum(heights) + 0.15)
    _heading(fig, trace, number)
    rows = iter(fig.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    for shelf in shelves:
        _matrices(next(rows), shelf)
    if pairs:
        _strip(next(rows).subplots(), pairs, cell or {})
    text = next(rows)
    text.text(0.01, 0.98, "\n".join(caption), va="top", ha="left", fontsize=SMALL, color=TEXT, family="monospace")
    return fig


def _heading(fig: Figure, trace: Trace, number: int) -> None:
    step = trace[number]
    fig.suptitle(
        f"{step.title}    ({step.phase}, step {number} of {len(trace) - 1})", x=0.01, ha="left", fontsize=TITLE,
        fontweight="bold", color=TEXT,
    )  # fmt: skip


def _caption(
    trace: Trace, number: int, cell: dict[str, Any] | None, view: list[tuple[str, str]], more: str
) -> list[str]:
    """The four lines of the step, what its view shows, its reason, and what is not shown."""
    step, lines = trace[number], []
    for label, text in (*four_lines(trace, step, cell), *view):
        for k, part in enumerate(text.splitlines()):
            wrapped = wrap(" " * 9 + part, _COLUMNS, indent=11)
            lines += [f"{label:9}" + wrapped[0][9:] if k == 0 else wrapped[0], *wrapped[1:]]
    for where in where_lines(step, cell):
        wrapped = wrap(" " * 9 + where, _COLUMNS, indent=11)
        lines += ["where    " + wrapped[0][9:], *wrapped[1:]]
    for sentence in filter(None, (reason(step, cell), step.left_out, more)):
        lines += textwrap.wrap(sentence, _COLUMNS)
    return lines


def _cut(one: Picture) -> Picture:
    """Of a matrix with a row for each window those around the marked ones, so that the numbers can be read."""
    rows, count = [r for r, _ in one.marks], len(one.matrix)
    if count <= NUMBERED or not rows or max(rows) - min(rows) >= NUMBERED:
        return one
    start, stop = part_around(count, rows, NUMBERED)
    marks = {(r - start, c): kinds for (r, c), kinds in one.marks.items()}
    note = f"rows {start}–{stop - 1} of {count}"
    return replace(one, matrix=one.matrix[start:stop], marks=marks, role="", note=note)


def _shelves(found: list[Picture]) -> list[list[Picture]]:
    """The matrices in rows of about the same length."""
    count = -(-len(found) // MOST_ACROSS)
    each = -(-len(found) // max(1, count))
    return [found[k * each : (k + 1) * each] for k in range(count)]


def _tall(shelf: list[Picture]) -> float:
    """How many inches a row of matrices is high."""
    return max(len(one.matrix) * _side(one, width) for one, width in zip(shelf, _widths(shelf), strict=True)) + 0.35


def _matrices(part: Any, found: list[Picture]) -> None:
    """Heat maps beside each other, each as wide as its columns ask for."""
    widths = _widths(found)
    axes = part.subplots(1, len(found), width_ratios=widths, squeeze=False)[0]
    for ax, one, width in zip(axes, found, widths, strict=True):
        _matrix(ax, one, _side(one, width))


def _widths(found: list[Picture]) -> list[float]:
    """How many inches each has across: as its columns ask for."""
    shares = [min(NUMBERED, max(3, one.matrix.shape[1])) for one in found]
    return [0.88 * WIDTH * share / sum(shares) for share in shares]


def _side(one: Picture, width: float) -> float:
    """How many inches a cell's side has, in a matrix that may be so wide."""
    rows, columns = one.matrix.shape
    return min(_LARGEST_SIDE, width / columns, _TALLEST / rows)


def _fitting(texts: list[str], inches: float) -> float:
    """The size of type in which the longest text is no wider than this."""
    return min(SMALL, 72 * inches / (_LETTER * max(map(len, texts), default=1)))


def _matrix(ax: Axes, one: Picture, side: float) -> None:
    matrix = one.matrix.astype(float)
    limit = float(np.max(np.abs(matrix[np.isfinite(matrix)]), initial=0.0)) or 1.0
    _cells(ax, one.matrix, limit, side)
    for kind, style in ((WINDOW, "-"), (CHANGED, "--")):
        _outline(ax, {place for place, kinds in one.marks.items() if kind in kinds}, style)
    for r, c in (place for place, kinds in one.marks.items() if LARGEST in kinds):
        ax.text(c + 0.46, r - 0.44, "*", ha="right", va="top", fontsize=BODY, color=TEXT, fontweight="bold")
    ax.set_title(f"{one.title}  {one.role}".strip(), loc="left", fontsize=SMALL, color=MUTED, pad=3)


def _outline(ax: Axes, places: set[tuple[int, int]], style: str) -> None:
    """A line around all places together: along every side that no marked neighbour shares."""
    for r, c in places:
        for (dr, dc), (x, y) in _SIDES.items():
            if (r + dr, c + dc) not in places:
                ax.plot([c + x[0], c + x[1]], [r + y[0], r + y[1]], style, color=TEXT, lw=2, zorder=3, clip_on=False)


def _cells(ax: Axes, matrix: np.ndarray, limit: float, side: float) -> None:
    """A heat map, and the numbers in it if there are few; `side` is a cell's, in inches."""
    bare(ax)
    colours = DIVERGING.with_extremes(bad="#C8C8C8")
    ax.imshow(np.ma.masked_invalid(matrix.astype(float)), cmap=colours, vmin=-limit, vmax=limit)
    ax.spines[:].set(visible=True, color=RULE, linewidth=0.6)
    if max(matrix.shape) > NUMBERED:
        return
    size = _fitting([cell_number(value) for value in matrix.ravel()], side)
    for (r, c), value in np.ndenumerate(matrix):
        dark = np.isfinite(value) and abs(value) > 0.7 * limit
        ax.text(c, r, cell_number(value), ha="center", va="center", fontsize=size, color="white" if dark else TEXT,
                in_layout=False)  # fmt: skip


def _strip(ax: Axes, pairs: list[tuple[dict[str, Any], dict[str, Any]]], cell: dict[str, Any]) -> None:
    """The row of im2col, the row of weights below it, and the products below those."""
    shown = pairs if len(pairs) <= MOST_TERMS else pairs[:MOST_TERMS]
    rows = np.array([[a["value"], b["value"], a["value"] * b["value"]] for a, b in shown]).T
    limits = np.max(np.abs(np.where(np.isfinite(rows), rows, 0)), axis=1, keepdims=True)
    bare(ax)
    colours = DIVERGING.with_extremes(bad="#C8C8C8")
    scaled = np.ma.masked_invalid(rows / np.where(limits == 0, 1, limits))
    ax.imshow(scaled, cmap=colours, vmin=-1, vmax=1, aspect="auto")
    size = _fitting([cell_number(value) for value in rows.ravel()], 0.85 * WIDTH / len(shown))
    for (r, c), value in np.ndenumerate(rows):
        dark = np.isfinite(value) and abs(value) > 0.7 * limits[r, 0]
        ax.text(c, r, cell_number(value), ha="center", va="center", fontsize=size, color="white" if dark else TEXT,
                in_layout=False)  # fmt: skip
    for line in (0.5, 1.5):
        ax.axhline(line, color="white", lw=3)
    first, second = shown[0][0]["symbol"], shown[0][1]["symbol"]
    for place, name in enumerate((first, f"× {second}", "= each")):
        ax.text(-0.6, place, name, ha="right", va="center", fontsize=SMALL, color=MUTED)
    left = f", the first {MOST_TERMS} of {len(pairs)} terms" if len(pairs) > MOST_TERMS else ""
    title = f"as a row times a row{left}; all together {formula_number(cell['total'])}"
    ax.set_title(title, loc="left", fontsize=SMALL, color=MUTED, pad=3)
