"""Data on their way to the network: is reading them, or changing them, what the training waits for?

Every file is made here, in a temporary folder: pictures of noise and shapes as PNG, and files as MNIST and CIFAR-10 are
published. Each row holds a measured number to what is promised of it.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from tinycnn import backends, data, optim, zoo
from tinycnn.data.cifar import CIFAR10, PIXELS

PICTURES, BATCH = 768, 64
FIT_AGAIN = 3  # epochs each, of which the median counts
ROWS = 60_000

Promise = dict[str, Any]


PARTS = {"from_files": "pictures from files", "augmented": "augmentation", "loaded": "published files"}


def promises(quick: bool = False, parts: Sequence[str] = tuple(PARTS)) -> list[Promise]:
    """What is measured of the data path: {"what", "measured", "allowed", "unit", "holds", "how"}, one each."""
    measures = {"from_files": from_files, "augmented": augmented, "loaded": loaded}
    with tempfile.TemporaryDirectory(prefix="tinycnn-bench-") as folder, backends.backend("numba"):
        return [promise for part in parts for promise in measures[part](Path(folder), quick)]


def _promise(what: str, measured: float, allowed: float, unit: str, how: str, least: bool = False) -> Promise:
    holds = measured >= allowed if least else measured <= allowed
    return {"what": what, "measured": measured, "allowed": allowed, "unit": unit, "least": least, "holds": bool(holds),
            "how": how}  # fmt: skip


# ------------------------------------------------------------------ pictures from files


def write_pictures(folder: Path, count: int) -> Path:
    """So many 32×32 PNG files in two class folders: a bright square or a dark one, in noise that does not compress."""
    rng = np.random.default_rng(0)
    for k in range(count):
        place = folder / "pictures" / ("dark" if k % 2 else "bright")
        place.mkdir(parents=True, exist_ok=True)
        x = rng.random((3, 32, 32), np.float32) * np.float32(0.5)
        x[:, 8:24, 8:24] += 0.0 if k % 2 else 0.5
        data.write_image(place / f"{k:05}.png", x)
    return folder / "pictures"


def from_files(folder: Path, quick: bool) -> list[Promise]:
    """An epoch from PNG files against decoding alone and training alone; and what cached pictures cost later."""
    count = 128 if quick else PICTURES
    listing = data.list_folder(write_pictures(folder, count))
    stream = data.Stream(listing, workers=2, check=False)
    held = stream.load()
    model = _cifar_network(2)
    model.fit(held.x, held.y, epochs=1, batch_size=BATCH, verbose=0)
    decoding = _median(lambda: _drain(stream))
    training = _median(lambda: model.fit(held.x, held.y, epochs=1, batch_size=BATCH, verbose=0))
    together = _median(lambda: model.fit(stream, epochs=1, batch_size=BATCH, verbose=0))
    kept = data.Stream(listing, workers=2, check=False, cache=True)
    model.fit(kept, epochs=1, batch_size=BATCH, verbose=0)
    once = kept.decoded
    model.fit(kept, epochs=2, batch_size=BATCH, verbose=0)
    how = f"{count} PNG files of 32×32: decoding alone {decoding:.3f} s, training alone {training:.3f} s"
    return [
        _promise("epoch from PNG files", together, 1.1 * (decoding + training), "s", how),
        _promise("decoded again in later epochs, cached", kept.decoded - once, 0, "files", f"{once} in the first"),
    ]


def _drain(stream: data.Stream) -> None:
    with closing(stream.numbered_batches(BATCH)) as taken:
        for _ in taken:
            pass


# ------------------------------------------------------------------ augmentation


def augmented(folder: Path, quick: bool) -> list[Promise]:
    """Flips and shifted crops of a batch, against a training step of the CIFAR-10 network on the same batch."""
    x, y = _noise(BATCH * (2 if quick else 12))
    model, change = _cifar_network(10), data.Compose([data.RandomFlip(), data.RandomCrop(32, padding=4)])
    model.fit(x, y, epochs=1, batch_size=BATCH, verbose=0)
    steps = len(x) // BATCH
    step = _median(lambda: model.fit(x, y, epochs=1, batch_size=BATCH, verbose=0)) / steps
    index = np.arange(BATCH)
    change.batch(x[:BATCH], y[:BATCH], 0, 0, index)
    alone = _median(lambda: [change.batch(x[:BATCH], y[:BATCH], 0, e, index) for e in range(steps)]) / steps
    how = f"RandomFlip, RandomCrop(32, padding=4): {1000 * alone:.2f} ms a batch of {BATCH}, a step {1000 * step:.2f}"
    return [_promise("augmentation, of a training step", 100 * alone / step, 15, "%", how)]


# ------------------------------------------------------------------ published files


def loaded(folder: Path, quick: bool) -> list[Promise]:
    """Megabytes of file a second, from the system's cache: MNIST's four files, and CIFAR-10's six."""
    count = ROWS // 10 if quick else ROWS
    found = []
    for name, load, written in (
        ("idx (MNIST)", data.load_mnist, write_idx(folder / "mnist", count)),
        ("CIFAR-10, binary", data.load_cifar10, write_cifar(folder / "cifar", count)),
    ):
        place, size = written
        load(place)
        seconds = _median(lambda: load(place))  # noqa: B023, called at once
        how = f"{size / 1e6:.0f} MB in {seconds:.2f} s, to float32 in [0, 1]"
        found.append(_promise(f"{name} loaded", size / seconds / 1e6, 200, "MB/s", how, least=True))
    return found


