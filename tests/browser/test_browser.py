"""The page in a real browser: every key and control moves as it says, and what belongs together lights up together."""

from __future__ import annotations

import re

import numpy as np
import pytest

from browser.played import step_of
from tinycnn.formula.numbers import cell_number, formula_number, in_brackets

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default::DeprecationWarning")]


# ---------------------------------------------------------------- moving


def test_the_arrows_go_from_cell_to_cell_and_on_to_the_next_step(opened, file, trace):
    there = opened(file)
    assert there.place == (0, [0, 0, 0, 0])
    there.key("ArrowRight", "ArrowRight")
    assert there.place == (0, [0, 0, 0, 2])
    there.key("ArrowLeft")
    assert there.place == (0, [0, 0, 0, 1])
    there.goto(f"{file.as_uri()}#s=0&c=0,0,9,9")
    there.key("ArrowRight")
    assert there.place == (1, [0, 0, 0, 0])
    there.key("ArrowLeft")
    assert there.place == (0, [0, 0, 9, 9])


def test_layer_steps_phases_and_both_ends_have_keys(opened, file, trace):
    there = opened(file)
    phases = [step.phase for step in trace.steps]
    there.key("Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft")
    assert there.place[0] == 1
    for phase in ("backward", "check", "update"):
        there.key("PageDown")
        assert there.place[0] == phases.index(phase)
    there.key("Shift+ArrowRight", "PageUp")
    assert there.place[0] == phases.index("update"), "back to the beginning of this phase"
    there.key("PageUp")
    assert there.place[0] == phases.index("check")
    there.key("End")
    assert there.place[0] == len(trace) - 1
    there.key("ArrowRight")
    assert there.place[0] == len(trace) - 1
    there.key("Home")
    assert there.place[0] == 0


def test_every_button_moves_as_its_key_does(opened, file):
    there = opened(file, "#s=1&c=0,0,0,0")
    for title, place in [("Next cell", (1, [0, 0, 0, 1])), ("Cell before", (1, [0, 0, 0, 0])),
                         ("Next layer step", (2, [0, 0, 0, 0])), ("Layer step before", (1, [0, 0, 0, 0])),
                         ("Next phase", (6, [0, 0])), ("Phase before", (0, [0, 0, 0, 0]))]:  # fmt: skip
        there.click(f'.controls button[aria-label^="{title}"]')
        assert there.place[0] == place[0] or title == "Next phase", title
        assert title == "Next phase" or there.place == place, title
    there.click(".strip button >> nth=2")
    assert there.place[0] == 2
    assert there.get_attribute(".strip button >> nth=2", "aria-current") == "step"


def test_the_slider_says_where_it_stands_and_moves_the_steps(opened, file, trace):
    there = opened(file)
    slider = there.locator('.controls input[type="range"]')
    slider.focus()
    there.keyboard.press("ArrowRight")
    there.keyboard.press("ArrowRight")
    assert there.place[0] == 2
    said = slider.get_attribute("aria-valuetext")
    assert said == f"step 2 of {len(trace) - 1}, forward, {trace[2].title}"


def test_space_plays_without_ever_starting_alone_and_hovering_pauses(opened, file):
    there = opened(file, "#s=1&c=0,0,0,0")
    there.wait_for_timeout(1200)
    assert there.place == (1, [0, 0, 0, 0]), "never autoplay"
    there.key("]", "]", "]", "Space")
    assert "Pause" in there.text(".play")
    there.moves((1, [0, 0, 0, 0]))
    box = there.locator(".stage").bounding_box()
    there.mouse.move(box["x"] + 20, box["y"] + 20)
    before = there.place
    there.wait_for_timeout(500)
    assert there.place == before
    there.mouse.move(2, 2)
    there.moves(before)
    there.key("Space")
    assert "Play" in there.text(".play")
    assert there.text(".speed output") == "8 cells/s"
    there.key("[", "[")
    assert there.text(".speed output") == "2 cells/s"


