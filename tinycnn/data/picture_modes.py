"""However a file keeps its pixels, there are five plain ways: grey, grey with holes, RGB, RGB with holes, fractions.

Bytes stay bytes. Deep greys (16 bits and more, fractions) become fractions of their range, where a cut to 8 bits would
clip them to white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.picture_file import Facts
from tinycnn.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

PLAIN = ("L", "LA", "RGB", "RGBA", "F")


def plain(image: Image.Image, facts: Facts) -> Image.Image:
    """The picture in one of the modes PLAIN; "F" holds fractions in [0, 1], the others bytes.

    Raises ImageError for numbers that are not finite.
    """
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        x = _fractions(image, facts)
        transparent = image.info.get("transparency")
        if transparent is None:
            return Image.fromarray(x.astype(np.float32))
        holes = np.asarray(image).astype(np.int64) == transparent
        return Image.fromarray(np.stack([np.floor(x * 255 + 0.5), 255.0 * ~holes], axis=2).astype(np.uint8))
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        _mend_transparency(image, facts)
        grey = image.mode in ("1", "L", "LA", "La")
        return image.convert("RGBA").convert("LA") if grey else image.convert("RGBA")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _fractions(image: Image.Image, facts: Facts) -> NDArray[np.float64]:
    """Deep greys as fractions of the range that their type has, or, where it has none, of their own."""
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        x = values.astype(np.float64) / (2**facts.bits - 1)
    elif image.mode == "F":
        x = _stretched(values.astype(np.float64), at_least=1.0)
    else:
        unsigned = facts.bits == 32 and not facts.signed
        x = _stretched((values.astype(np.int64) & 0xFFFFFFFF if unsigned else values).astype(np.float64), at_least=0.0)
    return 1 - x if facts.negative else x


def _stretched(x: NDArray[np.float64], at_least: float) -> NDArray[np.float64]:
    """(x − a) / (b − a), with a = min(0, smallest) and b the largest, or `at_least`."""
    if not np.isfinite(x).all():
        raise ImageError("it has pixels that are NaN or infinite")
    low, high = min(0.0, x.min()), max(at_least, x.max())
    return (x - low) / (high - low) if high > low else np.zeros_like(x)


def _mend_transparency(image: Image.Image, facts: Facts) -> None:
    """The value that means "transparent", on the scale that the pixels are on now."""
    value = image.info.get("transparency")
    if isinstance(value, int) and image.mode == "L":
        image.info["transparency"] = value * facts.stretch
    elif isinstance(value, tuple) and facts.shortened:
        image.info["transparency"] = tuple(v >> 8 for v in value)


def _from_lab(image: Image.Image) -> Image.Image:
    """CIE L*a*b*, which knows no RGB of its own, as sRGB."""
    from PIL import ImageCms

    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    found = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB"))
    assert found is not None  # it is, only where the picture is changed in place
    return found
