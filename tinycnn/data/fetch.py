"""Known data sets, fetched from where they are published: whole, checked, and only when they are asked for.

A file is fetched to a part beside its place, goes on where it stopped when it is asked for again, and gets its name
once its size and SHA-256 are those written here. So a file under its name is the right one, and never half of one.

The checksums are those that TensorFlow Datasets, torchvision and Keras hold these files to; three of MNIST's four were
computed from the files themselves.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tinycnn.naming import lookup

AT_ONCE = 2**18
TIMEOUT = 30.0
Progress = Callable[[str, int, int], None]


class Source(NamedTuple):
    """A file to fetch: from where, how many bytes, and their SHA-256."""

    url: str
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """What the file is called, here and there."""
        return Path(urlsplit(self.url).path).name


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_FASHION = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_CIFAR = "https://www.cs.toronto.edu/~kriz/"
SOURCES: dict[str, tuple[Source, ...]] = {
    "mnist": (
        Source(_MNIST + "train-images-idx3-ubyte.gz", 9_912_422,
               "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        Source(_MNIST + "train-labels-idx1-ubyte.gz", 28_881,
               "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        Source(_MNIST + "t10k-images-idx3-ubyte.gz", 1_648_877,
               "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        Source(_MNIST + "t10k-labels-idx1-ubyte.gz", 4_542,
               "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ),
    "fashion-mnist": (
        Source(_FASHION + "train-images-idx3-ubyte.gz", 26_421_880,
               "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        Source(_FASHION + "train-labels-idx1-ubyte.gz", 29_515,
               "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        Source(_FASHION + "t10k-images-idx3-ubyte.gz", 4_422_102,
               "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        Source(_FASHION + "t10k-labels-idx1-ubyte.gz", 5_148,
               "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ),
    "cifar10": (
        Source(_CIFAR + "cifar-10-binary.tar.gz", 170_052_171,
               "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
    ),
    "cifar100": (
        Source(_CIFAR + "cifar-100-binary.tar.gz", 168_513_733,
               "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"),
    ),
}  # fmt: skip


def fetch(
    name: str, to: str | os.PathLike, progress: Progress | None = None,
    sources: Mapping[str, tuple[Source, ...]] = SOURCES,
) -> list[Path]:  # fmt: skip
    """Fetch the files of a known data set into the folder `to`; those that are there and whole are not fetched again.

    `progress` is told the name, the bytes so far, and how many there will be. Returns the files. Raises ValueError for
    a name that is not known and for a file that is not what it should be (which is then removed), OSError where the
    network or the disk fails; asked again, it goes on where it stopped.
    """
    folder = Path(to)
    folder.mkdir(parents=True, exist_ok=True)
    tell = progress or (lambda name, done, size: None)
    return [_fetch_one(source, folder, tell) for source in lookup(dict(sources), name, "data set")]


def _fetch_one(source: Source, folder: Path, tell: Progress) -> Path:
    target = folder / source.name
    part = folder / f".{source.name}.part"
    if target.is_file() and _is_whole(target, source):
        return target
    if part.is_symlink() or (part.exists() and part.stat().st_size > source.size):
        part.unlink()
    have = part.stat().st_size if part.exists() else 0
    if have < source.size:
        _go_on(source, part, have, tell)
    if not _is_whole(part, source):
        size, digest = part.stat().st_size, _digest(part)
        part.unlink()
        raise ValueError(
            f"{source.url}: not the file it should be, and removed: expected {source.size:,} bytes with SHA-256 "
            f"{source.sha256}, got {size:,} with {digest}."
        )
    os.replace(part, target)
    return target


def _go_on(source: Source, part: Path, have: int, tell: Progress) -> None:
    """Fetch what is missing of a part: from byte `have` on if the server can, else from the start; never too much."""
    import http.client
    import urllib.error
    import urllib.request

    if urlsplit(source.url).scheme not in ("https", "http"):
        raise ValueError(f"{source.url}: only http and https are fetched from.")
    headers = {"User-Agent": "tinycnn", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(source.url, headers=headers), timeout=TIMEOUT) as answer:
            goes_on = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
            with part.open("ab" if goes_on else "wb") as file:
                done = have if goes_on else 0
                while block := answer.read(min(AT_ONCE, source.size - done + 1)):
                    done += len(block)
                    if done > source.size:
                        raise ValueError(f"{source.url}: the server sends more than {source.size:,} bytes.")
                    file.write(block)
                    tell(source.name, done, source.size)
                file.flush()
                os.fsync(file.fileno())
    except (urllib.error.URLError, http.client.HTTPException) as error:  # their texts say little of what was asked
        raise OSError(f"{source.url} cannot be fetched: {error}") from None
    if done < source.size:
        raise OSError(f"{source.url}: the connection ended at {done:,} of {source.size:,} bytes; ask again to go on.")


def _is_whole(path: Path, source: Source) -> bool:
    return path.stat().st_size == source.size and _digest(path) == source.sha256


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
