"""A picture file of a digit, read into the frame the network was trained on.

A network knows only what its training pictures looked like: bright ink on black, the digit filling the frame. A
photograph or a drawing is neither, so half the work of recognising it is done here, before the first convolution.
"""

import os
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.picture import paper_colour, to_array
from tinycnn.data.picture_file import MAX_PIXELS, frames_of, open_picture
from tinycnn.data.picture_modes import plain
from tinycnn.data.resizing import area_shares
from tinycnn.errors import ImageError, ShapeError

if TYPE_CHECKING:
    from PIL import Image

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
    """Read a picture file (`read_image` says which) as one input of a network trained on the bundled digits.

    Transparent parts become white, EXIF rotation is applied, an animation gives its first frame. A picture whose border
    is mostly bright is dark ink on light paper and is inverted, unless `invert` says otherwise. One that has the
    network's size already, or was only enlarged from it, is used pixel by pixel; any other is cropped to its ink, which
    then fills the frame as in the bundled digits (see `_fit`).

    input_shape (C, H, W), C = 1 for grey or 3 for colour -> DigitImage(pixels (C, H, W) float32, inverted).
    Raises ImageError, naming the file, if it is missing, a folder, no picture, damaged, too large or blank.

    >>> from PIL import Image, ImageDraw
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> file = Path(mkdtemp()) / "seven.png"
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
    x = _undo_enlarging(_read(path, C), H, W)
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
    y = area_shares(height, H) @ x @ area_shares(width, W, (width - frame) / 2, (width + frame) / 2).T
    return (y / y.max()).astype(np.float32)  # thin pens average to grey; the bundled digits reach white


def _border(x: NDArray) -> NDArray:
    """The outermost pixels of x (C, H, W), as (C, 2·H + 2·W): what is there is mostly paper."""
    return np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], axis=1)


def _read(path: str | os.PathLike, C: int) -> NDArray[np.float32]:
    """The first picture in the file as (C, H, W), on white paper, averaged down if it is very large."""

    def decode(image: "Image.Image") -> NDArray[np.float32]:
        ((first, facts),) = frames_of(image, [0], MAX_PIXELS)
        page = plain(first, facts)
        page = page.reduce(-(-max(page.size) // LONGEST_SIDE))  # by 1, for all but very large ones
        return to_array(page, "gray" if C == 1 else "rgb", paper_colour("white"))

    return open_picture(path, decode)
