"""Compiling on both cores: a second process compiles from the end of what will be needed while this one begins.

What one of them has compiled is kept on disk, where the other finds it, so they meet somewhere in the middle. One
process cannot do it alone: Numba compiles a single function at a time. The helper is a help and no more. Where it
cannot be started, or fails, this process compiles everything itself, and whatever ends this process ends the helper.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

import numpy as np

from tinycnn.beside import helper
from tinycnn.kernels.code_kept import saving
from tinycnn.kernels.compiling import Worker

MOST = 120.0  # seconds that a helper works
LEAVING = 5.0  # seconds that it has to end


def of_type(dtype: str, *workers: str) -> tuple[str, ...]:
    """Workers by module, name and type of number.

    >>> of_type("float32", "conv._forward", "conv._backward")
    ('conv._forward:float32', 'conv._backward:float32')
    """
    return tuple(f"{worker}:{dtype}" for worker in workers)


@contextmanager
def compiled_ahead(*needed: Sequence[str]) -> Iterator[bool]:
    """Have a helper compile meanwhile what of these workers never was; yields whether there is any.

    Each list is in the order in which this process will come to them, and the helper begins at its end: with the last
    of the first list, as this process begins with its first.
    """
    missing = [name for some in needed for name in reversed(some) if not _kept(name)]
    if len(missing) < 2:
        yield bool(missing)
        return
    with helper(__name__, *missing, leaving=LEAVING):
        yield True


def _kept(name: str) -> bool:
    worker, dtype = _worker(name)
    return worker.is_kept(dtype)


def _worker(name: str) -> tuple[Worker, np.dtype]:
    place, dtype = name.split(":")
    module, function = place.split(".")
    return getattr(import_module(f"tinycnn.kernels.{module}"), function), np.dtype(dtype)


def _leave() -> None:
    """End at once, but not in the middle of a file."""
    saving.acquire()
    os._exit(0)


def _leave_with_the_other() -> None:
    os.read(0, 1)  # nothing ever comes; it returns when the other end is gone
    _leave()


def main(needed: Sequence[str]) -> None:
    """What the helper does: compile these."""
    threading.Thread(target=_leave_with_the_other, daemon=True).start()
    limit = threading.Timer(MOST, _leave)
    limit.daemon = True
    limit.start()
    for name in needed:
        worker, dtype = _worker(name)
        worker.compile(dtype)
    _leave()


if __name__ == "__main__":
    main(sys.argv[1:])
