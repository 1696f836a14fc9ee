"""A mutant: our own current code with a line or a few changed, for as long as a context lasts.

The change is a text to find in a function's source and what to put in its place. The patched function is compiled, and
its code takes the place of the original's: the function stays the same object, so everything that calls it, by whatever
name, calls the mutant. The code under test has no switch for this, and knows nothing of it.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any

from tinycnn import backends

_ONE_AT_A_TIME = threading.RLock()


class MutantError(ValueError):
    """A patch that does not fit the code as it stands."""


@dataclass(frozen=True)
class Patch:
    """One change: `where` is "package.module:function" or "…:Class.method", and `find` must stand there once."""

    where: str
    find: str
    put: str

    @property
    def function(self) -> Any:
        """The function that is changed; raises MutantError if there is none of that name."""
        module, _, name = self.where.partition(":")
        try:
            found: Any = importlib.import_module(f"tinycnn.{module}")
            for part in name.split("."):
                found = inspect.getattr_static(found, part) if isinstance(found, type) else getattr(found, part)
        except (ImportError, AttributeError):
            raise MutantError(f"there is no {self.where} to change") from None
        found = getattr(found, "__func__", found)
        if not isinstance(found, FunctionType):
            raise MutantError(f"{self.where} is no function")
        return found

    def applied(self, source: str) -> str:
        """A source with the change made.

        Raises MutantError if the text to find is not there exactly once: the code has moved on, and so must the patch.
        """
        if (times := source.count(self.find)) != 1:
            seen = "is not there any more" if not times else f"stands there {times} times"
            raise MutantError(f"{self.where}: the text to change {seen}: {self.find!r}")
        return source.replace(self.find, self.put)

    def diff(self) -> str:
        """The change as a unified diff, with the file and the function it is in."""
        source = textwrap.dedent(inspect.getsource(self.function))
        before, after = source.splitlines(), self.applied(source).splitlines()
        file = f"tinycnn/{self.where.partition(':')[0].replace('.', '/')}.py"
        lines = difflib.unified_diff(before, after, file, file, lineterm="", n=1)
        return "\n".join(line for line in lines if not line.startswith("@@"))


def compiled(function: FunctionType, patches: tuple[Patch, ...]) -> CodeType:
    """The function's code with all of these patches, without its decorators: what they declared stays as it was."""
    source = textwrap.dedent(inspect.getsource(function))
    for patch in patches:
        source = patch.applied(source)
    tree = ast.parse(source)
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    made: dict[str, Any] = {}
    exec(compile(tree, f"<mutant of {function.__qualname__}>", "exec"), function.__globals__, made)
    code = made[definition.name].__code__
    if code.co_freevars != function.__code__.co_freevars:
        raise MutantError(f"{function.__qualname__} uses names of a function around it, and cannot be patched")
    return code


@contextmanager
def patched(patches: tuple[Patch, ...]) -> Iterator[None]:
    """Apply patches while the context lasts, on the NumPy rung, one mutant at a time.

    Raises MutantError, with nothing changed, if one of them does not fit.
    """
    with _ONE_AT_A_TIME:
        changed = list(dict.fromkeys(patch.function for patch in patches))
        new = [
            (function, compiled(function, tuple(p for p in patches if p.function is function))) for function in changed
        ]
        old = [(function, function.__code__) for function, _ in new]
        with _on_numpy():
            try:
                for function, code in new:
                    function.__code__ = code
                yield
            finally:
                for function, code in old:
                    function.__code__ = code


@contextmanager
def _on_numpy() -> Iterator[None]:
    with backends.backend("numpy"):
        yield
