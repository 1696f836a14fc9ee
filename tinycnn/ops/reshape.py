"""Other addresses for the same numbers: flatten an image into a vector, reshape it, join channels. No arithmetic."""

from __future__ import annotations

import math

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, upstream


@formula(
    "y[n, (c*H+r)*W+q] = x[n,c,r,q]",
    shapes="x (N,C,H,W) -> y (N,C*H*W)",
    source="row-major order",
)
def flatten_forward(x: Array) -> tuple[Array, tuple]:
    """Turn each example, of any number of axes, into one vector.

    >>> flatten_forward(np.arange(4.0).reshape(1, 1, 2, 2))[0]
    array([[0., 1., 2., 3.]])
    """
    x = floating(x, "x")
    return np.array(x.reshape(len(x), math.prod(x.shape[1:])), order="C"), (x.shape,)


@formula("dx[n,c,r,q] = dy[n, (c*H+r)*W+q]", shapes="-> dx")
def flatten_backward(dy: Array, cache: tuple) -> Array:
    """Fold the vector back into the image."""
    (x_shape,) = cache
    return upstream(dy, (x_shape[0], math.prod(x_shape[1:]))).reshape(x_shape).copy()


@formula(
    "y[n,...] = x[n,...]",
    where="y has the numbers of x in the same order, counted row by row",
    shapes="x (N,...) -> y",
    source="row-major order",
    given=lambda names: {"y": np.zeros((len(names["x"]), *_per_example(names["x"], names["shape"])), names["x"].dtype)},
)
def reshape_forward(x: Array, shape: tuple[int, ...]) -> tuple[Array, tuple]:
    """Give each example another shape; the batch axis stays. One size may be −1: whatever is left.

    Raises ShapeError if the shape does not hold as many numbers as an example has.

    >>> reshape_forward(np.arange(4.0).reshape(1, 4), (2, 2))[0]
    array([[[0., 1.],
            [2., 3.]]])
    """
    x = floating(x, "x")
    return np.array(x.reshape(len(x), *_per_example(x, shape)), order="C"), (x.shape, _per_example(x, shape))


@formula("dx[n,...] = dy[n,...]", shapes="-> dx")
def reshape_backward(dy: Array, cache: tuple) -> Array:
    """Give the gradient the shape that x had."""
    x_shape, shape = cache
    return upstream(dy, (x_shape[0], *shape)).reshape(x_shape).copy()


@formula(
    "y[n,c,...] = a[n,c,...]",
    "y[n,CA+c,...] = b[n,c,...]",
    where="CA is how many channels a has",
    shapes="a (N,CA,...), b (N,CB,...) -> y (N,C,...)",
    source="Ronneberger, Fischer & Brox 2015, U-Net, arXiv:1505.04597",
    given=lambda names: {"C": names["a"].shape[1] + names["b"].shape[1]},
)
def concat_forward(a: Array, b: Array) -> tuple[Array, tuple]:
    """Lay the channels of b behind those of a: a skip connection that forgets nothing.

    Raises ShapeError if anything but the number of channels differs.

    >>> concat_forward(np.array([[1.0, 2.0]]), np.array([[3.0]]))[0]
    array([[1., 2., 3.]])
    """
    a, b = floating(a, "a"), floating(b, "b")
    if a.ndim < 2 or a.ndim != b.ndim or a.shape[:1] + a.shape[2:] != b.shape[:1] + b.shape[2:]:
        raise ShapeError(f"a and b must be (N,C,…), alike in all but the channels, got {a.shape} and {b.shape}")
    y = np.concatenate([a, b], axis=1)
    return y, (a.shape[1], y.shape)


@formula("da[n,c,...] = dy[n,c,...]", "db[n,c,...] = dy[n,CA+c,...]", shapes="-> da, db")
def concat_backward(dy: Array, cache: tuple) -> tuple[Array, Array]:
    """Cut the gradient where the channels were joined."""
    CA, y_shape = cache
    dy = upstream(dy, y_shape)
    return dy[:, :CA].copy(), dy[:, CA:].copy()


def _per_example(x: Array, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one example of the result, with −1 worked out."""
    size, known = math.prod(x.shape[1:]), math.prod(s for s in shape if s != -1)
    sizes = tuple(size // known if s == -1 and known else int(s) for s in shape)
    if x.ndim < 2 or tuple(shape).count(-1) > 1 or min(sizes, default=0) < 0 or math.prod(sizes) != size:
        raise ShapeError(f"an example of shape {x.shape[1:]} has {size} numbers, which do not fit into {tuple(shape)}")
    return sizes
