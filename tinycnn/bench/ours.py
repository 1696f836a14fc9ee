"""tinycnn's side of a case. A network is trained by `fit` and asked by `predict`: what is timed is what a user calls.

An op is what the rung's table gives for its name; what it is given and its results are in memory that is kept, as they
are in `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycnn import backends, optim
from tinycnn.bench.inputs import LOSSES, RATE, SLOW_RATE, arrays_for, clock, fingerprint, fingerprints, step_times
from tinycnn.bench.networks import batch_for, network
from tinycnn.kept import Pool, empty_like, keeping

Array = np.ndarray


class Again:
    """A stream that yields one batch again and again, and notes how long the training loop was busy with each."""

    def __init__(self, x: Array, t: Array, steps: int):
        self.x, self.t, self.steps = x, t, steps
        self.shape, self.y = x.shape[1:], None
        self.seconds: list[float] = []

    def __len__(self) -> int:
        return len(self.x) * self.steps

    def numbered_batches(self, batch_size: int, rng: Any = None) -> Iterator[tuple[Array, Array, Array]]:
        """The batch, and its places."""
        rows = np.arange(len(self.x))
        for _ in range(self.steps):
            begun = clock()
            yield self.x, self.t, rows
            self.seconds.append(clock() - begun)


class Network:
    """A network on one rung."""

    def __init__(self, case: dict[str, Any], rung: str):
        self.rung, spec = rung, case["options"]
        self.model = network(spec)
        self.x, self.t = batch_for(self.model, spec["batch"])
        self.model.compile(optim.Adam(RATE), "cross_entropy")
        self._step = 0.0

    def check(self, train: bool) -> list[float]:
        """The first losses and gradients, or where nothing is trained the answer, as fingerprints; the warm-up, too."""
        with backends.backend(self.rung):
            if not train:
                return fingerprint(self.model.predict(self.x))
            losses = [self._fit(1)[0]]
            gradients = fingerprints(self.model.named_grads().values())
            losses += [self._fit(1)[0] for _ in range(LOSSES - 1)]
        assert self.model.optimizer is not None
        self.model.optimizer.lr = SLOW_RATE
        return losses + gradients

    def times(self, kind: str, seconds: float) -> list[float]:
        """Seconds of each step, or of each answer."""
        with backends.backend(self.rung):
            if kind != "train":
                return step_times(lambda: self.model.predict(self.x), seconds)
            times: list[float] = []
            while not times or sum(times) < seconds:
                times += self._fit(_how_many(seconds - sum(times), self._step))[1]
                self._step = float(np.median(times))
            return times

    def _fit(self, steps: int) -> tuple[float, list[float]]:
        stream = Again(self.x, self.t, steps)
        history = self.model.fit(stream, batch_size=len(self.x), verbose=0, shuffle=False)
        return float(history.history["loss"][0]), stream.seconds


def _how_many(seconds: float, step: float) -> int:
    return 1 if step == 0 else max(1, min(500, int(seconds / step)))


class Op:
    """A single op on one rung."""

    def __init__(self, case: dict[str, Any], rung: str):
        self.rung, self.pool = rung, Pool()  # which lasts from turn to turn, as a model's does from call to call
        with backends.backend(rung), keeping(self.pool):
            arrays = {name: _kept(array) for name, array in arrays_for(case).items()}
            self.call = CALLS[case["what"]](arrays, case["options"])

    def check(self, train: bool) -> list[float]:
        """A fingerprint of the result."""
        with backends.backend(self.rung):
            self.call()
            return fingerprint(self.call())

    def times(self, kind: str, seconds: float) -> list[float]:
        """Seconds of each call."""
        with backends.backend(self.rung), keeping(self.pool):
            return step_times(self.call, seconds)


def _kept(array: Array) -> Array:
    """The same numbers where a layer would leave them."""
    copy = empty_like(array)
    copy[...] = array
    return copy


def prepare(case: dict[str, Any], variant: str) -> Network | Op:
    """A case, ready on the rung that the variant names."""
    return (Network if case["what"] == "network" else Op)(case, variant)


def variants(case: dict[str, Any]) -> list[str]:
    """The rungs, the kernels first."""
    return ["numba", *case["rungs"]]


# What each op is, as a function of the case's arrays: it returns the call that is timed.


def _pair(op: str, *weights: str, **fixed: Any) -> Callable[..., Callable[[], Array]]:
    """An op's forward, or the gradient of x that its backward gives."""

    def make(a: dict[str, Array], options: dict[str, Any]) -> Callable[[], Array]:
        rung, given = backends.current(), [a[name] for name in ("x", *weights)]
        forward, backward = rung(f"{op}_forward"), rung(f"{op}_backward")
        y, cache = forward(*given, **fixed)
        if options["part"] == "forward":
            return lambda: forward(*given, **fixed)[0]
        dy = 1.0 if np.ndim(y) == 0 else a["dy"].reshape(y.shape)
        return lambda: _first(backward(dy, cache))

    return make


def _first(found: Any) -> Array:
    return found[0] if isinstance(found, tuple) else found


def _conv(a: dict[str, Array], o: dict[str, Any]) -> Callable[[], Array]:
    rung, place = backends.current(), {"stride": o["stride"], "padding": o["padding"]}
    forward, backward = rung("conv2d_forward"), rung("conv2d_backward")
    if o["part"] == "forward":
        return lambda: forward(a["x"], a["w"], a["b"], **place)[0]
    y, cache = forward(a["x"], a["w"], a["b"], **place)
    dy = a["dy"].reshape(y.shape)
    if rung.name != "numba":  # all three gradients come together
        which = ("dx", "dw").index(o["part"])
        return lambda: backward(dy, cache)[which]
    from tinycnn.kernels.conv import DW, DX, gradients

    (x, w, *_), plan = cache
    wanted, like = (DX, x) if o["part"] == "dx" else (DW, w)

    def one() -> Array:
        found = empty_like(like)  # what is not wanted is left alone
        gradients(dy, x, w, plan, wanted, found, found, np.empty_like(a["b"]))
        return found

    return one


def _adam(a: dict[str, Array], o: dict[str, Any]) -> Callable[[], Array]:
    optimizer, w = optim.Adam(RATE), {"w": np.zeros_like(a["x"])}  # at first: so what is compared are the updates

    def step() -> Array:
        optimizer.step(w, {"w": a["dy"]})
        return w["w"]

    return step


CALLS: dict[str, Callable[..., Callable[[], Array]]] = {
    "conv": _conv,
    "adam": _adam,
    "max_pool": _pair("max_pool2d", kernel_size=2),
    "avg_pool": _pair("avg_pool2d", kernel_size=2),
    "batch_norm": _pair("batch_norm", "gamma", "beta"),
    "dense": _pair("linear", "w", "b"),
    "cross_entropy": _pair("cross_entropy", "t"),
    "upsample_nearest": _pair("upsample_nearest2d", scale=2),
    "upsample_bilinear": _pair("upsample_bilinear2d", scale=2),
}
