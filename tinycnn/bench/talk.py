"""A measuring process as its parent sees it: told what to do, waited for, ended when it takes too long or too much.

Variables that decide how fast libraries are (threads, BLAS's choice of code) are set for the process alone: they must
be there before a library is loaded, and whoever runs the benchmark keeps their own.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tinycnn.bench.machine import memory

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
LOOK = 0.25  # seconds from one look at its memory to the next
GLANCE = 0.0005  # seconds from one look at its threads to the next
SETTLED = 0.25  # seconds, after which nobody waits for them any longer
PATIENCE = 120.0  # seconds beyond those it was told to measure
MOST_MEMORY = 0.8  # of the machine's


class ChildError(RuntimeError):
    """A measuring process that failed, was too slow, or grew too large; the text says which."""


class Child:
    """A context in which a process of one side ("ours" or "theirs") runs; `ask` tells it what to do."""

    def __init__(self, side: str, threads: int, environment: Mapping[str, str] | None = None, most: int | None = None):
        self.side, self.threads, self.most = side, threads, most or int(MOST_MEMORY * memory())
        self.environment = os.environ | dict.fromkeys(THREADS, str(threads)) | dict(environment or {})
        self.at_rest = 0

    def __enter__(self) -> Child:
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tinycnn.bench.child", self.side], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._errors, env=self.environment,
        )  # fmt: skip
        self._rest = b""
        self._greeted = False
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            assert stream is not None
            stream.close()

    def ask(self, do: str, seconds: float = 0.0, **given: Any) -> Any:
        """The answer to a command; ChildError if there is none within `seconds` and some patience."""
        self.wait()
        if do == "time":
            given["seconds"] = seconds
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **given}).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self._fail("ended")
        return self._answer(PATIENCE + seconds)["found"]

    def wait(self) -> None:
        """Until its libraries are loaded; other processes may load theirs meanwhile."""
        if not self._greeted:
            self.at_rest = self._answer(PATIENCE)["rss"]
            self._greeted = True

    def _answer(self, seconds: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        ends = time.monotonic() + seconds
        while b"\n" not in self._rest:
            if time.monotonic() > ends:
                self._fail(f"gave no answer within {seconds:.0f} seconds")
            if self._held() > self.most:
                self._fail(f"took more than {self.most / 2**20:,.0f} MB of memory")
            if not select.select([self._process.stdout], [], [], LOOK)[0]:
                continue
            part = os.read(self._process.stdout.fileno(), 2**16)
            if not part:
                self._fail("ended")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        return json.loads(line)

    def running(self) -> int:
        """How many of its threads are running now, where the system tells; else 0."""
        return sum(_is_running(stat) for stat in Path(f"/proc/{self._process.pid}/task").glob("*/stat"))

    def _held(self) -> int:
        """Bytes of memory that the process holds, where the system tells."""
        path = Path(f"/proc/{self._process.pid}/statm")
        try:
            return int(path.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0

    def _fail(self, how: str) -> None:
        if self._process.poll() is None and how != "ended":
            self._process.kill()
        status = self._process.wait()
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        reason = f": {said[-1]}" if said else f" with status {status}"
        raise ChildError(f"the process that measures {self.side} {how}{reason if how == 'ended' else ''}")


def _is_running(stat: Path) -> bool:
    """Whether the thread of this status file runs, or would if it had a core: the letter behind its bracketed name."""
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "R"
    except (OSError, IndexError):  # it ended meanwhile
        return False


def settle(children: Iterable[Child], most: float = SETTLED) -> bool:
    """Wait until no thread of these runs, but no longer than so many seconds; False if some run even then.

    A thread that has run out of work looks out for more before it sleeps, PyTorch's for about 12 milliseconds: on a
    core that belongs to the process whose turn is next.
    """
    ends = time.monotonic() + most
    while any(child.running() for child in children):
        if time.monotonic() > ends:
            return False
        time.sleep(GLANCE)
    return True