def test_go_to_takes_a_step_and_a_cell(opened, file, trace):
    there = opened(file)
    there.key("g")
    there.keyboard.type("1: 0,1,3,4")
    there.keyboard.press("Enter")
    assert there.place == (1, [0, 1, 3, 4])
    there.key("g")
    there.keyboard.type("999")
    there.keyboard.press("Enter")
    assert there.place == (1, [0, 1, 3, 4])
    assert f"0 to {len(trace) - 1}" in there.text(".live")
    assert there.text(".complaint") == f"There is no step 999: steps count from 0 to {len(trace) - 1}."
    there.keyboard.press("Escape")
    assert there.locator(".go").is_hidden()


def test_help_and_mathematics_come_and_go(opened, file):
    there = opened(file)
    there.key("?")
    assert "Shift" in there.text(".help")
    there.key("Escape")
    assert there.locator(".help").is_hidden()
    there.key("m")
    assert there.locator(".maths").is_hidden()
    there.key("m")
    assert there.locator(".maths").is_visible()


def test_an_address_names_a_place_and_the_address_follows(opened, file):
    there = opened(file, "#s=1&c=0,2,3,4&v=im2col")
    assert there.place == (1, [0, 2, 3, 4])
    assert there.get_attribute('.views button:text-is("im2col")', "aria-pressed") == "true"
    there.key("ArrowRight")
    there.follows("#s=1&c=0,2,3,5&v=im2col")
    there.asked("#s=2&c=0,0,1,1")
    assert there.place == (2, [0, 0, 1, 1])
    there.follows("#s=2&c=0,0,1,1")


def test_an_address_that_a_reader_gives_while_the_page_is_about_to_write_its_own_is_followed(opened, file):
    there = opened(file, "#s=1&c=0,2,3,4")
    there.evaluate("""() => {
        const later = window.setTimeout;
        let due;
        window.setTimeout = (act) => { due = act; };
        tinycnn.goTo({ number: 3 });
        window.setTimeout = later;
        location.hash = "#s=2&c=0,0,1,1";
        due();  // the browser has taken the reader's address, and has not told the page yet
    }""")
    there.follows("#s=2&c=0,0,1,1")
    there.wait_for_function("tinycnn.number === 2")
    there.wait_for_timeout(400)
    assert (there.place, there.evaluate("location.hash")) == ((2, [0, 0, 1, 1]), "#s=2&c=0,0,1,1")


# ---------------------------------------------------------------- what is shown


