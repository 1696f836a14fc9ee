"""What is measured: networks that train, networks that answer, and single ops over a range of shapes.

A case is data alone, so that it can be sent to the processes that measure it.
"""

from __future__ import annotations

import fnmatch
from dataclasses import asdict, dataclass, field
from typing import Any

from tinycnn.ops.checks import four_sides, pair
from tinycnn.ops.window import place_window


@dataclass(frozen=True)
class Case:
    """One case: its name, what to build (`what`, with `options`), and what is timed (`kinds`)."""

    name: str
    what: str
    kinds: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict)
    rungs: tuple[str, ...] = ("numpy",)  # beside the kernels
    flops: float | None = None  # of an op; those of a network follow from its layers
    quick: bool = False

    @property
    def counted(self) -> bool:
        """Whether its arithmetic is known, to be held to the machine's peak."""
        return self.what == "network" or self.flops is not None

    def as_dict(self) -> dict[str, Any]:
        """As JSON can carry it."""
        return asdict(self)


TRAIN = ("train", "forward")


def _network(name: str, net: str, batch: int, quick: bool = False, kinds: tuple[str, ...] = TRAIN,
             rungs: tuple[str, ...] = ("numpy",), **options: Any) -> Case:  # fmt: skip
    return Case(name, "network", kinds, {"net": net, "batch": batch, "options": options}, rungs, quick=quick)


NETWORKS = (
    _network("digits", "two_convs", 32, quick=True, input_shape=(1, 8, 8)),
    _network("article004", "article004", 64, quick=True),
    _network("article002", "article002", 64),
    _network("article003", "article003", 8, rungs=()),
    _network("unet16-64", "unet", 4, quick=True, base=16, depth=2, input_shape=(1, 64, 64)),
    _network("unet32-128", "unet", 4, rungs=(), base=32, depth=2, input_shape=(1, 128, 128)),
    _network("unet32-256", "unet", 1, kinds=("inference",), rungs=(), base=32, depth=2, input_shape=(1, 256, 256)),
)


def _conv(
    N: int, C: int, H: int, F: int, k: int = 3, stride: int = 1, padding: int = 0, quick: bool = False
) -> list[Case]:
    g = place_window(H, H, (k, k), pair(stride, "stride"), four_sides(padding), (1, 1))
    flops = 2.0 * N * F * g.OH * g.OW * C * k * k
    name = f"conv{k}x{k}-{N}x{C}x{H}x{H}-{F}" + (f"-s{stride}" if stride > 1 else "")
    options = {"x": (N, C, H, H), "w": (F, C, k, k), "stride": stride, "padding": padding}
    return [Case(f"{name}-{part}", "conv", ("op",), options | {"part": part}, ("numpy",), flops, quick)
            for part in ("forward", "dx", "dw")]  # fmt: skip


def _both(name: str, what: str, flops: float | None = None, quick: bool = False, **options: Any) -> list[Case]:
    shape = "x".join(map(str, options["x"]))
    return [Case(f"{name}-{shape}-{part}", what, ("op",), options | {"part": part}, ("numpy",),
                 flops and flops * (1 if part == "forward" else 2), quick)
            for part in ("forward", "backward")]  # fmt: skip


def _dense(N: int, C: int, F: int, quick: bool = False) -> list[Case]:
    return _both(f"dense-{F}", "dense", 2.0 * N * C * F, quick, x=(N, C), w=(F, C))


OPS = (
    Case("conv3x3-1x4x10x10-8-forward", "conv", ("op",),
         {"x": (1, 4, 10, 10), "w": (8, 4, 3, 3), "stride": 1, "padding": 0, "part": "forward"},
         ("loops", "numpy", "njit"), 2.0 * 8 * 64 * 36, quick=True),
    *_conv(64, 32, 15, 64, quick=True),
    *_conv(8, 32, 111, 64),
    *_conv(32, 64, 32, 64, padding=1),
    *_conv(16, 128, 16, 128, padding=1),
    *_conv(8, 256, 8, 256, padding=1),
    *_conv(16, 64, 32, 128, stride=2, padding=1),
    *_conv(32, 64, 32, 64, k=1),
    *_both("max-pool", "max_pool", x=(64, 32, 30, 30), quick=True),
    *_both("max-pool", "max_pool", x=(8, 32, 222, 222)),
    *_both("avg-pool", "avg_pool", x=(64, 32, 30, 30)),
    *_both("batch-norm", "batch_norm", x=(16, 64, 32, 32), quick=True),
    *_dense(64, 2304, 128, quick=True),
    *_dense(8, 43264, 512),
    *_both("cross-entropy", "cross_entropy", x=(256, 1000)),
    *_both("cross-entropy", "cross_entropy", x=(4, 21, 128, 128)),
    *_both("upsample-nearest", "upsample_nearest", x=(16, 64, 32, 32)),
    *_both("upsample-bilinear", "upsample_bilinear", x=(16, 64, 32, 32)),
    Case("adam-1M", "adam", ("op",), {"size": 10**6, "part": "step"}, quick=True),
    Case("adam-20M", "adam", ("op",), {"size": 2 * 10**7, "part": "step"}),
)  # fmt: skip

CASES = {case.name: case for case in (*NETWORKS, *OPS)}
assert len(CASES) == len(NETWORKS) + len(OPS)


def chosen(patterns: list[str], quick: bool = False) -> list[Case]:
    """The cases whose names match one of these patterns, in their order; all without one, some if `quick`.

    Raises ValueError for a pattern that matches none.

    >>> [case.name for case in chosen(["unet*", "digits"])]
    ['digits', 'unet16-64', 'unet32-128', 'unet32-256']
    """
    for pattern in patterns:
        if not fnmatch.filter(CASES, pattern):
            raise ValueError(f"no case {pattern!r}; there are {', '.join(CASES)}")
    if patterns:
        return [case for name, case in CASES.items() if any(fnmatch.fnmatchcase(name, p) for p in patterns)]
    return [case for case in CASES.values() if case.quick or not quick]

