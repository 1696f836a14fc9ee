"""A student's file in a process of its own: started, asked, and ended with all that it started.

The process has 20 seconds in all, 2 GB of memory and files of 1 MB, an empty folder that is removed afterwards, and no
way to the checker but one pipe. This guards against accidents. It is no jail: a file that means harm can do what you
can do, unless bubblewrap (`bwrap`) is installed, which takes the network and the right to write from it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tinycnn.checking.wire import LARGEST, WireError, pack, unpack

CHILD = Path(__file__).with_name("child.py")
SECONDS, MEMORY, FILES, MOST_PRINTED = 20.0, 2 * 2**30, 2**20, 20_000
_CALL_SHARE = 0.5  # of the time, for a single call


class StudentError(RuntimeError):
    """The student's process cannot answer any more; the text says why, in plain words."""


class StudentProcess:
    """A context in which a file is imported; `ask(request)` calls its functions, as `Desk.ask` does."""

    def __init__(self, path: str | os.PathLike, seconds: float = SECONDS, memory: int = MEMORY):
        if not hasattr(os, "fork"):
            raise OSError("checking a file needs Linux or macOS; in Python, tc.check(function) works everywhere")
        self.path, self.memory = Path(path).resolve(), memory
        self.seconds, self.printed, self.dead = seconds, b"", ""
        self.hello: dict[str, Any] = {}
        self._doing = "while it was imported"
        self._heard: tuple[int, ...] = ()
        self._done: set[int] = set()  # outputs that have ended

    def __enter__(self) -> StudentProcess:
        self._ends = time.monotonic() + self.seconds
        self._folder = tempfile.mkdtemp(prefix="tinycnn-check-")
        pipes = [os.pipe() for _ in range(4)]
        (requests, self._requests), (self._answers, answers), (line, self._line), (self._verdict, verdict) = pipes
        theirs = (requests, answers, line, verdict)
        limits = (self.memory, FILES, int(self.seconds) + 2, _processes() + 32)
        numbers = ",".join(map(str, (*theirs, *limits)))
        command = [*sandbox(self._folder), sys.executable, "-I", "-B", str(CHILD), str(self.path), numbers]
        self._process = subprocess.Popen(
            command, cwd=self._folder, env=_environment(self._folder), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=theirs, start_new_session=True,
        )  # fmt: skip
        for fd in theirs:
            os.close(fd)
        os.set_blocking(self._requests, False)
        self._word = secrets.token_bytes(16)
        try:
            self._send(self._word)
            self.hello = self._answer(self.seconds)
        except StudentError:
            pass  # `dead` says what happened
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to one request; raises StudentError if there will be none any more."""
        if self.dead:
            raise StudentError(self.dead)
        self._doing = f"in {request.get('function', '')}"
        self._word, data = secrets.token_bytes(16), pack(request)
        self._send(self._word + struct.pack("<Q", len(data)) + data)
        return self._answer(self.seconds * _CALL_SHARE)

    def close(self) -> None:
        """End the process and all that it started, and remove its folder."""
        for fd in (self._requests, self._line):  # the guard sees its line closed, and clears up
            os.close(fd)
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and self._process.poll() is None:
            self._drain()
            time.sleep(0.005)
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._drain()
        self._hear()
        if not self._heard:  # the guard was ended itself, and could not clear up
            _sweep(self._folder)
        for fd in (self._answers, self._verdict):
            os.close(fd)
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            stream.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def said(self) -> str:
        """What the file printed, cut after 20,000 bytes."""
        return self.printed.decode("utf-8", "replace")

    # ------------------------------------------------------------------ pipes

    def _send(self, data: bytes) -> None:
        limit = time.monotonic() + self.seconds * _CALL_SHARE
        while data:
            self._wait_for([], [self._requests], limit)
            try:
                data = data[os.write(self._requests, data) :]
            except BrokenPipeError:
                self._die(self._ended())

    def _answer(self, seconds: float) -> dict[str, Any]:
        limit = time.monotonic() + seconds
        if self._receive(16, limit) != self._word:
            self._die("it wrote to the pipe on which its results are read: nothing it returned can be trusted")
        (length,) = struct.unpack("<Q", self._receive(8, limit))
        if length > LARGEST:
            self._die(f"it returned {length:,} bytes, and {LARGEST:,} are the most that is taken")
        try:
            found = unpack(self._receive(length, limit))
        except WireError as error:
            self._die(f"what it sent could not be read: {error}")
        return found if isinstance(found, dict) else {}

    def _receive(self, length: int, limit: float) -> bytes:
        data = b""
        while len(data) < length:
            self._wait_for([self._answers], [], limit)
            part = os.read(self._answers, min(length - len(data), 2**16))
            if not part:
                self._die(self._ended())
            data += part
        return data

    def _wait_for(self, readable: list[int], writable: list[int], limit: float) -> None:
        """Until the pipe is ready, reading meanwhile what the file prints."""
        while True:
            now = time.monotonic()
            if now > min(limit, self._ends):
                asked = f"{self.seconds * _CALL_SHARE:.3g} s for one call"
                asked = asked if now < self._ends else f"{self.seconds:.3g} s in all"
                self._die(f"it did not come to an end {self._doing}, and was cut off after {asked}")
            printing = [s.fileno() for s in (self._process.stdout, self._process.stderr) if s and not s.closed]
            printing = [fd for fd in printing if fd not in self._done]
            ready = select.select([*readable, *printing, self._verdict], writable, [], 0.1)
            self._drain()
            if set(readable) & set(ready[0]) or ready[1]:
                return
            if self._verdict in ready[0]:
                self._die(self._ended())

    def _drain(self) -> None:
        """Keep the first of what was printed, and throw the rest away, so that printing never blocks the file."""
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            fd = stream.fileno()
            for _ in range(64):
                if fd in self._done or not select.select([fd], [], [], 0)[0]:
                    break
                part = os.read(fd, 2**16)
                if not part:
                    self._done.add(fd)
                self.printed += part[: max(0, MOST_PRINTED - len(self.printed))]

    def _ended(self) -> str:
        """How the process came to its end, as the guard tells it."""
        self._hear(3)
        status = self._heard[0] if self._heard else 0
        if status < 0:
            name = signal.Signals(-status).name if -status in set(signal.Signals) else str(-status)
            meaning = {"SIGSEGV": ", a read or write outside its memory", "SIGKILL": ", from outside or out of memory",
                       "SIGXCPU": ", too much computing"}.get(name, "")  # fmt: skip
            return f"its process was ended by the signal {name}{meaning}, {self._doing}"
        return f"its process ended by itself (exit status {status}), {self._doing}"

    def _hear(self, seconds: float = 0) -> None:
        """What the guard says at the end: how the process ended, and how many others were still running."""
        if not self._heard and select.select([self._verdict], [], [], seconds)[0]:
            data = os.read(self._verdict, 8)
            self._heard = struct.unpack("<ii", data) if len(data) == 8 else ()

    @property
    def left_running(self) -> int:
        """How many processes the file had left running; they are ended. Known once the context is left."""
        return self._heard[1] if self._heard else 0

    def _die(self, why: str) -> None:
        self.dead = why
        raise StudentError(why)


def _environment(folder: str) -> dict[str, str]:
    """Little of ours, one thread for the algebra, and the empty folder as home."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return kept | threads | {"HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8", "MPLBACKEND": "Agg"}


