"""The team: threads of our own that lend a hand with a kernel, as soon as they find the time.

A kernel's work is cut into claims. Whoever calls the kernel begins with them at once; each helper that is awake claims
one as well, and another, until none is left. Nobody waits for a helper that has claimed nothing: where another program
has taken its core, the others do its share. So a kernel on two threads takes hardly longer than on one even on a busy
machine, where a team that begins and ends together loses milliseconds, many times those of the work itself.

A helper looks out for work a little longer than a network takes from one kernel to the next, and then sleeps. One that
was stopped in the middle of its claim has to be waited for; after that no help is asked for a while, a longer one each
time that it happens again. One kernel at a time has the team (`threads.threads_for`).
"""

from __future__ import annotations

import ctypes
import os
import platform
import threading
import time
from contextlib import suppress

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinycnn.kernels.apart import UNKNOWN, current_core, keep_off
from tinycnn.kernels.code_kept import entry

WHOLE = ir.IntType(64)

# What the threads share: a line of whole numbers, of which those that change lie in cache lines of their own.
OPEN = 0  # below 0: how many claims are left
INSIDE = 8  # how many helpers are at work, or look whether there is any
WORKER, GIVEN, CLAIMS = 16, 17, 18  # addresses of the kernel and of what it was given, and how many claims there were

PATIENCE = 16000  # looks before a helper sleeps: about four tenths of a millisecond
INTEL = platform.machine() in ("x86_64", "AMD64")
RESTLESS = 1000  # looks for a helper that is still at work, before the core is offered to others
LONG = 0.0005  # seconds that are a long wait, if they are more than the work itself took
MOST_ALONE = 256  # kernels for which no help is asked, at most
LONGEST_ALONE = 0.05  # nor for longer than so many seconds: of large kernels a few would be that


@intrinsic
def _look(typingctx, team, place):
    """The number at a place, as the other threads left it."""

    def write(context, builder, signature, arguments):
        return builder.load_atomic(_at(builder, *arguments), "acquire", 8)

    return types.int64(team, place), write