def test_every_step_shows_its_numbers_and_what_python_says_of_a_cell(opened, file, trace):
    there = opened(file)
    for step in trace.steps:
        index = tuple(size // 2 for size in step.writes[0]["shape"])
        there.evaluate("([number, index]) => tinycnn.goTo({number, index})", [step.number, list(index)])
        assert there.text(".title") == step.title
        told = trace.cell(step, index)
        said = there.evaluate("tinycnn.maths.told")
        assert (said["text"], said["places"], said["why"]) == (told["text"], told["places"], told["why"])
        assert told["text"] in there.text(".live")
        shown = there.text(".result .now")
        assert shown.rstrip("*") == cell_number(trace.tensors[step.writes[0]["tensor"]][index]), step.title


def test_every_cell_has_the_colour_of_its_number_and_0_alone_is_white(opened, file, trace):
    there = opened(file)
    white, ends = np.array([0xF7] * 3), {False: np.array([0x21, 0x66, 0xAC]), True: np.array([0xB3, 0x58, 0x06])}
    for number in (1, 2, step_of(trace, "linear_backward", "dw"), step_of(trace, "adam_step", "w")):
        there.evaluate("(number) => tinycnn.goTo({ number })", number)
        cells = there.evaluate("""() => [...tinycnn.stage.grids.values()].flatMap((grid) =>
            [...grid.cells].flatMap(([flat, all]) => all.filter((td) => td.isConnected).map((td) =>
                [grid.at(flat), grid.most, getComputedStyle(td).backgroundColor])))""")
        assert len(cells) > 50
        for value, most, said in cells:
            shade = np.array([int(part) for part in re.findall(r"\d+", said)])
            wanted = white + (ends[value > 0] - white) * (min(1, abs(value) / most) if most else 0)
            assert np.abs(shade - wanted).max() <= 1.5, (value, most, said)
            assert (value == 0) == bool((shade == white).all())


def test_pointing_at_a_pixel_lights_every_window_it_belongs_to(opened, file):
    there = opened(file, "#s=1&c=0,1,3,4")
    there.hover('[data-tensor="xp"] td[data-flat="44"]')
    lit = set(there.evaluate("[...document.querySelectorAll('.result td.lit')].map((td) => Number(td.dataset.flat))"))
    windows = {64 + u * 8 + v for u in (2, 3, 4) for v in (2, 3, 4)}  # of filter 1, the one on show
    assert lit == windows
    assert there.count('[data-tensor="xp"] .box.windows') == 9
    there.mouse.move(2, 2)
    assert there.count("td.lit") == there.count(".box.windows") == 0


def test_pointing_at_a_result_lights_what_it_was_made_from(opened, file):
    there = opened(file, "#s=1&c=0,1,3,4")
    there.hover('.result td[data-flat="64"]')
    lit = there.evaluate("[...document.querySelectorAll('[data-tensor=xp] td.lit')].map((td) => +td.dataset.flat)")
    assert sorted(lit) == [0, 1, 2, 10, 11, 12, 20, 21, 22]


def test_a_term_lights_its_cells_and_a_cell_its_terms(opened, file):
    there = opened(file, "#s=1&c=0,1,3,4")
    there.hover('.index-line .term:text-is("xp[0,0,4,5]")')
    assert there.evaluate("[...document.querySelectorAll('td.lit')].map((td) => td.dataset.key)") == ["xp|45"]
    there.hover('[data-tensor="w"] td[data-flat="13"]')
    assert there.page.locator(".index-line .lit").all_inner_texts() == ["w[1,0,1,1]"]
    assert there.text(".readout").startswith("w[1,0,1,1] = ")


def test_one_window_its_row_and_its_cell_share_an_outline(opened, file, trace):
    there = opened(file, "#s=1&c=0,2,3,4&v=im2col")
    row = there.evaluate("[...Array(9).keys()].map((k) => tinycnn.stage.grids.get('cols').at(28 * 9 + k))")
    np.testing.assert_array_equal(row, trace.im2col(1)[28])
    assert there.count('[data-tensor="xp"] td.in') == there.count('[data-tensor="cols"] .loupe td.in') == 9
    assert there.count(".result td.now") == 1
    assert there.count('[data-tensor="xp"] .box.window') == there.count('[data-tensor="cols"] .box.window') == 1
    there.hover('[data-tensor="cols"] .loupe td[data-flat="252"]')  # row 28, tap 0: a pixel, and its term
    assert there.count('[data-tensor="xp"] td.lit') == 1
    there.key("i")
    assert there.get_attribute('.views button:text-is("matmul")', "aria-pressed") == "true"
    shown = there.text('[data-tensor="=y"] td.now')
    assert shown == cell_number(trace.tensors[trace[1].writes[0]["tensor"]][0, 2, 3, 4])
    there.click('[data-tensor="=y"] .loupe td[data-flat="87"]')  # row 29, filter 0
    assert there.place == (1, [0, 0, 3, 5])
    there.key("i", "i")
    assert there.get_attribute('.views button:text-is("im2col")', "aria-pressed") == "true"


def test_a_click_on_a_result_goes_there_and_arrows_walk_a_table(opened, file):
    there = opened(file, "#s=2&c=0,0,0,0")
    there.click('.result td[data-flat="10"]')
    assert there.place == (2, [0, 0, 1, 2])
    there.keyboard.press("ArrowDown")
    assert there.place == (2, [0, 0, 2, 2]), "in the result, walking is choosing"
    assert there.evaluate("document.activeElement.dataset.key") == "=y|18"
    there.focus('[data-tensor="x"] td[tabindex="0"]')
    there.keyboard.press("ArrowRight")
    assert there.evaluate("document.activeElement.dataset.key") == "x|19"
    assert there.place == (2, [0, 0, 2, 2]), "in an operand, walking only looks"
    assert there.count('[data-tensor="x"] td[tabindex="0"]') == 1
    there.keyboard.press("Escape")
    assert there.evaluate("document.activeElement.id") == "player"


def test_the_sum_grows_window_by_window_in_the_gradient_of_a_pixel(opened, file, trace):
    number = step_of(trace, "conv2d_backward", "dx")
    there = opened(file, f"#s={number}&c=0,0,3,4")
    told = trace.cell(number, (0, 0, 3, 4))
    slider = there.locator(".accumulator input")
    assert slider.get_attribute("aria-valuetext") == "filter 2 (3 of 3): 9 of 9 windows so far"
    slider.evaluate("(input) => { input.value = 12; input.dispatchEvent(new Event('input')); }")
    assert slider.get_attribute("aria-valuetext") == "filter 1 (2 of 3): 3 of 9 windows so far"
    line = there.text(".sum-line").splitlines()[1]
    sums = np.cumsum([term["value"] for term in told["terms"]])
    assert line.startswith(in_brackets(formula_number(sums[10])))
    assert line.endswith(f"= {formula_number(sums[11])}")
    assert there.count('[data-tensor="dy"] td.lit') + there.count('[data-tensor="w"] td.lit') >= 1


def test_an_update_shows_weights_and_state_before_and_after(opened, file, trace):
    number = step_of(trace, "adam_step", "w")
    there = opened(file, f"#s={number}&c=1,0,1,1")
    tensors = there.evaluate("[...document.querySelectorAll('.stage figure')].map((one) => one.dataset.tensor)")
    assert {"dw", "m", "v", "w", "=w", "+m", "+v"} == set(tensors)
    assert "m[1,0,1,1] = beta1·m[1,0,1,1]" in there.text(".made")
    there.hover('[data-tensor="+m"] td.in')
    assert there.count('[data-tensor="m"] td.lit') == there.count('[data-tensor="dw"] td.lit') == 1


def test_the_code_that_ran_is_shown_to_the_letter(opened, file, trace):
    there = opened(file, "#s=1")
    there.click(".code summary")
    assert there.evaluate("document.querySelector('.code pre').textContent") == trace[1].code["source"]
    assert there.text(".code p") == f"tinycnn/ops/conv.py, line {trace[1].code['line']}"


def test_colours_have_three_spans_and_gradients_keep_their_own_scale(opened, file, trace):
    there = opened(file, "#s=1")
    most = lambda: there.evaluate("tinycnn.stage.grids.get('xp').most")  # noqa: E731
    seen = {}
    for span in ("tensor", "layer", "trace"):
        there.select_option(".views select", span)
        seen[span] = most()
    lines = [line for step in trace.steps for line in (*step.reads, *step.writes)]
    arrays = [(line["role"], trace.tensors[line["tensor"]]) for line in lines]
    rest = max(float(np.abs(a).max()) for role, a in arrays if role != "gradient" and a.size)
    assert seen["trace"] == pytest.approx(rest)
    assert seen["tensor"] <= seen["layer"] <= seen["trace"]
    there.evaluate("(number) => tinycnn.goTo({number})", step_of(trace, "conv2d_backward", "dx"))
    gradients = max(float(np.abs(a).max()) for role, a in arrays if role == "gradient" and a.size)
    assert there.evaluate("tinycnn.stage.grids.get('dy').most") == pytest.approx(gradients)
