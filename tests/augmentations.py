"""Every augmentation with settings to test it by, and pictures to try it on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from tinycnn.data import (
    CentreCrop,
    Compose,
    Cutout,
    GaussianNoise,
    Normalise,
    Pad,
    RandomAffine,
    RandomBrightness,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomGray,
    RandomHue,
    RandomRotate90,
    RandomSaturation,
    Resize,
)

MOVES = {
    "flip": RandomFlip(),
    "upside down": RandomFlip("vertical"),
    "quarters": RandomRotate90(),
    "crop": RandomCrop(5),
    "padded crop": RandomCrop(8, padding=(2, 1)),
    "mirrored crop": RandomCrop((8, 7), padding=3, border="reflect"),
    "edge crop": RandomCrop(9, padding=2, border="edge"),
    "turned": RandomAffine(angle=180),
    "affine": RandomAffine(30, (0.7, 1.5), 0.3, 0.2),
    "affine, edge": RandomAffine(90, 0.2, border="edge"),
    "affine, mirrored": RandomAffine(90, 0.2, shift=0.4, border="reflect"),
    "resize": Resize((11, 6)),
    "centre": CentreCrop((3, 5)),
    "pad": Pad((1, 0, 2, 3)),
    "pad, mirrored": Pad(2, border="reflect"),
    "several": Compose([RandomFlip(), RandomAffine(20), RandomCrop(6), Compose([RandomFlip("vertical"), Pad(1)])]),
}
LOOKS = {
    "brightness": RandomBrightness(0.4),
    "contrast": RandomContrast(0.5),
    "saturation": RandomSaturation((0, 2)),
    "hue": RandomHue(0.2),
    "gray": RandomGray(0.5),
    "noise": GaussianNoise(0.1),
    "cutout": Cutout((3, 4), 0.5),
    "normalise": Normalise((0.5, 0.4, 0.3), 0.2),
    "several looks": Compose([RandomBrightness(0.2), RandomHue(0.1), GaussianNoise(0.02)]),
}
ALL = MOVES | LOOKS
KEYS = st.tuples(st.integers(0, 2**70), st.integers(0, 1000))


def pictures(seed: int, N: int = 5, C: int = 3, H: int = 8, W: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).random((N, C, H, W))
