"""What a network says of every pixel of a picture, and the mask that keeps it: a PNG file whose pixels are classes.

The file has a palette: a pixel of value k is class k, and shows in that class's colour. So it is looked at as a picture
and read as numbers (`tinycnn.data.read_mask`), and it is as large as the picture that it belongs to.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import data
from tinycnn.files import write_whole
from tinycnn.model.sequential import Sequential
from tinycnn.runs.asking import read_input, whole_picture

MOST = 256  # classes that a palette has places for
GROUND = "#000000"  # of class 0; the others have the colours of `tinycnn data show`, from the first again after seven


def gives_masks(model: Sequential) -> bool:
    """Whether a network gives a class for each pixel, and not one for the picture."""
    return model.output_shape is not None and len(model.output_shape) == 3


def predict_masks(
    model: Sequential, images: Sequence[Path], folder: Path | None = None, invert: bool | None = None
) -> list[dict[str, Any]]:
    """What share of each picture every class has; with a `folder`, a mask a picture is written there, named after it.

    No mask is written unless every picture could be read; each is then written whole or not at all. Raises ValueError
    for a network that gives no masks, for two pictures of one name, and for the folder that the pictures are in;
    NotADirectoryError, and what `read_input` raises.
    """
    if not gives_masks(model):
        raise ValueError("this model gives one class for the picture, and none for each pixel: there is no mask")
    if folder is not None:
        _check_folder(folder, images)
    names = model.classes or tuple(str(k) for k in range((model.output_shape or (0,))[0]))
    colours = _colours(len(names))
    found, files = [], []
    for image in images:
        mask, inverted = predict_mask(model, image, invert)
        shares = np.bincount(mask.ravel(), minlength=len(names)) / mask.size
        classes = [{"class": name, "value": k, "colour": colours[k], "share": float(shares[k])}
                   for k, name in enumerate(names)]  # fmt: skip
        target = None if folder is None else folder / f"{image.stem}.png"
        found.append({"image": str(image), "mask": None if target is None else str(target), "classes": classes,
                      "inverted": inverted})  # fmt: skip
        if target is not None:
            files.append((target, encode_mask(mask, colours)))
    for target, content in files:
        write_whole(target, content)
    return found


def predict_mask(model: Sequential, path: str | Path, invert: bool | None = None) -> tuple[np.ndarray, bool]:
    """The class of every pixel of a picture file, (H, W) as the file has it, and whether the picture was inverted.

    The network sees the picture at the size that it learned from; what it says is enlarged by repeating pixels. Raises
    as `read_input`, and ValueError for a network that sees only a part of a picture.
    """
    if model.preprocessing.get("reader") == "digit":
        raise ValueError("this model looks at the ink alone, cut out: its mask has no place in the picture")
    x, inverted = read_input(model, path, invert)
    mask = model.predict_classes(x[None])[0]
    return data.resize(mask, whole_picture(model, path).shape[1:], "nearest"), inverted


def encode_mask(mask: np.ndarray, colours: Sequence[str]) -> bytes:
    """A mask (H, W) as the bytes of a PNG file with a palette; raises ValueError for more than 256 colours."""
    from PIL import Image, ImageColor

    if len(colours) > MOST:
        raise ValueError(f"a mask file has room for {MOST} classes, and there are {len(colours)}")
    image = Image.fromarray(mask.astype(np.uint8)).convert("P")
    image.putpalette([part for colour in colours for part in ImageColor.getrgb(colour)[:3]])
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def in_words(found: Sequence[dict[str, Any]]) -> str:
    """A line a picture, the largest class first; below, where masks were written, what their values mean."""
    width = max(len(one["image"]) for one in found)
    lines = []
    for one in found:
        ranked = sorted((c for c in one["classes"] if c["share"]), key=lambda c: -c["share"])
        shares = ", ".join(f"{c['class']} {c['share']:.1%}" for c in ranked[:5]) + (", …" if len(ranked) > 5 else "")
        note = "  (inverted: as asked)" if one["inverted"] else ""
        lines.append(f"{one['image']:{width}}  {shares}{note}" + (f"  → {one['mask']}" if one["mask"] else ""))
    if found[0]["mask"]:
        legend = ", ".join(f"{c['value']} is {c['class']!r} ({c['colour']})" for c in found[0]["classes"])
        lines.append(f"\nA pixel of a mask has the number of its class, and shows in that class's colour: {legend}")
    return "\n".join(lines)


def _check_folder(folder: Path, images: Sequence[Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--masks must be a folder, and {folder} is a file")
    seen: dict[str, Path] = {}
    pictures = {image.resolve() for image in images}
    for image in images:
        if (mask := folder / f"{image.stem}.png").resolve() in pictures:  # by a link, from either side
            raise ValueError(f"--masks: {mask} leads to a picture, which its mask would replace: give another folder")
        if image.resolve().parent == folder.resolve():
            raise ValueError(f"--masks: {folder} is where {image} is, and a mask has its picture's name: give another")
        if (other := seen.setdefault(image.stem.lower(), image)) is not image:
            raise ValueError(f"--masks: {other} and {image} would have one mask, {folder / image.stem}.png")


def _colours(K: int) -> list[str]:
    from tinycnn.plot.sheet import COLOURS

    return [GROUND, *(COLOURS[(k - 1) % len(COLOURS)] for k in range(1, K))]
