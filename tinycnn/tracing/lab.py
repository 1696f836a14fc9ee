"""The lab: a page with one convolution to play with, worked out in the browser as its settings are changed."""

from __future__ import annotations

from pathlib import Path

from tinycnn.files import write_whole
from tinycnn.tracing.html import lab_page


def save_lab(path: str | Path) -> None:
    """Write the lab as one file that needs no network, whole or not at all."""
    write_whole(Path(path), lab_page().encode())
