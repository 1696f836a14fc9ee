"""The fast twins: the ops that training spends its time in, compiled by Numba for this machine's vectors and cores.

Same names, same arguments, same errors and, but for rounding, the same results as in `tinycnn.ops`; what a kernel does
not cover (complex numbers, arrays of mixed types) it hands to `ops`. `tile` is where the speed comes from.
"""

from tinycnn.kernels.activation import leaky_relu_backward, leaky_relu_forward, relu_backward, relu_forward
from tinycnn.kernels.conv import conv2d_backward, conv2d_forward
from tinycnn.kernels.conv1d import conv1d_backward, conv1d_forward
from tinycnn.kernels.conv_transpose import conv_transpose2d_backward, conv_transpose2d_forward
from tinycnn.kernels.linear import linear_backward, linear_forward
from tinycnn.kernels.norm import batch_norm_backward, batch_norm_forward
from tinycnn.kernels.pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    min_pool2d_backward,
    min_pool2d_forward,
)
from tinycnn.kernels.resize import upsample_nearest2d_backward, upsample_nearest2d_forward

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "conv1d_backward",
    "conv1d_forward",
    "conv2d_backward",
    "conv2d_forward",
    "conv_transpose2d_backward",
    "conv_transpose2d_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward",
    "linear_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "min_pool2d_backward",
    "min_pool2d_forward",
    "relu_backward",
    "relu_forward",
    "upsample_nearest2d_backward",
    "upsample_nearest2d_forward",
]
