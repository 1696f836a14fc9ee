"""Normalisation: take the mean out, divide by the standard deviation, then let the network scale and shift again.

The three differ only in what a mean is taken over: batch norm over all examples and pixels of one channel, layer norm
over all of one example, group norm over some channels of one example. Every number took part in its mean and its
variance, so backward has two terms beside the plain one: dx is what is left of the gradient when its mean, and its
part along x̂, are taken out.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, number, upstream, whole

Axes = tuple[int, ...]


class BatchNormCache(NamedTuple):
    """What batch norm's backward needs, and the statistics of the batch for `running_update`."""

    xhat: Array
    rstd: Array  # shaped to broadcast against x, as gamma is
    gamma: Array
    mean: Array | None  # (C,), None in evaluation
    var: Array | None  # (C,), unbiased (over M − 1), None in evaluation


def _batch_names(names: dict[str, Any]) -> dict[str, Any]:
    x = names["x"]
    if names.get("mean") is not None:
        return {"train": False, "M": _per_channel(x)}
    unused = np.zeros(x.shape[1], x.dtype)
    return {"mean": unused, "var": unused, "train": True, "M": _count(x)}


@formula(
    "m[c] = mean[n,...](x[n,c,...]) if train else mean[c]",
    "rstd[c] = 1 / sqrt((mean[n,...]((x[n,c,...] - m[c])**2) if train else var[c]) + eps)",
    "xhat[n,c,...] = (x[n,c,...] - m[c]) * rstd[c]",
    "y[n,c,...] = gamma[c] * xhat[n,c,...] + beta[c]",
    where="train is true (1) without a given mean and var, else false (0);"
    "m is the mean; rstd is one over the standard deviation",
    shapes="x (N,C,...), gamma (C), beta (C), mean (C), var (C) -> y (N,C,...)",
    source="Ioffe & Szegedy 2015, arXiv:1502.03167",
    given=_batch_names,
)
def batch_norm_forward(
    x: Array, gamma: Array, beta: Array, mean: Array | None = None, var: Array | None = None, eps: float = 1e-5
) -> tuple[Array, BatchNormCache]:
    """Normalise each channel over the batch, and over the pixels where there are any.

    In training the mean and the variance are the batch's own; the cache holds them (`cache.mean`, and `cache.var`,
    unbiased) for `running_update`. In evaluation `mean` and `var` are given, and no example sees another.

    Raises ShapeError in training with one value a channel (its variance would be 0 whatever it is); ValueError for an
    empty batch in training, for one of `mean` and `var` alone, and for a variance below 0.

    >>> batch_norm_forward(np.array([[1.0], [3.0]]), np.array([2.0]), np.array([5.0]), eps=1e-12)[0]
    array([[3.],
           [7.]])
    """
    x, axes = _channels(x)
    gamma, beta = (_one_a_channel(a, name, x) for a, name in ((gamma, "gamma"), (beta, "beta")))
    eps, wide = number(eps, "eps", above=0), _against(x)
    if mean is None and var is None:
        M = _count(x)
        xhat, rstd, mean, var = _normalise(x, axes, eps)
        cache = BatchNormCache(xhat, rstd, gamma.reshape(wide), mean.ravel(), var.ravel() * (M / (M - 1)))
    elif mean is None or var is None:
        raise ValueError("give mean and var both (evaluation) or neither (training)")
    else:
        mean, var = _one_a_channel(mean, "mean", x), _one_a_channel(var, "var", x)
        if (var.real < 0).any():
            worst = int(var.real.argmin())
            raise ValueError(f"a variance cannot be negative, but var[{worst}] is {var[worst]:.6g}")
        rstd = 1 / np.sqrt(var + eps).reshape(wide)
        cache = BatchNormCache((x - mean.reshape(wide)) * rstd, rstd, gamma.reshape(wide), None, None)
    return cache.gamma * cache.xhat + beta.reshape(wide), cache


@formula(
    "dgamma[c] = sum[n,...](dy[n,c,...] * xhat[n,c,...])",
    "dbeta[c] = sum[n,...](dy[n,c,...])",
    "dx[n,c,...] = gamma[c] * rstd[c] * (dy[n,c,...] - train * (dbeta[c] + xhat[n,c,...] * dgamma[c]) / M)",
    where="M is how many numbers a channel has",
    shapes="-> dx, dgamma, dbeta",
)
def batch_norm_backward(dy: Array, cache: BatchNormCache) -> tuple[Array, Array, Array]:
    """Take out of dy its mean and its part along x̂, for both statistics moved with x; given ones did not."""
    xhat, rstd, gamma, mean, _ = cache
    dy, axes = upstream(dy, xhat.shape), _but(1, xhat)
    dgamma, dbeta = (dy * xhat).sum(axis=axes, keepdims=True), dy.sum(axis=axes, keepdims=True)
    rest = dy if mean is None else dy - (dbeta + xhat * dgamma) / _per_channel(xhat)
    return gamma * rstd * rest, dgamma.ravel(), dbeta.ravel()


