"""A picture file of a digit, read into the frame the network was trained on.

A network knows only what its training pictures looked like: bright ink on black, the digit filling the frame. A
photograph or a drawing is neither, so half the work of recognising it is done here, before the first convolution.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycnn.errors import ImageError, ShapeError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP")
MAX_PIXELS = 64_000_000  # a small file can claim a picture that fills the memory: refused before decoding
LONGEST_SIDE = 1024  # larger pictures are averaged down first; the network sees a few pixels in the end
BLANK = 0.1  # less contrast than this, of 1, is paper and noise
PAPER = 0.25  # at least this part of the page is blank, and blank is the darker part once ink is bright
INK = 0.25  # what differs from the paper by more than this part of the contrast is ink
WIDEST = 20 / 32  # NIST fitted the scanned digits into 20 of 32 columns, and all 32 rows


class DigitImage(NamedTuple):
    """`pixels` (C, H, W) float32 in [0, 1] with bright ink, and whether the file was `inverted` to get there."""

    pixels: NDArray[np.float32]
    inverted: bool


def read_digit_image(
    path: str | os.PathLike, input_shape: tuple[int, int, int], invert: bool | None = None
) -> DigitImage:
    """Read a PNG, JPEG or BMP file as one input of a network trained on the bundled digits.

    Transparent parts become white, EXIF rotation is applied, an animation gives its first frame. A picture whose border
    is mostly bright is dark ink on light paper and is inverted, unless `invert` says otherwise. One that has the
    network's size already, or was only enlarged from it, is used pixel by pixel; any other is cropped to its ink, which
    then fills the frame as in the bundled digits (see `_fit`).

    input_shape (C, H, W), C = 1 for grey or 3 for colour -> DigitImage(pixels (C, H, W) float32, inverted).
    Raises ImageError, naming the file, if it is missing, a folder, no picture, damaged, too large or blank.

    >>> from PIL import Image, ImageDraw
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "seven.png"
    >>> page = Image.new("L", (200, 200), "white")
    >>> ImageDraw.Draw(page).line([(60, 40), (140, 40), (90, 160)], fill="black", width=20)
    >>> page.save(file)
    >>> pixels, inverted = read_digit_image(file, input_shape=(1, 8, 8))
    >>> inverted, (pixels[0, :2] * 9).round().astype(int).tolist()
    (True, [[0, 4, 9, 9, 9, 9, 2, 0], [0, 1, 2, 2, 2, 9, 2, 0]])
    """
    C, H, W = input_shape
    if C not in (1, 3):
        raise ShapeError(f"input_shape {tuple(input_shape)}: a picture file gives C = 1 (grey) or 3 (RGB), not {C}.")
    x = _undo_enlarging(_to_array(_load(Path(path)), C), H, W)
    inverted = bool(np.median(_border(x)) > 0.5) if invert is None else bool(invert)
    if inverted:
        x = 1 - x
    paper = np.quantile(x, PAPER, axis=(1, 2), keepdims=True)  # one level a channel
    ink = np.maximum(x - paper, 0).astype(np.float32)
    strength = ink.mean(axis=0)  # (H, W) of the file
    if strength.max() < BLANK:
        hint = "" if invert is None else f" Is invert={invert} meant?"
        raise ImageError(f"{path}: nothing is drawn on it (contrast {strength.max():.2f} of 1).{hint}")
    if x.shape == (C, H, W):
        return DigitImage(x, inverted)
    return DigitImage(_fit(ink, strength > INK * strength.max(), H, W), inverted)


def _undo_enlarging(x: NDArray[np.float32], H: int, W: int) -> NDArray[np.float32]:
    """A picture of the network's size that was only enlarged, each pixel to a block, at its own size; else as it is."""
    C, height, width = x.shape
    if height % H or width % W:
        return x
    blocks = x.reshape(C, H, height // H, W, width // W)
    corner = blocks[:, :, :1, :, :1]
    return np.ascontiguousarray(corner[:, :, 0, :, 0]) if (blocks == corner).all() else x


def _fit(x: NDArray[np.float32], is_ink: NDArray[np.bool_], H: int, W: int) -> NDArray[np.float32]:
    """Crop to the ink and average it into an H×W frame, as the bundled digits were: black around, and white at most.

    The ink reaches from the top row to the bottom row and is centred; its width keeps the proportion up to 20/32 of the
    frame and is squeezed to that beyond. Each pixel is the mean of the area it covers.
    """
    rows, columns = np.flatnonzero(is_ink.any(axis=1)), np.flatnonzero(is_ink.any(axis=0))
    x = x[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = x.shape[1:]
    frame = max(height * W / H, width / WIDEST)  # how wide the whole frame is, in pixels of the file
    y = _shares(0, height, height, H) @ x @ _shares((width - frame) / 2, (width + frame) / 2, width, W).T
    return (y / y.max()).astype(np.float32)  # thin pens average to grey; the bundled digits reach white


def _shares(start: float, stop: float, n: int, cells: int) -> NDArray[np.float64]:
    """How much of each of `cells` equal parts of start … stop lies in each of n pixels: (cells, n), rows up to 1."""
    edges = np.linspace(start, stop, cells + 1)[:, None]
    covered = np.minimum(edges[1:], np.arange(1, n + 1)) - np.maximum(edges[:-1], np.arange(n))
    return covered.clip(0) * cells / (stop - start)


def _border(x: NDArray) -> NDArray:
    """The outermost pixels of x (C, H, W), as (C, 2·H + 2·W): what is there is mostly paper."""
    return np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)


def _load(path: Path) -> "Image.Image":
    """The first picture in the file, decoded whole and upright; ImageError if that cannot be had."""
    from PIL import ImageOps

    if path.is_dir():
        raise ImageError(f"{path}: this is a folder, not a picture.")
    if not path.exists():
        raise ImageError(f"{path}: no such file.")
    if not path.is_file():
        raise ImageError(f"{path}: not a regular file.")
    _open(path, lambda image: image.verify())  # checksums; what this passes, load may not, and the other way round
    return _open(path, ImageOps.exif_transpose)


def _open(path: Path, use: "Callable[[Image.Image], Any]") -> Any:
    """Open the file afresh and use the picture; whatever Pillow thinks of it comes out as an ImageError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on the file's metadata; what matters raises
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                return use(image)
    except Image.DecompressionBombError:
        raise ImageError(f"{path}: larger than {MAX_PIXELS // 10**6} megapixels.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{path}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture.") from None
    except Exception as error:  # Pillow reports broken files by a dozen types of exception
        raise ImageError(f"{path}: the picture cannot be read: {error}.") from error


def _to_array(image: "Image.Image", C: int) -> NDArray[np.float32]:
    """The picture as (C, H, W) float32 in [0, 1], on white paper, averaged down if it is very large."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16-bit grey: scaled to 8 bits, where Pillow would clip
        image = Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).astype(np.uint8))
    mode = "L" if C == 1 else "RGB"
    transparent = image.has_transparency_data
    image = image.convert("RGBA" if transparent else mode)
    image = image.reduce(-(-max(image.size) // LONGEST_SIDE))  # by 1, for all but very large ones
    if transparent:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert(mode)
    x = np.asarray(image, np.float32).reshape(image.height, image.width, C) / 255
    return np.ascontiguousarray(x.transpose(2, 0, 1))
