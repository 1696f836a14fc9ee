"""A second process of Python that helps this one: a help and no more, so nobody minds where there is none.

It is a module of ours, run with the same Python. It hears of us through its standard input alone, says nothing, and is
ended with the context. Where the process has a single core, or the system starts none, there is no helper: None.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tinycnn.cores import cores

Helper = subprocess.Popen[bytes]


@contextmanager
def helper(module: str, *arguments: str, leaving: float = 0.0) -> Iterator[Helper | None]:
    """Run a module beside us; at the end its input is closed, and after `leaving` seconds it is ended.

    >>> with helper("this", leaving=30.0) as process:
    ...     pass
    >>> process is None or process.returncode
    0
    """
    process = _start(module, *arguments) if cores() > 1 else None
    try:
        yield process
    finally:
        if process is not None:
            _end(process, leaving)


def _start(module: str, *arguments: str) -> Helper | None:
    nothing = subprocess.DEVNULL
    with suppress(OSError, ValueError, TypeError):  # the last where nobody knows which Python this is
        command = [sys.executable, "-m", module, *arguments]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nothing, stderr=nothing)
    return None


def _end(process: Helper, leaving: float) -> None:
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(leaving)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
