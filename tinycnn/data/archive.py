"""A tar archive read in place: wanted files come as bytes, and nothing is written anywhere.

An archive may name files outside the folder it is unpacked in, or link to them, or be a small file that unpacks to a
disk full. None of that is needed to hold pictures, so an archive that does it is refused as a whole.
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import IO

MAX_BYTES = 2**29  # of everything in it, unpacked: CIFAR's archives hold 185 million
MOST_MEMBERS = 10_000
READ_AT_ONCE = 2**20


def read_archive(path: str | os.PathLike, wanted: Collection[str], max_bytes: int = MAX_BYTES) -> dict[str, bytes]:
    """The files of a .tar or .tar.gz whose last name is in `wanted`, as bytes, under that name.

    Raises FileNotFoundError if there is no archive, ValueError naming it if it is damaged, holds a wanted name twice,
    holds a link, a device or a path that leaves its folder, or unpacks to more than `max_bytes`.
    """
    path = Path(path)
    found: dict[str, bytes] = {}
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        stream = _Capped(gzip.GzipFile(fileobj=file) if packed else file, max_bytes)
        try:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=READ_AT_ONCE) as archive:  # type: ignore[call-overload]
                for count, member in enumerate(archive):
                    _check_member(member, count)
                    name = PurePosixPath(member.name).name
                    if member.isfile() and name in wanted:
                        if name in found:
                            raise ValueError(f"it holds two files called {name}")
                        taken = archive.extractfile(member)
                        found[name] = b"" if taken is None else taken.read()
            while stream.read(READ_AT_ONCE):  # to the end, where the checksum is
                pass
        except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, ValueError, OverflowError) as error:
            raise ValueError(f"{path}: not an archive that can be read: {error}.") from None
    return found


def _check_member(member: tarfile.TarInfo, count: int) -> None:
    """Raise for what data archives do not need."""
    where = PurePosixPath(member.name)
    if count >= MOST_MEMBERS:
        raise ValueError(f"it holds more than {MOST_MEMBERS:,} files")
    if where.is_absolute() or ".." in where.parts or "\\" in member.name or ":" in member.name:
        raise ValueError(f"{member.name[:80]!r} leaves the folder it would be unpacked in")
    if not (member.isreg() or member.isdir()):
        raise ValueError(f"{member.name[:80]!r} is a link or a device, not a file")


class _Capped:
    """A stream that ends in an error once more has come out of it than is allowed."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, left: int):
        self.stream, self.left, self.limit = stream, left, left

    def read(self, size: int) -> bytes:
        """At most `size` bytes, as a file gives them."""
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError(f"it unpacks to more than {self.limit:,} bytes")
        return data
