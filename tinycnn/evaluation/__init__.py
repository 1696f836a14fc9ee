"""Judging a trained network: cross-validation, its mistakes, and which pixels its answers rest on."""

from tinycnn.evaluation.cross_validation import CrossValidation, Fold, cross_validate, mean_and_sd
from tinycnn.evaluation.gradients import grad_cam, input_gradient, saliency
from tinycnn.evaluation.mistakes import Mistakes, misclassified
from tinycnn.evaluation.occluding import occlusion

__all__ = [
    "CrossValidation",
    "Fold",
    "Mistakes",
    "cross_validate",
    "grad_cam",
    "input_gradient",
    "mean_and_sd",
    "misclassified",
    "occlusion",
    "saliency",
]
