"""Figures of a network's training and of what came of it: matplotlib figures, built without pyplot."""

from tinycnn.plot.beside import beside
from tinycnn.plot.curves import learning_curves
from tinycnn.plot.gradient_sweep import gradient_sweep
from tinycnn.plot.heat import heatmaps
from tinycnn.plot.judged import calibration, precision_recall, roc
from tinycnn.plot.matrix import confusion
from tinycnn.plot.mistakes import misclassified
from tinycnn.plot.poster import overview
from tinycnn.plot.rate import learning_rate
from tinycnn.plot.samples import predictions
from tinycnn.plot.style import save
from tinycnn.plot.table import report
from tinycnn.plot.weights import filters

__all__ = [
    "beside",
    "calibration",
    "confusion",
    "filters",
    "gradient_sweep",
    "heatmaps",
    "learning_curves",
    "learning_rate",
    "misclassified",
    "overview",
    "precision_recall",
    "predictions",
    "report",
    "roc",
    "save",
]
