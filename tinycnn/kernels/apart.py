"""Which core a thread is on, and where its helpers may be: on any other.

Two threads on one core take turns and are no faster than one. Systems that would rather let a core rest than spread two
threads over two do leave a helper, which mostly sleeps, on the core of the thread that wakes it: for seconds, while the
other core idles. A helper that may not be there has to be where it is of use.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from contextlib import suppress

UNKNOWN = -1  # the core, where the system does not tell


def _nobody_knows() -> int:
    return UNKNOWN


def _core_asker() -> Callable[[], int]:
    """The system's function that tells which core its caller is on."""
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError, AttributeError, TypeError):
            asked = ctypes.PyDLL(None).sched_getcpu  # in nanoseconds: not worth letting other threads run meanwhile
            asked.argtypes, asked.restype = (), ctypes.c_int
            return asked
    return _nobody_knows


current_core = _core_asker()


def keep_off(core: int, thread: int | None) -> None:
    """Bar a thread of this process, by the system's number, from a core; unless it is the only one that we may use."""
    if core == UNKNOWN or thread is None:
        return
    others = os.sched_getaffinity(0) - {core}
    if others:
        with suppress(OSError):  # forbidden, or those cores are gone: then it goes on where it was
            os.sched_setaffinity(thread, others)
