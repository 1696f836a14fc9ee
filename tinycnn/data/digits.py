"""The handwritten digits that come with tinycnn: 1,797 real pictures of 8×8 pixels.

Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository, 1998,
doi:10.24432/C50P49, licence CC BY 4.0; its test part (optdigits.tes), obtained through scikit-learn's load_digits.
DIGITS.md beside this file holds the details and the script that made digits.npz.
"""

import io
from pathlib import Path

import numpy as np

from tinycnn.data.dataset import Dataset
from tinycnn.data.split import stratified_split
from tinycnn.files import sha256

PATH = Path(__file__).with_name("digits.npz")
SHA256 = "b2dab7b501728c22e9119ad76740b2e17c77a231e42d1e592380d90886f1a05e"
SIZES = {"train": 1257, "validation": 180, "test": 360}  # a tenth to validate, a fifth to test
SPLIT_SEED = 0  # chosen before any training, and never changed


def load_digits() -> tuple[Dataset, Dataset, Dataset]:
    """The bundled digits as (train, validation, test), always the same stratified split.

    x (N, 1, 8, 8) float32 in [0, 1], ink bright; y (N,) int64. Train with the first, choose with the second, and touch
    the third once, at the end. Raises ValueError if the bundled file is damaged.
    Source: Alpaydin & Kaynak 1998, doi:10.24432/C50P49, CC BY 4.0.

    >>> train, val, test = load_digits()
    >>> len(train), len(val), len(test)
    (1257, 180, 360)
    >>> test
    Dataset 'digits test': 360 examples, x (360, 1, 8, 8) float32,
    10 classes: 0 36, 1 36, 2 36, 3 36, 4 36, 5 37, 6 36, 7 36, 8 34, 9 37
    """
    digits = load_all_digits()
    fractions = [size / len(digits) for size in SIZES.values()]
    parts = stratified_split(digits.y, fractions, SPLIT_SEED)
    train, val, test = (
        Dataset(digits.x[rows], digits.y[rows], digits.classes, f"digits {name}")
        for name, rows in zip(SIZES, parts, strict=True)
    )
    return train, val, test


def load_all_digits() -> Dataset:
    """All 1,797 bundled digits in one Dataset, for cross-validation.

    x (1797, 1, 8, 8) float32: the scan's counts 0 … 16 divided by 16. Raises ValueError if the file is damaged.
    Source: Alpaydin & Kaynak 1998, doi:10.24432/C50P49, CC BY 4.0.

    >>> load_all_digits().x.shape
    (1797, 1, 8, 8)
    """
    data = PATH.read_bytes()
    if sha256(data) != SHA256:
        raise ValueError(
            f"{PATH} is damaged: expected SHA-256 {SHA256}, got {sha256(data)} ({len(data):,} bytes). "
            "Reinstall tinycnn."
        )
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    x = images[:, None].astype(np.float32) / 16  # (N, 1, 8, 8); exact, 16 being a power of two
    return Dataset(x, labels.astype(np.int64), tuple("0123456789"), "digits")
