"""Explanations: one number of a layer's output, or of a gradient, with the sum that made it."""

from tinycnn.explanation.forward import Explanation, explain
from tinycnn.explanation.gradient import GradientExplanation, GradientTerm, explain_grad
from tinycnn.explanation.paths import Path, Paths, Step

__all__ = ["Explanation", "GradientExplanation", "GradientTerm", "Path", "Paths", "Step", "explain", "explain_grad"]
