"""A picture file is somebody else's bytes: nothing in it is believed until it has been looked at.

The file is opened twice. The first time its checksums are verified, the second time it is decoded: each finds damage
that the other lets pass. How many pixels it claims to have is asked before either.
"""

from __future__ import annotations

import io
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tinycnn.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF")
MAX_PIXELS = 64_000_000  # a small file can claim a picture that fills the memory: refused before decoding
Source = str | os.PathLike | bytes
Result = TypeVar("Result")
PILLOW = r"PIL\b"  # the modules whose remarks are not for us

_opening = threading.Lock()
_readers = 0


class Facts(NamedTuple):
    """What a file says of its numbers, which Pillow reads and does not act on.

    `stretch`: what a grey of 2 or 4 bits was multiplied with to fill a byte; `shortened`: colours of 16 bits became 8;
    `bits` of a deep TIFF, whether its integers are `signed`, and whether its zero is white (`negative`).
    """

    stretch: int = 1
    shortened: bool = False
    bits: int = 16
    signed: bool = False
    negative: bool = False


def name_of(source: Source) -> str:
    """What messages call the picture: its path, or how many bytes it has.

    >>> name_of("cat.png"), name_of(b"GIF89a")
    ('cat.png', 'picture in 6 bytes')
    """
    return f"picture in {len(source)} bytes" if isinstance(source, bytes) else os.fspath(source)


def open_picture(source: Source, use: Callable[[Image.Image], Result], max_pixels: int = MAX_PIXELS) -> Result:
    """What `use` makes of the picture in a file, or in the bytes of one, once its checksums are right.

    Raises ImageError, naming the file, if it is missing, a folder, not of FORMATS, damaged, or of more than
    `max_pixels` pixels; whatever `use` raises comes out as an ImageError too.
    """
    if not isinstance(source, bytes):
        _check_path(Path(source))
    _open(source, lambda image: image.verify(), max_pixels)
    return _open(source, use, max_pixels)


def frames_of(image: Image.Image, numbers: list[int] | None, max_pixels: int) -> Iterator[tuple[Image.Image, Facts]]:
    """These frames of an animation, or pages of a TIFF (None: all), turned upright as EXIF says, and facts about each.

    Raises ImageError for a frame that there is not, and where all together have more than `max_pixels` pixels.
    """
    from PIL import ImageOps

    count = getattr(image, "n_frames", 1)
    wanted = list(range(count)) if numbers is None else numbers
    for number in wanted:
        if not 0 <= number < count:
            raise ImageError(f"there is no frame {number}: it has {count}, counted from 0")
    pixels = 0
    for number in wanted:
        if count > 1:
            image.seek(number)
        pixels += image.width * image.height
        _check_size(image, pixels, max_pixels)
        facts = _facts(image)
        yield ImageOps.exif_transpose(image), facts


def _facts(image: Image.Image) -> Facts:
    """What the header says of the numbers; to be asked before decoding, which forgets it."""
    tiles = getattr(image, "tile", ())
    raw = tiles[0][3] if tiles else ""
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    tags = getattr(image, "tag_v2", {})
    bits, kind = tags.get(258, (16,)), tags.get(339, (1,))
    return Facts(
        stretch={"L;2": 85, "L;4": 17}.get(str(raw), 1) if image.format == "PNG" else 1,
        shortened=raw == "RGB;16B",
        bits=bits[0] if isinstance(bits, tuple) else int(bits),
        signed=(kind[0] if isinstance(kind, tuple) else int(kind)) != 1,
        negative=tags.get(262) == 0 and image.mode in ("I;16", "I;16B", "I", "F"),
    )


def _check_path(path: Path) -> None:
    if path.is_dir():
        raise ImageError(f"{path}: this is a folder, not a picture.")
    if not path.exists():
        raise ImageError(f"{path}: no such file.")
    if not path.is_file():
        raise ImageError(f"{path}: not a regular file.")


def _check_size(image: Image.Image, pixels: int, max_pixels: int) -> None:
    if pixels > max_pixels:
        raise ImageError(f"larger than {max_pixels / 10**6:g} megapixels")
    if not (image.width and image.height):
        raise ImageError(f"it has no pixels: {image.width} × {image.height}")


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Let Pillow's remarks on a file's metadata go unheard while any thread reads; what matters raises.

    All threads share one list of filters, and `warnings.catch_warnings` puts the one back that it found, which may be
    another thread's. So the first reader adds a filter to it, and the last one takes that filter away.
    """
    global _readers
    with _opening:
        _readers += 1
        if not any(map(_is_ours, warnings.filters)):
            warnings.filterwarnings("ignore", module=PILLOW)
    try:
        yield
    finally:
        with _opening:
            _readers -= 1
            if not _readers:
                warnings.filters[:] = [one for one in warnings.filters if not _is_ours(one)]  # type: ignore[index]


def _is_ours(one: tuple) -> bool:
    return getattr(one[3], "pattern", None) == PILLOW


def _open(source: Source, use: Callable[[Image.Image], Result], max_pixels: int) -> Result:
    """Open the file afresh and use the picture; whatever Pillow thinks of it comes out as an ImageError."""
    from PIL import Image, UnidentifiedImageError

    name = name_of(source)
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        with _without_remarks(), Image.open(opened, formats=FORMATS) as image:
            _check_size(image, image.width * image.height, max_pixels)
            return use(image)
    except ImageError as error:
        raise ImageError(f"{name}: {error}.") from None
    except Image.DecompressionBombError:  # Pillow's own limit, far above ours
        most = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
        raise ImageError(f"{name}: larger than {most / 10**6:g} megapixels.") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name}: not a {', '.join(FORMATS[:-1])} or {FORMATS[-1]} picture.") from None
    except Exception as error:  # Pillow reports broken files by a dozen types of exception
        raise ImageError(f"{name}: the picture cannot be read: {error}.") from error