@formula(
    "mean[c] = mean[n,...](x[n,c,...])",
    "var[c] = sum[n,...]((x[n,c,...] - mean[c])**2) / (M - 1)",
    where="M is how many numbers a channel has",
    shapes="x (N,C,...) -> mean (C), var (C)",
    source="Ioffe & Szegedy 2015, arXiv:1502.03167, algorithm 2",
    given=lambda names: {"M": _count(names["x"])},
)
def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Each channel's mean and unbiased variance: what batch norm remembers of a batch.

    Raises ShapeError for one value a channel, ValueError for none.

    >>> batch_statistics(np.array([[1.0], [3.0]]))
    (array([2.]), array([2.]))
    """
    x, axes = _channels(x)
    M = _count(x)
    mean, _, var = _moments(x, axes)
    return mean.ravel(), var.ravel() * (M / (M - 1))


@formula(
    "running = (1 - momentum)*running + momentum*batch",
    where="batch is the statistic of this batch, of a variance the unbiased one; momentum is the weight of the new",
    shapes="running (...), batch (...) -> running (...)",
    source="Ioffe & Szegedy 2015, arXiv:1502.03167; the momentum as PyTorch counts it",
)
def running_update(running: Array, batch: Array, momentum: float = 0.1) -> Array:
    """Move a running statistic a little towards the batch's; returns the new one, and leaves the old alone.

    Keras's momentum is 1 less this. Raises ValueError for a momentum outside 0…1, ShapeError if the shapes differ.

    >>> running_update(np.array([0.0]), np.array([2.0]), momentum=0.25)
    array([0.5])
    """
    running, batch = floating(running, "running"), floating(batch, "batch")
    if not 0 <= number(momentum, "momentum") <= 1:
        raise ValueError(f"momentum is the weight of the new statistic, 0 to 1, got {momentum!r}")
    if running.shape != batch.shape:
        raise ShapeError(f"running has shape {running.shape}, but batch has {batch.shape}")
    return (1 - float(momentum)) * running + float(momentum) * batch


@formula(
    "m[n] = mean[...](x[n,...])",
    "rstd[n] = 1 / sqrt(mean[...]((x[n,...] - m[n])**2) + eps)",
    "xhat[n,...] = (x[n,...] - m[n]) * rstd[n]",
    "y[n,...] = gamma * xhat[n,...] + beta",
    where="m is the mean; rstd is one over the standard deviation",
    shapes="x (N,...), gamma (...), beta (...) -> y (N,...)",
    source="Ba, Kiros & Hinton 2016, arXiv:1607.06450",
)
def layer_norm_forward(x: Array, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, tuple]:
    """Normalise each example over all its numbers; every number has its own gamma and beta.

    Raises ShapeError if gamma or beta has another shape than one example.

    >>> layer_norm_forward(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), eps=1e-12)[0]
    array([[-1.,  1.]])
    """
    x, eps = floating(x, "x"), number(eps, "eps", above=0)
    if x.ndim < 2 or 0 in x.shape[1:]:
        raise ShapeError(f"x must be (N,…) with something to take a mean of, got shape {x.shape}")
    gamma, beta = floating(gamma, "gamma"), floating(beta, "beta")
    for name, given in (("gamma", gamma), ("beta", beta)):
        if given.shape != x.shape[1:]:
            raise ShapeError(f"{name} must have the shape of one example, {x.shape[1:]}, got {given.shape}")
    xhat, rstd, _, _ = _normalise(x, _but(0, x), eps)
    return gamma * xhat + beta, (xhat, rstd, gamma)


@formula(
    "dgamma = sum[n](dy[n,...] * xhat[n,...])",
    "dbeta = sum[n](dy[n,...])",
    "dxhat[n,...] = gamma * dy[n,...]",
    "level[n] = mean[...](dxhat[n,...])",
    "along[n] = mean[...](dxhat[n,...] * xhat[n,...])",
    "dx[n,...] = rstd[n] * (dxhat[n,...] - level[n] - xhat[n,...] * along[n])",
    shapes="-> dx, dgamma, dbeta",
)
def layer_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each example's dx̂ its mean and its part along x̂."""
    xhat, rstd, gamma = cache
    dy = upstream(dy, xhat.shape)
    return _normalise_backward(gamma * dy, xhat, rstd, _but(0, xhat)), (dy * xhat).sum(axis=0), dy.sum(axis=0)


