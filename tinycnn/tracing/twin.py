"""The network once more, to ask what the loss would be: with other weights, and the very same chance."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential


class Twin:
    """A copy of a network and its input, with the generators as they are before anything is drawn."""

    def __init__(self, model: Sequential, x: Array):
        self.model, self.x = copy.deepcopy(model), x
        layers = [layer for _, layer in self.model._paths()]
        found = [value for layer in layers for value in vars(layer).values() if isinstance(value, np.random.Generator)]
        self.chance = [(rng, rng.bit_generator.state) for rng in found]

    def wide(self) -> Twin:
        """The same in float64."""
        return Twin(self.model.astype(np.float64), self.x.astype(np.float64))

    def scores(self, params: Mapping[str, Array]) -> Array:
        """What the network would give with these weights, in training."""
        for key, w in self.model.named_params().items():
            w[...] = params[key]
        return self._forward()

    def loss(self, y: Any) -> float:
        """The loss as it stands, penalty and all."""
        assert self.model.loss is not None
        return float(self.model.loss.forward(self._forward(), y)) + self.model.penalty()[0]

    def _forward(self) -> Array:
        for rng, state in self.chance:
            rng.bit_generator.state = state
        return self.model.forward(self.x, train=True)
