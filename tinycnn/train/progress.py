"""Progress of training: a bar on a terminal, one plain line an epoch elsewhere, nothing when told to be silent."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from typing import Any

BAR = "{desc} {n}/{total} |{bar}| {remaining}{postfix}"  # short, so that a narrow terminal does not cut the numbers
ROOMY = 80  # columns from which on there is room to say how many examples a second


class Progress:
    """Reports batches and epochs. `verbose`: 0 is silent, 1 a bar on a terminal (else plain lines), 2 plain lines."""

    def __init__(self, verbose: int, epochs: int, steps: int):
        if verbose not in (0, 1, 2):
            raise ValueError(f"verbose must be 0 (silent), 1 (a bar on a terminal) or 2 (plain lines), got {verbose!r}")
        self.verbose, self.epochs, self.steps = verbose, epochs, steps
        self.bars = verbose == 1 and sys.stdout.isatty()
        self._bar: Any = None
        self._started = 0.0
        self._examples = 0

    def begin_epoch(self, epoch: int, done: int = 0) -> None:
        """Start the clock, and a bar where there is a terminal, with the batches that are done already."""
        self._started, self._examples = time.perf_counter(), 0
        if self.bars:
            from tqdm.std import tqdm

            title = f"Epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}"
            self._bar = tqdm(total=self.steps, initial=done, desc=title, file=sys.stdout, leave=False, bar_format=BAR)

    def batch(self, numbers: Mapping[str, float], examples: int) -> None:
        """Advance the bar by a batch of so many examples, and say how many a second there are."""
        if self._bar is not None:
            self._examples += examples
            rate = self._examples / max(time.perf_counter() - self._started, 1e-9)
            words = _words(numbers)
            if shutil.get_terminal_size().columns >= ROOMY:
                words = f"{rate:,.0f} examples/s, {words}"
            self._bar.set_postfix_str(words, refresh=False)
            self._bar.update()

    def end_epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Take the bar away, and print the epoch's line."""
        self.close()
        if self.verbose:
            seconds = time.perf_counter() - self._started
            title = f"Epoch {epoch:>{len(str(self.epochs))}}/{self.epochs}"
            print(f"{title}  {seconds:.1f} s  {_words(numbers)}", flush=True)

    def say(self, text: str) -> None:
        """Print a line of its own, unless told to be silent."""
        if self.verbose:
            if self._bar is not None:
                self._bar.clear()
            print(text, flush=True)

    def last_words(self, text: str) -> None:
        """Print a line on standard error, even where told to be silent: the program is about to end."""
        self.close()
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal tidy when training ends early."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _words(numbers: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in numbers.items())
