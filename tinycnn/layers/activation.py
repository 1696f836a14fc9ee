"""Activation layers: ReLU, and softmax with its logarithm."""

from __future__ import annotations

from tinycnn.layers.base import Array, Layer
from tinycnn.naming import lookup


class ReLU(Layer):
    """Keep what is positive, and put 0 for the rest.

    >>> import numpy as np
    >>> ReLU().forward(np.array([[-1.0, 2.0]]))
    array([[0., 2.]])
    """

    kind = "relu"

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = max(x, 0)."""
        return self.run("relu", x)


class Softmax(Layer):
    """Turn logits into probabilities along the class axis (axis 1: for images, at every pixel).

    Its backward is the whole Jacobian diag(p) − p·pᵀ. For training, leave it out and use loss="cross_entropy", which
    takes logits, and is exact where a probability rounds to 0.

    >>> import numpy as np
    >>> Softmax().forward(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """

    kind = "softmax"

    def forward(self, x: Array, train: bool = False) -> Array:
        """p = exp(z) over its sum."""
        return self.run("softmax", x)


class LogSoftmax(Layer):
    """The logarithm of softmax, without passing through a probability that might round to 0.

    >>> import numpy as np
    >>> LogSoftmax().forward(np.array([[0.0, 1e4]]))
    array([[-10000.,      0.]])
    """

    kind = "log_softmax"

    def forward(self, x: Array, train: bool = False) -> Array:
        """log p, with p = softmax(z)."""
        return self.run("log_softmax", x)


ACTIVATIONS: dict[str, type[Layer]] = {"relu": ReLU, "softmax": Softmax, "log_softmax": LogSoftmax}


def activation(name: str) -> Layer:
    """The layer that Keras's word `activation=name` stands for; raises ValueError for a word that is none."""
    return lookup(ACTIVATIONS, name, "activation")()