@formula(
    "m[n,g] = mean[e,...](x[n,g*CG+e,...])",
    "rstd[n,g] = 1 / sqrt(mean[e,...]((x[n,g*CG+e,...] - m[n,g])**2) + eps)",
    "xhat[n,c,...] = (x[n,c,...] - m[n,c//CG]) * rstd[n,c//CG]",
    "y[n,c,...] = gamma[c] * xhat[n,c,...] + beta[c]",
    where="CG is the channels of a group; m is the mean; rstd is one over the standard deviation",
    shapes="x (N,C,...), gamma (C), beta (C) -> y (N,C,...)",
    source="Wu & He 2018, arXiv:1803.08494",
    given=lambda names: {"CG": names["x"].shape[1] // names["groups"]},
)
def group_norm_forward(x: Array, groups: int, gamma: Array, beta: Array, eps: float = 1e-5) -> tuple[Array, tuple]:
    """Normalise each example over groups of its channels: in one group over all, in C groups each channel alone.

    Raises ShapeError if the groups do not divide the channels, or gamma or beta is not one number a channel.

    >>> group_norm_forward(np.array([[1.0, 3.0, 10.0, 30.0]]), 2, np.ones(4), np.zeros(4), eps=1e-12)[0]
    array([[-1.,  1., -1.,  1.]])
    """
    x, _ = _channels(x)
    N, C = x.shape[:2]
    if 0 in x.shape[1:] or C % whole(groups, "groups"):
        raise ShapeError(f"groups={groups} must divide the channels of x evenly, and leave none empty: shape {x.shape}")
    gamma, beta = (_one_a_channel(a, name, x).reshape(_against(x)) for a, name in ((gamma, "gamma"), (beta, "beta")))
    grouped = x.reshape(N, groups, math.prod(x.shape[1:]) // groups)
    xhat, rstd, _, _ = _normalise(grouped, (2,), number(eps, "eps", above=0))
    return gamma * xhat.reshape(x.shape) + beta, (xhat, rstd, gamma, x.shape)


@formula(
    "dgamma[c] = sum[n,...](dy[n,c,...] * xhat[n,c,...])",
    "dbeta[c] = sum[n,...](dy[n,c,...])",
    "dxhat[n,c,...] = gamma[c] * dy[n,c,...]",
    "level[n,g] = mean[e,...](dxhat[n,g*CG+e,...])",
    "along[n,g] = mean[e,...](dxhat[n,g*CG+e,...] * xhat[n,g*CG+e,...])",
    "dx[n,c,...] = rstd[n,c//CG] * (dxhat[n,c,...] - level[n,c//CG] - xhat[n,c,...] * along[n,c//CG])",
    shapes="-> dx, dgamma, dbeta",
)
def group_norm_backward(dy: Array, cache: tuple) -> tuple[Array, Array, Array]:
    """Take out of each group's dx̂ its mean and its part along x̂."""
    xhat, rstd, gamma, shape = cache
    dy = upstream(dy, shape)
    dx = _normalise_backward((gamma * dy).reshape(xhat.shape), xhat, rstd, (2,))
    return dx.reshape(shape), (dy * xhat.reshape(shape)).sum(axis=_but(1, dy)), dy.sum(axis=_but(1, dy))


def _moments(x: Array, axes: Axes) -> tuple[Array, Array, Array]:
    """The mean, x less it, and the (biased) variance.

    The mean is taken out twice: what rounding left in the first time would, for a large mean, pass for a signal.
    """
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    left = centred.mean(axis=axes, keepdims=True)
    centred = centred - left
    return mean + left, centred, (centred * centred).mean(axis=axes, keepdims=True)


def _normalise(x: Array, axes: Axes, eps: float) -> tuple[Array, Array, Array, Array]:
    """x̂, one over the standard deviation, the mean and the variance."""
    mean, centred, var = _moments(x, axes)
    rstd = 1 / np.sqrt(var + eps)
    return centred * rstd, rstd, mean, var


def _normalise_backward(dxhat: Array, xhat: Array, rstd: Array, axes: Axes) -> Array:
    """The gradient through x̂ = (x − m)·rstd, where m and rstd depend on every x."""
    level, along = dxhat.mean(axis=axes, keepdims=True), (dxhat * xhat).mean(axis=axes, keepdims=True)
    return rstd * (dxhat - level - xhat * along)


def _but(axis: int, x: Array) -> Axes:
    """All axes but one."""
    return tuple(a for a in range(x.ndim) if a != axis)


def _channels(x: Any) -> tuple[Array, Axes]:
    """x, once it is known to have channels, and the axes that are not theirs."""
    x = floating(x, "x")
    if x.ndim < 2:
        raise ShapeError(f"x must be (N,C) or (N,C,H,W), got shape {x.shape}")
    return x, _but(1, x)


def _one_a_channel(array: Any, name: str, x: Array) -> Array:
    array = floating(array, name)
    if array.shape != x.shape[1:2]:
        raise ShapeError(f"{name} must have one number a channel, {x.shape[1:2]}, got shape {array.shape}")
    return array


def _against(x: Array) -> tuple[int, ...]:
    """The shape in which one number a channel lies along x."""
    return (-1, *(1,) * (x.ndim - 2))


def _per_channel(x: Array) -> int:
    """How many numbers a channel has."""
    return x.shape[0] * math.prod(x.shape[2:])


def _count(x: Array) -> int:
    """How many numbers the statistics of a channel are over; there must be two, or they say nothing."""
    if (M := _per_channel(x)) == 0:
        raise ValueError(f"the statistics of an empty batch are not defined: shape {x.shape}")
    if M == 1:
        raise ShapeError(
            f"batch norm in training needs at least two values a channel, but x of shape {x.shape} has one: "
            "use a larger batch, or give mean and var (evaluation)"
        )
    return M
