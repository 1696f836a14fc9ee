"""A trace: every step of one training step, and the arrays that they read and wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.files import write_whole
from tinycnn.tracing import limits
from tinycnn.tracing.carried import decoded, encoded
from tinycnn.tracing.cells import RecordedCells, cell_step
from tinycnn.tracing.formulas import formula_named
from tinycnn.tracing.products import Matrices, Product, views_of
from tinycnn.tracing.steps import Step
from tinycnn.tracing.store import Store, Stored
from tinycnn.tracing.views import Windows, seen
from tinycnn.tracing.worked import recipes

Array = np.ndarray
FORMAT, VERSION = "tinycnn.trace", 2
READ = (1, 2)  # version 2 has arrays that are worked out
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
        """A step by its number; it stands alone, so nothing is run to get there.

        Raises IndexError if there is none, TypeError for anything but a number.
        """
        if not isinstance(number, int | np.integer):
            last = len(self.steps) - 1
            raise TypeError(f"a step goes by its number, 0 to {last}, got {number!r}; find(layer) has those of a layer")
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
        result, index = self._place(step, index, result)
        written = {line["symbol"]: line["tensor"] for line in step.writes}
        stored = self.tensors.table[written[result]] if result in written else None
        recorded = stored.array[index] if stored is not None and stored.whole else None
        return cell_step(self.cells(step), step, result, index, recorded)

    def sources(self, step: int | Step, index: Sequence[int] | int, result: str | None = None) -> list[dict[str, Any]]:
        """Every number that one of a step's result depends on, once: `{symbol, index, value}`, as the step found it.

        Beside what `cell` reads itself it has what was read to make that (the x behind x̂, the m before behind the m
        after), and what decided: the tests, the tables of places, and all that a largest was sought among.

        Raises what `cell` raises.
        """
        step = self._step(step)
        result, index = self._place(step, index, result)
        cells = self.cells(step)
        given = [(symbol, at) for symbol, at in cells.cell(index, result).sources if symbol in step.names]
        values = [cells.names[symbol][at] if at else cells.names[symbol] for symbol, at in given]
        return [{"symbol": s, "index": list(at), "value": float(v)} for (s, at), v in zip(given, values, strict=True)]

    def _place(self, step: Step, index: Sequence[int] | int, result: str | None) -> tuple[str, tuple[int, ...]]:
        """Which result is meant and which place in it, once it is sure that there is one."""
        result = result or step.result
        index = as_index(index)
        cells = self.cells(step)
        makes = list(dict.fromkeys(nest.target for nest in cells.nests))
        if result not in makes:
            raise ValueError(f"step {step.number} makes {', '.join(makes)}, not {result!r}")
        shape = np.shape(cells.names[result])
        if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
            raise IndexError(f"{result} of step {step.number} has shape {shape}: there is no place {list(index)} in it")
        return result, index

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
        result, index = self._place(step, index, result)
        return seen(self.cells(step), index, result)

    def windows_of(self, step: int | Step, pixel: Sequence[int]) -> list[dict[str, list[int]]]:
        """Every window that a pixel (row, column) lies in: its `place` (u, v), and the `tap` (i, j) that falls on it.

        Raises IndexError for a pixel outside the image, ValueError for a step without windows.
        """
        windows = self._windows(step)
        place = as_index(pixel)
        if len(place) == 1 and windows.H > 1:
            raise IndexError(f"a pixel of this image is a row and a column, got {pixel!r}")
        r, q = (0, *place)[-2:]
        if not (0 <= r < windows.H and 0 <= q < windows.W):
            raise IndexError(f"the image is {windows.H}×{windows.W}: there is no pixel {list(place)}")
        return windows.holding(r, q)

    def visits(self, step: int | Step) -> Array:
        """In how many windows each pixel of the image lies, (H, W); raises ValueError for a step without windows."""
        return self._windows(step).visits()

    def im2col(self, step: int | Step) -> Array:
        """Every window of a step as a row, (N·OH·OW, C·KH·KW): what it saw; of a convolution's dx, what it hands back.

        Raises ValueError for a step without windows.
        """
        step, windows = self._step(step), self._windows(step)
        if step.result == "dx" and "matmul" in views_of(step):
            groups = self.names(step)["xp"].shape[1] // self.names(step)["w"].shape[1]
            return np.concatenate([self.matmul(step, group).product for group in range(groups)], axis=1)
        if "xp" not in step.names:
            raise ValueError(f"step {step.number}, {step.title}, stamps its windows; it does not read them")
        return windows.rows(self.names(step)["xp"])

    def matmul(self, step: int | Step, group: int = 0) -> Product:
        """A convolution's step as one matrix product, `left @ right + plus = product`; of several groups, one of them.

        Forward y = cols·wᵀ + b; backward dw = dyᵀ·cols, and dcols = dy·w, whose rows go back to where the windows
        stood. Raises ValueError for another step, IndexError for a group that is not there.
        """
        return Matrices(self, self._step(step), group).product()

    def _windows(self, step: int | Step) -> Windows:
        step = self._step(step)
        try:
            return Windows.of(self.names(step), step.op.startswith("conv_transpose"))
        except KeyError:
            raise ValueError(f"step {step.number}, {step.title}, has no window that moves over an image") from None

    # ------------------------------------------------------------------ show

    def print(self, step: int | None = None, index: Sequence[int] | None = None, view: str = "window") -> None:
        """Print a step, one cell of it, or without a number all steps, as wide as the terminal.

        A convolution has the views `"window"`, `"im2col"` and `"matmul"`; raises ValueError for one that a step lacks.
        """
        from tinycnn.tracing.terminal import printed

        printed(self, step, None if index is None else as_index(index), view)

    def play(self, step: int = 0) -> None:
        """Go through the steps and their cells with keys (? tells them); prints all where there is no terminal."""
        from tinycnn.tracing.play import play

        play(self, step)

    def show(self, step: int = 0, index: Sequence[int] | None = None, view: str = "window") -> Any:
        """A figure of a step, or of one cell of its result: `trace.show(1, (0, 0, 3, 4)).savefig("conv.png")`.

        `view` is as for `print`.
        """
        from tinycnn.tracing.figure import show

        return show(self, step, None if index is None else as_index(index), view)

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

    def as_dict(self, most: int = limits.MOST_IN_JSON, short: bool = False) -> dict[str, Any]:
        """The trace as plain JSON; of arrays with more than `most` numbers the first so many. docs/trace.md has it.

        With `short`, what an update's formula gives to the last bit is not carried, but how it is made.
        """
        made = recipes(self.steps, self.tensors.table, most) if short else {}
        return {
            "format": FORMAT, "version": VERSION, "model": self.model, "example": self.example,
            "limits_text": self.limits_text,
            "tensors": {name: encoded(stored, most, made.get(name)) for name, stored in self.tensors.table.items()},
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
        if found.get("version") not in READ:
            raise ValueError(f"this trace has version {found.get('version')!r}; this tinycnn reads up to {VERSION}")
        store = Store()
        store.table = decoded(found["tensors"])
        steps = [Step(**step) for step in found["steps"]]
        return cls(store, steps, found["model"], found["example"], found["limits_text"])

    def __repr__(self) -> str:
        return f"<trace of {len(self.steps)} steps, {len(self.tensors)} arrays>"


def as_index(index: Any) -> tuple[int, ...]:
    """A place as whole numbers; a lone number is a place of one axis. Raises TypeError for anything else."""
    found = tuple(index) if isinstance(index, Sequence | np.ndarray) else (index,)
    if not all(isinstance(i, int | np.integer) for i in found):
        raise TypeError(f"a place is whole numbers, such as (0, 3, 4), got {index!r}")
    return tuple(map(int, found))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no trace: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no trace: it holds a {type(found).__name__}")
    return found
