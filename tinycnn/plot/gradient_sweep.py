"""Truncation against rounding: the error of each difference quotient as its step shrinks, on two logarithmic axes."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure

FLOOR = 1e-17  # where an error of exactly 0 is drawn
GREEN, PURPLE = "#009E73", "#CC79A7"  # Okabe and Ito 2008, as the others
LINES = {
    "forward": (ORANGE, ":", "forward difference: h"),
    "central": (BLUE, "--", "central difference: h²"),
    "richardson": (GREEN, "-.", "Richardson: h⁴"),
    "complex": (PURPLE, "-", "complex step: h², and no rounding"),
}


class Swept(Protocol):
    """What `tinycnn.verify.sweep` returns."""

    @property
    def steps(self) -> Sequence[float]:
        """Every step h."""

    @property
    def errors(self) -> Mapping[str, Sequence[float]]:
        """The error at every step, by method."""


def gradient_sweep(sweep: Swept) -> Figure:
    """The error of each method against its step h, with the best step of each ringed.

    Going left the step shrinks. A line falls as steeply as its method is exact (truncation), and turns where the
    rounding of f over h is larger; the complex step never turns. An error of 0 is drawn at 1e-17.

    >>> from types import SimpleNamespace
    >>> fig = gradient_sweep(SimpleNamespace(steps=(0.1, 0.01), errors={"central": (1e-2, 1e-4)}))
    >>> fig.axes[0].get_xscale(), fig.axes[0].get_yscale()
    ('log', 'log')
    """
    fig = new_figure(height=4.2)
    ax = fig.add_subplot()
    for method, errors in sweep.errors.items():
        _line(ax, method, sweep.steps, errors)
    _axes(ax)
    return fig


def _line(ax: Axes, method: str, steps: Sequence[float], errors: Sequence[float]) -> None:
    colour, dash, label = LINES[method]
    y = np.maximum(np.asarray(errors, float), FLOOR)
    ax.plot(steps, y, dash, color=colour, lw=1.8, label=label, zorder=2 if method == "complex" else 3)
    if np.isfinite(y).any() and method != "complex":
        best = int(np.nanargmin(y))
        ax.plot(steps[best], y[best], "o", mfc="white", mec=colour, mew=1.6, ms=6.5, zorder=5)


def _axes(ax: Axes) -> None:
    ax.set(xscale="log", yscale="log", ylim=(FLOOR / 3, 30))
    ax.set_title("how far a difference quotient is off", loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    ax.set_xlabel("step h          ← rounding grows          truncation grows →", fontsize=BODY, color=MUTED)
    ax.set_ylabel("relative error", fontsize=BODY, color=MUTED)
    ax.tick_params(labelsize=SMALL, colors=MUTED, length=0, which="both")
    ax.grid(color=RULE, lw=0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
    ax.legend(loc="upper center", fontsize=BODY, labelcolor=TEXT, frameon=True, facecolor="white", edgecolor="none",
              framealpha=1, ncols=1)  # fmt: skip
