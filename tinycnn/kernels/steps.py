"""An optimizer's step in one pass: each weight, its gradient and what is remembered of it are read and written once.

With tens of millions of weights a step takes as long as memory does to deliver them, and every further pass doubles it.
The formulas are those of `tinycnn.optim`; here they change the weights and the memory *in place*.
"""

from __future__ import annotations

import numpy as np

from tinycnn.kernels.compiling import Worker, unpack
from tinycnn.kernels.threads import covered, plain, threads_for
from tinycnn.ops.checks import Array


def serves(*arrays: Array) -> bool:
    """Whether the steps here take these arrays: equal shapes and types, float32 or float64, one line in memory."""
    same = all(array.shape == arrays[0].shape and plain(array) is array for array in arrays)
    return same and covered(*arrays)


def sgd_update(w: Array, dw: Array, lr: float, decay: float = 0.0) -> None:
    """`w -= lr·(dw + decay·w)`, in place."""
    with threads_for(w.size) as threads:
        _sgd(threads, w.dtype, w, dw, np.array([lr, decay], w.dtype), w.size)


def momentum_update(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9, decay: float = 0.0) -> None:
    """`v = momentum·v + dw + decay·w`, then `w -= lr·v`, in place."""
    with threads_for(w.size) as threads:
        _momentum(threads, w.dtype, w, dw, v, np.array([lr, momentum, decay], w.dtype), w.size)


def adam_update(
    w: Array, dw: Array, m: Array, v: Array, t: int, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, decay: float = 0.0, decoupled: bool = False,
) -> None:  # fmt: skip
    """One step of Adam, or of AdamW if the decay is `decoupled`, in place on `w`, `m` and `v`; t counts from 1."""
    inside, outside = (0.0, lr * decay) if decoupled else (decay, 0.0)
    numbers = [lr / (1 - beta1**t), beta1, 1 - beta1, beta2, 1 - beta2, 1 / (1 - beta2**t), eps, inside, 1 - outside]
    with threads_for(4 * w.size) as threads:
        _adam(threads, w.dtype, w, dw, m, v, np.array(numbers, w.dtype), w.size)


@Worker
def _sgd(t, workers, given):
    w, dw, numbers, n = unpack(given, "xxxn")
    mine, lr, decay = slice(t * n // workers, (t + 1) * n // workers), numbers[0], numbers[1]
    w, dw = w[mine], dw[mine]
    for k in range(len(w)):
        w[k] -= lr * (dw[k] + decay * w[k])


@Worker
def _momentum(t, workers, given):
    w, dw, v, numbers, n = unpack(given, "xxxxn")
    mine, lr, momentum, decay = slice(t * n // workers, (t + 1) * n // workers), numbers[0], numbers[1], numbers[2]
    w, dw, v = w[mine], dw[mine], v[mine]
    for k in range(len(w)):
        velocity = momentum * v[k] + (dw[k] + decay * w[k])
        v[k] = velocity
        w[k] -= lr * velocity


@Worker
def _adam(t, workers, given):
    w, dw, m, v, numbers, n = unpack(given, "xxxxxn")
    mine = slice(t * n // workers, (t + 1) * n // workers)
    rate, beta1, rest1, beta2, rest2 = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    mend2, eps, inside, keep = numbers[5], numbers[6], numbers[7], numbers[8]
    w, dw, m, v = w[mine], dw[mine], m[mine], v[mine]
    for k in range(len(w)):
        g = dw[k] + inside * w[k]
        mean = beta1 * m[k] + rest1 * g
        square = beta2 * v[k] + rest2 * g * g
        m[k], v[k] = mean, square
        w[k] = keep * w[k] - rate * mean / (np.sqrt(square * mend2) + eps)
