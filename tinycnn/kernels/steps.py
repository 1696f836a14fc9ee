"""An optimizer's step in one pass: each weight, its gradient and what is remembered of it are read and written once.

With tens of millions of weights a step takes as long as memory does to deliver them, and every further pass doubles it;
with a few hundred it takes as long as it takes to call for it. So a step is a list of jobs, one for each array of
weights, and all of them are one call. The formulas are those of `tinycnn.optim`; here they change the weights and the
memory *in place*.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from tinycnn.kernels.compiling import Worker, behind, kernel, unpack
from tinycnn.kernels.threads import threads_for
from tinycnn.ops.checks import Array

ANY_ORDER = {"contract", "reassoc"}


class Job(NamedTuple):
    """What is to be done to some arrays of one size, with some numbers of their type."""

    worker: Any
    arrays: tuple[Array, ...]
    numbers: Array


def serves(*arrays: Array) -> bool:
    """Whether the steps here take these arrays: equal shapes and types, float32 or float64, one line in memory."""
    shape, dtype = arrays[0].shape, arrays[0].dtype
    for a in arrays:
        if a.shape != shape or a.dtype != dtype or not a.flags.carray:
            return False
    return dtype.char in "fd" and arrays[0].size > 0


def sgd_job(w: Array, dw: Array, lr: float, decay: float = 0.0) -> Job:
    """`w -= lr·(dw + decay·w)`, in place."""
    return Job(_sgd, (w, dw), _numbers(w.dtype, lr, decay))


def momentum_job(w: Array, dw: Array, v: Array, lr: float, momentum: float = 0.9, decay: float = 0.0) -> Job:
    """`v = momentum·v + dw + decay·w`, then `w -= lr·v`, in place."""
    return Job(_momentum, (w, dw, v), _numbers(w.dtype, lr, momentum, decay))


def adam_job(
    w: Array, dw: Array, m: Array, v: Array, t: int, lr: float = 1e-3, beta1: float = 0.9, beta2: float = 0.999,
    eps: float = 1e-8, decay: float = 0.0, decoupled: bool = False,
) -> Job:  # fmt: skip
    """One step of Adam, or of AdamW if the decay is `decoupled`, in place on `w`, `m` and `v`; t counts from 1."""
    return Job(_adam, (w, dw, m, v), _adam_numbers(w.dtype, t, lr, beta1, beta2, eps, decay, decoupled))


@lru_cache(maxsize=64)  # most weights of a step have the same
def _numbers(dtype: Any, *numbers: float) -> Array:
    return np.array(numbers, dtype)


@lru_cache(maxsize=64)
def _adam_numbers(
    dtype: Any, t: int, lr: float, beta1: float, beta2: float, eps: float, decay: float, decoupled: bool
) -> Array:
    inside, outside = (0.0, lr * decay) if decoupled else (decay, 0.0)
    numbers = [lr / (1 - beta1**t), beta1, 1 - beta1, beta2, 1 - beta2, 1 / (1 - beta2**t), eps, inside, 1 - outside]
    return np.array(numbers, dtype)


def do(jobs: Iterable[Job]) -> None:
    """Do all of them; those of one kind and one type of number in one call."""
    kinds: dict[Any, list[Job]] = {}
    for job in jobs:
        kinds.setdefault((job.worker, job.numbers.dtype), []).append(job)
    for (worker, dtype), alike in kinds.items():
        given: list[Any] = [len(alike)]
        work = 0
        for job in alike:
            size = job.arrays[0].size
            work += size
            given += (*job.arrays, job.numbers, size)
        with threads_for(4 * work) as threads:
            worker(threads, dtype, *given)


def first_not_finite(arrays: Sequence[Array]) -> int | None:
    """The place of the first array that holds a NaN or an infinity, or None if all are finite."""
    found = np.zeros(len(arrays), np.uint8)
    for dtype in {array.dtype for array in arrays}:
        alike = [(array, array.size, k) for k, array in enumerate(arrays) if array.dtype == dtype]
        with threads_for(4 * sum(size for _, size, _ in alike)) as threads:
            _broken(threads, dtype, len(alike), found, *(part for job in alike for part in job))
    place = found.tobytes().find(1)
    return None if place < 0 else place


@Worker
def _sgd(t, workers, given):
    (jobs,) = unpack(given, "n")
    for job in range(jobs):
        w, dw, numbers, n = unpack(behind(given, 1 + 4 * job), "xxxn")
        mine, lr, decay = slice(t * n // workers, (t + 1) * n // workers), numbers[0], numbers[1]
        w, dw = w[mine], dw[mine]
        for k in range(len(w)):
            w[k] -= lr * (dw[k] + decay * w[k])


@Worker
def _momentum(t, workers, given):
    (jobs,) = unpack(given, "n")
    for job in range(jobs):
        w, dw, v, numbers, n = unpack(behind(given, 1 + 5 * job), "xxxxn")
        mine, lr, momentum, decay = slice(t * n // workers, (t + 1) * n // workers), numbers[0], numbers[1], numbers[2]
        w, dw, v = w[mine], dw[mine], v[mine]
        for k in range(len(w)):
            velocity = momentum * v[k] + (dw[k] + decay * w[k])
            v[k] = velocity
            w[k] -= lr * velocity


@Worker
def _adam(t, workers, given):
    (jobs,) = unpack(given, "n")
    for job in range(jobs):
        w, dw, m, v, numbers, n = unpack(behind(given, 1 + 6 * job), "xxxxxn")
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


@Worker
def _broken(t, workers, given):
    jobs, found = unpack(given, "nu")
    for job in range(jobs):
        x, n, place = unpack(behind(given, 2 + 3 * job), "xnn")
        if _only_zeros(x[t * n // workers : (t + 1) * n // workers]) != 0:
            found[place] = 1


@kernel(fastmath=ANY_ORDER)
def _only_zeros(x):
    """Σ x·0: NaN if a number is not finite."""
    total = nothing = x.dtype.type(0)
    for k in range(len(x)):
        total += x[k] * nothing
    return total
