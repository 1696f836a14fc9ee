"""How many cores the fast kernels work on: all that this process may use, unless you say otherwise.

A kernel's results have the same bits whatever the number.
"""

from __future__ import annotations

import os
import threading

import numpy as np

_chosen = threading.local()


class threads:  # noqa: N801, it is called like a function
    """Choose how many threads the kernels of this Python thread use: for good as a call, for a while as a context.

    More than this process has cores are not started; None means as many as there are. The environment's
    NUMBA_NUM_THREADS, set before the start, is a limit for all; `numba.set_num_threads` has no effect here, for it
    speaks to threads of Numba's own, and the kernels have others. Raises ValueError for anything that is neither None
    nor an int of at least 1.

    >>> with threads(1):
    ...     chosen_threads()
    1
    >>> chosen_threads() is None
    True
    """

    def __init__(self, n: int | None):
        if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1):
            raise ValueError(f"threads must be an int ≥ 1, or None for all cores, got {n!r}")
        self._before, self._n = chosen_threads(), None if n is None else int(n)
        _chosen.n = self._n

    def __enter__(self) -> threads:
        if chosen_threads() != self._n:  # the same object, used once more
            self._before = chosen_threads()
        _chosen.n = self._n
        return self

    def __exit__(self, *exception: object) -> None:
        _chosen.n = self._before


def chosen_threads() -> int | None:
    """How many threads were chosen, or None."""
    return getattr(_chosen, "n", None)


def cores() -> int:
    """How many cores this process may use at once: those that the system lets it have, or fewer if fewer were chosen.

    >>> with threads(1):
    ...     cores()
    1
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = os.environ.get("NUMBA_NUM_THREADS", "")
    return min(allowed, chosen_threads() or allowed, int(said) if said.isdigit() else allowed)
