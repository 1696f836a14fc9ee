"""A page that plays a trace: one file that holds everything, asks no network for anything, and runs no other script.

The parts lie in `page/`, as they were written. Here the modules are joined in the order in which they need each other,
and put into the page together with the trace, both packed; a policy in the page's head names the two scripts and the
style by their hashes and forbids all else. Without scripts, and on paper, the key steps stand there in words.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinycnn.files import write_whole
from tinycnn.tracing.limits import LARGE_PAGE, MOST_IN_PAGE
from tinycnn.tracing.outline import key_steps

if TYPE_CHECKING:
    from tinycnn.tracing.recorded import Trace

PAGE = Path(__file__).with_name("page")
_IMPORT = re.compile(r'^import (?:\{[^}]*\}|\w+) from "\./(\w+)\.js";\n', re.MULTILINE)
_FRAME_HEIGHT = 900


def save_html(trace: Trace, path: str | Path, title: str = "Step-through", most: int = MOST_IN_PAGE) -> None:
    """Write a page that plays the trace, whole or not at all.

    Raises ValueError if it would be larger than `most` bytes, and warns from 2 MB on.
    """
    text = page(trace, title)
    size = len(text.encode())
    if size > most:
        raise ValueError(
            f"the page would be {size / 1e6:.2f} MB, more than {most / 1e6:g} MB: trace a smaller image or a smaller"
            f" network, or allow it with most={size}"
        )
    if size > LARGE_PAGE:
        warnings.warn(f"{path} is {size / 1e6:.1f} MB; a browser may take long to open it", stacklevel=3)
    write_whole(Path(path), text.encode())


def page(trace: Trace, title: str = "Step-through") -> str:
    """The page as text."""
    data = json.dumps(trace.as_dict(short=True), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = f'<section class="static" aria-label="Key steps">{key_steps(trace)}</section>'
    carried = f'<script type="text/plain" id="trace">{packed(data)}</script>'
    return assemble("start_player", title, body, carried)


def lab_page() -> str:
    """The page that holds the lab alone."""
    note = '<p class="static">The lab works its numbers out in the browser, and needs scripts to be allowed.</p>'
    return assemble("start_lab", "A convolution to play with", note, "")


def frame(trace: Trace) -> str:
    """The page inside a notebook: a frame of its own that cannot reach the notebook, and the key steps in words.

    Where frames are taken out (a notebook that is not trusted, a viewer on the web), the words remain.
    """
    inside = html.escape(page(trace), quote=True)
    shown = (
        f'<iframe srcdoc="{inside}" sandbox="allow-scripts allow-downloads" title="Step-through of a training step" '
        f'width="100%" height="{_FRAME_HEIGHT}" style="border:1px solid #888"></iframe>'
    )
    missing = "<p>If no player stands above, this notebook is not trusted: run the cell, or trust the notebook.</p>"
    return f"{shown}<details><summary>The key steps in words</summary>{missing}{key_steps(trace)}</details>"


def packed(text: str) -> str:
    """Text as the page carries it: compressed, and in letters that mean nothing to HTML."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


def assemble(start: str, title: str, static: str, data: str) -> str:
    """The page around the program that begins with `start`."""
    style, unpack = (PAGE / "style.css").read_text("utf-8"), (PAGE / "unpack.js").read_text("utf-8")
    program = joined(start)
    hashes = [_hash(text) for text in (unpack, program)]
    policy = (
        f"default-src 'none'; script-src {' '.join(hashes)}; style-src {_hash(style)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy, "title": html.escape(title), "label": html.escape(title), "style": style, "static": static,
        "trace": data, "program": packed(program), "start": unpack,
    }  # fmt: skip
    template = (PAGE / "player.html").read_text("utf-8")
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], template)


@cache
def joined(start: str) -> str:
    """A module and all it needs as one: each once, after what it needs, without remarks and what links them."""
    done: dict[str, str] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        text = (PAGE / f"{name}.js").read_text("utf-8")
        for needed in _IMPORT.findall(text):
            visit(needed)
        done[name] = re.sub(r"^export (?=(?:async )?(?:const|function|class)\b)", "", _IMPORT.sub("", text), flags=re.M)

    visit(start)
    return re.sub(r"^ *//.*\n", "", "\n".join(done.values()), flags=re.MULTILINE)


def _hash(text: str) -> str:
    digest: Any = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
