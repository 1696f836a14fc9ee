"""A step as an animation: the window slides over its input, and the result fills, frame by frame."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tinycnn.files import write_whole
from tinycnn.tracing.figure import show

if TYPE_CHECKING:
    from PIL.Image import Image

    from tinycnn.tracing.recorded import Trace

MOST_FRAMES = 144  # a 12×12 result
DPI = 100
Index = tuple[int, ...]


def animate(trace: Trace, path: str | Path, step: int | None = None, milliseconds: int = 500) -> int:
    """Write a GIF that goes through the cells of a step's first matrix, row by row; returns how many frames it has.

    Without `step` it is the first convolution, or the first step that has cells. Of a matrix of more than 144 cells
    the first are shown. Raises IndexError for a step that is not there, ValueError for one without cells, OSError for
    a file that cannot be written.
    """
    number = _first(trace) if step is None else trace.seek(step).number
    places = _places(trace, number)
    if not places:
        raise ValueError(f"step {number}, {trace[number].title}, makes no array whose cells could be gone through")
    frames = [_frame(trace, number, place) for place in _progress(places)]
    size = (max(frame.width for frame in frames), max(frame.height for frame in frames))
    padded = [_padded(frame, size) for frame in frames]
    buffer = io.BytesIO()
    padded[0].save(buffer, "GIF", save_all=True, append_images=padded[1:], duration=milliseconds, loop=0)
    write_whole(path, buffer.getvalue())
    return len(padded)


def _first(trace: Trace) -> int:
    """The first convolution, else the first step with cells to go through."""
    order = sorted(trace, key=lambda step: (not step.op.startswith("conv"), step.number))
    return next((step.number for step in order if _places(trace, step.number)), 0)


def _places(trace: Trace, number: int) -> list[Index]:
    """The cells of the first matrix of a step's result; none where they cannot be taken apart."""
    step = trace[number]
    shape = next((tuple(entry["shape"]) for entry in step.writes if entry["symbol"] == step.result), ())
    try:
        trace.cells(step)
    except ValueError:
        return []
    lead = (0,) * max(0, len(shape) - 2)
    return [(*lead, *place) for place in np.ndindex(shape[len(lead) :])][:MOST_FRAMES] if shape else []


def _progress(places: list[Index]) -> list[Index]:
    """The places, with a bar on standard error where that is a terminal."""
    from tqdm.std import tqdm

    return tqdm(places, desc="frames", unit="frame", file=sys.stderr, leave=False, disable=None)


def _frame(trace: Trace, number: int, place: Index) -> Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure = show(trace, number, place)
    figure.set_dpi(DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _padded(frame: Image, size: tuple[int, int]) -> Image:
    """The frame on a white ground of the size of the largest."""
    from PIL import Image

    ground = Image.new("RGB", size, "white")
    ground.paste(frame, (0, 0))
    return ground.quantize(64, dither=Image.Dither.NONE)
