"""One exhibit: a bug that somebody had, as a change of our own code, with its story."""

from __future__ import annotations

from dataclasses import dataclass

from tinycnn.verify.museum.patch import Patch


@dataclass(frozen=True)
class Mutant:
    """A bug. `ops` names the formulas it breaks, the first of them the one it is about.

    `story` says what happened, `source` where it was reported or read, `lesson` what it teaches, and `converged` why a
    network with it may still learn.
    """

    name: str
    number: int
    title: str
    ops: tuple[str, ...]
    patches: tuple[Patch, ...]
    story: str
    source: str
    lesson: str
    converged: str

    def diff(self) -> str:
        """What is changed, as a unified diff."""
        return "\n".join(patch.diff() for patch in self.patches)
