"""The mathematics in NumPy: pure pairs `xxx_forward(...) -> (y, cache)` and `xxx_backward(dy, cache)`.

Arrays in, arrays out, no state. Each formula stands above the code that is it; `tinycnn.formulas` holds them all.
"""

from tinycnn.ops.activation import relu_backward, relu_forward
from tinycnn.ops.conv import conv2d_backward, conv2d_forward
from tinycnn.ops.im2col import col2im, im2col
from tinycnn.ops.linear import linear_backward, linear_forward
from tinycnn.ops.loss import (
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    cross_entropy_backward,
    cross_entropy_forward,
    mse_backward,
    mse_forward,
)
from tinycnn.ops.pad import pad2d_backward, pad2d_forward
from tinycnn.ops.pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    min_pool2d_backward,
    min_pool2d_forward,
)
from tinycnn.ops.reshape import flatten_backward, flatten_forward
from tinycnn.ops.softmax import log_softmax_backward, log_softmax_forward, softmax_backward, softmax_forward

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "categorical_crossentropy_backward",
    "categorical_crossentropy_forward",
    "col2im",
    "conv2d_backward",
    "conv2d_forward",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "flatten_backward",
    "flatten_forward",
    "global_avg_pool2d_backward",
    "global_avg_pool2d_forward",
    "im2col",
    "linear_backward",
    "linear_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "min_pool2d_backward",
    "min_pool2d_forward",
    "mse_backward",
    "mse_forward",
    "pad2d_backward",
    "pad2d_forward",
    "relu_backward",
    "relu_forward",
    "softmax_backward",
    "softmax_forward",
]
