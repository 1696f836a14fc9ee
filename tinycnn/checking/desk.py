"""The desk where a student's functions sit: it hands them arguments and takes down what they return.

The same desk stands in the child process, for a file, and in a notebook, for a function. It judges nothing. This file
imports nothing of ours, since the child reads it before anything else.
"""

from __future__ import annotations

import inspect
import os
import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Reply = dict[str, Any]
_MOST_TEXT = 300
_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_same = np.array_equal  # as NumPy had it, before a student's file ran
_asarray, _isnan = np.asarray, np.isnan


class Desk:
    """`ask(request)` calls a function by its name and says what came of it: results, an error, changed arguments.

    Between a forward and its backward the desk keeps the student's own cache, whatever it is.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]]):
        self.functions = dict(functions)
        self._arguments: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._cache: Any = None
        self._has_cache = False

    def ask(self, request: Mapping[str, Any]) -> Reply:
        """One call. `do` is "names", "forward" or "backward"; a function that is no pair is a forward too."""
        if request["do"] == "names":
            return {"names": {name: signature_of(f) for name, f in self.functions.items()}}
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return self._forward(request) if request["do"] == "forward" else self._backward(request)
        except BaseException as error:  # sys.exit and Ctrl-C in a student's function are answers too
            return {"error": error_of(error)}

    def _forward(self, request: Mapping[str, Any]) -> Reply:
        args, options = list(request["args"]), dict(request["options"])
        names = [str(name) for name in request["names"]]
        self._arguments = dict(zip(names, args, strict=False)) | options
        self._before = {k: np.array(v) for k, v in self._arguments.items() if isinstance(v, np.ndarray)}
        self._has_cache = False
        y = self.functions[request["function"]](*args, **options)
        if request["pair"] and isinstance(y, tuple) and len(y) == 2:
            y, self._cache = y
            self._has_cache = True
        results = list(y) if isinstance(y, tuple | list) and request["several"] else [y]
        return {"results": [_plain(r) for r in results], "changed": self._changed(), "has_cache": self._has_cache}

    def _backward(self, request: Mapping[str, Any]) -> Reply:
        dy, before = request["dy"], np.array(request["dy"])
        cache = self._cache if self._has_cache and request["own"] else dict(request["cache"])
        found = self.functions[request["function"]](dy, cache)
        changed = self._changed() + ([] if _same(dy, before) else ["dy"])
        if isinstance(found, dict):
            found = [found.get(name) for name in request["results"]]
        results = list(found) if isinstance(found, tuple | list) else [found]
        return {"results": [_plain(r) for r in results], "changed": changed}

    def _changed(self) -> list[str]:
        """The names of arguments that are no longer what they were."""
        return [k for k, v in self._before.items() if not _untouched(self._arguments[k], v)]


def _untouched(now: Any, before: Any) -> bool:
    return now.shape == before.shape and _same(now, before, equal_nan=before.dtype.kind in "fc")


def _plain(result: Any) -> Any:
    """A result as an array, None, or the name of what it is instead."""
    if result is None:
        return None
    try:
        array = _asarray(result)
    except Exception:
        array = None
    if array is None or array.dtype.kind not in "biufc":
        return {"odd": type(result).__name__}
    return np.array(array, copy=True)


def signature_of(function: Callable[..., Any]) -> list[list[Any]] | None:
    """[name, kind, has a default] of every parameter, or None where Python does not know."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[p.name, p.kind.name, p.default is not p.empty] for p in parameters]


def error_of(error: BaseException) -> dict[str, Any]:
    """What was raised, and in which line of the student's code."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith("<")]
    here = [frame for frame in own if not _of_a_library(frame.filename)]
    last = here[-1] if here else None
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else (last.lineno if last else None)
    text = " ".join(str(error).split())[:_MOST_TEXT]
    return {"type": type(error).__name__, "message": text, "line": line, "code": (last.line or "") if last else ""}


def _of_a_library(filename: str) -> bool:
    return filename.startswith(_OURS) or "site-packages" in filename or "importlib" in filename
