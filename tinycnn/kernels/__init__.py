"""The fast twins: the ops that training spends its time in, compiled by Numba for this machine's vectors and cores.

Same names, same arguments, same errors and, but for rounding, the same results as in `tinycnn.ops`; what a kernel does
not cover (complex numbers, arrays of mixed types) it hands to `ops`. `tile` is where the speed comes from.
"""

from typing import Any

from tinycnn.kernels import steps
from tinycnn.kernels.activation import leaky_relu_backward, leaky_relu_forward, relu_backward, relu_forward
from tinycnn.kernels.activation_smooth import (
    elu_backward,
    elu_forward,
    sigmoid_backward,
    sigmoid_forward,
    tanh_backward,
    tanh_forward,
)
from tinycnn.kernels.conv import conv2d_backward, conv2d_backward_weights, conv2d_forward
from tinycnn.kernels.conv1d import conv1d_backward, conv1d_forward
from tinycnn.kernels.conv_transpose import conv_transpose2d_backward, conv_transpose2d_forward
from tinycnn.kernels.fused import (
    conv2d_relu_backward,
    conv2d_relu_forward,
    conv2d_relu_of_halves_forward,
    conv2d_relu_of_two_forward,
)
from tinycnn.kernels.layout import (
    concat_backward,
    concat_forward,
    dropout_backward,
    dropout_forward,
    global_avg_pool2d_backward,
    global_avg_pool2d_forward,
    pad2d_backward,
    pad2d_forward,
)
from tinycnn.kernels.linear import (
    linear_backward,
    linear_backward_weights,
    linear_forward,
    linear_relu_backward,
    linear_relu_forward,
)
from tinycnn.kernels.loss import cross_entropy_backward, cross_entropy_forward
from tinycnn.kernels.loss_classes import (
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    focal_backward,
    focal_forward,
)
from tinycnn.kernels.loss_numbers import (
    binary_cross_entropy_backward,
    binary_cross_entropy_forward,
    binary_cross_entropy_with_logits_backward,
    binary_cross_entropy_with_logits_forward,
    hinge_backward,
    hinge_forward,
    mae_backward,
    mae_forward,
    mse_backward,
    mse_forward,
)
from tinycnn.kernels.loss_overlap import dice_backward, dice_forward
from tinycnn.kernels.norm import batch_norm_backward, batch_norm_forward
from tinycnn.kernels.norm_examples import (
    group_norm_backward,
    group_norm_forward,
    layer_norm_backward,
    layer_norm_forward,
)
from tinycnn.kernels.pool import (
    avg_pool2d_backward,
    avg_pool2d_forward,
    max_pool2d_backward,
    max_pool2d_forward,
    min_pool2d_backward,
    min_pool2d_forward,
)
from tinycnn.kernels.resize import upsample_nearest2d_backward, upsample_nearest2d_forward
from tinycnn.kernels.resize_blend import upsample_bilinear2d_backward, upsample_bilinear2d_forward
from tinycnn.kernels.softmax import softmax_backward, softmax_forward
from tinycnn.kernels.softmax_log import log_softmax_backward, log_softmax_forward
from tinycnn.kernels.unpool import max_unpool2d_backward, max_unpool2d_forward

# What is no op of its own: a part of one, several in one, and the optimizers' steps.
BEYOND_OPS: dict[str, Any] = {
    "conv2d_backward_weights": conv2d_backward_weights,
    "conv2d_relu_forward": conv2d_relu_forward,
    "conv2d_relu_backward": conv2d_relu_backward,
    "conv2d_relu_of_halves_forward": conv2d_relu_of_halves_forward,
    "conv2d_relu_of_two_forward": conv2d_relu_of_two_forward,
    "linear_backward_weights": linear_backward_weights,
    "linear_relu_forward": linear_relu_forward,
    "linear_relu_backward": linear_relu_backward,
    "steps": steps,
}

__all__ = [
    "avg_pool2d_backward",
    "avg_pool2d_forward",
    "batch_norm_backward",
    "batch_norm_forward",
    "binary_cross_entropy_backward",
    "binary_cross_entropy_forward",
    "binary_cross_entropy_with_logits_backward",
    "binary_cross_entropy_with_logits_forward",
    "categorical_crossentropy_backward",
    "categorical_crossentropy_forward",
    "concat_backward",
    "concat_forward",
    "conv1d_backward",
    "conv1d_forward",
    "conv2d_backward",
    "conv2d_forward",
    "conv_transpose2d_backward",
    "conv_transpose2d_forward",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "dice_backward",
    "dice_forward",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "focal_backward",
    "focal_forward",
    "global_avg_pool2d_backward",
    "global_avg_pool2d_forward",
    "group_norm_backward",
    "group_norm_forward",
    "hinge_backward",
    "hinge_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "linear_backward",
    "linear_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "mae_backward",
    "mae_forward",
    "max_pool2d_backward",
    "max_pool2d_forward",
    "max_unpool2d_backward",
    "max_unpool2d_forward",
    "min_pool2d_backward",
    "min_pool2d_forward",
    "mse_backward",
    "mse_forward",
    "pad2d_backward",
    "pad2d_forward",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "tanh_backward",
    "tanh_forward",
    "upsample_bilinear2d_backward",
    "upsample_bilinear2d_forward",
    "upsample_nearest2d_backward",
    "upsample_nearest2d_forward",
]
