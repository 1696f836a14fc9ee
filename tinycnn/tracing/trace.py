"""A trace: every step of one training step, and the arrays that they read and wrote."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.files import write_whole
from tinycnn.tracing import limits
from tinycnn.tracing.cells import RecordedCells, cell_step
from tinycnn.tracing.formulas import formula_named
from tinycnn.tracing.steps import Step
from tinycnn.tracing.store import Store, Stored
from tinycnn.tracing.views import Windows, seen

Array = np.ndarray
FORMAT, VERSION = "tinycnn.trace", 1
PHASES = ("forward", "backward", "check", "update")


class Tensors(Mapping[str, Array]):
    """The arrays by their ids. Of one that is kept in part, the first numbers in a row; `table` says which they are."""

    def __init__(self, table: dict[str, Stored]):
        self.table = table

    def __getitem__(self, tensor: str) -> Array:
        return self.table[tensor].array

    def __iter__(self) -> Iterator[str]:
        return iter(self.table)

    def __len__(self) -> int:
        return len(self.table)


class Trace(Sequence[Step]):
    """The steps of a run, in the order they ran: `trace[3]`, `len(trace)`, `for step in trace`.

    `tensors` holds the arrays, `model` and `example` say what ran on what, `limits_text` what was left out.
    """

    def __init__(
        self, store: Store, steps: list[Step], model: dict[str, Any], example: dict[str, Any], limits_text: str = ""
    ):
        self.store, self.steps, self.model, self.example = store, steps, model, example
        self.tensors, self.limits_text = Tensors(store.table), limits_text
        self._cells: dict[int, RecordedCells] = {}

    # ------------------------------------------------------------------ go to

    def __getitem__(self, number: Any) -> Any:
        return self.steps[number]

    def __len__(self) -> int:
        return len(self.steps)

    def seek(self, number: int) -> Step:
        """A step by its number; it stands alone, so nothing is run to get there. Raises IndexError if there is none."""
        if not 0 <= number < len(self.steps):
            raise IndexError(f"the trace has steps 0 to {len(self.steps) - 1}, got {number}")
        return self.steps[number]

    def find(self, layer: str | None = None, phase: str | None = None) -> list[Step]:
        """The steps of a layer (by its path), of a phase, or of both.

        Raises KeyError for a layer that is not there, ValueError for a phase that is none.
        """
        paths = [one["path"] for one in self.model["layers"]]
        if layer is not None and layer not in paths:
            raise KeyError(f"no layer {layer!r}; there are {', '.join(paths)}")
        if phase is not None and phase not in PHASES:
            raise ValueError(f"no phase {phase!r}; there are {', '.join(PHASES)}")
        fits = lambda step: layer in (None, step.layer) and phase in (None, step.phase)  # noqa: E731
        return [step for step in self.steps if fits(step)]

    # ------------------------------------------------------------------ look into

    def cell(self, step: int | Step, index: Sequence[int] | int, result: str | None = None) -> dict[str, Any]:
        """One number of a step's result taken apart: the sum in words and numbers, its terms, what they read.

        `result` names the result (the step's own, unless said), or what its formula makes on the way to it.

        Raises IndexError for a place outside it, ValueError for a step without a formula or with arrays kept in part.
        """
        step = self._step(step)
        result = result or step.result
        index = tuple(index) if isinstance(index, Sequence | np.ndarray) else (index,)
        cells = self.cells(step)
        makes = list(dict.fromkeys(nest.target for nest in cells.nests))
        if result not in makes:
            raise ValueError(f"step {step.number} makes {', '.join(makes)}, not {result!r}")
        shape = np.shape(cells.names[result])
        if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
            raise IndexError(f"{result} of step {step.number} has shape {shape}: there is no place {list(index)} in it")
        written = {line["symbol"]: line["tensor"] for line in step.writes}
        stored = self.tensors.table[written[result]] if result in written else None
        recorded = stored.array[index] if stored is not None and stored.whole else None
        return cell_step(cells, step, result, tuple(map(int, index)), recorded)

    def cells(self, step: int | Step) -> RecordedCells:
        """The step's formula with its numbers; raises ValueError where there is none, or they are kept in part."""
        step = self._step(step)
        if step.number not in self._cells:
            if not step.formula["name"]:
                raise ValueError(f"step {step.number}, {step.title}, has no formula to take apart")
            self._cells[step.number] = RecordedCells(formula_named(step.formula["name"]), self.names(step))
        return self._cells[step.number]

    def names(self, step: int | Step) -> dict[str, Any]:
        """What the step's formula reads, by name: arrays and numbers."""
        step = self._step(step)
        return {name: self._whole(step, name, v) if isinstance(v, str) else v for name, v in step.names.items()}

    def _whole(self, step: Step, name: str, tensor: str) -> Array:
        stored = self.tensors.table[tensor]
        if not stored.whole:
            raise ValueError(f"step {step.number} reads {name}, of which only {stored.first:,} numbers were kept")
        return stored.array

    def _step(self, step: int | Step) -> Step:
        return step if isinstance(step, Step) else self.seek(step)

    # ------------------------------------------------------------------ windows

    def window(self, step: int | Step, index: Sequence[int], result: str | None = None) -> list[dict[str, Any]]:
        """The cells of the image that one number was made from: `{place, padded_place, padding, value}`.

        `place` is where in x, None on the border. Raises ValueError for a step without windows.
        """
        step = self._step(step)
        if "xp" not in step.names or "x" not in step.names:
            raise ValueError(f"step {step.number}, {step.title}, has no window that moves over an image")
        result = result or step.result
        self.cell(step, index, result)  # says what is wrong with the place, if anything is
        return seen(self.cells(step), tuple(map(int, index)), result)

    def windows_of(self, step: int | Step, pixel: Sequence[int]) -> list[dict[str, list[int]]]:
        """Every window that a pixel (row, column) lies in: its `place` (u, v), and the `tap` (i, j) that falls on it.

        Raises IndexError for a pixel outside the image, ValueError for a step without windows.
        """
        windows = self._windows(step)
        r, q = (0, *pixel)[-2:]
        if not (0 <= r < windows.H and 0 <= q < windows.W):
            raise IndexError(f"the image is {windows.H}×{windows.W}: there is no pixel {list(pixel)}")
        return windows.holding(int(r), int(q))

    def visits(self, step: int | Step) -> Array:
        """In how many windows each pixel of the image lies, (H, W); raises ValueError for a step without windows."""
        return self._windows(step).visits()

    def im2col(self, step: int | Step) -> Array:
        """Every window of a step as a row, (N·OH·OW, C·KH·KW); raises ValueError for a step without windows."""
        step, windows = self._step(step), self._windows(step)
        if "xp" not in step.names:
            raise ValueError(f"step {step.number}, {step.title}, stamps its windows; it does not read them")
        return windows.rows(self.names(step)["xp"])

    def _windows(self, step: int | Step) -> Windows:
        step = self._step(step)
        try:
            return Windows.of(self.names(step), step.op.startswith("conv_transpose"))
        except KeyError:
            raise ValueError(f"step {step.number}, {step.title}, has no window that moves over an image") from None

    # ------------------------------------------------------------------ show

    def print(self, step: int | None = None, index: Sequence[int] | None = None) -> None:
        """Print a step, one cell of it, or without a number all steps, as wide as the terminal."""
        from tinycnn.tracing.terminal import printed

        printed(self, step, None if index is None else tuple(index))

    def play(self, step: int = 0) -> None:
        """Go through the steps and their cells with keys (? tells them); prints all where there is no terminal."""
        from tinycnn.tracing.play import play

        play(self, step)

    def show(self, step: int = 0, index: Sequence[int] | None = None) -> Any:
        """A figure of a step, or of one cell of its result: `trace.show(1, (0, 0, 3, 4)).savefig("conv.png")`."""
        from tinycnn.tracing.figure import show

        return show(self, step, None if index is None else tuple(index))

    def save_html(self, path: str | Path, title: str = "Step-through", most: int = limits.MOST_IN_PAGE) -> None:
        """Write a page that plays the trace in a browser: one file, no network.

        Warns from 2 MB on, and raises ValueError if it would be larger than `most` bytes.
        """
        from tinycnn.tracing.html import save_html

        save_html(self, path, title, most)

    def _repr_html_(self) -> str:
        """The page inside a notebook."""
        from tinycnn.tracing.html import frame

        return frame(self)

    def animate(self, path: str | Path, step: int | None = None, milliseconds: int = 500) -> int:
        """Write a GIF that goes through the cells of a step, by default of the first convolution."""
        from tinycnn.tracing.animate import animate

        return animate(self, path, step, milliseconds)

    # ------------------------------------------------------------------ write and read

    def as_dict(self, most: int = limits.MOST_IN_JSON) -> dict[str, Any]:
        """The trace as plain JSON; of arrays with more than `most` numbers the first so many. docs/trace.md has it."""
        return {
            "format": FORMAT, "version": VERSION, "model": self.model, "example": self.example,
            "limits_text": self.limits_text,
            "tensors": {tensor: _encoded(stored, most) for tensor, stored in self.tensors.table.items()},
            "steps": [step.as_dict() for step in self.steps],
        }  # fmt: skip

    def save_json(self, path: str | Path, most: int = limits.MOST_IN_JSON) -> None:
        """Write the trace as JSON, whole or not at all."""
        text = json.dumps(self.as_dict(most), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        write_whole(Path(path), text.encode())

    @classmethod
    def from_json(cls, source: str | Path | Mapping[str, Any]) -> Trace:
        """A trace from a file that `save_json` wrote, or from what `as_dict` gave.

        Raises ValueError for anything else, and for a newer version.
        """
        found = source if isinstance(source, Mapping) else _read(Path(source))
        if found.get("format") != FORMAT:
            raise ValueError(f"this is no trace: its format is {found.get('format')!r}, not {FORMAT!r}")
        if found.get("version") != VERSION:
            raise ValueError(f"this trace has version {found.get('version')!r}; this tinycnn reads version {VERSION}")
        store = Store()
        store.table = {tensor: _decoded(entry) for tensor, entry in found["tensors"].items()}
        steps = [Step(**step) for step in found["steps"]]
        return cls(store, steps, found["model"], found["example"], found["limits_text"])

    def __repr__(self) -> str:
        return f"<trace of {len(self.steps)} steps, {len(self.tensors)} arrays>"


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no trace: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no trace: it holds a {type(found).__name__}")
    return found


def _encoded(stored: Stored, most: int) -> dict[str, Any]:
    array, first = stored.array, stored.first
    if array.size > most:
        array, first = array.ravel()[:most], most
    if array.dtype == np.int64:
        fits = array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)
        array = array.astype(np.int32 if fits else np.float64)
    data = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode("ascii")
    entry = {"shape": list(stored.shape), "dtype": array.dtype.name, "role": stored.role, "data": data}
    return entry if first is None else entry | {"first": int(first)}


def _decoded(entry: Mapping[str, Any]) -> Stored:
    dtype = {"float32": "<f4", "float64": "<f8", "int32": "<i4"}.get(entry["dtype"])
    if dtype is None:
        raise ValueError(f"an array of the trace has the type {entry['dtype']!r}: it may be float32, float64 or int32")
    shape, first = tuple(entry["shape"]), entry.get("first")
    array = np.frombuffer(base64.b64decode(entry["data"]), dtype)
    array = array.astype(np.int64 if entry["dtype"] == "int32" else entry["dtype"])
    if array.size != (math.prod(shape) if first is None else first):
        raise ValueError(f"an array of the trace has {array.size} numbers, and shape {shape}")
    array = array.reshape(shape) if first is None else array
    array.flags.writeable = False
    return Stored(array, shape, entry["role"], first)
