"""Going through a trace with the keys of a terminal: one cell, one layer or one phase on or back."""

from __future__ import annotations

import itertools
import math
import os
import re
import select
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from tinycnn.tracing.products import VIEWS, checked_view, views_of
from tinycnn.tracing.terminal import box_for, safe, screen_width, step_lines, stream_lines

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace

HELP = (
    "n, p  the next cell, the one before      N, P  the next step, the one before\n"
    "]     the next phase, [ the one before   g     go to a step, or to a cell of one: 3 or 3 0,1,4,4\n"
    "0     the whole step, without a cell     v     a convolution as window, im2col, matmul\n"
    "?     these keys                         q     quit\n"
    "The arrows are n and p, with Shift N and P; Page Down and Page Up are ] and [."
)
SHORT_HELP = "n next cell  N next step  ] next phase  g go to  ? keys  q quit"
_ADDRESS = re.compile(
    r"#?(?:s=)?(?P<step>\d+)(?:(?:\s*:\s*|\s+|&c=)(?P<cell>\d+(?:\s*[,\s]\s*\d+)*))?(?:[\s&]+v=(?P<view>\w+))?"
)
_SENT = {"\x1b[C": "n", "\x1b[D": "p", "\x1b[1;2C": "N", "\x1b[1;2D": "P", "\x1b[6~": "]", "\x1b[5~": "["}  # arrows, …
_CLEAR = "\x1b[2J\x1b[H"
Index = tuple[int, ...]
Keys = Callable[[], str]


class Player:
    """Where someone stands in a trace: a step, and a cell of its result or none; `press` a key to go elsewhere."""

    def __init__(self, trace: Trace, number: int = 0, index: Index | None = None):
        self.trace, self.number, self.index, self.view = trace, number, index, VIEWS[0]
        self.note = ""
        self.over = False
        trace.seek(number)

    def press(self, key: str, ask: Callable[[str], str] = lambda prompt: "") -> None:
        """Do what a key says; `note` then holds what there is to say about it."""
        self.note = ""
        if key in ("q", "\x03", "\x04", ""):
            self.over = True
        elif key in ("n", "p"):
            self._cell(1 if key == "n" else -1)
        elif key in ("N", "P"):
            self._step(1 if key == "N" else -1)
        elif key in ("[", "]"):
            self._phase(1 if key == "]" else -1)
        elif key == "0":
            self.index = None
        elif key == "v":
            self._turn()
        elif key == "g":
            self._go(ask("step, or step and cell: "))
        elif key == "?":
            self.note = HELP
        else:
            self.note = f"no key {key!r}; ? tells them all"

    def lines(self, columns: int, box: Any) -> list[str]:
        """The screen: the step, and what the last key had to say."""
        view = self.view if self.view in self._views() else VIEWS[0]
        lines = step_lines(self.trace, self.number, self.index, columns, box, view)
        return [*lines, "", *(self.note or SHORT_HELP).splitlines()]

    def _views(self) -> tuple[str, ...]:
        """The views of the step, once it is sure that its arrays are whole."""
        return views_of(self.trace[self.number]) if self._shape() else VIEWS[:1]

    def _turn(self) -> None:
        """The next view, which is kept from one convolution to another."""
        views = self._views()
        if len(views) == 1:
            self.note = "this step has no other view; a convolution has"
            return
        self.view = views[(views.index(self.view) + 1) % len(views)]
        self.note = f"view: {self.view}"

    def _shape(self) -> Index:
        """The shape of the step's result; () where no cell of it can be taken apart."""
        step = self.trace[self.number]
        try:
            self.trace.cells(step)
        except ValueError:
            return ()
        return tuple(next((w["shape"] for w in step.writes if w["symbol"] == step.result), ()))

    def _cell(self, by: int) -> None:
        """The next cell, row by row; from the whole step to its first, and from its last to the next step."""
        shape = self._shape()
        if not shape or 0 in shape:
            self._step(by)
            return
        if self.index is None:
            if by > 0:
                self.index = (0,) * len(shape)
            else:
                self._step(-1)
            return
        place = int(np.ravel_multi_index(self.index, shape)) + by
        if place < 0:
            self.index = None
        elif place >= math.prod(shape):
            self._step(1)
        else:
            self.index = tuple(map(int, np.unravel_index(place, shape)))

    def _step(self, by: int) -> None:
        if not 0 <= self.number + by < len(self.trace):
            self.note = "this is the last step" if by > 0 else "this is the first step"
            return
        self.number, self.index = self.number + by, None

    def _phase(self, by: int) -> None:
        phases = [phase for phase, _ in itertools.groupby(self.trace, key=lambda step: step.phase)]
        wanted = phases.index(self.trace[self.number].phase) + by
        if not 0 <= wanted < len(phases):
            self.note = "there is no phase " + ("after" if by > 0 else "before") + " this one"
            return
        self.number = next(step.number for step in self.trace if step.phase == phases[wanted])
        self.index = None

    def _go(self, text: str) -> None:
        """To an address: `3`, `3 0,1,4,4`, or as the page writes it, `s=3&c=0,1,4,4&v=im2col`."""
        found = _ADDRESS.fullmatch(text.strip())
        if found is None:
            self.note = f"an address is a step, or a step and a cell: 3 or 3 0,1,4,4; got {text.strip()!r}"
            return
        number, index = int(found["step"]), tuple(map(int, re.findall(r"\d+", found["cell"] or "")))
        view = found["view"] or ""
        try:
            self.trace.seek(number)
            if index:
                self.trace.cell(number, index)
            if view:
                checked_view(self.trace[number], view)
        except (IndexError, ValueError) as error:
            self.note = str(error)
            return
        self.number, self.index, self.view = number, index or None, view or self.view


def play(trace: Trace, number: int = 0, index: Index | None = None) -> None:
    """Go through a trace with the keys; where nobody can press any, print all of it."""
    box, columns = box_for(sys.stdout), screen_width()
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        for line in stream_lines(trace, columns, box):
            print(safe(line, box))
        return
    player = Player(trace, number, index)
    with _keys(sys.stdin) as key:
        while not player.over:
            print(_CLEAR + "\n".join(safe(line, box) for line in player.lines(screen_width(), box)), flush=True)
            player.press(key(), _asked)


def _asked(prompt: str) -> str:
    """A line that is typed; nothing where the input has ended."""
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        return ""


@contextmanager
def _keys(stream: TextIO) -> Iterator[Keys]:
    """Keys as they are pressed, without Enter; lines where the terminal cannot do that."""
    try:
        import termios
        import tty
    except ImportError:  # not a POSIX terminal
        yield lambda: _asked("key: ").strip()[:1] or "n"
        return
    descriptor = stream.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed() -> str:
        tty.setcbreak(descriptor, termios.TCSADRAIN)  # what was typed ahead is not thrown away
        try:
            key = os.read(descriptor, 1)
            while key[:1] == b"\x1b" and select.select([descriptor], [], [], 0.02)[0]:  # an arrow sends several signs
                key += os.read(descriptor, 1)
                if len(key) > 2 and 64 <= key[-1] <= 126:
                    break
            text = key.decode("latin-1")
            return _SENT.get(text, text)
        except KeyboardInterrupt:
            return "q"
        finally:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)

    yield pressed
