"""Capacity: the loss of ever wider networks, on what they were shown and on what they were not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinycnn.plot.style import BLUE, BODY, MUTED, ORANGE, RULE, SMALL, TEXT, TITLE, new_figure

MOST_ACROSS = 3


def capacity(trials: Sequence[Any]) -> Figure:
    """Training and validation loss against the number of weights, a panel for each amount of data.

    trials: objects with `pictures`, `weights`, `loss` and `val_loss`. Raises ValueError if there are none.

    >>> from types import SimpleNamespace as Trial
    >>> fig = capacity([Trial(pictures=50, weights=10**k, loss=1 / k, val_loss=1 / k + k) for k in (1, 2, 3)])
    >>> fig.axes[0].get_title(loc="left")
    '50 pictures'
    """
    if not trials:
        raise ValueError("there are no trials to draw")
    sizes = sorted({trial.pictures for trial in trials})
    across = min(MOST_ACROSS, len(sizes))
    down = -(-len(sizes) // across)
    fig = new_figure(height=2.9 * down)
    axes = fig.subplots(down, across, sharey=True, squeeze=False).ravel()
    for ax, size in zip(axes, sizes, strict=False):
        _panel(ax, size, sorted((t for t in trials if t.pictures == size), key=lambda t: t.weights))
    for ax in axes[len(sizes) :]:
        ax.set_visible(False)
    axes[0].set_ylabel("loss", fontsize=BODY, color=MUTED)
    return fig


def _panel(ax: Axes, size: int, trials: list[Any]) -> None:
    weights = [trial.weights for trial in trials]
    shown, unseen = (np.array([getattr(t, name) for t in trials], float) for name in ("loss", "val_loss"))
    ax.plot(weights, shown, "o-", color=BLUE, lw=1.8, ms=4, label="training")
    ax.plot(weights, unseen, "o--", color=ORANGE, lw=1.8, ms=4, label="validation")
    best = int(np.argmin(np.where(np.isfinite(unseen), unseen, np.inf)))
    ax.plot(weights[best], unseen[best], "o", mfc="white", mec=ORANGE, mew=1.6, ms=8, zorder=5, label="best")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_title(f"{size:,} pictures", loc="left", fontsize=TITLE, color=TEXT, fontweight="bold")
    ax.set_xlabel("weights", fontsize=BODY, color=MUTED)
    ax.tick_params(labelsize=SMALL, colors=MUTED, length=0, which="both")
    ax.grid(axis="y", color=RULE, lw=0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(fontsize=SMALL, frameon=False)
