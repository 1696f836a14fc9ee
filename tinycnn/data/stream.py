"""A data set that stays on disk: pictures are read while the network works on those before them.

Threads decode the next batches ahead of time. The batches come in the order the seed says, whatever the number of
threads; a picture that cannot be read is an error in the main thread, with its name; and when the last batch has been
taken, or the taker goes away early, no thread is left behind.
"""

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinycnn.data.dataset import Dataset
from tinycnn.data.listing import Listing
from tinycnn.data.reading import Bad, Example, Inspector, PictureReader, Size
from tinycnn.errors import ImageError

if TYPE_CHECKING:
    from concurrent.futures import Future

Batch = tuple[NDArray[np.float32], NDArray[np.int64]]


class Stream:
    """The pictures of a listing in batches, read from disk as they are needed: `model.fit(stream)`.

    Pictures have `channels` (1 grey, 3 RGB) and `size` (H, W), or without one all the same size. `workers` threads
    decode up to `ahead` batches before they are asked for. With `cache`, decoded examples stay in memory, and later
    epochs decode nothing. With `check` every file is read once at the start, so that a broken one is an error now, and
    not in the middle of training; `skip_bad` leaves those out instead, counts them in a warning and lists them in
    `skipped`.

    `decoded` counts what has been decoded so far. Raises ImageError naming all files that cannot be used, ValueError
    for an option that makes no sense.
    """

    def __init__(
        self, listing: Listing, size: Size = None, channels: int = 3, workers: int = 2, ahead: int = 4,
        cache: bool = False, check: bool = True, skip_bad: bool = False,
    ):  # fmt: skip
        if workers < 1 or ahead < 1 or not len(listing):
            raise ValueError(f"workers, ahead and pictures must be at least 1, got {workers}, {ahead}, {len(listing)}")
        if skip_bad and not check:
            raise ValueError("skip_bad leaves out what a check finds: it needs check=True")
        self.workers, self.ahead, self.cache = workers, ahead, cache
        self.decoded = 0
        self.skipped: tuple[Bad, ...] = ()
        self._lock = threading.Lock()
        self._kept: dict[object, Example] = {}
        self._read = PictureReader(listing, size, channels)
        if check:
            self._read.listing = self._checked(skip_bad)
        self.shape = (channels, *size) if size else self._example(0)[0].shape

    @property
    def listing(self) -> Listing:
        """The files."""
        return self._read.listing

    @property
    def y(self) -> NDArray[np.int64] | None:
        """The class of each picture, (N,); None where masks say it, which are read with the pictures."""
        return self.listing.y

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return self.listing.classes

    def __len__(self) -> int:
        return len(self.listing)

    def __repr__(self) -> str:
        return f"<Stream {self.listing.name!r} of {len(self):,} pictures {self.shape}, {len(self.classes)} classes>"

    def batches(self, batch_size: int, rng: np.random.Generator | int | None = None) -> Iterator[Batch]:
        """Every example once, in order or shuffled by `rng`: just the batches that `batches` makes of arrays.

        Pairs of x (B, C, H, W) float32 and y (B,), or (B, H, W) from masks. Raises ValueError for a batch size below 1,
        ImageError naming a file that cannot be read.
        """
        numbered = self.numbered_batches(batch_size, rng)

        def pairs() -> Iterator[Batch]:
            with closing(numbered):
                for x, t, _ in numbered:
                    yield x, t

        return pairs()

    def numbered_batches(
        self, batch_size: int, rng: np.random.Generator | int | None = None
    ) -> Generator[tuple[NDArray[np.float32], NDArray[np.int64], NDArray]]:
        """As `batches`, each batch with the places of its examples in the data: what the training loop takes."""
        if batch_size < 1:
            raise ValueError(f"batches: batch_size must be at least 1, got {batch_size}.")
        order = np.arange(len(self)) if rng is None else np.random.default_rng(rng).permutation(len(self))
        turns = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        return self._in_turn(turns)

    def load(self) -> Dataset:
        """All of it in memory, as a Dataset."""
        x, y = (np.concatenate(parts) for parts in zip(*self.batches(64), strict=True))
        return Dataset(x, y, self.classes, self.listing.name)

    def _in_turn(self, turns: list[NDArray]) -> Generator[tuple[NDArray[np.float32], NDArray[np.int64], NDArray]]:
        """The batches of these rows, decoded ahead by threads that end with this generator."""
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="tinycnn-stream")
        waiting: deque[tuple[Future[Batch], NDArray]] = deque()
        try:
            for rows in turns:
                waiting.append((pool.submit(self._batch, rows), rows))
                if len(waiting) > self.ahead:
                    yield _taken(waiting)
            while waiting:
                yield _taken(waiting)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, rows: NDArray) -> Batch:
        examples = [self._example(int(i)) for i in rows]
        for i, (x, _) in zip(rows, examples, strict=True):
            if x.shape != self.shape:
                raise ImageError(f"{self.listing.files[i]}: a picture {x.shape}, where {self.shape} is expected.")
        return np.stack([x for x, _ in examples]), np.stack([t for _, t in examples])

    def _example(self, i: int) -> Example:
        """Picture and target i, from memory if they are kept."""
        files, masks, y = self.listing.files, self.listing.masks, self.listing.y
        key = (files[i], masks[i] if y is None else int(y[i]))  # a picture may be listed twice, as two classes
        if key in self._kept:
            return self._kept[key]
        found = self._read(i)
        with self._lock:
            self.decoded += 1
            if self.cache:
                self._kept[key] = found
        return found

    def _checked(self, skip_bad: bool) -> Listing:
        """Read every file once; what is left of the listing."""
        from concurrent.futures import ThreadPoolExecutor

        inspector = Inspector(self.listing)
        with ThreadPoolExecutor(self.workers, thread_name_prefix="tinycnn-stream") as pool:
            for i, seen in enumerate(pool.map(self._look, range(len(self)))):
                inspector.look(i, seen)
        self.skipped = tuple(inspector.bad)
        return inspector.verdict(skip_bad)

    def _look(self, i: int) -> tuple[int, ...] | Exception:
        try:
            return self._example(i)[0].shape
        except (ImageError, OSError) as error:
            return error


def _taken(waiting: "deque[tuple[Future[Batch], NDArray]]") -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray]:
    """The next batch, as soon as it is there, and its rows."""
    future, rows = waiting.popleft()
    return (*future.result(), rows)
