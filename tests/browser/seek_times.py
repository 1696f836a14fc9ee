"""How long the page takes to show any step of a trace of 2,000: `python tests/browser/seek_times.py [small | demo]`.

Every seek builds the step and lets the browser lay it out. The trace's own steps are gone through twice in a mixed
order: at the first look nothing is known of a step yet, neither its numbers nor its cells.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import tinycnn as tc
from tinycnn.tracing import lesson
from tinycnn.tracing.html import page

STEPS, SEEKS = 2000, 240
SEEK = """async (numbers) => { const found = [];
  for (const number of numbers) {
    const start = performance.now();
    tinycnn.goTo({ number });
    document.body.offsetHeight;
    found.push(performance.now() - start);
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  } return found; }"""


def long_page(which: str) -> tuple[str, list[str]]:
    """The page of a trace whose steps are those of one run over and over, and what each step is called."""
    model = lesson.train_a_little(lesson.untrained(small=which == "small"))
    train, _ = lesson.digits()
    trace = tc.trace(model, train.x[0], train.y[0])
    long = json.loads(json.dumps(trace.as_dict()))
    long["steps"] = [dict(long["steps"][k % len(trace)], number=k) for k in range(STEPS)]
    return page(tc.tracing.Trace.from_json(long)), [f"{s.op} {s.result} {s.writes[0]['shape']}" for s in trace.steps]


def measure(text: str, kinds: int) -> tuple[list[int], list[float]]:
    """Seeks to steps far apart, each kind in its turn, and how many milliseconds each took."""
    numbers = [(k * 7919) % STEPS for k in range(1, SEEKS + 1)]
    numbers[:kinds] = [kind + kinds * (kind * 13 % (STEPS // kinds)) for kind in range(kinds)]
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "long.html"
        path.write_text(text)
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        there = browser.new_page(viewport={"width": 1280, "height": 900})
        there.goto(path.as_uri())
        there.wait_for_selector(".live-page #player h1")
        times: Any = there.evaluate(SEEK, numbers)
        browser.close()
    return numbers, times


if __name__ == "__main__":
    text, names = long_page(sys.argv[1] if len(sys.argv) > 1 else "small")
    numbers, times = measure(text, len(names))
    for what, some in (("first looks", times[: len(names)]), ("later", times[len(names) :]), ("all", times)):
        median, most = np.percentile(some, [50, 95])
        times_said = f"median {median:5.1f} ms, 95 % within {most:5.1f}, longest {max(some):5.1f}"
        print(f"{what:12} {len(some):4} seeks: {times_said}")
    slowest = sorted(zip(times, numbers, range(len(times)), strict=True), reverse=True)[:8]
    for time, number, k in slowest:
        print(f"    {time:5.1f} ms  seek {k}: step {number}, {names[number % len(names)]}")
