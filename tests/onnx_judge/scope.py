"""The cases that are not run, by kind and by reason: not one is passed over in silence."""

from __future__ import annotations

from onnx_judge.reasons import (
    ANTIALIAS,
    CROP,
    CUBIC,
    DILATED_AVERAGE,
    FACTOR,
    NEAREST_RULE,
    NO_SUCH_OP,
    PAD_MODE,
    STACK,
    VOLUMES,
)

ONNX_VERSION = "1.23.2"  # what came with this version is all here; a newer one may bring cases that are not

_LEFT_OUT = {
    "node": {
        VOLUMES:
        "averagepool_3d_default averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False "
        "averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True "
        "averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_False "
        "averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True "
        "averagepool_3d_dilations_small col2im_5d convtranspose_3d maxpool_3d_default maxpool_3d_dilations "
        "maxpool_3d_dilations_use_ref_impl maxpool_3d_dilations_use_ref_impl_large",
        DILATED_AVERAGE:
        "averagepool_2d_dilations",
        STACK:
        "matmul_1d_1d matmul_1d_3d matmul_3d matmul_4d matmul_4d_1d matmul_bcast",
        PAD_MODE:
        "edge_pad reflect_pad wrap_pad",
        FACTOR:
        "resize_downsample_scales_linear resize_downsample_scales_linear_align_corners "
        "resize_downsample_scales_linear_half_pixel_symmetric resize_downsample_scales_nearest "
        "resize_downsample_sizes_linear_pytorch_half_pixel resize_downsample_sizes_nearest "
        "resize_downsample_sizes_nearest_not_larger resize_downsample_sizes_nearest_not_smaller "
        "resize_upsample_scales_linear_half_pixel_symmetric resize_upsample_sizes_nearest "
        "resize_upsample_sizes_nearest_axes_2_3 resize_upsample_sizes_nearest_axes_3_2 "
        "resize_upsample_sizes_nearest_not_larger",
        CUBIC:
        "resize_downsample_scales_cubic resize_downsample_scales_cubic_A_n0p5_exclude_outside "
        "resize_downsample_scales_cubic_align_corners resize_downsample_scales_cubic_antialias "
        "resize_downsample_sizes_cubic resize_downsample_sizes_cubic_antialias resize_upsample_scales_cubic "
        "resize_upsample_scales_cubic_A_n0p5_exclude_outside resize_upsample_scales_cubic_align_corners "
        "resize_upsample_scales_cubic_asymmetric resize_upsample_sizes_cubic",
        CROP:
        "resize_tf_crop_and_resize resize_tf_crop_and_resize_axes_2_3 resize_tf_crop_and_resize_axes_3_2 "
        "resize_tf_crop_and_resize_extrapolation_value",
        NEAREST_RULE:
        "resize_upsample_sizes_nearest_ceil_half_pixel resize_upsample_sizes_nearest_floor_align_corners "
        "resize_upsample_sizes_nearest_round_prefer_ceil_asymmetric",
        ANTIALIAS:
        "resize_downsample_scales_linear_antialias resize_downsample_sizes_linear_antialias",
    },
    "pytorch-converted": {
        VOLUMES:
        "AvgPool3d AvgPool3d_stride AvgPool3d_stride1_pad0_gpu_input Conv3d Conv3d_dilated "
        "Conv3d_dilated_strided Conv3d_groups Conv3d_no_bias Conv3d_stride Conv3d_stride_padding MaxPool3d "
        "MaxPool3d_stride MaxPool3d_stride_padding",
        NO_SUCH_OP:
        "Embedding Embedding_sparse PReLU_1d PReLU_1d_multiparam PReLU_2d PReLU_2d_multiparam PReLU_3d "
        "PReLU_3d_multiparam PoissonNLLLLoss_no_reduce SELU Softplus Softsign",
        PAD_MODE:
        "ReflectionPad2d ReplicationPad2d",
    },
    "pytorch-operator": {
        NO_SUCH_OP:
        "operator_add_broadcast operator_add_size1_broadcast operator_add_size1_right_broadcast "
        "operator_add_size1_singleton_broadcast operator_addconstant operator_chunk operator_clip "
        "operator_exp operator_index operator_max operator_min operator_non_float_params operator_permute2 "
        "operator_pow operator_reduced_mean operator_reduced_mean_keepdim operator_reduced_sum "
        "operator_reduced_sum_keepdim operator_repeat operator_repeat_dim_overflow operator_selu "
        "operator_sqrt operator_symbolic_override_nested",
        PAD_MODE:
        "operator_pad",
    },
}  # fmt: skip

OUT_OF_SCOPE = {  # kind -> case -> why
    kind: {f"test_{name}": reason for reason, names in reasons.items() for name in names.split()}
    for kind, reasons in _LEFT_OUT.items()
}
