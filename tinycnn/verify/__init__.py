"""Proofs that gradients are right: the function is asked, not believed."""

from tinycnn.verify.gradients import GradientCheck, GradientReport, check_gradient, complex_step

__all__ = ["GradientCheck", "GradientReport", "check_gradient", "complex_step"]
