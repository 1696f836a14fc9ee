"""Activation layers: the bends between linear layers, and softmax with its logarithm at the end."""

from __future__ import annotations

from tinycnn.layers.base import Array, Layer, Shape
from tinycnn.naming import lookup
from tinycnn.ops.checks import number


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


class LeakyReLU(Layer):
    """Keep what is positive, and a little of the rest, so that no unit is ever quite dead.

    >>> import numpy as np
    >>> LeakyReLU(0.1).forward(np.array([[-1.0, 2.0]]))
    array([[-0.1,  2. ]])
    """

    kind = "leaky_relu"
    options = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.negative_slope = number(negative_slope, "negative_slope")

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = x where positive, negative_slope·x elsewhere."""
        return self.run("leaky_relu", x, self.negative_slope)


class ELU(Layer):
    """Keep what is positive, and bend the rest smoothly to −alpha.

    >>> import numpy as np
    >>> ELU().forward(np.array([[0.0, 2.0]]))
    array([[0., 2.]])
    """

    kind = "elu"
    options = ("alpha",)

    def __init__(self, alpha: float = 1.0, input_shape: Shape | None = None, name: str | None = None):
        super().__init__(name, input_shape)
        self.alpha = number(alpha, "alpha")

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = x where positive, alpha·(exp(x) − 1) elsewhere."""
        return self.run("elu", x, self.alpha)


class Sigmoid(Layer):
    """Squeeze every number into 0…1: a probability for each, whatever the others say.

    >>> import numpy as np
    >>> Sigmoid().forward(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """

    kind = "sigmoid"

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = 1/(1 + exp(−x))."""
        return self.run("sigmoid", x)


class Tanh(Layer):
    """Squeeze every number into −1…1.

    >>> import numpy as np
    >>> Tanh().forward(np.zeros((1, 2)))
    array([[0., 0.]])
    """

    kind = "tanh"

    def forward(self, x: Array, train: bool = False) -> Array:
        """y = tanh(x)."""
        return self.run("tanh", x)


ACTIVATIONS: dict[str, type[Layer]] = {
    "relu": ReLU, "leaky_relu": LeakyReLU, "elu": ELU, "sigmoid": Sigmoid, "tanh": Tanh,
    "softmax": Softmax, "log_softmax": LogSoftmax,
}  # fmt: skip


def check_activation(name: str | None) -> str | None:
    """The word itself, or None for no activation; raises ValueError for a word (or a layer) that is none."""
    if name is not None:
        lookup(ACTIVATIONS, name, "activation")
    return name


def activation(name: str) -> Layer:
    """The layer that Keras's word `activation=name` stands for; raises ValueError for a word that is none."""
    return lookup(ACTIVATIONS, name, "activation")()
