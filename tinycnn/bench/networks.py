"""The networks that are measured, as tinycnn builds them and as PyTorch does: same layers, same weights, same batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinycnn import zoo
from tinycnn.layers import Conv2D, ConvTranspose2D, Dense, Flatten, Layer, MaxPool2D, ReLU
from tinycnn.model import Sequential, SkipConcat
from tinycnn.ops.checks import pair

Array = np.ndarray


def two_convs(
    input_shape: tuple[int, ...] = (1, 8, 8), classes: int = 10, filters: int = 16, seed: int = 0
) -> Sequential:
    """Two padded convolutions, each with a pool, for small pictures.

    >>> two_convs().output_shape
    (10,)
    """
    return Sequential(
        [
            Conv2D(filters, 3, padding=1), ReLU(), MaxPool2D(2),
            Conv2D(2 * filters, 3, padding=1), ReLU(), MaxPool2D(2),
            Flatten(), Dense(classes),
        ],
        input_shape=input_shape, seed=seed,
    )  # fmt: skip


def plain_convs(input_shape: tuple[int, ...], seed: int = 0) -> Sequential:
    """Three padded convolutions of as many channels as the input has: its time grows as batch, side² and channels²."""
    C = input_shape[0]
    return Sequential([layer for _ in range(3) for layer in (Conv2D(C, 3, padding=1), ReLU())],
                      input_shape=input_shape, seed=seed)  # fmt: skip


MAKERS: dict[str, Callable[..., Sequential]] = {"two_convs": two_convs, "plain_convs": plain_convs, **zoo.NETWORKS}


def network(spec: dict[str, Any]) -> Sequential:
    """The network of a case, with drawn weights."""
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in spec["options"].items()}
    return MAKERS[spec["net"]](**options)


def batch_for(model: Sequential, N: int) -> tuple[Array, Array]:
    """A batch of noise and random classes, a class for every pixel where the network gives one."""
    assert model.input_shape is not None
    assert model.output_shape is not None
    rng = np.random.default_rng(7)
    x = rng.random((N, *model.input_shape), np.float32)
    return x, rng.integers(0, model.output_shape[0], (N, *model.output_shape[1:]))


def macs_of(model: Sequential) -> tuple[int, int]:
    """Multiply-accumulates of one example's forward pass: of all layers, and of the first with weights.

    A training step does them three times over: forward, for dw and for dx, which the first layer does not need.
    """
    assert model.input_shape is not None
    return _macs(model.layers, model.input_shape), model.layers[0].facts(model.input_shape).macs


def _macs(layers: list[Layer], shape: tuple[int, ...]) -> int:
    total = 0
    for layer in layers:
        total += layer.facts(shape).macs
        shape = layer.infer(shape)
    return total


def as_torch(layers: list[Layer], torch: Any) -> Any:
    """The same layers with the same weights, as a module of PyTorch; TypeError for a layer that has no twin here."""
    nn = torch.nn

    def loaded(module: Any, layer: Layer) -> Any:
        with torch.no_grad():
            module.weight.copy_(torch.from_numpy(layer.params["w"]))
            module.bias.copy_(torch.from_numpy(layer.params["b"]))
        return module

    class Skip(nn.Module):  # type: ignore[name-defined]
        def __init__(self, inner: Any):
            super().__init__()
            self.inner = inner

        def forward(self, x: Any) -> Any:
            return torch.cat([x, self.inner(x)], 1)

    def twin(layer: Layer) -> Any:
        match layer:
            case Conv2D():
                size = pair(layer.kernel_size, "kernel_size")
                padding = layer.padding if isinstance(layer.padding, int | str) else tuple(layer.padding)
                shape = (layer.params["w"].shape[1], layer.filters, size)
                return loaded(nn.Conv2d(*shape, stride=layer.stride, padding=padding), layer)
            case ConvTranspose2D():
                shape = (layer.params["w"].shape[0], layer.filters, pair(layer.kernel_size, "kernel_size"))
                return loaded(nn.ConvTranspose2d(*shape, stride=layer.stride), layer)
            case Dense():
                return loaded(nn.Linear(layer.params["w"].shape[1], layer.units), layer)
            case MaxPool2D():
                return nn.MaxPool2d(layer.kernel_size)
            case ReLU():
                return nn.ReLU()
            case Flatten():
                return nn.Flatten()
            case SkipConcat():
                return Skip(nn.Sequential(*map(twin, layer.layers)))
        raise TypeError(f"the benchmark knows no twin in PyTorch of {layer!r}")

    return nn.Sequential(*map(twin, layers))
