"""The same as pictures: how tinycnn stands to PyTorch in every case, and how time grows with size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.bench.rows import Row
from tinycnn.bench.scaling import SWEEPS
from tinycnn.bench.table import fastest, ms, slopes
from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure


def picture(rows: Sequence[Row]) -> Figure:
    """Bars of the ratios, and beside them the scaling if it was measured; ValueError if there is nothing to draw."""
    bars = [r for r in rows if r["backend"] == "numba" and r["kind"] != "scaling" and r["tinycnn_ms"]]
    sweeps = [r for r in rows if r["kind"] == "scaling" and r["tinycnn_ms"]]
    if not bars and not sweeps:
        raise ValueError("nothing was measured that could be drawn")
    tall = max(1.5, 0.19 * len(bars) + 1.1) if bars else 0.0
    fig = new_figure(tall + (3.2 if sweeps else 0.0))
    above: Any = fig
    below: Any = fig
    if bars and sweeps:
        above, below = fig.subfigures(2, 1, height_ratios=[tall, 3.2])  # type: ignore[misc]
    if bars:
        _bars(above.subplots(), bars)
    if sweeps:
        for ax, sweep in zip(below.subplots(1, len(SWEEPS)), SWEEPS, strict=True):
            _sweep(ax, sweep, [r for r in sweeps if r["case"] == sweep])
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
    guide = [0.55 * rows[half]["tinycnn_ms"] * (s / sizes[half]) ** SWEEPS[sweep][0] for s in sizes[half:]]
    ax.loglog(sizes[half:], guide, ":", color=MUTED, lw=1, label=f"arithmetic: slope {SWEEPS[sweep][0]}")
    ax.set_xticks(sizes, list(map(str, sizes)))
    ax.minorticks_off()
    ax.legend(fontsize=SMALL, frameon=False, loc="upper left")
    low, high = ax.get_ylim()
    ax.set_ylim(low, high * 4)  # room for the words
    _plain(ax, f"ms a step, by {sweep}")
    ax.grid(color=RULE, lw=0.6)


def _plain(ax: Axes, title: str) -> None:
    ax.set_title(title, loc="left", fontsize=TITLE if len(title) < 30 else BODY, color=TEXT, fontweight="bold")
    ax.tick_params(labelsize=SMALL, length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
