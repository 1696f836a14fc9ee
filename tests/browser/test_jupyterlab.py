"""In JupyterLab: the player plays there too, its keys are its own, and where frames are taken out its words remain."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default::DeprecationWarning")]
PATIENCE = 180  # seconds: a busy machine may take its time over anything here
LAB = os.environ.get("JUPYTER_LAB") or shutil.which("jupyter-lab", path=str(Path(sys.executable).parent))
MAKES_A_PLAYER = """import tinycnn as tc
train, _, _ = tc.data.load_digits()
layers = [tc.Conv2D(3, 3, padding="same", name="conv1"), tc.ReLU(), tc.MaxPool2D(2), tc.Flatten(), tc.Dense(10)]
model = tc.Sequential(layers, input_shape=(1, 8, 8), seed=0)
model.compile("adam", "cross_entropy")
tc.trace(model, train.x[0], train.y[0])"""


def notebook(path: Path, source: str, *outputs: Any) -> None:
    nbformat = pytest.importorskip("nbformat")
    made = nbformat.v4
    cells = [made.new_code_cell(source, outputs=list(outputs)), made.new_code_cell("'below'")]
    kernel = {"name": "own", "display_name": "own", "language": "python"}
    nbformat.write(made.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


@pytest.fixture(scope="module")
def lab(trace, tmp_path_factory) -> Iterator[str]:
    """The address of a JupyterLab of our own, with a notebook to run and one from a stranger."""
    if not LAB:
        pytest.skip("jupyter-lab is not installed, and JUPYTER_LAB names none")
    nbformat = pytest.importorskip("nbformat")
    home, work = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("work")
    shown = nbformat.v4.new_output("execute_result", {"text/html": trace._repr_html_()}, execution_count=1)
    notebook(work / "run.ipynb", MAKES_A_PLAYER)
    notebook(work / "strange.ipynb", "tr", shown)
    kernel = home / "data" / "kernels" / "own"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "own", "language": "python"}))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {f"JUPYTER_{what}_DIR": str(home / what.lower()) for what in ("CONFIG", "DATA", "RUNTIME")}
    places |= {f"JUPYTERLAB_{what}_DIR": str(home / what.lower()) for what in ("SETTINGS", "WORKSPACES")}
    arguments = ["--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0",
                 "--IdentityProvider.token=own", "--LabApp.news_url="]  # fmt: skip
    with (home / "log").open("w") as log:
        server = subprocess.Popen([LAB, *arguments], cwd=work, env=os.environ | places | {"IPYTHONDIR": str(home)},
                                  stdout=log, stderr=log)  # fmt: skip
        try:
            wait_for(f"http://127.0.0.1:{port}/api/status?token=own", server, home / "log")
            yield f"http://127.0.0.1:{port}/lab/workspaces/{{0}}/tree/{{0}}.ipynb?reset&token=own"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()  # on a busy machine it takes longer to die than we to leave


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    give_up = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < give_up:
        try:
            urllib.request.urlopen(address, timeout=5).close()
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
        else:
            return
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def opened_in_lab(chromium, lab) -> Iterator[Any]:
    contexts = []

    def open_notebook(name: str) -> Any:
        contexts.append(chromium.new_context(viewport={"width": 1300, "height": 900}))
        contexts[-1].set_default_timeout(1000 * PATIENCE)
        there = contexts[-1].new_page()
        there.goto(lab.format(name))
        there.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        return there

    yield open_notebook
    for context in contexts:
        context.close()


def test_in_jupyterlab_the_player_plays_and_none_of_its_keys_reaches_the_notebook(opened_in_lab, trace):
    there = opened_in_lab("run")
    there.get_by_text("own | Idle").wait_for()  # only now will it run a cell
    there.locator(".jp-CodeCell .cm-content").first.click()
    there.keyboard.press("Shift+Enter")
    there.locator(".jp-OutputArea-output").first.wait_for()
    assert there.locator(".jp-OutputArea-output iframe").count() == 1
    inside = there.frame_locator(".jp-OutputArea-output iframe")
    inside.locator(".live-page #player h1").wait_for()
    inside.locator(".title").click()

    def comes_to(step: int) -> None:  # the frame is a process of its own: what a key does there may come later
        inside.locator(f'.count:text("step {step} of {len(trace) - 1} ·")').wait_for()

    for key, step in [("Shift+ArrowRight", 1), ("PageDown", 7), ("PageUp", 0), ("End", 25), ("Home", 0),
                      ("Shift+ArrowRight", 1), ("Shift+ArrowLeft", 0)]:  # fmt: skip
        there.keyboard.press(key)
        comes_to(step)
    for key in ("ArrowRight", "i", "m", "m", "l", "l", "?", "Escape", "]", "[", "Space", "Space"):
        there.keyboard.press(key)
    for key in ("a", "b", "c", "v", "x", "z", "y", "d", "d", "0", "0", "r", "s", "Enter", "ArrowDown", "Control+b"):
        there.keyboard.press(key)  # in the notebook they would add, cut, paste, turn, delete cells, restart, save, hide
    there.keyboard.press("End")
    comes_to(len(trace) - 1)  # by now the player has had all the keys before
    there.keyboard.press("Home")
    comes_to(0)
    there.wait_for_timeout(300)  # and in the notebook nothing comes of them
    assert there.locator(".jp-Notebook .jp-Cell").count() == 2
    assert there.locator(".jp-CodeCell").count() == 2
    assert there.locator(".jp-Dialog").count() == 0
    assert there.locator(".jp-FileBrowser").is_visible()
    inside.locator('.controls button[aria-label^="Next layer step"]').click()
    comes_to(1)
    with there.expect_download() as download:
        inside.locator('header button:text-is("SVG")').click()
    assert download.value.suggested_filename == "tinycnn-step-1.svg"


def test_in_a_notebook_that_is_not_trusted_the_key_steps_stand_in_words(opened_in_lab, trace):
    there = opened_in_lab("strange")
    output = there.locator(".jp-OutputArea-output")
    output.locator("summary").wait_for()
    assert output.locator("iframe").count() == 0
    output.locator("summary").click()
    said = output.inner_text()
    assert "not trusted" in said
    for step in (trace[0], trace[1], trace[16]):
        assert step.title in said
    assert trace.cell(1, (0, 0, 0, 0))["text"] in said
