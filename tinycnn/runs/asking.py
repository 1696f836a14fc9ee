"""What a trained network says of a picture file, read and prepared as its training pictures were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import data
from tinycnn.errors import ShapeError
from tinycnn.model.sequential import Sequential


def predict_file(model: Sequential, path: str | Path, invert: bool | None = None) -> dict[str, Any]:
    """The class, every probability, and whether the picture was inverted (its paper was the brighter part).

    A network of the bundled digits gets the ink fitted into its frame; any other the whole picture at its size.
    Raises ValueError for a model that does not say how a picture becomes its input, or that says more of a picture
    than one class; ImageError for what is no picture.
    """
    pixels, inverted = read_input(model, path, invert)
    p = model.predict_proba(pixels[None])[0]
    if p.ndim != 1:
        raise ValueError("this model gives a class for each pixel, not one for the picture; in Python, "
                         "model.predict_classes(x) is the mask")  # fmt: skip
    classes = model.classes or tuple(str(k) for k in range(len(p)))
    return {
        "image": str(path),
        "class": classes[int(p.argmax())],
        "probabilities": {c: float(v) for c, v in zip(classes, p, strict=True)},
        "inverted": inverted,
    }


def read_input(model: Sequential, path: str | Path, invert: bool | None = None) -> tuple[np.ndarray, bool]:
    """A picture file as one input of the model (C, H, W), and whether it was inverted; raises as `predict_file`."""
    reader, shape = model.preprocessing.get("reader"), model.input_shape
    if reader not in ("digit", "picture") or shape is None or len(shape) != 3:
        raise ValueError("this model does not say how a picture becomes its input; use model.predict in Python")
    C, H, W = shape
    if reader == "digit":
        picture = data.read_digit_image(path, (C, H, W), invert)
        return picture.pixels, picture.inverted
    x = whole_picture(model, path)
    return data.resize(1 - x if invert else x, (H, W)), bool(invert)


def whole_picture(model: Sequential, path: str | Path) -> np.ndarray:
    """A picture file in the model's channels, at its own size (C, height, width); raises ShapeError, ImageError."""
    C = (model.input_shape or (0,))[0]
    if C not in (1, 3):
        raise ShapeError(f"the model takes {C} channels; a picture file gives 1 (grey) or 3 (RGB)")
    return data.read_image(path, "gray" if C == 1 else "rgb")
