"""The child process: a guard that sees to it that nothing is left behind, and under it the student's file.

Run as `python -I -B child.py FILE` by `process.py`. The guard takes in every process that loses its parent, and when
the checking process closes its line (or dies), it ends them all. The student's process has limits on memory, files and
time, its own session, an empty folder to be in, and answers on one pipe. It begins by repeating what it was told, and
says each answer after a word that the question told it, so that other output is never taken for an answer.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import resource
import select
import signal
import struct
import sys
import types
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
STUDENT = "student"  # what the student's module is called
WORD = 16  # bytes before each answer
Fds = dict[str, int]


def main() -> None:
    """Guard the student's process until it ends or the line is closed, and say how it ended."""
    names = ("requests", "answers", "line", "verdict", "memory", "files", "cpu", "processes")
    fds = dict(zip(names, map(int, sys.argv[2].split(",")), strict=True))
    adopt_orphans()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(fds["line"])
        os.close(fds["verdict"])
        limit(fds)
        serve(sys.argv[1], fds["requests"], fds["answers"])
        os._exit(0)
    for name in ("requests", "answers"):
        os.close(fds[name])
    status = _wait(child, fds["line"])
    left = end_all(child)
    os.write(fds["verdict"], struct.pack("<ii", status, left))
    os._exit(0)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux): `setsid` does not get it away from us."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def limit(at_most: Fds) -> None:
    """Memory, size of a file, seconds of computing, processes, open files, and no core dump."""
    wanted = {"RLIMIT_AS": at_most["memory"], "RLIMIT_FSIZE": at_most["files"], "RLIMIT_CPU": at_most["cpu"],
              "RLIMIT_NPROC": at_most["processes"], "RLIMIT_NOFILE": 64, "RLIMIT_CORE": 0}  # fmt: skip
    for name, most in wanted.items():
        with contextlib.suppress(ValueError, OSError, AttributeError):
            which = getattr(resource, name)
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, most))


def _wait(child: int, line: int) -> int:
    """Until the child has ended or the line is closed: its status as a shell says it, −signal or exit status."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if select.select([line], [], [], 0.02)[0]:
            return 0


def end_all(child: int) -> int:
    """Kill the child's group, and then whatever else is, or by that becomes, a child of ours; how many those were."""
    ended = set()
    with contextlib.suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    for _ in range(200):  # each round ends a generation; a process that forks faster than that is stopped by limits
        for pid in children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended.add(pid)
            select.select([], [], [], 0.005)
        except ChildProcessError:
            break
    return len(ended - {child})


def children() -> list[int]:
    """The processes whose parent we are."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat", "rb") as file:
                parent = int(file.read().rpartition(b")")[2].split()[1])
            if parent == os.getpid():
                found.append(int(name))
    return found


def serve(path: str, requests: int, answers: int) -> None:
    """Import the student's file, and answer requests about it until there are no more."""
    import numpy as np

    wire, desk_module = _beside("wire"), _beside("desk")
    before = {module: dict(vars(module)) for module in (np, np.linalg, np.random, np.testing)}
    sys.path.append(os.path.dirname(os.path.dirname(HERE)))  # a student's file may import tinycnn
    word = _read(requests, WORD)
    module, error = _import(path, desk_module)
    desk = desk_module.Desk(functions_of(module))
    reply: dict[str, Any] = desk.ask({"do": "names"}) | {"patched": patched(before)}
    if error:
        reply["error"] = error
    while True:
        data = wire.pack(reply)
        with contextlib.suppress(Exception):  # what was printed is seen even if the process is ended
            sys.stdout.flush()
            sys.stderr.flush()
        _write(answers, word + struct.pack("<Q", len(data)) + data)
        word = _read(requests, WORD)
        (length,) = struct.unpack("<Q", _read(requests, 8))
        reply = desk.ask(wire.unpack(_read(requests, length)))


def _beside(name: str) -> types.ModuleType:
    """A file beside this one as a module, without the package it is in."""
    spec = importlib.util.spec_from_file_location(f"_tinycnn_{name}", os.path.join(HERE, f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _import(path: str, desk: Any) -> tuple[types.ModuleType, dict[str, Any] | None]:
    """The student's module, as far as it came, and what stopped it."""
    spec = importlib.util.spec_from_file_location(STUDENT, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[STUDENT] = module
    try:
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    except BaseException as error:
        return types.ModuleType(STUDENT), desk.error_of(error)
    return module, None


def functions_of(module: types.ModuleType) -> dict[str, Any]:
    """What can be called of a module; what it imported from tinycnn keeps its name with `tinycnn.` before it."""
    found = {}
    for name, thing in vars(module).items():
        if callable(thing) and not name.startswith("__"):
            home = str(getattr(thing, "__module__", ""))
            found[f"tinycnn.{name}" if home.split(".")[0] == "tinycnn" else name] = thing
    return found


def patched(before: dict[types.ModuleType, dict[str, Any]]) -> list[str]:
    """What the file put in another's place, in NumPy and in tinycnn."""
    found = [f"{module.__name__}.{name}" for module, names in before.items() for name, thing in names.items()
             if getattr(module, name, None) is not thing]  # fmt: skip
    for title, module in list(sys.modules.items()):
        if title.split(".")[0] == "tinycnn" and isinstance(module, types.ModuleType):
            found += [f"{title}.{name}" for name, thing in vars(module).items()
                      if getattr(thing, "__module__", None) == STUDENT]  # fmt: skip
    return sorted(found)


def _read(fd: int, length: int) -> bytes:
    """Exactly so many bytes; the end of the pipe is the end of the work."""
    data = b""
    while len(data) < length:
        part = os.read(fd, length - len(data))
        if not part:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            os._exit(0)
        data += part
    return data


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


if __name__ == "__main__":
    main()
