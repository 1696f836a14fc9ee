"""Random numbers that belong to an example, not to a moment: drawn from (seed, epoch, index) and nothing else.

A generator that is passed along gives an example other numbers whenever those before it took more or fewer, so that the
order of work, or the number of workers, changes the result. Here each example has a stream of its own (SplitMix64: a
counter, scrambled), and a whole batch of streams is drawn from at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray
GOLDEN = 0x9E3779B97F4A7C15  # 2⁶⁴ divided by the golden ratio, odd: the counter's step


def scramble(z: Array) -> Array:
    """64 bits in such disorder that a counter's numbers look drawn: shifts and products, each of them invertible.

    z ← (z ⊕ z≫30)·BF58476D1CE4E5B9₁₆; z ← (z ⊕ z≫27)·94D049BB133111EB₁₆; z ⊕ z≫31, modulo 2⁶⁴

    Source: Steele, Lea & Flood 2014, Fast splittable pseudorandom number generators, OOPSLA.

    >>> scramble(np.array([GOLDEN], np.uint64))
    array([16294208416658607535], dtype=uint64)
    """
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


class Draws:
    """A stream of random numbers for each example of a batch, drawn from side by side.

    `seed` and `epoch` are integers, `index` (N,) the examples' places in the data set. Every draw gives an array with
    one number, or an array of `shape`, for each example.

    >>> together, alone = Draws(0, epoch=1, index=[4, 7]), Draws(0, epoch=1, index=[7])
    >>> bool(together.uniform()[1] == alone.uniform()[0])
    True
    """

    def __init__(self, seed: int, epoch: int, index: Any):
        index = np.atleast_1d(np.asarray(index)).astype(np.uint64)
        state = np.full(index.shape, seed % 2**64, np.uint64)
        for key in (np.full(index.shape, epoch % 2**64, np.uint64), index):
            state = scramble(state + np.uint64(GOLDEN)) ^ key
        self._state = scramble(state + np.uint64(GOLDEN))

    def __len__(self) -> int:
        return len(self._state)

    def child(self, number: int) -> Draws:
        """Streams apart from these and from those of other numbers: one for each step of several."""
        twin = object.__new__(Draws)
        twin._state = scramble(self._state ^ scramble(np.array([number + 1], np.uint64) * np.uint64(GOLDEN)))
        return twin

    def bits(self, shape: tuple[int, ...] = ()) -> Array:
        """64 random bits each, (N, *shape) uint64."""
        size = int(np.prod(shape))
        counter = np.arange(1, size + 1, dtype=np.uint64) * np.uint64(GOLDEN)
        found = scramble(self._state[:, None] + counter)
        self._state = self._state + np.array([size % 2**64], np.uint64) * np.uint64(GOLDEN)
        return found.reshape(len(self._state), *shape)

    def uniform(self, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> Array:
        """Numbers from `low` up to, but not including, `high`, all alike: (N, *shape)."""
        return low + (high - low) * ((self.bits(shape) >> np.uint64(11)) * 2.0**-53)

    def whole(self, low: int, high: int) -> Array:
        """Integers from `low` to `high`, both included: (N,)."""
        return low + np.floor(self.uniform() * (high - low + 1)).astype(np.intp)

    def chance(self, probability: float) -> Array:
        """True with this probability: (N,)."""
        return self.uniform() < probability

    def normal(self, shape: tuple[int, ...] = ()) -> Array:
        """Gaussian numbers of mean 0 and variance 1, made two by two from two uniform ones: (N, *shape).

        z = √(−2·ln(1 − a))·cos(2πb), and the same with the sine; source: Box & Muller 1958.
        """
        size = int(np.prod(shape))
        a, b = self.uniform(shape=(2, (size + 1) // 2)).transpose(1, 0, 2)
        radius, turn = np.sqrt(-2 * np.log1p(-a)), 2 * np.pi * b
        z = np.concatenate([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
        return z[:, :size].reshape(len(z), *shape)
