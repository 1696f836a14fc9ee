"""Working space counted in cache lines: what one core writes, and each channel, begins a line of its own."""

from __future__ import annotations

from tinycnn.kept import LINE


def whole_lines(numbers: int, bytes_each: int) -> int:
    """At least so many numbers, which fill cache lines: the next core's space begins with a line of its own."""
    return -(-numbers * bytes_each // LINE) * LINE // bytes_each


def apart(numbers: int, bytes_each: int) -> int:
    """At least so many numbers, and an odd number of cache lines: no two channels collide."""
    lines = -(-numbers * bytes_each // LINE) | 1
    return lines * LINE // bytes_each
