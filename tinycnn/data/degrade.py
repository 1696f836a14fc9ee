"""What storing does to a picture, and help for a dull one: fewer levels, JPEG's losses, levels spread evenly.

To see how a network bears worse pictures than it was trained on, make its test pictures worse, step by step.
"""

from __future__ import annotations

import numpy as np

from tinycnn.data.picture import encode_image, read_image
from tinycnn.errors import ShapeError
from tinycnn.formula import formula

Array = np.ndarray


@formula(
    "y[n,c,r,q] = floor(x[n,c,r,q] * (2**bits - 1) + 0.5) / (2**bits - 1)",
    shapes="x (N,C,H,W), bits () -> y (N,C,H,W)",
    source="Gonzalez & Woods 2018, Digital Image Processing, section 2.4",
)
def bit_depth(x: Array, bits: int) -> Array:
    """Every number rounded to the nearest of 2^bits levels from 0 to 1: 1 bit is black and white, 8 are as in files.

    >>> bit_depth(np.array([[[0.1, 0.4, 0.6, 1.0]]]), 2).round(3)
    array([[[0.   , 0.333, 0.667, 1.   ]]])
    """
    if isinstance(bits, bool) or not isinstance(bits, int | np.integer) or not 1 <= bits <= 16:
        raise ValueError(f"bits must be an int from 1 to 16, got {bits!r}")
    x, top = np.asarray(x), 2**bits - 1
    return np.floor(x * top + 0.5) / top


def jpeg_quality(x: Array, quality: int) -> Array:
    """Pictures (C, H, W) or (N, C, H, W), C = 1 or 3, as they come back from a JPEG file of this quality, 1 to 95.

    >>> x = np.linspace(0, 1, 64).reshape(1, 8, 8).astype(np.float32)
    >>> bool(abs(jpeg_quality(x, 95) - x).max() < 0.02 < abs(jpeg_quality(x, 1) - x).max())
    True
    """
    x = np.asarray(x)
    if isinstance(quality, bool) or not isinstance(quality, int | np.integer) or not 1 <= quality <= 95:
        raise ValueError(f"quality must be an int from 1 to 95, got {quality!r}")
    if x.ndim not in (3, 4) or x.shape[-3] not in (1, 3):
        raise ShapeError(f"x must be (C, H, W) or (N, C, H, W) with C = 1 or 3, got shape {x.shape}")
    if x.ndim == 4:
        return np.stack([jpeg_quality(one, quality) for one in x]) if len(x) else x.copy()
    return read_image(encode_image(x, "JPEG", quality), "gray" if len(x) == 1 else "rgb").astype(x.dtype)


@formula(
    "level[n,c,r,q] = floor(255 * x[n,c,r,q] + 0.5)",
    "cdf[n,c,u,v] = sum[r,q](level[n,c,r,q] < level[n,c,u,v])",
    "below[n,c] = max[u,v](cdf[n,c,u,v])",
    "y[n,c,u,v] = cdf[n,c,u,v] / below[n,c] if below[n,c] > 0 else x[n,c,u,v]",
    where="cdf is how many pixels are darker than pixel (u, v), below how many are darker than the brightest",
    shapes="x (N,C,H,W) -> y (N,C,H,W)",
    source="Gonzalez & Woods 2018, Digital Image Processing, section 3.3; the ends as Pillow puts them",
    given=lambda names: {"OH": names["x"].shape[2], "OW": names["x"].shape[3]},
)
def equalise(x: Array) -> Array:
    """Levels spread evenly: each becomes the share of pixels that are darker; a dull picture then fills [0, 1].

    Every channel of every picture (…, H, W) has its own 256 levels. Its darkest becomes 0 and its brightest 1; one of
    a single level stays as it is.

    >>> equalise(np.array([[[0.4, 0.45, 0.5]]]))
    array([[[0. , 0.5, 1. ]]])
    """
    x = np.asarray(x)
    if x.ndim not in (3, 4):
        raise ShapeError(f"x must be (C, H, W) or (N, C, H, W), got shape {x.shape}")
    if x.dtype.kind != "f" or not ((x >= 0) & (x <= 1)).all():
        raise ValueError(f"x must hold floats in [0, 1], got {x.dtype} from {x.min(initial=0)} to {x.max(initial=0)}")
    y = np.empty_like(x)
    for place in np.ndindex(x.shape[:-2]):
        level = np.floor(255 * x[place] + 0.5).astype(np.intp)
        counts = np.bincount(level.ravel(), minlength=256)
        darker = np.cumsum(counts) - counts  # the pixels below each level
        below = darker[level.max(initial=0)]
        y[place] = darker[level] / below if below else x[place]
    return y
