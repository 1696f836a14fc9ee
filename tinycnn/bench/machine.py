"""Which machine this is: a time without its machine is no measurement."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

VERSIONS = ("numpy", "numba", "torch")
VECTORS = ("avx512f", "avx2", "avx", "sse4_2", "asimd")  # the widest first, as Linux names them


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def machine(threads: int) -> str:
    """CPU, cores, vector width, system and versions in one line.

    >>> "Python" in machine(1)
    True
    """
    flags = _cpuinfo("flags").split() or _cpuinfo("Features").split()
    vectors = next((name.upper() for name in VECTORS if name in flags), "")
    parts = [
        _cpuinfo("model name") or platform.processor() or platform.machine(),
        f"{cores()} cores" + (f", {vectors}" if vectors else ""),
        f"{threads} threads used" if threads > 1 else "1 thread used, and the time counted that it worked",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
    ]
    return "; ".join(parts + [f"{name} {version}" for name in VERSIONS if (version := version_of(name))])


def version_of(package: str) -> str:
    """A package's version, without importing it; nothing where it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def memory() -> int:
    """Bytes of main memory; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 * 2**30


def _cpuinfo(key: str) -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == key), "")
