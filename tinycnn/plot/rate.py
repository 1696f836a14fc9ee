"""A search for the learning rate: the loss against the rate, on a logarithmic axis."""

from collections.abc import Sequence
from typing import Literal, Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure


class Searched(Protocol):
    """What `tinycnn.train.find_rate` returns."""

    @property
    def rates(self) -> Sequence[float]:
        """Every rate that was tried."""

    @property
    def losses(self) -> Sequence[float]:
        """The loss at each."""

    @property
    def smooth(self) -> Sequence[float]:
        """Their running mean."""

    @property
    def suggestion(self) -> float:
        """The rate of the steepest fall."""

    @property
    def turning(self) -> float:
        """The rate of the lowest smooth loss."""


def learning_rate(search: Searched) -> Figure:
    """The loss at each rate, its running mean, and the rate where that falls fastest.

    >>> from types import SimpleNamespace
    >>> found = SimpleNamespace(rates=(0.01, 0.1, 1.0), losses=(2, 1, 3), smooth=(2, 1, 3), suggestion=0.1, turning=0.1)
    >>> learning_rate(found).axes[0].get_xscale()
    'log'
    """
    fig = new_figure(height=3.4)
    ax = fig.add_subplot()
    ax.plot(search.rates, search.losses, color=RULE, lw=1.2, zorder=1)
    ax.plot(search.rates, search.smooth, color=BLUE, lw=1.8, zorder=2)
    _mark(ax, search, search.suggestion, ORANGE, "falls fastest", (8, 8), "left")  # where a falling curve leaves room
    _mark(ax, search, search.turning, MUTED, "turns", (0, -17), "center")
    _axes(ax, search)
    return fig


def _mark(
    ax: Axes, search: Searched, rate: float, colour: str, words: str, off: tuple[int, int],
    side: Literal["left", "center"],
) -> None:  # fmt: skip
    place = int(np.argmin(np.abs(np.asarray(search.rates) - rate)))
    ax.plot(rate, search.smooth[place], "o", mfc="white", mec=colour, mew=1.6, ms=6.5, zorder=5)
    ax.annotate(
        f"{words} at {rate:.2g}", (rate, search.smooth[place]), off, textcoords="offset points", fontsize=SMALL,
        color=TEXT, ha=side,
    )  # fmt: skip


def _axes(ax: Axes, search: Searched) -> None:
    top = 1.3 * float(np.max(np.asarray(search.smooth)[: max(2, int(0.9 * len(search.smooth)))]))
    ax.set(xscale="log", ylim=(min(0.0, min(search.smooth)), top))
    ax.set_title("loss while the rate grows", loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    ax.set_xlabel("learning rate", fontsize=BODY, color=MUTED)
    ax.tick_params(labelsize=SMALL, colors=MUTED, length=0, which="both")
    ax.grid(axis="y", color=RULE, lw=0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.spines["bottom"].set_color(RULE)
