"""The demo's figures, drawn by a second process while this one proves the gradients and records the steps.

matplotlib loads and draws for several seconds, on one core. The other process is a help and no more: where it cannot be
started, or fails, this one draws. If this one ends before there is anything to draw, the other ends as well.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn.beside import Helper, helper

Array = np.ndarray
FIGURES = ("curves.png", "confusion.png", "filters.png", "predictions.png", "overview.png")
MOST = 60.0  # seconds that one waits for the other


def draw(
    out: Path, history: Mapping[str, Any], matrix: Array, w: Array, x: Array, probabilities: Array, y: Array,
    classes: Sequence[str],
) -> None:  # fmt: skip
    """Draw all of them into a folder."""
    from tinycnn import plot

    figures = (
        plot.learning_curves(history), plot.confusion(matrix, classes), plot.filters(w),
        plot.predictions(x, probabilities, y, classes), plot.overview(history, matrix, w, x, probabilities, y, classes),
    )  # fmt: skip
    for name, figure in zip(FIGURES, figures, strict=True):
        plot.save(figure, out / name)


class Drawing:
    """Somebody who has his pencils ready: `begin` says what to draw, `finish` waits until it is drawn."""

    def __init__(self, process: Helper | None):
        self.process = process
        self._given: dict[str, Any] = {}

    def begin(self, **given: Any) -> None:
        """Have `draw` called with this."""
        self._given = given
        if self.process is not None and self.process.stdin is not None:
            with suppress(OSError):  # it is gone already
                self.process.stdin.write(_packed(**given))
                self.process.stdin.close()

    def finish(self) -> None:
        """Wait for the figures; draw them here if the other process did not. Raises what `draw` raises."""
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                if self.process.wait(MOST) == 0:
                    return
            self.process.kill()  # two would write the same files
            self.process.wait()
        draw(**self._given)


@contextmanager
def drawing_beside() -> Iterator[Drawing]:
    """A `Drawing` by a process that loads matplotlib meanwhile, where there is a core for it."""
    with helper(__name__) as process:
        yield Drawing(process)


def _packed(out: Path, history: Mapping[str, Any], classes: Sequence[str], **arrays: Array) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, words=json.dumps([str(out), dict(history), list(classes)]), **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _unpacked(given: bytes) -> dict[str, Any]:
    with np.load(io.BytesIO(given), allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    out, history, classes = json.loads(str(arrays.pop("words")))
    return {"out": Path(out), "history": history, "classes": classes} | arrays


def main() -> None:
    """What the other process does."""
    import tinycnn.plot  # noqa: F401, the pencils

    given = sys.stdin.buffer.read()
    if given:  # nothing, if nobody is there any longer
        draw(**_unpacked(given))


if __name__ == "__main__":
    main()