@intrinsic
def _put(typingctx, team, place, number):
    """Write a number to a place; whoever sees it sees all that was written before."""

    def write(context, builder, signature, arguments):
        builder.store_atomic(arguments[2], _at(builder, *arguments[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), write


@intrinsic
def _add(typingctx, team, place, number):
    """Add to the number at a place, and give what it was before: no two threads get the same."""

    def write(context, builder, signature, arguments):
        return builder.atomic_rmw("add", _at(builder, *arguments[:2]), arguments[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), write


@intrinsic
def _pause(typingctx):
    """Let a core that only looks rest for a moment."""

    def write(context, builder, signature, arguments):
        if INTEL:
            rest = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, rest, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), write


@intrinsic
def _run(typingctx, worker, claim, claims, given):
    """Call a kernel by its address."""

    def write(context, builder, signature, arguments):
        address, *rest = arguments
        function = ir.FunctionType(ir.VoidType(), [WHOLE] * 3)
        builder.call(builder.inttoptr(address, function.as_pointer()), rest)
        return context.get_dummy_value()

    i = types.int64
    return types.void(i, i, i, i), write


@intrinsic
def _offer(typingctx, address):
    """Offer the core to other programs, by the system's function at an address."""

    def write(context, builder, signature, arguments):
        function = ir.FunctionType(ir.IntType(32), [])
        builder.call(builder.inttoptr(arguments[0], function.as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.int64), write


def _at(builder, team, place):
    return builder.gep(builder.inttoptr(team, WHOLE.as_pointer()), [place])


@entry
def _work(team):
    """Claim after claim, until none is left."""
    claim = _add(team, OPEN, 1)
    while claim < 0:
        claims = _look(team, CLAIMS)
        _run(_look(team, WORKER), claim + claims, claims, _look(team, GIVEN))
        claim = _add(team, OPEN, 1)


@entry
def _lend_a_hand(team, patience):
    """A helper: work whenever there is some, until there has been none for so many looks."""
    looks = 0
    while looks < patience:
        looks += 1
        if _look(team, OPEN) < 0:
            _add(team, INSIDE, 1)
            _work(team)
            _add(team, INSIDE, -1)
            looks = 0
        _pause()


@entry
def _lead(team, worker, given, claims):
    """Open the work, and do what nobody else claims."""
    _put(team, WORKER, worker)
    _put(team, GIVEN, given)
    _put(team, CLAIMS, claims)
    _put(team, OPEN, -claims)
    _work(team)


@entry
def _wait(team, system):
    """Wait for those who claimed some of the work."""
    looks = 0
    while _look(team, INSIDE) > 0:
        looks += 1
        _pause()
        if looks > RESTLESS and system != 0:
            _offer(system)


@entry
def _alone(worker, given, claims):
    for claim in range(claims):
        _run(worker, claim, claims, given)


class Trust:
    """How many of the next kernels are done alone, since helpers were late."""

    def __init__(self) -> None:
        self.alone, self.after, self.until = 0, 1, 0.0

    def goes_alone(self, now: float) -> bool:
        """Whether the next kernel is one of those, at this time in seconds."""
        if now > self.until:
            self.alone = 0
        alone = self.alone > 0
        self.alone -= alone
        return alone

    def note(self, worked: float, waited: float, now: float) -> None:
        """Learn from how many seconds the helpers had to be waited for, and how many one had worked oneself.

        Where parts are large, the last of them takes its time: only a wait longer than all the work was for a helper
        that had been stopped.
        """
        if waited > max(LONG, worked):
            self.alone = self.after = min(2 * self.after, MOST_ALONE)
            self.until = now + LONGEST_ALONE
        elif self.after > 1:
            self.after -= 1


def run(threads: int, worker: int, given: int) -> None:
    """Run a kernel, by its address, on so many threads or fewer; only inside `threads_for`."""
    begun = time.perf_counter() if threads > 1 else 0.0
    if threads == 1 or _trust.goes_alone(begun):
        _alone(worker, given, threads)
        return
    core = current_core()
    for helper in _helpers(threads - 1):
        helper.wake(core)
    try:
        _lead(_shared, worker, given, threads)
    finally:  # also after Ctrl-C: a helper may still write
        worked = time.perf_counter()
        _wait(_shared, _system)
    now = time.perf_counter()
    _trust.note(worked - begun, now - worked, now)


class Helper(threading.Thread):
    """A thread that lends a hand, and sleeps while there is nothing to do."""

    def __init__(self) -> None:
        super().__init__(name="tinycnn helper", daemon=True)
        self._asleep, self._bell = False, threading.Lock()
        self._bell.acquire()
        self._off = UNKNOWN

    def run(self) -> None:
        """Until the program ends."""
        while True:
            _lend_a_hand(_shared, PATIENCE)
            self._asleep = True
            _lend_a_hand(_shared, 1)  # whoever has just seen it awake counts on it
            self._bell.acquire()

    def wake(self, core: int) -> None:
        """Have it look again, if it sleeps, on another core than this one, which is the caller's."""
        if core != self._off:
            self._off = core
            keep_off(core, self.native_id)
        if self._asleep:
            self._asleep = False
            self._bell.release()


_line = np.zeros(32, np.int64)
_shared: int = -(-_line.__array_interface__["data"][0] // 64) * 64
_team: list[Helper] = []
_trust = Trust()


def _helpers(wanted: int) -> list[Helper]:
    """So many helpers, or as many as the system allows."""
    if len(_team) < wanted:
        _lend_a_hand(_shared, 0)  # compiled by one thread, not by each
        with suppress(RuntimeError):  # no more threads: then those that are there
            while len(_team) < wanted:
                helper = Helper()
                helper.start()
                _team.append(helper)
    return _team[:wanted]


def _begin_anew() -> None:
    """In a process that was forked, which has none of the threads."""
    _team.clear()
    _line[:] = 0


def _system_function() -> int:
    """The address of the system's function that offers the core to others, or 0."""
    for library, name in ((None, "sched_yield"), ("kernel32", "SwitchToThread")):
        with suppress(OSError, AttributeError, TypeError):
            found = getattr(ctypes.CDLL(library), name)
            return ctypes.cast(found, ctypes.c_void_p).value or 0
    return 0


_system = _system_function()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
