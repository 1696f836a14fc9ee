"""What an answer rests on, by the network's own backward pass: saliency and Grad-CAM.

Training asks how the loss changes with the weights. The same backward pass, begun from one class's score instead of the
loss and followed back to the picture, says how that score changes with each pixel; stopped at a layer, how it changes
with each of its feature maps.

Every function here takes a trained model, pictures x (N, C, H, W), and `target`: a class, one for each example, or None
for the class that scores highest. The score is what goes into the last softmax. The model is left as it was. Raised are
TypeError and ShapeError for pictures that do not fit, or a network without a score for each class, ValueError for a
target that is no class.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.blas import one_blas_thread
from tinycnn.data.resizing import resize
from tinycnn.errors import ShapeError
from tinycnn.evaluation.watching import BATCH, Watched, pictures
from tinycnn.formula import formula
from tinycnn.layers import ELU, BatchNorm2D, Conv2D, ConvTranspose2D, GroupNorm, LeakyReLU, ReLU, Sigmoid, Tanh
from tinycnn.layers.base import Array
from tinycnn.model.sequential import Sequential

AFTER = (ELU, BatchNorm2D, GroupNorm, LeakyReLU, ReLU, Sigmoid, Tanh)  # what makes a convolution's output its features


def input_gradient(model: Sequential, x: Any, target: Any = None) -> Array:
    """How the class's score changes with each number of the picture: ∂score/∂x, with its sign.

    x (N, C, H, W) -> (N, C, H, W), by the pictures as they are given to `predict`; raises as the module says.

    >>> from tinycnn import Dense, Flatten, Sequential
    >>> model = Sequential([Flatten(), Dense(2)], input_shape=(1, 1, 2))
    >>> model.layers[1].params["w"][:] = [[1, 2], [3, 4]]
    >>> input_gradient(model, np.zeros((1, 1, 1, 2), np.float32), target=1)
    array([[[[3., 4.]]]], dtype=float32)
    """
    watched = Watched(model)
    x = pictures(watched.model, x)
    dx = np.empty_like(x)
    with one_blas_thread():
        for rows in _batches(len(x)):
            dx[rows] = watched.input_gradient(x[rows], _part(target, rows))
    return dx


def saliency(model: Sequential, x: Any, target: Any = None) -> Array:
    """How much the class's score changes with each pixel, whichever way: the largest |∂score/∂x| of its channels.

    x (N, C, H, W) -> (N, H, W); raises as the module says.

    >>> from tinycnn import Dense, Flatten, Sequential
    >>> model = Sequential([Flatten(), Dense(2)], input_shape=(1, 1, 2))
    >>> model.layers[1].params["w"][:] = [[1, -2], [3, 4]]
    >>> saliency(model, np.zeros((1, 1, 1, 2), np.float32), target=0)
    array([[[1., 2.]]], dtype=float32)
    """
    return _largest(input_gradient(model, x, target))


@formula(
    "heat[n,r,q] = max[c](max(dx[n,c,r,q], -dx[n,c,r,q]))",
    where="dx is the gradient by the picture of L, which is one class's score here, and no loss",
    shapes="dx (N,C,H,W) -> heat (N,H,W)",
    source="Simonyan, Vedaldi & Zisserman 2014, arXiv:1312.6034, section 3.1",
    name="saliency",
)
def _largest(dx: Array) -> Array:
    return np.abs(dx).max(axis=1)


def grad_cam(model: Sequential, x: Any, target: Any = None, layer: str | None = None, resized: bool = True) -> Array:
    """Where a layer's feature maps speak for the class: each weighted by how much the score rises with it, added up.

    `layer` names the layer that gives the maps, a path (`res1.conv2`) for one inside another; unless told the last
    convolution, with the norm and the activation right behind it. x (N, C, H, W) -> (N, H, W), stretched bilinearly
    from the layer's size, or (N, OH, OW) as it is with `resized=False`. What speaks against the class is 0.

    Raises KeyError for a layer that is none, ShapeError for one without feature maps, ValueError for a network without
    a convolution, and as the module says.

    >>> from tinycnn import Conv2D, Dense, Flatten, Sequential
    >>> model = Sequential([Conv2D(2, 3), Flatten(), Dense(3)], input_shape=(1, 5, 4))
    >>> grad_cam(model, np.zeros((2, 1, 5, 4), np.float32)).shape
    (2, 5, 4)
    """
    watched = Watched(model)
    x = pictures(watched.model, x)
    path = last_convolution(watched.model) if layer is None else layer
    shape = watched.model.layer(path).output_shape
    if shape is None or len(shape) != 3:
        raise ShapeError(f"Grad-CAM needs a layer of feature maps (C, H, W); {path!r} gives {shape}")
    watched.watch(path)
    found = np.empty((len(x), *shape[1:]), x.dtype)
    with one_blas_thread():
        for rows in _batches(len(x)):
            watched.input_gradient(x[rows], _part(target, rows))
            assert watched.y is not None
            assert watched.dy is not None
            found[rows] = _class_activation(watched.y, watched.dy)
    return resize(found, x.shape[2:], "bilinear") if resized else found


@formula(
    "alpha[n,f] = mean[u,v](dy[n,f,u,v])",
    "heat[n,u,v] = max(sum[f](alpha[n,f] * y[n,f,u,v]), 0)",
    where="y is what the layer gives; dy is the gradient by it of L, which is one class's score here, and no loss",
    shapes="y (N,F,OH,OW), dy (N,F,OH,OW) -> heat (N,OH,OW)",
    source="Selvaraju et al. 2017, arXiv:1610.02391, equations 1 and 2",
    name="grad_cam",
)
def _class_activation(y: Array, dy: Array) -> Array:
    alpha = dy.mean(axis=(2, 3))
    return np.maximum(np.einsum("nf,nfuv->nuv", alpha, y), 0)


def last_convolution(model: Sequential) -> str:
    """The path of the last convolution, or of the norm and the activation right behind it.

    >>> from tinycnn import Conv2D, Dense, Flatten, MaxPool2D, ReLU, Sequential
    >>> last_convolution(Sequential([Conv2D(2, 3), ReLU(), MaxPool2D(2), Flatten(), Dense(3)], input_shape=(1, 6, 6)))
    'relu1'
    """
    paths = model._paths()
    places = [i for i, (_, layer) in enumerate(paths) if isinstance(layer, Conv2D | ConvTranspose2D)]
    if not places:
        raise ValueError("Grad-CAM needs a convolution, and this network has none; saliency does not")
    place = places[-1]
    inside = paths[place][0].rpartition(".")[0]
    while place + 1 < len(paths):
        path, layer = paths[place + 1]
        if not isinstance(layer, AFTER) or path.rpartition(".")[0] != inside:
            break
        place += 1
    return paths[place][0]


def _batches(N: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, N, BATCH)]


def _part(target: Any, rows: slice) -> Any:
    """The targets of some examples, where each has its own."""
    return target if target is None or np.ndim(target) == 0 else np.asarray(target)[rows]
