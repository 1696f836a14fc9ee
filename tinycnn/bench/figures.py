"""The same as pictures: how tinycnn stands to PyTorch in every case, how time grows with size, and the ladder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.bench.rows import CASE_KINDS, Row, by_threads
from tinycnn.bench.rungs import Step, faster, steps_in
from tinycnn.bench.scaling import SWEEPS
from tinycnn.bench.table import fastest, ms, slopes
from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure


def picture(rows: Sequence[Row]) -> Figure:
    """Bars of the ratios, below them the scaling and the ladder, as measured; ValueError if there is nothing to draw.

    Where there are rows of several numbers of threads, those of the largest are drawn.
    """
    rows = by_threads(rows)[0] if rows else []
    bars = [r for r in rows if r["backend"] == "numba" and r["kind"] in CASE_KINDS and r["tinycnn_ms"]]
    sweeps = [r for r in rows if r["kind"] == "scaling" and r["tinycnn_ms"]]
    steps = steps_in(rows)
    parts: list[tuple[float, Callable[[Any], None]]] = []  # how high, and what draws it
    if bars:
        parts.append((max(1.5, 0.19 * len(bars) + 1.1), lambda part: _bars(part.subplots(), bars)))
    if sweeps:
        parts.append((3.2, lambda part: _sweeps(part, sweeps)))
    if steps:
        parts.append((1.9, lambda part: _ladder(part, steps)))
    if not parts:
        raise ValueError("nothing was measured that could be drawn")
    heights = [height for height, _ in parts]
    fig = new_figure(sum(heights))
    for part, (_, draw) in zip(fig.subfigures(len(parts), 1, height_ratios=heights, squeeze=False).flat, parts,
                               strict=True):  # fmt: skip
        draw(part)
    return fig


def _bars(ax: Axes, rows: Sequence[Row]) -> None:
    """A bar a case: the ratio where there is one, the time where there is not."""
    compared = any(r["ratio"] for r in rows)
    names = [r["case"] if r["kind"] == "op" else f"{r['case']} {r['kind']}" for r in rows]
    values = [(r["ratio"] if compared else r["tinycnn_ms"]) or 0.0 for r in rows]
    ax.barh(range(len(rows)), values, 0.7, color=[BLUE if not compared or v <= 1 else ORANGE for v in values])
    ax.set_yticks(range(len(rows)), names, fontsize=SMALL, color=TEXT)
    ax.invert_yaxis()
    ax.set_ylim(len(rows) - 0.4, -0.6)
    limit = min(max(values), 2.5) * 1.15 if compared else max(values) * 1.15
    ax.set_xlim(0, limit)
    for place, value in enumerate(values):
        text = f"{value:.2f}" if compared else f"{ms(value)} ms"
        beyond = value > 0.9 * limit
        ax.annotate(text, (min(value, limit), place), (-3 if beyond else 3, 0), textcoords="offset points", va="center",
                    ha="right" if beyond else "left", fontsize=SMALL, color="white" if beyond else MUTED,
                    bbox=None if beyond else {"fc": "white", "ec": "none", "pad": 1})  # fmt: skip
    if compared:
        ax.axvline(1, color=TEXT, lw=0.8)
    title = "time of tinycnn ÷ time of PyTorch in its faster format"
    _plain(ax, title if compared else "milliseconds")
    ax.grid(axis="x", color=RULE, lw=0.6)
    ax.set_axisbelow(True)


def _sweeps(fig: Any, rows: Sequence[Row]) -> None:
    for ax, sweep in zip(fig.subplots(1, len(SWEEPS)), SWEEPS, strict=True):
        _sweep(ax, sweep, [r for r in rows if r["case"] == sweep])


def _sweep(ax: Axes, sweep: str, rows: Sequence[Row]) -> None:
    """Time against size, both logarithmic, with the slopes in words."""
    sizes = [r["size"] for r in rows]
    found = slopes(rows)
    lines = [("tinycnn", BLUE, "o-", [r["tinycnn_ms"] for r in rows], found[0])]
    if found[1] is not None:
        lines.append(("PyTorch", ORANGE, "s--", [fastest(r) or 0.0 for r in rows], found[1]))
    for name, colour, style, times, slope in lines:
        ax.loglog(sizes, times, style, color=colour, ms=3.5, lw=1.5, label=f"{name}: slope {slope:.2f}")
    half = len(sizes) // 2
    guide = [0.5 * rows[-1]["tinycnn_ms"] * (s / sizes[-1]) ** SWEEPS[sweep][0] for s in sizes[half:]]
    ax.loglog(sizes[half:], guide, ":", color=MUTED, lw=1, label=f"arithmetic: slope {SWEEPS[sweep][0]}")
    ax.set_xticks(sizes, list(map(str, sizes)))
    ax.minorticks_off()
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(fontsize=SMALL, frameon=False, loc="upper left")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 4)  # room for the words
    _plain(ax, f"ms a step, by {sweep}")
    ax.grid(color=RULE, lw=0.6)


def _ladder(fig: Any, steps: Sequence[Step]) -> None:
    """The time of every rung, logarithmic, and how many times faster than the first it is."""
    shapes = list(dict.fromkeys(step.shape for step in steps))
    for ax, shape in zip(fig.subplots(1, len(shapes), squeeze=False).flat, shapes, strict=True):
        shown = [step for step in steps if step.shape == shape]
        ax.barh([step.rung for step in shown], [step.ms for step in shown], 0.7, color=BLUE)
        ax.set_xscale("log")
        ax.set_xlim(0.3 * min(step.ms for step in shown), 100 * max(step.ms for step in shown))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.invert_yaxis()
        for place, step in enumerate(shown):
            words = f"{ms(step.ms)} ms" + (f", {faster(step)} times faster" if place else "")
            ax.annotate(words, (step.ms, place), (3, 0), textcoords="offset points", va="center", fontsize=SMALL,
                        color=MUTED)  # fmt: skip
        _plain(ax, f"ms for {'×'.join(map(str, shape))}")
        ax.minorticks_off()


def _plain(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize=TITLE if len(title) < 30 else BODY, color=TEXT, fontweight="bold")
    ax.tick_params(labelsize=SMALL, length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
