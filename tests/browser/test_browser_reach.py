"""The page in a real browser: its lab, its files, its safety, and whom it reaches: any width, look or notebook."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import tinycnn as tc
from browser.played import LOOKS, network, step_of
from tinycnn.formula.numbers import cell_number
from tinycnn.tracing.html import frame, lab_page, page

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default::DeprecationWarning")]
HOSTILE = "</script><img src=x onerror=\"window.harmed=1\"><b>&amp;"
AXE = os.environ.get("AXE", "")  # the file axe.min.js of the npm package axe-core


# ---------------------------------------------------------------- predict, lab, export


def test_predicting_hides_the_result_until_it_is_said(opened, file, trace):
    there = opened(file, "#s=1&c=0,1,3,4")
    value = float(trace.tensors[trace[1].writes[0]["tensor"]][0, 1, 3, 4])
    there.key("p")
    assert there.text(".result .now") == "?"
    shown = there.text("#player")
    assert cell_number(value) not in there.text(".lines").split("=")[-1]
    assert trace.cell(1, (0, 1, 3, 4))["text"] not in shown + there.text(".live")
    assert "?" in there.text(".result-line")
    there.keyboard.type(f"{value + 0.02:.4f}")
    there.keyboard.press("Enter")
    assert "Not yet" in there.text(".verdict")
    there.fill(".predict input", f"{value + 0.002:.4f}".replace("-", "−"))
    there.press(".predict input", "Enter")
    assert there.text(".verdict").startswith("Right")
    assert there.text(".result .now") == cell_number(value)
    there.key("ArrowRight")
    assert there.text(".result .now") == "?"
    there.click('.predict button:text-is("Show it")')
    assert there.text(".result .now") != "?"
    there.key("p")
    assert there.locator(".predict").is_hidden()


def test_the_lab_says_what_it_is_and_follows_its_knobs(opened, tmp_path, file):
    path = tmp_path / "lab.html"
    path.write_text(lab_page())
    there = opened(path)
    assert there.text(".badge") == "recomputed in the browser"

    def turn(knob: str, value: int) -> None:
        there.evaluate("""([knob, value]) => { const one = document.querySelector(`[data-knob=${knob}]`);
                       one.value = value; one.dispatchEvent(new Event("input")); }""", [knob, value])  # fmt: skip

    for knob, value in (("stride", 3), ("padding", 1), ("kernel", 3), ("dilation", 2)):
        turn(knob, value)
    assert "⌊(8 + 2 − 2·(3 − 1) − 1)/3⌋ + 1 = 2" in there.text(".lab-size")
    assert "y (2, 2)" in there.text(".lab")
    there.fill('[aria-label="pixel, row 3, column 3"]', "-2,5")
    there.press('[aria-label="pixel, row 3, column 3"]', "Enter")
    assert there.input_value('[aria-label="pixel, row 3, column 3"]') == "−2.50"
    assert there.count("td.unused") > 0
    turn("dilation", 1)
    turn("stride", 1)
    assert there.count("td.unused") == 0
    turn("size", 1)
    turn("padding", 0)
    assert "no place" in there.text(".lab")
    own = opened(file, "#s=1")
    own.key("l")
    assert own.input_value('[aria-label="pixel, row 2, column 2"]') != ""
    assert own.evaluate("document.querySelectorAll('.lab-place .cells').length") == 3


def test_a_step_is_saved_as_svg_png_and_the_trace_as_json(opened, file, trace):
    there = opened(file, "#s=1&c=0,1,3,4")
    found = {}
    for kind in ("SVG", "PNG", "JSON"):
        with there.page.expect_download() as download:
            there.click(f'header button:text-is("{kind}")')
        found[kind] = Path(download.value.path()).read_bytes()
    assert found["PNG"].startswith(b"\x89PNG")
    assert len(found["PNG"]) > 10_000
    text = "".join(ElementTree.fromstring(found["SVG"]).itertext())
    assert trace.cell(1, (0, 1, 3, 4))["places"][:40] in text
    again = tc.tracing.Trace.from_json(json.loads(found["JSON"]))
    assert len(again) == len(trace)


# ---------------------------------------------------------------- sizes, safety, reach


def test_a_hostile_class_name_is_only_a_name(opened, tmp_path):
    train, _, _ = tc.data.load_digits()
    classes = (HOSTILE, *(f"class {k}" for k in range(1, 10)))
    model = network(classes)
    trace = tc.trace(model, train.x[0], 0)
    trace.model["layers"][0]["kind"] = HOSTILE
    trace[0].title = trace[0].text = trace[0].left_out = HOSTILE
    words = "<math><mtext>&lt;img src=x&gt; one=1 on=1</mtext></math>"
    trace[0].formula["mathml"] = f"{words}<img src=x onerror='harm()'>{HOSTILE}"
    path = tmp_path / "step.html"
    trace.save_html(path, title=HOSTILE)
    there = opened(path)
    assert there.text(".title") == HOSTILE
    assert "<img src=x> one=1 on=1" in there.evaluate("document.querySelector('.formula').textContent")
    assert there.count("#player img") == 0
    there.key("PageDown")
    assert HOSTILE in there.evaluate("document.querySelector('.result thead').textContent")
    assert there.evaluate("window.harmed") is None
    assert there.count("#player img") == 0
    plain = path.read_text()
    assert "<img" not in plain
    assert plain.count("</script>") == 3


def test_of_arrays_kept_in_part_what_is_there_is_shown_and_the_rest_said(opened, trace, tmp_path):
    path = tmp_path / "part.html"
    path.write_text(page(tc.tracing.Trace.from_json(trace.as_dict(most=90))))
    there = opened(path, "#s=1&c=0,1,7,7")
    assert there.text(".result .now") == "·"
    assert there.text(".readout") == "y[0,1,7,7] = not kept in the trace"
    assert "kept in part" in there.text(".lines")
    for step in trace.steps:
        there.evaluate("(number) => tinycnn.goTo({number})", step.number)


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("look", LOOKS, ids=str)
def test_nothing_spills_over_the_side_in_any_look(opened, file, trace, width, look):
    there = opened(file, viewport={"width": width, "height": 800}, **look)
    for step in (0, 1, 5, step_of(trace, "conv2d_backward", "dx"), step_of(trace, "adam_step", "w")):
        there.evaluate("(number) => tinycnn.goTo({number})", step)
        assert there.evaluate("document.documentElement.scrollWidth") <= width


def test_targets_are_24_pixels_at_least(opened, file):
    there = opened(file, "#s=1&c=0,1,3,4&v=matmul", viewport={"width": 360, "height": 800})
    small = there.evaluate("""[...document.querySelectorAll("button, select, input, summary, td[tabindex]")]
        .filter((one) => one.offsetParent).map((one) => [one.outerHTML.slice(0, 80), one.getBoundingClientRect()])
        .filter(([, box]) => box.width < 24 || box.height < 24).map(([html]) => html)""")
    assert small == []


@pytest.mark.skipif(not AXE, reason="AXE names no axe.min.js")
@pytest.mark.parametrize("look", ["light", "dark"])
def test_axe_finds_no_serious_fault(chromium, file, trace, tmp_path, look):
    context = chromium.new_context(bypass_csp=True, color_scheme=look)
    there = context.new_page()
    lab = tmp_path / "lab.html"
    lab.write_text(lab_page())
    steps = [0, 1, 3, step_of(trace, "adam_step", "w"), step_of(trace, "cross_entropy_backward", "dz")]
    steps.append(step_of(trace, "max_pool2d_backward", "dx"))
    matrices = [f"{step_of(trace, 'conv2d_backward', of)}&v={v}" for of in ("dw", "dx") for v in ("im2col", "matmul")]
    places = [f"{file.as_uri()}#s={at}" for at in (*steps, "1&v=im2col", "1&v=matmul", *matrices, 99)]
    for place in [*places, lab.as_uri()]:
        there.goto("about:blank")
        there.goto(place)
        there.wait_for_selector(".live-page #player h1")
        if "lab" not in place:
            there.focus("#player")
            there.keyboard.press("?")
        there.add_script_tag(path=AXE)
        found = there.evaluate("axe.run()")
        grave = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
        faults = [(one["id"], one["nodes"][0]["html"][:120]) for one in grave]
        assert faults == [], place
    context.close()


def test_any_of_2000_steps_takes_two_layouts_and_a_bounded_number_of_elements(opened, trace, tmp_path):
    long = json.loads(json.dumps(trace.as_dict()))
    long["steps"] = [dict(long["steps"][k % len(trace)], number=k) for k in range(2000)]
    path = tmp_path / "long.html"
    path.write_text(page(tc.tracing.Trace.from_json(long)))
    there = opened(path)
    there.evaluate("""() => { window.made = 0; const own = document.createElement;
        document.createElement = (...words) => { window.made++; return own.apply(document, words); }; }""")
    session = there.page.context.new_cdp_session(there.page)
    session.send("Performance.enable")

    def layouts() -> int:
        there.evaluate("document.body.offsetHeight")
        return next(one["value"] for one in session.send("Performance.getMetrics")["metrics"]
                    if one["name"] == "LayoutCount")  # fmt: skip

    for number in (k * 977 % 2000 for k in range(1, 41)):  # `tests/browser/seek_times.py` measures how long it takes
        before = layouts()
        found = there.evaluate("(number) => { made = 0; tinycnn.goTo({ number }); return made; }", number)
        assert found <= 1500, trace[number % len(trace)]
        assert layouts() - before <= 2, trace[number % len(trace)]  # once to measure, once with the frames


def test_without_scripts_the_key_steps_stand_there_and_print_shows_them(chromium, file, trace):
    context = chromium.new_context(java_script_enabled=False)
    there = context.new_page()
    there.goto(file.as_uri())
    assert trace[1].title in there.inner_text(".static")
    assert trace.cell(1, (0, 0, 0, 0))["text"] in there.inner_text(".static")
    context.close()
    context = chromium.new_context()
    there = context.new_page()
    there.goto(file.as_uri())
    there.wait_for_selector(".live-page #player h1")
    assert there.locator(".static").is_hidden()
    there.emulate_media(media="print")
    assert there.locator(".static").is_visible()
    context.close()


def test_in_a_notebook_exported_to_html_the_player_plays(chromium, trace, tmp_path):
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    output = nbformat.v4.new_output("display_data", {"text/html": trace._repr_html_()})
    cell = nbformat.v4.new_code_cell("tr", outputs=[output])
    exported, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    path = tmp_path / "notebook.html"
    path.write_text(exported)
    context = chromium.new_context()
    context.route(re.compile("^https?:"), lambda route: route.abort())  # the exporter's own links
    there = context.new_page()
    there.goto(path.as_uri())
    inside = there.frame_locator("iframe")
    inside.locator(".live-page #player h1").wait_for()
    inside.locator("#player").focus()
    there.keyboard.press("Shift+ArrowRight")
    inside.get_by_role("heading", name=trace[1].title, exact=True).wait_for()  # a frame may be a process of its own
    assert there.locator("details").inner_text() != ""
    context.close()


def test_page_and_frame_are_within_their_sizes(trace):
    lesson = page(trace).encode()
    carried = re.search(rb'<section class="static".*?id="trace">.*?</script>', lesson, re.S)
    assert carried
    assert len(lesson) - len(carried[0]) <= 60_000
    assert len(lesson) <= 300_000
    assert len(lab_page().encode()) <= 60_000
    assert "<iframe srcdoc=" in frame(trace)
