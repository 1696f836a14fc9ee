"""Proofs that gradients are right: the function is asked, not believed."""

from tinycnn.verify.differences import Derivative, complex_step, directional
from tinycnn.verify.gradient_report import GradientCheck, GradientReport
from tinycnn.verify.gradients import check_gradient
from tinycnn.verify.kinks import Kink, find_kink
from tinycnn.verify.museum import MUTANTS, Mutant, mutant
from tinycnn.verify.networks import check_layer, check_model
from tinycnn.verify.rows import Row
from tinycnn.verify.sweep import Sweep, sweep
from tinycnn.verify.witness import witness

__all__ = [
    "MUTANTS",
    "Derivative",
    "GradientCheck",
    "GradientReport",
    "Kink",
    "Mutant",
    "Row",
    "Sweep",
    "check_gradient",
    "check_layer",
    "check_model",
    "complex_step",
    "directional",
    "find_kink",
    "mutant",
    "sweep",
    "witness",
]
