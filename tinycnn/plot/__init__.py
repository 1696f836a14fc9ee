"""Figures of a network's training and of what came of it: matplotlib figures, built without pyplot."""

from tinycnn.plot.beside import beside
from tinycnn.plot.curves import learning_curves
from tinycnn.plot.gradient_sweep import gradient_sweep
from tinycnn.plot.matrix import confusion
from tinycnn.plot.poster import overview
from tinycnn.plot.samples import predictions
from tinycnn.plot.style import save
from tinycnn.plot.weights import filters

__all__ = [
    "beside",
    "confusion",
    "filters",
    "gradient_sweep",
    "learning_curves",
    "overview",
    "predictions",
    "save",
]
