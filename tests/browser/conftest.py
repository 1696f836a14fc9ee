"""A real browser and a page in it: at the end nothing may have been asked of the network, and nothing said."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tinycnn as tc
from browser.played import Watched, network


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    where = shutil.which("chromium") or shutil.which("chromium-browser") or None
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=where, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def trace() -> Any:
    train, _, _ = tc.data.load_digits()
    return tc.trace(network(), train.x[0], train.y[0])


@pytest.fixture(scope="module")
def file(trace, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "step.html"
    trace.save_html(path)
    return path


@pytest.fixture
def opened(chromium) -> Iterator[Any]:
    """A function that opens a file; at the end, nothing may have been asked of the network, and nothing said."""
    contexts = []

    def open_page(path: Path, address: str = "", **options: Any) -> Watched:
        context = chromium.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(120_000)  # a busy machine may take its time
        watched = Watched(context.new_page())
        watched.page.on("console", lambda message: watched.said.append(message.text))
        watched.page.on("pageerror", lambda error: watched.said.append(str(error)))
        own = path.as_uri()
        watched.page.on("request", lambda r: r.url.split("#")[0] == own or r.url.startswith(("data:", "blob:"))
                        or watched.said.append(r.url))  # fmt: skip
        watched.page.goto(own + address)
        watched.page.wait_for_selector(".live-page #player h1")
        contexts.append((context, watched))
        return watched

    yield open_page
    for context, watched in contexts:
        context.close()
        assert watched.said == []
