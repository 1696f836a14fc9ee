"""The same ops in PyTorch, software nobody here wrote. Borders are worked out here, not by the code under test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from strategies import same_sides

from tinycnn.verify.cases import OpCase

torch = pytest.importorskip("torch")
F = torch.nn.functional


def _pair(value: Any) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple) else (value, value)


def sides(shape: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) from any spelling of padding."""
    if padding == "same":
        axes = zip(shape[2:], _pair(kernel_size), _pair(stride), _pair(dilation), strict=True)
        return tuple(side for axis in axes for side in same_sides(*axis))
    p = _pair(0 if padding == "valid" else padding)
    return p if len(p) == 4 else (p[0], p[0], p[1], p[1])


def _bordered(x, kernel_size, stride, padding, dilation, value=0.0):
    top, bottom, left, right = sides(x.shape, kernel_size, stride, padding, dilation)
    return F.pad(x, (left, right, top, bottom), value=value)


def conv2d(x, w, b, stride=1, padding=0, dilation=1, groups=1, flip=False):
    x = _bordered(x, tuple(w.shape[2:]), stride, padding, dilation)
    return F.conv2d(x, w.flip(2, 3) if flip else w, b, stride=stride, dilation=dilation, groups=groups)


def _takes(kernel_size, padding):
    """Whether PyTorch's pools take this border themselves: symmetric, and at most half the kernel."""
    if isinstance(padding, str) or len(_pair(padding)) == 4:
        return False
    return all(2 * p <= k for p, k in zip(_pair(padding), _pair(kernel_size), strict=True))


