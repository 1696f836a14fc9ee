"""A picture is an array: one number for each colour of each pixel, from 0 (none) to 1 (all), channels first.

Files hold pictures in many other ways: as bytes, as 16 bits or fractions, as places in a palette, as inks, with holes
to look through, lying on their side. Here all of them become the same array, and nothing is lost without a word.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.data.colour import rgb_to_gray
from tinycnn.data.picture_file import MAX_PIXELS, Source, frames_of, open_picture
from tinycnn.data.picture_modes import plain
from tinycnn.errors import ImageError, ShapeError
from tinycnn.files import write_whole

if TYPE_CHECKING:
    from PIL import Image

MODES = ("rgb", "gray", "keep")
SUFFIXES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
Frames = int | str | Iterable[int] | None


def read_image(
    source: Source, mode: str = "rgb", frames: Frames = None, background: Any = "white", max_pixels: int = MAX_PIXELS,
) -> NDArray[np.float32]:  # fmt: skip
    """Read a PNG, JPEG, BMP, GIF or TIFF file, or the bytes of one, as an array (C, H, W) of float32 in [0, 1].

    `mode` "rgb" gives three channels, "gray" one (`rgb_to_gray`), "keep" those of the file, transparency last. In the
    first two, transparent parts show the `background`: a colour's name, or one number or three in [0, 1].

    Of an animation or a file of several pages the first is read; `frames="all"` gives all of them, (F, C, H, W),
    `frames=3` the fourth, `frames=[0, 2]` a stack of these. The EXIF rotation is applied. 8 bits are divided by 255, 16
    by 65535. Fractions in [0, 1] are taken as they are; other fractions, 32-bit and signed integers are stretched: with
    a = min(0, smallest) and b the largest (of fractions, at least 1), v becomes (v − a) / (b − a). Colours of 16 bits
    are read with the 8 that Pillow keeps; CMYK and LAB become RGB.

    Raises ImageError, naming the file, if it is missing, a folder, no picture, damaged, of numbers not finite, or
    claims more than `max_pixels` pixels (refused before decoding); ValueError for a mode or background that is none.

    >>> from tempfile import mkdtemp
    >>> file = Path(mkdtemp()) / "red.png"
    >>> write_image(file, np.array([1.0, 0.0, 0.0]).reshape(3, 1, 1))
    >>> read_image(file).ravel(), read_image(file, "gray").ravel()
    (array([1., 0., 0.], dtype=float32), array([0.299], dtype=float32))
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    paper, numbers = paper_colour(background), _numbers(frames)

    def decode(image: Image.Image) -> NDArray[np.float32]:
        pictures = [
            to_array(plain(frame, facts), mode, paper) for frame, facts in frames_of(image, numbers, max_pixels)
        ]
        for number, picture in enumerate(pictures):
            if picture.shape != pictures[0].shape:
                raise ImageError(
                    f"its frames differ in shape: {pictures[0].shape} and, number {number} of those read, "
                    f"{picture.shape}; read them one by one, with frames=0, frames=1 …"
                )
        return pictures[0] if frames is None or isinstance(frames, int) else np.stack(pictures)

    return open_picture(source, decode, max_pixels)


def read_mask(source: Source, frame: int = 0, max_pixels: int = MAX_PIXELS) -> NDArray[np.int64]:
    """Read a mask, a picture whose pixels are class numbers, as integers (H, W), exactly as the file has them.

    Of a palette picture these are the places in the palette, not the colours; of a grey one its values, whatever
    their depth. The EXIF rotation is applied.

    Raises ImageError, naming the file, for a file that `read_image` would refuse, a picture in colour or with
    transparency, and a JPEG: it keeps the look of a picture, not its numbers.

    >>> from tempfile import mkdtemp
    >>> file = Path(mkdtemp()) / "mask.png"
    >>> write_image(file, np.array([[0, 2], [7, 255]]))
    >>> read_mask(file)
    array([[  0,   2],
           [  7, 255]])
    """

    def decode(image: Image.Image) -> NDArray[np.int64]:
        if image.format in ("JPEG", "MPO"):
            raise ImageError("a JPEG does not keep the numbers of a mask; save masks as PNG")
        ((page, facts),) = frames_of(image, [frame], max_pixels)
        if page.mode not in ("1", "L", "P", "I") and not page.mode.startswith("I;16"):
            raise ImageError(f"a mask has one whole number a pixel, and this is {page.mode}")
        return np.array(page).astype(np.int64) // facts.stretch

    return open_picture(source, decode, max_pixels)


