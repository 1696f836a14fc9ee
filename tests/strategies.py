"""What Hypothesis draws: integers that shrink, and one seed that arrays are made from.

Sizes are derived so that every case is valid and none is thrown away: a border of at most d(k−1) and an image of at
least d rows let every window see a pixel, and H ≥ d(k−1)+1−pads makes room for one window.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinycnn.verify.cases import OpCase, draw_case

seeds = st.integers(0, 2**32 - 1)


@dataclass(frozen=True)
class WindowCase:
    """An image and a window over it; `padding` as it was drawn, in any of its spellings."""

    N: int
    C: int
    H: int
    W: int
    kernel_size: tuple[int, int]
    stride: Any
    padding: Any
    dilation: tuple[int, int]
    ceil_mode: bool
    seed: int

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    @property
    def strides(self) -> tuple[int, int]:
        return self.stride if isinstance(self.stride, tuple) else (self.stride, self.stride)

    @property
    def options(self) -> dict[str, Any]:
        return {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}

    def image(self, dtype: Any = np.float64) -> np.ndarray:
        return self.rng.normal(size=(self.N, self.C, self.H, self.W)).astype(dtype)

    def spaced(self, dtype: Any = np.float64) -> np.ndarray:
        """Distinct numbers 0.1 apart, so that no window has a tie."""
        n = self.N * self.C * self.H * self.W
        values = (self.rng.permutation(n) * 0.1 + 0.05) * self.rng.choice([-1, 1], n)
        return values.reshape(self.N, self.C, self.H, self.W).astype(dtype)

    def sides(self) -> tuple[int, int, int, int]:
        """The border as (top, bottom, left, right), worked out here and not by the code under test."""
        if self.padding == "valid":
            return 0, 0, 0, 0
        if self.padding == "same":
            return (*same_sides(self.H, self.kernel_size[0], self.strides[0], self.dilation[0]),
                    *same_sides(self.W, self.kernel_size[1], self.strides[1], self.dilation[1]))  # fmt: skip
        p = self.padding if isinstance(self.padding, tuple) else (self.padding, self.padding)
        return p if len(p) == 4 else (p[0], p[0], p[1], p[1])


@dataclass(frozen=True)
class ConvCase(WindowCase):
    """A window case with filters."""

    F: int = 1
    groups: int = 1
    flip: bool = False

    @property
    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups,
                "flip": self.flip}  # fmt: skip

    def arrays(self, dtype: Any = np.float64) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, w, b."""
        rng = np.random.default_rng([self.seed, 1])
        w = rng.normal(size=(self.F, self.C // self.groups, *self.kernel_size)).astype(dtype)
        return self.image(dtype), w, rng.normal(size=self.F).astype(dtype)


def same_sides(H: int, k: int, s: int, d: int) -> tuple[int, int]:
    """The border that makes ⌈H/s⌉ windows, the odd row after the image."""
    total = max((-(-H // s) - 1) * s + d * (k - 1) + 1 - H, 0)
    return total // 2, total - total // 2


@st.composite
def _windows(draw: Any, dilated: bool = True, half: bool = False) -> dict[str, Any]:
    """Sizes of a valid window case; `half` keeps the border symmetric and at most half the kernel, as PyTorch asks."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 2))) if dilated else (1, 1)
    stride = draw(st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    most = [k // 2 if half else d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    one = st.integers(0, min(most))
    two = st.tuples(st.integers(0, most[0]), st.integers(0, most[1]))
    four = st.tuples(*(st.integers(0, m) for m in (most[0], most[0], most[1], most[1])))
    spelled = st.one_of(one, two) if half else st.one_of(one, two, four, st.sampled_from(["same", "valid"]))
    padding = draw(spelled)
    if padding in ("same", "valid"):
        pads = (None, None) if padding == "same" else (0, 0)
    else:
        p = padding if isinstance(padding, tuple) else (padding, padding)
        pads = (p[0] + p[1], p[2] + p[3]) if len(p) == 4 else (2 * p[0], 2 * p[1])
    least = [
        d if pad is None else max(d, d * (k - 1) + 1 - pad) for k, d, pad in zip(kernel, dilation, pads, strict=True)
    ]
    H, W = (size + draw(st.integers(0, 4)) for size in least)
    return {"H": H, "W": W, "kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}


@st.composite
def pool_cases(draw: Any, dilated: bool = True, half: bool = False) -> WindowCase:
    """Images and a pooling window; max and min pools may be dilated, `ceil_mode` rounds the size up."""
    window = draw(_windows(dilated, half))
    counts = {"N": draw(st.integers(1, 2)), "C": draw(st.integers(1, 2))}
    return WindowCase(**counts, **window, ceil_mode=draw(st.booleans()), seed=draw(seeds))


@st.composite
def conv_cases(draw: Any) -> ConvCase:
    """Images, filters, and every option of a convolution."""
    window = draw(_windows())
    groups = draw(st.integers(1, 3))
    N, channels, filters = (draw(st.integers(1, 2)) for _ in range(3))
    counts = {"N": N, "C": groups * channels, "F": groups * filters}
    return ConvCase(**counts, **window, groups=groups, flip=draw(st.booleans()), ceil_mode=False, seed=draw(seeds))


@st.composite
def score_shapes(draw: Any, most: int = 5) -> tuple[int, ...]:
    """(N, K) or (N, K, H, W): scores of K classes a row or a pixel."""
    pixels = draw(st.one_of(st.just(()), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    return (draw(st.integers(1, 3)), draw(st.integers(2, most)), *pixels)


@st.composite
def norm_shapes(draw: Any) -> tuple[int, ...]:
    """(N, C) or (N, C, H, W) with at least three numbers a channel: of two, hardly a gradient is left."""
    pixels = draw(st.one_of(st.just(()), st.tuples(st.integers(1, 3), st.integers(1, 3))))
    N = -(-3 // int(np.prod(pixels, dtype=int))) + draw(st.integers(0, 2))
    return (N, draw(st.integers(1, 4)), *pixels)


class HypothesisChooser:
    """Hypothesis makes the choices of tinycnn.verify.cases, and shrinks them."""

    def __init__(self, draw: Any):
        self.draw = draw

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def choice(self, options: Any) -> Any:
        return self.draw(st.sampled_from(options))

    def seed(self) -> int:
        return self.draw(seeds)


@st.composite
def drawn_cases(draw: Any, op: str) -> OpCase:
    """Any configuration of an op."""
    return draw_case(op, HypothesisChooser(draw))


KINKED = ("max_pool2d", "min_pool2d", "relu", "leaky_relu", "elu", "mae", "hinge", "multi_margin")


def on_the_kinks(args: Any) -> tuple[Any, ...]:
    """Whole numbers: many are equal, are 0, or meet a margin, where no derivative says what the gradient is."""
    return tuple(np.round(a) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in args)
