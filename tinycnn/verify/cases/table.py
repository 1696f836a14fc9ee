"""One table of all ops: small, odd, non-square cases that every generic test runs over.

To add an op, add a line: its name, the variant, how to draw its arguments, and, if not (0,), which positional
arguments `backward` returns gradients for, in order. `d` draws: `d.normal(d.N, 3, 5, 7)` is a random array,
`d.spaced(...)` one whose numbers keep a distance of 0.1 from each other and from 0, so that no kink is near (ReLU, max
pool); `d.N` is the batch, which the empty-batch test makes 0.
"""

from __future__ import annotations

from tinycnn.verify.cases.case import OpCase, Variants, each
from tinycnn.verify.cases.layers import LAYER_CASES
from tinycnn.verify.cases.losses import LOSS_CASES


def _conv(*, N_C_H_W=(3, 5, 6), w=(4, 3, 2, 3), bias=True, **options):
    return lambda d: ((d.normal(d.N, *N_C_H_W), d.normal(*w), d.normal(w[0]) if bias else None), options)


def _pool(kernel_size, image=(3, 5, 7), **options):
    return lambda d: ((d.spaced(d.N, *image), kernel_size), options)


CONV = {
    "plain": _conv(),
    "no_bias": _conv(bias=False),
    "stride": _conv(stride=(2, 3)),
    "stride_over_kernel": _conv(w=(4, 3, 1, 2), stride=3),
    "padding": _conv(padding=(1, 2), stride=2),
    "four_paddings": _conv(padding=(1, 0, 2, 1)),
    "same": _conv(padding="same", stride=(2, 1)),
    "dilation": _conv(dilation=(2, 1), padding=1),
    "groups": _conv(N_C_H_W=(4, 4, 5), w=(6, 2, 3, 2), groups=2),
    "depthwise": _conv(N_C_H_W=(3, 4, 5), w=(3, 1, 2, 2), groups=3, padding=1, stride=2),
    "flip": _conv(flip=True, padding=1, stride=2),
    "flip_groups": _conv(N_C_H_W=(4, 4, 5), w=(2, 2, 2, 3), groups=2, flip=True, dilation=2),
    "1x1": _conv(w=(4, 3, 1, 1)),
}
POOL = {
    "plain": _pool(2),
    "overlapping": _pool((3, 2), stride=(1, 2)),
    "gaps": _pool(2, stride=3),
    "padding": _pool(3, stride=2, padding=1),
    "four_paddings": _pool((3, 2), stride=2, padding=(1, 0, 0, 1)),
    "same": _pool((2, 3), stride=2, padding="same"),
    "ceil": _pool((2, 3), stride=2, ceil_mode=True),
    "ceil_padding": _pool((3, 2), image=(3, 6, 8), stride=3, padding=1, ceil_mode=True),
}
ROWS: Variants = {"rows": lambda d: ((d.spaced(d.N, 5),), {}), "images": lambda d: ((d.spaced(d.N, 3, 2, 4),), {})}
LOGITS: Variants = {"rows": lambda d: ((d.normal(d.N, 4),), {}), "images": lambda d: ((d.normal(d.N, 3, 2, 4),), {})}

CASES: list[OpCase] = [
    *each("conv2d", CONV, grads=(0, 1, 2), linear=True),
    *each("max_pool2d", POOL | {"dilation": _pool((2, 3), stride=1, dilation=(2, 3), padding=1)}),
    *each("min_pool2d", POOL | {"dilation": _pool((3, 2), stride=2, dilation=2, ceil_mode=True, padding=1)}),
    *each("avg_pool2d", POOL | {
        "include_pad": _pool(3, stride=2, padding=1, count_include_pad=True),
        "include_pad_ceil": _pool((3, 2), image=(3, 6, 8), stride=3, padding=1, ceil_mode=True, count_include_pad=True),
    }, linear=True),
    *each("global_avg_pool2d", {"images": lambda d: ((d.normal(d.N, 3, 4, 5),), {})}, linear=True),
    *each("linear", {
        "plain": lambda d: ((d.normal(d.N, 3), d.normal(4, 3), d.normal(4)), {}),
        "no_bias": lambda d: ((d.normal(d.N, 5), d.normal(2, 5), None), {}),
    }, grads=(0, 1, 2), linear=True),
    *each("relu", ROWS),
    *each("softmax", LOGITS),
    *each("log_softmax", LOGITS),
    *each("flatten", {"images": lambda d: ((d.normal(d.N, 3, 2, 4),), {})}, linear=True),
    *each("pad2d", {
        "zeros": lambda d: ((d.normal(d.N, 2, 3, 4), (1, 0, 2, 3)), {}),
        "value": lambda d: ((d.normal(d.N, 2, 3, 4), (1, 2)), {"value": 7.0}),
        "none": lambda d: ((d.normal(d.N, 2, 3, 4), 0), {}),
    }),
    *LOSS_CASES,
    *LAYER_CASES,
]  # fmt: skip