def write_image(path: str | os.PathLike, x: ArrayLike, quality: int = 95) -> None:
    """Write a picture, (C, H, W) or (H, W) of numbers in [0, 1], or a mask, (H, W) of integers; the suffix says how.

    A picture has 1 channel (grey), 2 (grey, transparency), 3 (RGB) or 4 (RGB, transparency); it is rounded to 8 bits,
    and in a GIF to 256 colours.
    A mask has integers from 0 to 255 and needs a format that keeps them: .png, .bmp, .tif. `quality` is a JPEG's, from
    1 to 100. The file is written whole or not at all.

    Raises ShapeError for another shape, ValueError for numbers outside the range or a suffix or format that cannot
    hold them, OSError where the file cannot be written.

    >>> from tempfile import mkdtemp
    >>> write_image(Path(mkdtemp()) / "grey.png", np.full((1, 4, 4), 2.0))
    Traceback (most recent call last):
    ValueError: a picture has numbers in [0, 1], and this one has 2.0
    """
    target = Path(path)
    format = SUFFIXES.get(target.suffix.lower())
    if format is None:
        raise ValueError(f"{target}: the suffix must be one of {', '.join(SUFFIXES)}")
    write_whole(target, encode_image(x, format, quality))


def encode_image(x: ArrayLike, format: str = "PNG", quality: int = 95) -> bytes:
    """The bytes of the file that `write_image` writes; raises what it raises.

    >>> encode_image(np.zeros((3, 2, 2)), "PNG")[1:4]
    b'PNG'
    """
    from PIL import Image

    x = np.asarray(x)
    mask = x.ndim == 2 and x.dtype.kind in "iub"
    pixels = _mask_bytes(x, format) if mask else _bytes(x)
    image = Image.fromarray(pixels)
    if format in ("JPEG", "BMP") and pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        raise ValueError(f"{format} cannot hold transparency: put the picture on a background first, or write a PNG")
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": quality, "subsampling": 0} if format == "JPEG" else {}))
    return buffer.getvalue()


def to_array(image: Image.Image, mode: str, paper: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture that is `plain` as (C, H, W) float32 in [0, 1], in the channels that `mode` asks for."""
    x = np.atleast_3d(np.asarray(image, np.float32)).transpose(2, 0, 1)
    x = np.ascontiguousarray(x) if image.mode == "F" else np.divide(x, np.float32(255), order="C")
    if mode == "keep":
        return x
    if len(x) in (2, 4):
        x = x[:-1] * x[-1:] + paper * (1 - x[-1:])  # the paper shows through where alpha is below 1
    if mode == "gray":
        return x if len(x) == 1 else rgb_to_gray(x)
    return x if len(x) == 3 else np.repeat(x, 3, axis=0)


def paper_colour(background: Any) -> NDArray[np.float32]:
    """A background as (3, 1, 1) numbers in [0, 1], from a colour's name, one number or three; or a ValueError."""
    if isinstance(background, str):
        from PIL import ImageColor

        numbers = np.array(ImageColor.getrgb(background)[:3], np.float32) / 255
    else:
        numbers = np.asarray(background, np.float32)
    if numbers.shape not in ((), (1,), (3,)) or not (np.isfinite(numbers) & (numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"background must be a colour's name, or one number or three in [0, 1], got {background!r}")
    return np.broadcast_to(numbers.reshape(-1, 1, 1), (3, 1, 1))


def _numbers(frames: Frames) -> list[int] | None:
    """The numbers of the frames that are asked for; None for all."""
    if frames is None or isinstance(frames, int):
        return [int(frames or 0)]
    if isinstance(frames, str):
        if frames != "all":
            raise ValueError(f'frames must be "all", a number or several, got {frames!r}')
        return None
    numbers = [int(number) for number in frames]
    if not numbers:
        raise ValueError("frames is empty: name at least one")
    return numbers


def _bytes(x: NDArray) -> NDArray[np.uint8]:
    """A picture as bytes (H, W) or (H, W, C), once its shape and numbers are known to be right."""
    x = x[None] if x.ndim == 2 else x
    if x.ndim != 3 or x.shape[0] not in (1, 2, 3, 4) or 0 in x.shape:
        raise ShapeError(f"a picture is (C, H, W) with C = 1, 2, 3 or 4, or (H, W); got shape {x.shape}")
    if x.dtype.kind != "f":
        raise ValueError(f"a picture has fractions in [0, 1], and this has {x.dtype}; a mask is (H, W) of integers")
    wrong = ~((x >= 0) & (x <= 1))
    if wrong.any():
        raise ValueError(f"a picture has numbers in [0, 1], and this one has {x[wrong][0]}")
    pixels = np.floor(x * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _mask_bytes(x: NDArray, format: str) -> NDArray[np.uint8]:
    if format in ("JPEG", "GIF"):
        raise ValueError(f"{format} does not keep the numbers of a mask; write it as .png, .bmp or .tif")
    if x.size == 0 or x.min() < 0 or x.max() > 255:
        raise ValueError(
            f"a mask has whole numbers from 0 to 255; this is {x.shape}, {x.min(initial=0)} to {x.max(initial=0)}"
        )
    return x.astype(np.uint8)
