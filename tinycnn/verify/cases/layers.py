"""The table's rows for activations, norms, dropout, resizing, transposed and 1-D convolution, and addresses."""

from __future__ import annotations

import numpy as np

from tinycnn.verify.cases.case import Draw, OpCase, each


def _rows_and_images(**options):
    return {"rows": lambda d: ((d.spaced(d.N, 5),), options), "images": lambda d: ((d.spaced(d.N, 3, 2, 4),), options)}


def _norm(*shape, weights=None, before=(), **options):
    """x, then `before`, then gamma and beta, one number a channel unless `weights` gives their shape."""
    weights = shape[:1] if weights is None else weights
    return lambda d: ((d.normal(d.N, *shape), *before, d.normal(*weights), d.normal(*weights)), options)


def _eval_norm(*shape):
    C = shape[0]
    return lambda d: ((d.normal(d.N, *shape), d.normal(C), d.normal(C), d.normal(C), d.positive(C)), {})


def _dropout(*shape, drop_prob):
    return lambda d: ((d.normal(d.N, *shape), d.rng.random((d.N, *shape)) >= drop_prob, drop_prob), {})


def _image(*args, image=(2, 3, 4), **options):
    return lambda d: ((d.normal(d.N, *image), *args), options)


def _unpool(image, output_size):
    def draw(d: Draw):
        C, H, W = image
        order = np.argsort(d.rng.random((d.N, C, output_size[0] * output_size[1])), axis=2)
        return (d.normal(d.N, *image), order[:, :, : H * W].reshape(d.N, C, H, W), output_size), {}

    return draw


def _weighted(image, w, F, bias=True, **options):
    return lambda d: ((d.normal(d.N, *image), d.normal(*w), d.normal(F) if bias else None), options)


TRANSPOSED = {
    "plain": _weighted((3, 2, 3), (3, 4, 2, 3), 4),
    "no_bias": _weighted((3, 2, 3), (3, 4, 2, 3), 4, bias=False),
    "stride": _weighted((2, 3, 2), (2, 3, 3, 2), 3, stride=(2, 3)),
    "stride_over_kernel": _weighted((2, 2, 3), (2, 3, 1, 2), 3, stride=3),
    "padding": _weighted((2, 3, 4), (2, 3, 3, 3), 3, stride=2, padding=(1, 2)),
    "padding_over_kernel": _weighted((2, 4, 4), (2, 3, 2, 1), 3, padding=1),
    "four_paddings": _weighted((2, 3, 4), (2, 3, 3, 3), 3, padding=(1, 0, 2, 1)),
    "same": _weighted((2, 3, 4), (2, 3, 3, 2), 3, stride=(2, 3), padding="same"),
    "output_padding": _weighted((2, 3, 2), (2, 3, 2, 3), 3, stride=(2, 3), padding=1, output_padding=(1, 2)),
    "dilation": _weighted((2, 3, 2), (2, 3, 2, 3), 3, dilation=(3, 2), padding=1, stride=2),
    "groups": _weighted((4, 2, 3), (4, 3, 2, 2), 6, groups=2, stride=2),
    "depthwise": _weighted((3, 2, 3), (3, 1, 3, 2), 3, groups=3, stride=2, padding=1, output_padding=1),
}
CONV1D = {
    "plain": _weighted((3, 6), (4, 3, 3), 4),
    "no_bias": _weighted((3, 6), (4, 3, 3), 4, bias=False),
    "stride": _weighted((2, 7), (3, 2, 2), 3, stride=3),
    "two_paddings": _weighted((2, 5), (3, 2, 3), 3, stride=2, padding=(2, 1)),
    "same": _weighted((2, 7), (3, 2, 4), 3, stride=2, padding="same"),
    "dilation": _weighted((2, 8), (3, 2, 3), 3, dilation=2, padding=1),
    "groups_flip": _weighted((4, 6), (6, 2, 3), 6, groups=2, flip=True, padding=2),
}

LAYER_CASES: list[OpCase] = [
    *each("leaky_relu", _rows_and_images() | {"steep": lambda d: ((d.spaced(d.N, 4),), {"negative_slope": 0.3})}),
    *each("elu", _rows_and_images() | {"alpha": lambda d: ((d.spaced(d.N, 4),), {"alpha": 0.5})}),
    *each("sigmoid", _rows_and_images()),
    *each("tanh", _rows_and_images()),
    *each("batch_norm", {
        "rows": lambda d: ((d.normal(3 * d.N, 3), d.normal(3), d.normal(3)), {}),  # of two rows almost nothing is left
        "images": _norm(3, 2, 4), "sequences": _norm(2, 5, eps=0.1),
    }, grads=(0, 1, 2), empty="refused"),
    *each("batch_norm", {"eval_rows": _eval_norm(3), "eval_images": _eval_norm(3, 2, 4)}, grads=(0, 1, 2)),
    *each("layer_norm", {
        "rows": _norm(5), "images": _norm(3, 2, 4, weights=(3, 2, 4)), "eps": _norm(4, eps=0.5),
    }, grads=(0, 1, 2)),
    *each("group_norm", {
        "rows": _norm(6, before=(2,)), "images": _norm(6, 2, 3, before=(3,)),
        "one_group": _norm(3, 2, 2, before=(1,)), "each_channel": _norm(3, 2, 4, before=(3,), eps=0.1),
    }, grads=(0, 2, 3)),
    *each("dropout", {"rows": _dropout(6, drop_prob=0.3), "images": _dropout(3, 2, 4, drop_prob=0.5)}, linear=True),
    *each("upsample_nearest2d", {"twice": _image(2), "odd": _image((3, 2)), "same": _image(1)}, linear=True),
    *each("upsample_bilinear2d", {
        "twice": _image(2), "odd": _image((3, 2)), "one_pixel": _image(3, image=(2, 1, 1)),
        "corners": _image(2, align_corners=True), "corners_odd": _image((1, 3), align_corners=True),
        "corners_one_row": _image((3, 2), image=(2, 1, 4), align_corners=True),
    }, linear=True),
    *each("max_unpool2d", {"plain": _unpool((2, 2, 3), (4, 6)), "odd": _unpool((1, 3, 2), (7, 5))}, linear=True),
    *each("conv_transpose2d", TRANSPOSED, grads=(0, 1, 2), linear=True),
    *each("conv1d", CONV1D, grads=(0, 1, 2), linear=True),
    *each("reshape", {
        "images": lambda d: ((d.normal(d.N, 12), (2, 3, 2)), {}),
        "rest": lambda d: ((d.normal(d.N, 2, 6), (-1, 4)), {}),
    }, linear=True),
    *each("concat", {
        "rows": lambda d: ((d.normal(d.N, 2), d.normal(d.N, 3)), {}),
        "images": lambda d: ((d.normal(d.N, 3, 2, 4), d.normal(d.N, 1, 2, 4)), {}),
    }, grads=(0, 1)),
]  # fmt: skip
