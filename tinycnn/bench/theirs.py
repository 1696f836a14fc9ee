"""PyTorch's side of a case: eager, in both of its memory formats, with its default or its fused Adam, as is faster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn.bench.inputs import LOSSES, RATE, SLOW_RATE, arrays_for, fingerprint, fingerprints, step_times
from tinycnn.bench.networks import as_torch, batch_for, network

FORMATS = ("nchw", "nhwc")
TRIAL = 0.1  # seconds to find out which Adam is faster


def torch_module() -> Any:
    """PyTorch; ImportError without it."""
    import torch

    return torch


class Network:
    """A network in one memory format."""

    def __init__(self, case: dict[str, Any], variant: str):
        self.torch = torch = torch_module()
        self.lay = {"memory_format": torch.channels_last if variant == "nhwc" else torch.contiguous_format}
        twin = network(case["options"])
        x, t = batch_for(twin, case["options"]["batch"])
        self.x, self.t = torch.from_numpy(x).to(**self.lay), torch.from_numpy(t)
        self.net = as_torch(twin.layers, torch).to(**self.lay)
        self.fused = False
        self.adam = torch.optim.Adam(self.net.parameters(), lr=RATE)

    def check(self, train: bool) -> list[float]:
        """As tinycnn's; then the faster Adam takes over, with what the other has learned."""
        if not train:
            self.net.eval()
            return fingerprint(self._answer().contiguous().numpy())
        losses = [self._step().item()]
        gradients = fingerprints(w.grad.contiguous().numpy() for w in self.net.parameters())
        losses += [self._step().item() for _ in range(LOSSES - 1)]
        for group in self.adam.param_groups:
            group["lr"] = SLOW_RATE
        self._choose_adam()
        return losses + gradients

    def times(self, kind: str, seconds: float) -> list[float]:
        """Seconds of each step, or of each answer."""
        self.net.train(kind == "train")
        return step_times(self._step if kind == "train" else self._answer, seconds)

    def _choose_adam(self) -> None:
        slow, default = np.median(step_times(self._step, TRIAL)), self.adam
        self.adam = self.torch.optim.Adam(self.net.parameters(), lr=SLOW_RATE, fused=True)
        self._step()
        self.fused = bool(np.median(step_times(self._step, TRIAL)) <= slow)
        if not self.fused:
            self.adam = default

    def _step(self) -> Any:
        self.adam.zero_grad()
        loss = self.torch.nn.functional.cross_entropy(self.net(self.x), self.t)
        loss.backward()
        self.adam.step()
        return loss.detach()

    def _answer(self) -> Any:
        with self.torch.inference_mode():
            return self.net(self.x)


class Op:
    """A single op in one memory format."""

    def __init__(self, case: dict[str, Any], variant: str):
        self.torch = torch = torch_module()
        images = len(case["options"].get("x", ())) == 4
        lay = {"memory_format": torch.channels_last} if variant == "nhwc" and images else {}
        self.part, self.lay = case["options"]["part"], lay
        a = {k: torch.from_numpy(v).clone() for k, v in arrays_for(case).items()}  # in memory of PyTorch's own
        for name in ("x", "w"):
            if name in a and a[name].ndim == 4:
                a[name] = a[name].contiguous(**lay)
        self.fused = True
        self.call = self._adam(a) if case["what"] == "adam" else self._op(case, a)

    def check(self, train: bool) -> list[float]:
        """A fingerprint of the result."""
        self.call()
        return fingerprint(self.call().detach().contiguous().numpy())

    def times(self, kind: str, seconds: float) -> list[float]:
        """Seconds of each call."""
        return step_times(self.call, seconds)

    def _op(self, case: dict[str, Any], a: dict[str, Any]) -> Callable[[], Any]:
        function = _functions(self.torch.nn.functional)[case["what"]]
        if self.part == "forward":

            def forward() -> Any:
                with self.torch.inference_mode():
                    return function(a, case["options"])

            return forward
        every = tuple(k for k in ("x", "w", "b", "gamma", "beta") if k in a)
        wanted = {"dx": ("x",), "dw": ("w", "b")}.get(self.part, every)
        for name in wanted:
            a[name].requires_grad_()
        y = function(a, case["options"])
        dy = a["dy"].reshape(y.shape).contiguous(**self.lay) if y.ndim else self.torch.ones(())
        of = [a[name] for name in wanted]
        return lambda: self.torch.autograd.grad(y, of, dy, retain_graph=True)[0]

    def _adam(self, a: dict[str, Any]) -> Callable[[], Any]:
        w = self.torch.zeros_like(a["x"]).requires_grad_()
        w.grad = a["dy"]
        optimizer = self.torch.optim.Adam([w], lr=RATE, fused=True)

        def step() -> Any:
            optimizer.step()
            return w

        return step


def _functions(f: Any) -> dict[str, Callable[[dict[str, Any], dict[str, Any]], Any]]:
    return {
        "conv": lambda a, o: f.conv2d(a["x"], a["w"], a["b"], o["stride"], o["padding"]),
        "max_pool": lambda a, o: f.max_pool2d(a["x"], 2),
        "avg_pool": lambda a, o: f.avg_pool2d(a["x"], 2),
        "batch_norm": lambda a, o: f.batch_norm(a["x"], None, None, a["gamma"], a["beta"], training=True),
        "dense": lambda a, o: f.linear(a["x"], a["w"], a["b"]),
        "cross_entropy": lambda a, o: f.cross_entropy(a["x"], a["t"]),
        "upsample_nearest": lambda a, o: f.interpolate(a["x"], scale_factor=2, mode="nearest"),
        "upsample_bilinear": lambda a, o: f.interpolate(a["x"], scale_factor=2, mode="bilinear", align_corners=False),
    }


def prepare(case: dict[str, Any], variant: str) -> Network | Op:
    """A case, ready in the memory format that the variant names."""
    return (Network if case["what"] == "network" else Op)(case, variant)


def variants(case: dict[str, Any]) -> list[str]:
    """Both memory formats, where there are images to lay out."""
    images = case["what"] == "network" or len(case["options"].get("x", ())) == 4
    return list(FORMATS if images else FORMATS[:1])
