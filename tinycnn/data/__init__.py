"""Data: the bundled digits, batches, fair splits, one-hot labels, and pictures: read, changed and written."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinycnn.data.adjust import brightness, colour_matrix, contrast, gray, hue, normalise, saturation
    from tinycnn.data.augment import Augmentation, Compose
    from tinycnn.data.augment_looks import (
        Cutout,
        GaussianNoise,
        MixUp,
        Normalise,
        RandomBrightness,
        RandomContrast,
        RandomGray,
        RandomHue,
        RandomSaturation,
        mixup,
    )
    from tinycnn.data.augment_moves import (
        CentreCrop,
        Pad,
        RandomAffine,
        RandomCrop,
        RandomFlip,
        RandomRotate90,
        Resize,
        crop,
        pad,
    )
    from tinycnn.data.cifar import load_cifar10, load_cifar100
    from tinycnn.data.colour import hsv_to_rgb, rgb_to_gray, rgb_to_hsv, rgb_to_ycbcr, ycbcr_to_rgb
    from tinycnn.data.dataset import Dataset, batches, one_hot, to_categorical, to_nchw
    from tinycnn.data.degrade import bit_depth, equalise, jpeg_quality
    from tinycnn.data.digits import load_all_digits, load_digits
    from tinycnn.data.filters import box_blur, box_kernel, edges, filter_image, gaussian_blur, gaussian_kernel, sharpen
    from tinycnn.data.generated import load_shapes
    from tinycnn.data.idx import load_fashion_mnist, load_mnist, read_idx
    from tinycnn.data.image import read_digit_image
    from tinycnn.data.listing import Listing, list_folder, list_pairs
    from tinycnn.data.picture import read_image, read_mask, write_image
    from tinycnn.data.reading import load_folder, load_listing, load_pairs
    from tinycnn.data.resizing import resize
    from tinycnn.data.split import folds, group_folds, group_split, stratified_folds, stratified_split, train_test_split
    from tinycnn.data.statistics import channel_statistics, class_weights
    from tinycnn.data.stream import Stream
    from tinycnn.data.table import list_table, load_table
    from tinycnn.data.warp import affine

_PLACES = {  # in which file each name stands: it is read when one of its names is asked for
    "adjust": "brightness colour_matrix contrast gray hue normalise saturation",
    "augment": "Augmentation Compose",
    "augment_looks": "Cutout GaussianNoise MixUp Normalise RandomBrightness RandomContrast RandomGray RandomHue "
    "RandomSaturation mixup",
    "augment_moves": "CentreCrop Pad RandomAffine RandomCrop RandomFlip RandomRotate90 Resize crop pad",
    "cifar": "load_cifar10 load_cifar100",
    "colour": "hsv_to_rgb rgb_to_gray rgb_to_hsv rgb_to_ycbcr ycbcr_to_rgb",
    "dataset": "Dataset batches one_hot to_categorical to_nchw",
    "degrade": "bit_depth equalise jpeg_quality",
    "digits": "load_all_digits load_digits",
    "filters": "box_blur box_kernel edges filter_image gaussian_blur gaussian_kernel sharpen",
    "generated": "load_shapes",
    "idx": "load_fashion_mnist load_mnist read_idx",
    "image": "read_digit_image",
    "listing": "Listing list_folder list_pairs",
    "picture": "read_image read_mask write_image",
    "reading": "load_folder load_listing load_pairs",
    "resizing": "resize",
    "split": "folds group_folds group_split stratified_folds stratified_split train_test_split",
    "statistics": "channel_statistics class_weights",
    "stream": "Stream",
    "table": "list_table load_table",
    "warp": "affine",
}
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _PLACE_OF:
        raise AttributeError(f"module 'tinycnn.data' has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(f"tinycnn.data.{_PLACE_OF[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACE_OF})


__all__ = [
    "Augmentation",
    "CentreCrop",
    "Compose",
    "Cutout",
    "Dataset",
    "GaussianNoise",
    "Listing",
    "MixUp",
    "Normalise",
    "Pad",
    "RandomAffine",
    "RandomBrightness",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomGray",
    "RandomHue",
    "RandomRotate90",
    "RandomSaturation",
    "Resize",
    "Stream",
    "affine",
    "batches",
    "bit_depth",
    "box_blur",
    "box_kernel",
    "brightness",
    "channel_statistics",
    "class_weights",
    "colour_matrix",
    "contrast",
    "crop",
    "edges",
    "equalise",
    "filter_image",
    "folds",
    "gaussian_blur",
    "gaussian_kernel",
    "gray",
    "group_folds",
    "group_split",
    "hsv_to_rgb",
    "hue",
    "jpeg_quality",
    "list_folder",
    "list_pairs",
    "list_table",
    "load_all_digits",
    "load_cifar10",
    "load_cifar100",
    "load_digits",
    "load_fashion_mnist",
    "load_folder",
    "load_listing",
    "load_mnist",
    "load_pairs",
    "load_shapes",
    "load_table",
    "mixup",
    "normalise",
    "one_hot",
    "pad",
    "read_digit_image",
    "read_idx",
    "read_image",
    "read_mask",
    "resize",
    "rgb_to_gray",
    "rgb_to_hsv",
    "rgb_to_ycbcr",
    "saturation",
    "sharpen",
    "stratified_folds",
    "stratified_split",
    "to_categorical",
    "to_nchw",
    "train_test_split",
    "write_image",
    "ycbcr_to_rgb",
]
