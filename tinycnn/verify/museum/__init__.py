"""The bug museum: bugs that libraries, books and tutorials had, each as a change of our own code, and what finds it.

>>> import numpy as np
>>> import tinycnn as tc
>>> from tinycnn.verify import museum
>>> with museum.mutant("conv-without-dx"):
...     y, cache = tc.ops.conv2d_forward(np.ones((1, 1, 2, 2)), np.ones((1, 1, 1, 1)), np.zeros(1))
...     tc.ops.conv2d_backward(y, cache)[0].any()
np.False_
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tinycnn.naming import lookup
from tinycnn.verify.museum import augmenting, classifying, convolution, pooling, training
from tinycnn.verify.museum.mutant import Mutant
from tinycnn.verify.museum.patch import MutantError, Patch, patched

_ROOMS = (pooling, convolution, classifying, training, augmenting)
_ALL = sorted((exhibit for room in _ROOMS for exhibit in room.MUTANTS), key=lambda m: m.number)
MUTANTS: dict[str, Mutant] = {exhibit.name: exhibit for exhibit in _ALL}

__all__ = ["MUTANTS", "Mutant", "MutantError", "Patch", "mutant", "patched"]


@contextmanager
def mutant(name: str) -> Iterator[Mutant]:
    """Run with one of the museum's bugs in the code, on the NumPy rung; outside the context nothing is left of it.

    The change is in force for every thread of this process. Raises ValueError for a name that is none, MutantError if
    the code that it changes is no longer there.
    """
    chosen = lookup(MUTANTS, name, "mutant")
    with patched(chosen.patches):
        yield chosen
