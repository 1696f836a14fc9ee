"""Data: the bundled digits, batches, fair splits, one-hot labels, and pictures from files."""

from tinycnn.data.dataset import Dataset, batches, one_hot, to_categorical, to_nchw
from tinycnn.data.digits import load_all_digits, load_digits
from tinycnn.data.image import read_digit_image
from tinycnn.data.split import stratified_folds, stratified_split

__all__ = [
    "Dataset",
    "batches",
    "load_all_digits",
    "load_digits",
    "one_hot",
    "read_digit_image",
    "stratified_folds",
    "stratified_split",
    "to_categorical",
    "to_nchw",
]
