"""How each network of the zoo is trained: what its article or paper says, put right where that cannot work.

A recipe is settings as a run's file states them (docs/runs.md); `tinycnn train DATA --net NAME` starts from it.
"""

from __future__ import annotations

import copy
from typing import Any

from tinycnn.naming import lookup

_CLASSES = {"loss": "cross_entropy", "metrics": ["accuracy"], "val": 0.1}

RECIPES: dict[str, dict[str, Any]] = {
    # The articles scale pictures to [0, 1] and do no more to them.
    "article002": {  # its loop takes one step an epoch over all data; batches are what its optimizer is meant for
        **_CLASSES, "epochs": 10, "batch_size": 32, "normalise": False,
        "optimizer": {"name": "sgd", "lr": 0.001, "momentum": 0.9},
    },
    "article003": {
        **_CLASSES, "epochs": 10, "batch_size": 32, "normalise": False, "optimizer": {"name": "adam", "lr": 0.001},
    },
    "article004": {
        **_CLASSES, "epochs": 100, "batch_size": 64, "normalise": False, "optimizer": {"name": "adam", "lr": 0.001},
    },
    "digits": {
        **_CLASSES, "epochs": 20, "batch_size": 32, "normalise": False, "optimizer": {"name": "adam", "lr": 0.001},
    },
    "lenet5": {  # Adam stands in for the paper's second-order steps, shifts for its distorted digits
        **_CLASSES, "epochs": 10, "batch_size": 64, "normalise": True, "optimizer": {"name": "adam", "lr": 0.002},
        "schedule": {"name": "cosine", "every": "step"}, "augment": [{"type": "RandomCrop", "padding": 2}],
    },
    "resnet8": {  # section 4.2 of the paper, shortened
        **_CLASSES, "epochs": 40, "batch_size": 128, "normalise": True,
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
        "augment": [{"type": "RandomCrop", "padding": 4}, {"type": "RandomFlip"}],
    },
    "unet": {
        **_CLASSES, "epochs": 20, "batch_size": 4, "normalise": True, "optimizer": {"name": "adam", "lr": 0.001},
    },
}  # fmt: skip


def recipe(name: str) -> dict[str, Any]:
    """The settings that a network of the zoo is trained with, to change as you like.

    Raises ValueError for a name that is none.

    >>> recipe("article004")["optimizer"]
    {'name': 'adam', 'lr': 0.001}
    """
    return copy.deepcopy(lookup(RECIPES, name, "recipe"))
