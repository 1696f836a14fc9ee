"""Proofs that gradients are right: the function is asked, not believed."""

from tinycnn.verify.gradients import GradientCheck, GradientReport, check_gradient, complex_step
from tinycnn.verify.networks import check_layer, check_model

__all__ = ["GradientCheck", "GradientReport", "check_gradient", "check_layer", "check_model", "complex_step"]
