"""A watch on what goes wrong inside a network while it learns: gradients that explode or vanish, units that are dead.

A ReLU whose input is below 0 for every example gives 0 and hands back no gradient: it is dead, and will stay so. A
gradient that grows a hundredfold within an epoch is about to throw the weights away; one of 0 teaches nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinycnn.backends import recording
from tinycnn.optim.options import check_count, check_option
from tinycnn.train.callbacks import Callback
from tinycnn.train.run import Run

PROBE = 64  # examples of the last batch that the activations are looked at with


class Watch(Callback):
    """Keeps the length of every weight's gradient and the share of dead units of every ReLU, epoch by epoch.

    `gradients["conv1.w"]` and `dead["relu1"]` hold a number an epoch: the mean length over the steps, and the share of
    units (channels, for images) that were 0 for all of up to 64 examples of the last batch. What is alarming is said
    in words, once each, in `said` and among the lines of the progress: a gradient `explodes` times as long as the
    median of those before it, one of exactly 0 for a whole epoch, and a layer of which half or more is dead.
    """

    def __init__(self, explodes: float = 100.0, every: int = 1):
        self.explodes, self.every = check_option("explodes", explodes, 1.0), check_count("every", every)
        self._forget()

    def _forget(self) -> None:
        self.gradients: dict[str, list[float]] = {}
        self.dead: dict[str, list[float]] = {}
        self.said: list[str] = []
        self._lengths: dict[str, list[float]] = {}  # of this epoch
        self._alarmed: set[str] = set()
        self._steps = 0

    def check(self, run: Run) -> None:
        """Nothing is kept of another run."""
        self._forget()

    def after_step(self, run: Run) -> None:
        """Measure the gradients that the step was taken with."""
        self._steps += 1
        if self._steps % self.every:
            return
        for key, dw in run.model.named_grads().items():
            length = float(np.sqrt((dw.astype(np.float64) ** 2).sum()))
            lengths = self._lengths.setdefault(key, [])
            before = self.gradients.get(key, [])[-1:] + lengths[-100:]
            usual = float(np.median(before)) if before else 0.0
            if len(before) >= 5 and 0 < usual * self.explodes < length:
                words = f"the gradient of {key} is {length:.3g} long, {length / usual:.0f} times what is usual: it"
                self._say(run, f"explodes {key}", f"{words} explodes. A smaller rate helps, or clip_norm=1.0")
            lengths.append(length)

    def after_epoch(self, run: Run) -> None:
        """Sum the epoch up, and look at the activations."""
        for key, lengths in self._lengths.items():
            self.gradients.setdefault(key, []).append(float(np.mean(lengths)))
            if lengths and not any(lengths):
                words = f"the gradient of {key} was 0 in every step: it learns nothing"
                self._say(run, f"vanishes {key}", f"{words}. Are the ReLUs behind it dead?")
        self._lengths = {}
        for path, share in dead_units(run.model, run.batch).items():
            self.dead.setdefault(path, []).append(share)
            if share >= 0.5:
                words = f"{share:.0%} of the units of {path} are dead: they give 0 for every example looked at"
                self._say(run, f"dead {path}", f"{words}. A smaller rate keeps them alive, or LeakyReLU")

    def _say(self, run: Run, what: str, text: str) -> None:
        if what not in self._alarmed:
            self._alarmed.add(what)
            self.said.append(f"{run.position}: {text}")
            run.say(self.said[-1])

    def state(self) -> dict[str, Any]:
        """All that was seen."""
        return {"gradients": self.gradients, "dead": self.dead, "said": self.said, "lengths": self._lengths,
                "alarmed": sorted(self._alarmed), "steps": self._steps}  # fmt: skip

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Go on watching."""
        self.gradients, self.dead, self.said = saved["gradients"], saved["dead"], list(saved["said"])
        self._lengths, self._alarmed, self._steps = saved["lengths"], set(saved["alarmed"]), saved["steps"]


def dead_units(model: Any, x: np.ndarray | None) -> dict[str, float]:
    """The share of each ReLU's units that give 0 for every one of these examples: channels, for images."""
    relus = [path for path, layer in model._paths() if layer.kind == "relu"]
    if x is None or not relus:
        return {}
    with recording() as calls:
        model.forward(x[:PROBE])
    inputs = [args[0] for op, args, _ in calls.calls if op == "relu_forward"]
    shares = {}
    for path, z in zip(relus, inputs, strict=True):
        rows = np.moveaxis(z, 1, 0).reshape(z.shape[1], -1)
        shares[path] = float((rows <= 0).all(axis=1).mean())
    return shares
