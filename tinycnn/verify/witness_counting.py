"""Witnesses of counting: what layers really hold, what `summary()` says, and networks of ones that count themselves.

With every input and weight 1, each product adds 1 to the output: the sum of the output is how many there were.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from tinycnn import layers, ops
from tinycnn.formula import formulas
from tinycnn.layers.base import Facts
from tinycnn.verify.rows import Row, row_of

CONVOLUTIONS = (  # F, C, KH, KW, groups, H, W, and whether there is a bias
    (4, 3, 3, 3, 1, 7, 8, 1), (2, 1, 1, 5, 1, 4, 9, 0), (6, 4, 2, 3, 2, 5, 5, 1), (3, 3, 3, 2, 3, 6, 4, 1),
    (5, 2, 4, 1, 1, 4, 3, 0),
)  # fmt: skip
DENSE = ((10, 64, 1), (3, 1, 0), (1, 7, 1), (12, 5, 0))  # F, C, bias


def counting_rows(thorough: bool = False, seed: int = 0) -> Iterator[Row]:
    """The rows of every formula that counts."""
    yield from _convolutions()
    yield from _dense()
    yield from _receptive_field(40 if thorough else 8, seed)


def _convolutions() -> Iterator[Row]:
    held, listed, said, ones = [], [], [], []
    for F, C, KH, KW, groups, H, W, bias in CONVOLUTIONS:
        layer = layers.Conv2D(F, (KH, KW), groups=groups, use_bias=bool(bias))
        _, OH, OW = layer.build((C, H, W), np.random.default_rng(0))
        shape = {"F": F, "C": C, "KH": KH, "KW": KW, "groups": groups}
        params = formulas["conv2d_parameters"].evaluate(**shape, bias=bias)
        macs = formulas["conv2d_macs"].evaluate(**shape, OH=OH, OW=OW)
        held.append(params - sum(w.size for w in layer.params.values()))
        taps = {(f, c, i, j) for f, c, i, j in product(range(F), range(C), range(KH), range(KW))
                if c * groups // C == f * groups // F}  # fmt: skip
        listed.append(params - len(taps) - bias * F)
        said.append(macs - layer.facts((C, H, W)).macs)
        ones.append(macs - ops.conv2d_forward(np.ones((1, C, H, W)), np.ones((F, C // groups, KH, KW)), np.zeros(F),
                                              groups=groups)[0].sum())  # fmt: skip
    yield row_of("conv2d_parameters", "size", "literal", "every weight listed", map(abs, listed), 0.0)
    yield row_of("conv2d_parameters", "size", "numeric", "the layer's arrays", map(abs, held), 0.0)
    yield row_of("conv2d_macs", "size", "numeric", "a convolution of ones", map(abs, ones), 0.0)
    yield row_of("conv2d_macs", "size", "literal", "what summary() says", map(abs, said), 0.0)


def _dense() -> Iterator[Row]:
    held, listed, said, ones = [], [], [], []
    for F, C, bias in DENSE:
        layer = layers.Dense(F, use_bias=bool(bias))
        layer.build((C,), np.random.default_rng(0))
        params = formulas["linear_parameters"].evaluate(F=F, C=C, bias=bias)
        macs = formulas["linear_macs"].evaluate(F=F, C=C)
        held.append(params - sum(w.size for w in layer.params.values()))
        listed.append(params - len(list(product(range(F), range(C)))) - bias * len(range(F)))
        said.append(macs - layer.facts((C,)).macs)
        ones.append(macs - ops.linear_forward(np.ones((1, C)), np.ones((F, C)), np.zeros(F))[0].sum())
    yield row_of("linear_parameters", "size", "literal", "every weight listed", map(abs, listed), 0.0)
    yield row_of("linear_parameters", "size", "numeric", "the layer's arrays", map(abs, held), 0.0)
    yield row_of("linear_macs", "size", "numeric", "a product of ones", map(abs, ones), 0.0)
    yield row_of("linear_macs", "size", "literal", "what summary() says", map(abs, said), 0.0)


def _receptive_field(cases: int, seed: int) -> Iterator[Row]:
    """Pixels lit up one by one: those that reach the first output are what it sees. And `summary()`, layer by layer."""
    lit, said = [], []
    for case in range(cases):
        rng = np.random.default_rng([seed, 41, case])
        depth = int(rng.integers(1, 5))
        kernels, strides = rng.integers(1, 5, size=depth).tolist(), rng.integers(1, 4, size=depth).tolist()
        sees = formulas["receptive_field"].evaluate(kernel=kernels, stride=strides)
        seen = Facts()
        for kernel, stride in zip(kernels, strides, strict=True):
            seen = seen.then(Facts(kernel=(kernel, kernel), stride=(stride, stride)))
        said.append(abs(sees - seen.kernel[0]))
        lit.append(abs(sees - _reach(kernels, strides)))
    yield row_of("receptive_field", "size", "numeric", "pixels lit one by one", lit, 0.0)
    yield row_of("receptive_field", "size", "literal", "what summary() says", said, 0.0)


def _reach(kernels: list[int], strides: list[int]) -> int:
    """From the first to the last pixel of a row that changes the first output of a stack of convolutions of ones."""
    length = 400  # more than four layers of kernel 4 and stride 3 can see
    x = np.eye(length)[:, None, :]  # example n has pixel n lit, and no other
    for kernel, stride in zip(kernels, strides, strict=True):
        x, _ = ops.conv1d_forward(x, np.ones((1, 1, kernel)), np.zeros(1), stride=stride)
    reached = np.flatnonzero(x[:, 0, 0])
    return int(reached[-1] - reached[0] + 1)