def _begun_inside(y, shape, kernel_size, stride, padding, dilation=1):
    """The windows that begin in the image or before it: behind it ceil_mode makes none, which PyTorch cannot see
    where the border was put around the image by hand."""
    top, _, left, _ = sides(shape, kernel_size, stride, padding, dilation)
    OH, OW = (-(-(size + p) // s) for size, p, s in zip(shape[2:], (top, left), _pair(stride), strict=True))
    return y[:, :, :OH, :OW]


def max_pool2d(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    stride = kernel_size if stride is None else stride
    if _takes(kernel_size, padding):
        return F.max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode)
    y = F.max_pool2d(_bordered(x, kernel_size, stride, padding, dilation, -np.inf), kernel_size, stride, 0, dilation,
                     ceil_mode)  # fmt: skip
    return _begun_inside(y, x.shape, kernel_size, stride, padding, dilation)


def min_pool2d(x, *args, **options):
    return -max_pool2d(-x, *args, **options)


def avg_pool2d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=False):
    stride = kernel_size if stride is None else stride
    if _takes(kernel_size, padding):
        return F.avg_pool2d(x, kernel_size, stride, padding, ceil_mode, count_include_pad)

    def sums(a, border):
        a = _bordered(a, kernel_size, stride, padding, 1, border)
        y = F.avg_pool2d(a, kernel_size, stride, 0, ceil_mode, divisor_override=1)
        return _begun_inside(y, x.shape, kernel_size, stride, padding)

    return sums(x, 0.0) / sums(torch.ones_like(x), float(count_include_pad))


def pad2d(x, padding, value=0.0):
    return _bordered(x, 1, 1, padding, 1, value)


def _weights(class_weights, like):
    return None if class_weights is None else torch.tensor(class_weights, dtype=like.dtype)


def _labels(z, t):
    """Labels in a column as labels in a row."""
    return t[:, 0] if t.dtype == torch.int64 and t.dim() == z.dim() else t


def cross_entropy(z, t, class_weights=None, label_smoothing=0.0, ignore_index=None):
    ignored = -100 if ignore_index is None else ignore_index
    weights = _weights(class_weights, z)
    return F.cross_entropy(z, _labels(z, t), weights, label_smoothing=label_smoothing, ignore_index=ignored)


def focal(z, t, gamma=2.0, class_weights=None):
    logp, t = F.log_softmax(z, 1), _labels(z, t)
    rows = F.one_hot(t, z.shape[1]).movedim(-1, 1) if t.dtype == torch.int64 else t
    weights = torch.ones(z.shape[1], dtype=z.dtype) if class_weights is None else _weights(class_weights, z)
    weights = weights.reshape(1, -1, *(1,) * (z.dim() - 2))
    return -(rows * weights * (1 - logp.exp()) ** gamma * logp).sum(1).mean()


def multi_margin(z, t, margin=1.0):
    t = _labels(z, t) if t.dtype == torch.int64 else t.argmax(1)
    return F.multi_margin_loss(z.movedim(1, -1).flatten(0, -2), t.flatten(), margin=margin)  # it takes no images


def dice(p, t, smooth=1.0):
    p, t = p.flatten(2) if p.dim() > 2 else p[..., None], t.flatten(2) if t.dim() > 2 else t[..., None]
    return 1 - ((2 * (p * t).sum(2) + smooth) / (p.sum(2) + t.sum(2) + smooth)).mean()


def categorical_crossentropy(p, t):
    t = _labels(p, t)
    return F.nll_loss(p.log(), t) if t.dtype == torch.int64 else -(t * p.log()).sum() / (p.numel() / p.shape[1])


def batch_norm(x, gamma, beta, mean=None, var=None, eps=1e-5):
    return F.batch_norm(x, mean, var, gamma, beta, training=mean is None, eps=eps)


def conv_transpose2d(x, w, b, stride=1, padding=0, output_padding=0, dilation=1, groups=1):
    padding = 0 if padding == "valid" else padding
    if padding == "same" or len(_pair(padding)) == 4:  # cut the border off by hand
        y = F.conv_transpose2d(x, w, None, stride, 0, 0, groups, dilation)
        OH, OW = (h * s for h, s in zip(x.shape[2:], _pair(stride), strict=True))
        top, bottom, left, right = sides((*x.shape[:2], OH, OW), tuple(w.shape[2:]), stride, padding, dilation)
        if padding != "same":
            more = _pair(output_padding)
            OH, OW = y.shape[2] - top - bottom + more[0], y.shape[3] - left - right + more[1]
        y = F.pad(y, (0, max(left + OW - y.shape[3], 0), 0, max(top + OH - y.shape[2], 0)))  # no stamp reaches there
        return y[:, :, top : top + OH, left : left + OW] + (0 if b is None else b[:, None, None])
    return F.conv_transpose2d(x, w, b, stride, padding, output_padding, groups, dilation)


def conv1d(x, w, b, stride=1, padding=0, dilation=1, groups=1, flip=False):
    padding = padding if isinstance(padding, str) else (0, 0, *_pair(padding))
    x = _bordered(x[:, :, None], (1, w.shape[2]), (1, stride), padding, (1, dilation))[:, :, 0]
    return F.conv1d(x, w.flip(2) if flip else w, b, stride=stride, dilation=dilation, groups=groups)


def max_unpool2d(x, indices, output_size):
    size = _pair(output_size)
    kernel_size = [o - h + 1 for o, h in zip(size, x.shape[2:], strict=True)]  # only to pass its check of sizes
    return F.max_unpool2d(x, indices, kernel_size, stride=1, output_size=size)


def _resized(mode, **options):
    return lambda x, scale, **more: F.interpolate(x, scale_factor=_pair(scale), mode=mode, **options, **more)


REFERENCE: dict[str, Callable[..., Any]] = {
    "conv2d": conv2d,
    "max_pool2d": max_pool2d,
    "min_pool2d": min_pool2d,
    "avg_pool2d": avg_pool2d,
    "global_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
    "linear": F.linear,
    "relu": F.relu,
    "softmax": lambda z: F.softmax(z, 1),
    "log_softmax": lambda z: F.log_softmax(z, 1),
    "flatten": lambda x: x.flatten(1),
    "pad2d": pad2d,
    "cross_entropy": cross_entropy,
    "categorical_crossentropy": categorical_crossentropy,
    "focal": focal,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "hinge": lambda x, t: F.relu(1 - t * x).mean(),
    "multi_margin": multi_margin,
    "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
    "binary_cross_entropy": F.binary_cross_entropy,
    "dice": dice,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "batch_norm": batch_norm,
    "layer_norm": lambda x, gamma, beta, eps=1e-5: F.layer_norm(x, x.shape[1:], gamma, beta, eps),
    "group_norm": lambda x, groups, gamma, beta, eps=1e-5: F.group_norm(x, groups, gamma, beta, eps),
    "dropout": lambda x, mask, drop_prob: x * mask / (1 - drop_prob),
    "upsample_nearest2d": _resized("nearest"),
    "upsample_bilinear2d": _resized("bilinear"),
    "max_unpool2d": max_unpool2d,
    "conv_transpose2d": conv_transpose2d,
    "conv1d": conv1d,
    "reshape": lambda x, shape: x.reshape(len(x), *shape),
    "concat": lambda a, b: torch.cat([a, b], dim=1),
}


def torch_results(case: OpCase | str, args: Any, options: Any, grads: Any, dy: Any) -> tuple[Any, list[Any]]:
    """y, and the gradients of the arguments at the positions `grads` under dy(y), as NumPy arrays."""
    function = REFERENCE[case if isinstance(case, str) else case.name]
    tensors = [torch.tensor(a) if isinstance(a, np.ndarray) else a for a in args]
    wanted = [p for p in grads if args[p] is not None]
    for p in wanted:
        tensors[p].requires_grad_(True)
    y = function(*tensors, **options)
    y.backward(torch.tensor(dy(y.detach().numpy())))
    return y.detach().numpy(), [tensors[p].grad.numpy() if p in wanted else None for p in grads]
