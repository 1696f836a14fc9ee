"""Look something up by name, and say what there is when there is no such name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def lookup(table: Mapping[str, T], name: object, what: str) -> T:
    """`table[name]`; raises ValueError that lists the names there are and the nearest one.

    >>> lookup({"relu": 1, "softmax": 2}, "rely", "activation")
    Traceback (most recent call last):
    ValueError: no activation 'rely'; did you mean 'relu'? There are relu, softmax
    """
    if isinstance(name, str) and name in table:
        return table[name]
    if isinstance(name, type):
        raise ValueError(f"{what}: got the class {name.__name__} itself; did you mean {name.__name__}()?")
    near = difflib.get_close_matches(str(name), table, n=1)
    hint = f"; did you mean {near[0]!r}? There are" if near else "; there are"
    raise ValueError(f"no {what} {name!r}{hint} {', '.join(table)}")
