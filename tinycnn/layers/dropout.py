"""Dropout: in training, leave numbers out at random."""

from __future__ import annotations

import numpy as np

from tinycnn.layers.base import Array, Layer, Shape
from tinycnn.layers.window import check_flag
from tinycnn.ops.dropout import dropout_mask


class Dropout(Layer):
    """In training drop each number with probability `drop_prob` and divide the rest by 1 − drop_prob; else do nothing.

    `per_channel` drops whole channels. What is dropped is drawn from a generator of the layer's own, which comes from
    the network's seed, or from `seed`.

    >>> Dropout(0.5).forward(np.ones((1, 3)))    # not in training
    array([[1., 1., 1.]])
    """

    kind = "dropout"
    options = ("drop_prob", "per_channel", "seed")

    def __init__(
        self, drop_prob: float = 0.5, per_channel: bool = False, seed: int | None = None,
        input_shape: Shape | None = None, name: str | None = None,
    ):  # fmt: skip
        super().__init__(name, input_shape)
        self.drop_prob, self.per_channel, self.seed = drop_prob, check_flag(per_channel, "per_channel"), seed
        self.rng = np.random.default_rng(seed)
        dropout_mask((1, 1), drop_prob, np.random.default_rng(0))  # a probability that is none, refused here

    def build(self, input_shape: Shape, rng: np.random.Generator | None) -> Shape:
        """Fix the shape, and take a source of chance from the network's."""
        if self.seed is None:
            self.rng = np.random.default_rng(0) if rng is None else rng.spawn(1)[0]
        return super().build(input_shape, rng)

    def forward(self, x: Array, train: bool = False) -> Array:
        """A fresh mask for every batch in training; x itself otherwise."""
        if not train or self.drop_prob == 0:
            self._undo = lambda dy: dy
            return x
        mask = dropout_mask(x.shape, self.drop_prob, self.rng, self.per_channel)
        return self.run("dropout", x, mask, self.drop_prob)
