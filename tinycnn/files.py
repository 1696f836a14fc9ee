"""Files that are there whole or not at all, and fingerprints that tell whether they are still the same."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path


def write_whole(path: str | os.PathLike, data: bytes) -> None:
    """Write `data` to `path` so that any reader, at any moment, finds the old file or the new one, never a part.

    The bytes go to a temporary file beside the target and reach the disk (fsync) before one rename puts them in place.
    If anything fails on the way, the old file is untouched and the temporary one removed. The parent folder is made
    where it is missing; a symbolic link stays one, and what it points to is replaced.

    Raises OSError if the folder cannot be written, the disk is full, or `path` is a folder.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_whole(folder / "runs" / "notes.txt", b"learned")
    >>> (folder / "runs" / "notes.txt").read_bytes()
    b'learned'
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".tinycnn-{secrets.token_hex(8)}.tmp"  # same folder: a rename cannot cross disks
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # the bytes before the name: a power cut must not leave an empty file
        os.replace(temporary, target)
    except BaseException as error:  # Ctrl-C too must leave no litter
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno is not None:  # say which file was wanted, not the temporary one
            raise OSError(error.errno, error.strerror, os.fspath(path)) from None
        raise


def sha256(data: bytes) -> str:
    """The SHA-256 of `data` as 64 hexadecimal digits.

    Source: FIPS 180-4.

    >>> sha256(b"abc")[:16]
    'ba7816bf8f01cfea'
    """
    return hashlib.sha256(data).hexdigest()
