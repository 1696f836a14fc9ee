"""The figure of docs/verify.md: the errors of difference quotients over the step, for a convolution under a tanh.

Run by hand: `python -m tinycnn.verify.sweep_figure docs/gradient_sweep.png`.
"""

import sys
from typing import Any

import numpy as np

from tinycnn import ops
from tinycnn.verify.differences import Array
from tinycnn.verify.sweep import Sweep, sweep


def example() -> Sweep:
    """A strided, padded convolution and a tanh, under a signed upstream gradient: the figure of docs/verify.md.

    >>> found = example()
    >>> 1e-6 < found.best("central")[0] < 1e-3 < found.best("richardson")[0]
    True
    """
    rng = np.random.default_rng(0)
    x, w, b, dy = (rng.normal(size=shape) for shape in ((2, 3, 6, 5), (4, 3, 3, 2), (4,), (2, 4, 3, 3)))

    def f(x: Array, w: Array, b: Array) -> tuple[Any, tuple[Array, ...]]:
        z, window = ops.conv2d_forward(x, w, b, stride=2, padding=1)
        y, squashed = ops.tanh_forward(2 * z)  # twice, to curve it more
        return (dy * y).sum(), ops.conv2d_backward(2 * ops.tanh_backward(dy, squashed), window)

    return sweep(f, x, w, b)


if __name__ == "__main__":
    from tinycnn.plot import gradient_sweep, save

    save(gradient_sweep(example()), sys.argv[1])
