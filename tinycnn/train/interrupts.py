"""Ctrl-C and SIGTERM while a run can be saved: it ends after the step that is under way, and not in the middle."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """Training was ended by SIGTERM, as when a machine is shut down; the program ends with exit status 143."""

    def __init__(self, message: str):
        super().__init__(128 + signal.SIGTERM)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Asked:
    """Which signal has asked the run to end, if one has."""

    signal: int | None = None

    def error(self, message: str) -> BaseException:
        """What to raise for it: KeyboardInterrupt itself, which ends a program with status 130, or Terminated."""
        return Terminated(message) if self.signal == signal.SIGTERM else KeyboardInterrupt(message)


@contextmanager
def interrupts(wanted: bool) -> Iterator[Asked]:
    """Note the first Ctrl-C or SIGTERM instead of obeying it at once; a second Ctrl-C is obeyed.

    Outside the main thread, where Python takes no signals, nothing is noted.
    """
    asked = Asked()
    if not wanted or threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        if asked.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.signal = number

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