def write_idx(folder: Path, count: int) -> tuple[Path, int]:
    """MNIST's four files, of so many pictures of noise in each part; the folder, and the bytes."""
    folder.mkdir()
    rng, size = np.random.default_rng(1), 0
    for start in ("train", "t10k"):
        head = b"".join(n.to_bytes(4, "big") for n in (0x803, count, 28, 28))
        body = rng.integers(0, 256, (count, 28 * 28), np.uint8).tobytes()
        size += (folder / f"{start}-images-idx3-ubyte").write_bytes(head + body)
        head = b"".join(n.to_bytes(4, "big") for n in (0x801, count))
        body = rng.integers(0, 10, count, np.uint8).tobytes()
        size += (folder / f"{start}-labels-idx1-ubyte").write_bytes(head + body)
    return folder, size


def write_cifar(folder: Path, count: int) -> tuple[Path, int]:
    """CIFAR-10's binary files, of so many pictures of noise in all; the folder, and the bytes of the records."""
    folder.mkdir()
    rng, size = np.random.default_rng(2), 0
    (folder / "batches.meta.txt").write_text("\n".join(CIFAR10))
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        records = rng.integers(0, 256, (count // 6, 1 + PIXELS), np.uint8)
        records[:, 0] %= 10
        size += (folder / name).write_bytes(records.tobytes())
    return folder, size


def _cifar_network(classes: int) -> Any:
    model = zoo.article004(classes=classes)
    model.compile(optim.Adam(1e-4), "cross_entropy")
    return model


def _noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, 3, 32, 32), np.float32), rng.integers(0, 10, count)


def _median(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(FIT_AGAIN):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def as_text(found: list[Promise]) -> str:
    """What is promised of the data path, and what was measured.

    >>> print(as_text([_promise("augmentation, of a training step", 9.5, 15, "%", "flips")]))
    augmentation, of a training step              9.5 %   at most     15 %  holds
        flips
    """
    lines = []
    for p in found:
        bound = f"{'at least' if p['least'] else 'at most':8} {p['allowed']:5.4g} {p['unit']}"
        verdict = "holds" if p["holds"] else "DOES NOT HOLD"
        lines += [f"{p['what']:42} {p['measured']:6.4g} {p['unit']}   {bound}  {verdict}", f"    {p['how']}"]
    return "\n".join(lines)
