"""What each array of a trace is, in words. Equal arrays are stored once, so one of them may be several things."""

from __future__ import annotations


class Origins:
    """Every name that an array was given, by its id; `of` says which of them is meant where it is read."""

    def __init__(self) -> None:
        self._names: dict[str, list[str]] = {}
        self._weights: set[str] = set()  # names that belong to one layer alone

    def add(self, tensor: str, name: str, is_weight: bool = False) -> None:
        """Note that an array is this; what was said last counts most."""
        names = self._names.setdefault(tensor, [])
        if name in names:
            names.remove(name)
        names.append(name)
        if is_weight:
            self._weights.add(name)

    def of(self, tensor: str, own: str) -> str:
        """Its own name if it has that (`conv1.b`, where conv1 reads b); else the last that is no layer's weight."""
        names = self._names.get(tensor, [])
        if own in names:
            return own
        return next((name for name in reversed(names) if name not in self._weights), "")
