"""The page as a file: sealed against the network and against what it is given, within its sizes, and readable bare."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib

import numpy as np
import pytest
from typer.testing import CliRunner

import tinycnn as tc
from tinycnn.cli import app
from tinycnn.tracing.html import PAGE, frame, joined, lab_page, page

HOSTILE = "</script><script>harm()</script><img src=x onerror=harm()>"


@pytest.fixture(scope="module")
def trace():
    model = tc.Sequential([tc.Conv2D(2, 3), tc.ReLU(), tc.Flatten(), tc.Dense(3)], input_shape=(1, 6, 5), seed=0)
    model.compile("sgd", "cross_entropy")
    return tc.trace(model, np.random.default_rng(0).normal(size=(1, 6, 5)).astype(np.float32), 2)


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def unpacked(text: str, what: str) -> str:
    """The program or the trace that a page carries."""
    found = re.search(rf'<script type="text/plain" id="{what}">(.*?)</script>', text, re.S)
    assert found is not None
    return zlib.decompress(base64.b64decode(found[1])).decode()


def test_the_policy_lets_run_the_two_scripts_that_are_there_and_nothing_else(trace):
    for text in (page(trace), lab_page()):
        policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
        assert policy is not None
        rules = dict(rule.strip().split(" ", 1) for rule in policy[1].split(";"))
        (unpack,) = re.findall(r"<script>(.*?)</script>", text, re.S)
        program = unpacked(text, "program")
        style = re.search(r"<style>(.*?)</style>", text, re.S)
        assert style is not None
        assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
        assert set(rules["script-src"].split()) == {hashed(unpack), hashed(program)}
        assert rules["style-src"] == hashed(style[1])
        assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}


def test_the_joined_program_holds_every_module_once_and_nothing_that_links_them():
    program = joined("start_player")
    assert not re.search(r"^(import|export) ", program, re.M)
    for path in PAGE.glob("*.js"):
        alone = path.stem in ("start_lab", "unpack")
        first = re.search(r"^(?:export )?((?:async )?(?:const|function|class) \w+\b)", path.read_text(), re.M)
        assert alone or (first is not None and len(re.findall(rf"^{first[1]}\b", program, re.M)) == 1), path


def test_the_page_names_no_address_but_those_of_namespaces(trace):
    found = set(re.findall(r"https?://[\w./-]+", page(trace) + joined("start_player")))
    assert all(one.startswith("http://www.w3.org/") for one in found), found


def test_the_trace_in_the_page_is_the_trace_to_the_last_bit(trace):
    carried = json.loads(unpacked(page(trace), "trace"))
    assert carried == json.loads(json.dumps(trace.as_dict(short=True)))


def test_no_name_gets_out_of_its_place(trace):
    given = json.loads(json.dumps(trace.as_dict()))
    given["model"]["classes"] = [HOSTILE] * 3
    given["steps"][0] |= {"title": HOSTILE, "text": HOSTILE, "shape_note": HOSTILE, "phase": HOSTILE}
    text = page(tc.tracing.Trace.from_json(given), title=HOSTILE)
    assert text.count("<script") == 3
    assert "<img" not in text
    assert html.escape(HOSTILE) in text
    assert json.loads(unpacked(text, "trace"))["model"]["classes"] == [HOSTILE] * 3


def test_a_frame_keeps_the_notebook_out_of_reach_and_the_words_beside_it(trace):
    shown = trace._repr_html_()
    assert shown == frame(trace)
    found = re.search(r'<iframe srcdoc="([^"]*)" sandbox="allow-scripts allow-downloads"', shown)
    assert found is not None
    assert html.unescape(found[1]) == page(trace)
    assert html.escape(trace.cell(0, (0, 0, 0, 0))["text"]) in shown.split("</iframe>")[1]


def test_every_step_is_there_in_words_with_a_cell_worked_out(trace):
    text = page(trace)
    for step in trace.steps:
        assert html.escape(step.title) in text
        assert html.escape(trace.cell(step, (0,) * len(step.writes[0]["shape"]))["text"]) in text


def test_a_large_page_is_said_and_a_huge_one_refused(trace, tmp_path, monkeypatch):
    path = tmp_path / "step.html"
    monkeypatch.setattr("tinycnn.tracing.html.LARGE_PAGE", 1000)
    with pytest.warns(UserWarning, match="MB; a browser may take long"):
        trace.save_html(path)
    path.unlink()
    with pytest.raises(ValueError, match=r"would be 0\.\d+ MB, more than 0\.001 MB: .* allow it with most=\d+"):
        trace.save_html(path, most=1000)
    assert not path.exists()


def test_the_command_writes_the_lab(tmp_path):
    path = tmp_path / "play.html"
    result = CliRunner().invoke(app, ["lab", "--out", str(path)])
    assert result.exit_code == 0, result.output
    assert path.read_text() == lab_page()
    assert str(path) in result.output