def _sweep(folder: str) -> None:
    """Kill every process that still has the folder for a home."""
    mark = f"HOME={folder}".encode()
    for _ in range(20):
        found = [task for task in Path("/proc").glob("[0-9]*") if mark in _environment_of(task)]
        for task in found:
            with contextlib.suppress(OSError):
                os.kill(int(task.name), signal.SIGKILL)
        if not found:
            return
        time.sleep(0.01)


def _environment_of(task: Path) -> list[bytes]:
    try:
        return (task / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _processes() -> int:
    """How many processes and threads this user has now: the limit on them counts them all."""
    count = 0
    for task in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            count += len(os.listdir(task / "task")) if task.stat().st_uid == os.getuid() else 0
    return count or 1000


def sandbox(folder: str) -> list[str]:
    """The words before the command that take network and writing away, where bubblewrap is there and can do so."""
    return [*_bwrap(), "--bind", folder, folder, "--chdir", folder, "--"] if _bwrap() else []


@cache
def _bwrap() -> tuple[str, ...]:
    program = shutil.which("bwrap")
    words = (program or "", "--ro-bind", "/", "/", "--dev", "/dev", "--unshare-net", "--die-with-parent")
    try:
        tried = program and subprocess.run([*words, "--", "true"], capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return words if tried and tried.returncode == 0 else ()
