"""The page in a real browser: gradients as products of matrices, the words of a sum, addresses that lead nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinycnn as tc
from browser.played import step_of
from tinycnn.formula.numbers import cell_number

pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("default::DeprecationWarning")]


@pytest.fixture(scope="module")
def grouped() -> Any:
    """A run through groups, a stride, uneven padding and a transposed convolution."""
    layers = [tc.Conv2D(4, (2, 3), stride=(1, 2), padding=(1, 0, 0, 1), groups=2, name="conv1"),
              tc.ConvTranspose2D(2, 3, stride=2, name="up1"), tc.Upsample2D(2, mode="bilinear"), tc.Flatten(),
              tc.Dense(3)]  # fmt: skip
    model = tc.Sequential(layers, input_shape=(4, 3, 4), seed=0)
    model.compile("sgd", "cross_entropy")
    return tc.trace(model, np.random.default_rng(0).normal(size=(4, 3, 4)).astype(np.float32), 1)


@pytest.fixture(scope="module")
def grouped_file(grouped, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "grouped.html"
    grouped.save_html(path)
    return path


def matrix(there: Any, key: str) -> np.ndarray:
    """All numbers of a matrix on the stage."""
    shape, numbers = there.evaluate("""(key) => { const grid = tinycnn.stage.grids.get(key), [r, c] = grid.shape;
        return [grid.shape, Array.from({ length: r * c }, (_, k) => grid.at(k))]; }""", key)  # fmt: skip
    return np.array(numbers).reshape(shape)


def marked(there: Any, key: str) -> set[int]:
    return set(there.evaluate("(key) => [...tinycnn.stage.grids.get(key).marks.keys()]", key))


# ---------------------------------------------------------------- gradients as products of matrices


def test_the_gradient_of_a_weight_is_a_row_of_dy_times_a_column_of_the_windows(opened, file, trace):
    number = step_of(trace, "conv2d_backward", "dw")
    there = opened(file, f"#s={number}&c=2,0,1,2&v=matmul")
    cols, turned = matrix(there, "cols"), matrix(there, "dy|")
    np.testing.assert_array_equal(cols, trace.im2col(1))
    dw = trace.tensors[trace[number].writes[0]["tensor"]]
    np.testing.assert_allclose(turned @ cols, dw.reshape(3, 9), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(matrix(there, "=dw"), dw.reshape(3, 9))
    assert marked(there, "cols") == {p * 9 + 5 for p in range(64)}, "the column of tap (1, 2)"
    assert marked(there, "dy|") == {2 * 64 + p for p in range(64)}, "the row of filter 2"
    there.click('[data-tensor="=dw"] td[data-flat="10"]')
    assert there.place == (number, [1, 0, 0, 1])
    there.key("i")
    assert there.place == (number, [1, 0, 0, 1])
    assert "xp" in there.evaluate("[...tinycnn.stage.grids.keys()]")
    there.key("i")
    assert there.get_attribute('.views button:text-is("im2col")', "aria-pressed") == "true"
    assert marked(there, "cols") == {p * 9 + 1 for p in range(64)}
    assert there.count('.views button:text-is("col2im")') == 0


def test_the_gradient_of_a_pixel_gathers_what_lies_on_it_in_dy_times_w(opened, file, trace):
    number = step_of(trace, "conv2d_backward", "dx")
    there = opened(file, f"#s={number}&c=0,0,3,4&v=matmul")
    dx = trace.tensors[trace[number].writes[0]["tensor"]]
    dcols = matrix(there, "dcols")
    np.testing.assert_allclose(dcols, matrix(there, "dy|") @ matrix(there, "w|"), rtol=1e-12, atol=1e-15)
    on_it = marked(there, "dcols")
    assert len(on_it) == 9
    assert sum(dcols.ravel()[flat] for flat in on_it) == pytest.approx(dx[0, 0, 3, 4], rel=1e-4)
    assert there.text(".result .now") == cell_number(dx[0, 0, 3, 4])
    there.key("i", "i")
    assert there.get_attribute('.views button:text-is("col2im")', "aria-pressed") == "true"
    there.follows(f"#s={number}&c=0,0,3,4&v=im2col")  # one name in every direction
    assert there.evaluate("[...tinycnn.stage.grids.keys()]") == ["dcols", "=dx"]
    assert there.count('[data-tensor="dcols"] .box.window') == 9, "each of the nine in a frame of its own"
    there.hover('[data-tensor="dcols"] .loupe td.in >> nth=0')
    assert there.evaluate("[...document.querySelectorAll('.result td.lit')].map((td) => +td.dataset.flat)") == [28]
    there.hover('.result td[data-flat="0"]')  # the corner lies in four windows
    assert there.evaluate("tinycnn.stage.grids.get('dcols').parts([0, 0, 0, 0]).length") == 4


def test_of_several_groups_the_matrices_show_the_one_that_the_cell_is_in(opened, grouped_file, grouped):
    y, dw, dx = (step_of(grouped, op, of) for op, of in [("conv2d_forward", "y"), ("conv2d_backward", "dw"),
                                                         ("conv2d_backward", "dx")])  # fmt: skip
    there = opened(grouped_file, f"#s={y}&c=0,3,1,1&v=matmul")
    arrays = {step: grouped.tensors[grouped[step].writes[0]["tensor"]] for step in (y, dw, dx)}
    bias = grouped.names(y)["b"][2:]
    found = matrix(there, "cols") @ matrix(there, "w|") + bias
    np.testing.assert_allclose(found, matrix(there, "=y"), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(matrix(there, "=y"), arrays[y][0, 2:].reshape(2, -1).T)
    there.asked(f"#s={dw}&c=3,0,0,1&v=matmul")
    assert there.place == (dw, [3, 0, 0, 1])
    found = matrix(there, "dy|") @ matrix(there, "cols")
    np.testing.assert_allclose(found, arrays[dw][2:].reshape(2, -1), rtol=1e-4, atol=1e-6)
    there.asked(f"#s={dx}&c=0,2,0,2&v=matmul")
    assert there.place == (dx, [0, 2, 0, 2])
    on_it = marked(there, "dcols")
    total = sum(matrix(there, "dcols").ravel()[flat] for flat in on_it)
    assert total == pytest.approx(arrays[dx][0, 2, 0, 2], rel=1e-4)
    there.hover('[data-tensor="dcols"] td.in >> nth=0')
    assert there.count('[data-tensor="dy|"] td.lit') == 2
    assert there.count('[data-tensor="w|"] td.lit') == 2


# ---------------------------------------------------------------- what decides


@pytest.fixture(scope="module")
def normed() -> Any:
    """A run through batch norm and two dropouts, three examples at once."""
    layers = [tc.Conv2D(2, 3, name="conv1"), tc.BatchNorm2D(name="bn1"), tc.ReLU(), tc.Dropout(0.4),
              tc.MaxPool2D(2), tc.Flatten(), tc.Dense(3)]  # fmt: skip
    model = tc.Sequential(layers, input_shape=(1, 6, 6), seed=0)
    model.compile("momentum", "cross_entropy")
    return tc.trace(model, np.random.default_rng(2).normal(size=(3, 1, 6, 6)).astype(np.float32), [0, 1, 2])


@pytest.fixture(scope="module")
def normed_file(normed, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "normed.html"
    normed.save_html(path)
    return path


def test_the_strip_tells_the_running_mean_from_the_running_variance(opened, normed_file, normed):
    there = opened(normed_file)
    steps = [step for step in normed if step.op == "running_update"]
    said = [there.text(f'.strip button[title^="{step.number}: "]') for step in steps]
    assert said == ["running mean", "running variance"]
    for step, word in zip(steps, said, strict=True):
        there.click(f'.strip button:text-is("{word}")')
        assert there.place[0] == step.number
        assert word in there.text(".title")


@pytest.mark.parametrize(
    ("op", "result"),
    [("batch_norm_forward", "y"), ("relu_backward", "dx"), ("max_pool2d_backward", "dx"), ("momentum_step", "w")],
)
def test_what_is_marked_on_the_stage_is_what_the_cell_depends_on(opened, normed_file, normed, op, result):
    number = step_of(normed, op, result)
    step = normed[number]
    shape = next(line["shape"] for line in step.writes if line["symbol"] == result)
    there = opened(normed_file)
    for index in (tuple(np.unravel_index(k, shape)) for k in range(0, int(np.prod(shape)), 7)):
        there.evaluate("([number, index]) => tinycnn.goTo({number, index})", [number, [int(i) for i in index]])
        sources = normed.sources(number, index)
        for line in step.reads:
            own = {int(np.ravel_multi_index(one["index"], line["shape"])) for one in sources
                   if one["symbol"] == line["symbol"]}  # fmt: skip
            assert marked(there, line["symbol"]) == own, (index, line["symbol"])


def test_beside_a_cell_stand_the_slices_that_are_its_own(opened, normed_file, normed):
    forward, backward = step_of(normed, "batch_norm_forward", "y"), step_of(normed, "max_pool2d_backward", "dx")
    there = opened(normed_file, f"#s={forward}&c=1,1,2,2")  # it depends on channel 1 of all three examples
    assert there.text('[data-tensor="x"] label.slice') == "x[1,1]"
    dx = normed.tensors[normed[backward].writes[0]["tensor"]]
    index = next(tuple(map(int, at)) for at in np.argwhere(dx == 0) if at[0] == 2 and at[1] == 1)
    there.evaluate("([number, index]) => tinycnn.goTo({number, index})", [backward, index])
    assert there.text('[data-tensor="dy"] label.slice') == "dy[2,1]"


def test_the_strip_names_the_weight_that_is_checked(opened, normed_file, normed):
    there = opened(normed_file)
    checks = [step for step in normed if step.phase == "check"]
    said = [there.text(f'.strip button[title^="{step.number}: "]') for step in checks]
    assert said == ["w", "b", "gamma", "beta", "w", "b"]


def test_pointing_at_a_pixel_of_a_pool_lights_all_that_its_window_decides(opened, normed_file, normed):
    number = step_of(normed, "max_pool2d_backward", "dx")
    there = opened(normed_file, f"#s={number}&c=0,0,0,0")
    there.hover('[data-tensor="xp"] td[data-flat="1"]')  # row 0, column 1: the first window of 2×2
    lit = there.evaluate("[...document.querySelectorAll('.result td.lit')].map((td) => +td.dataset.flat)")
    assert lit == [0, 1, 4, 5]


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("op", "result", "index", "heading", "said"),
    [
        ("conv2d_backward", "dx", (0, 2, 1, 2), "Window by window", "filter 3 (2 of 2): 4 of 4 windows so far"),
        ("conv_transpose2d_forward", "y", (0, 1, 2, 2), "Stamp by stamp", "channel 3 (4 of 4): 4 of 4 stamps so far"),
        ("upsample_bilinear2d_backward", "dx", (0, 0, 1, 1), "Output by output", "25 of 25 outputs so far"),
        ("conv_transpose2d_backward", "dx", (0, 0, 0, 0), "Term by term", "18 of 18 terms so far"),
    ],
)
def test_a_sum_says_what_gives_each_share(opened, grouped_file, grouped, op, result, index, heading, said):
    number = step_of(grouped, op, result)
    there = opened(grouped_file, f"#s={number}&c={','.join(map(str, index))}")
    assert there.text(".accumulator h3") == heading
    assert there.get_attribute(".accumulator input", "aria-valuetext") == said


def test_the_bias_under_the_stamps_is_no_stamp(opened, grouped_file, grouped):
    there = opened(grouped_file, f"#s={step_of(grouped, 'conv_transpose2d_forward', 'y')}&c=0,1,2,2")
    slider = there.locator(".accumulator input")
    said = []
    for k in (0, 1, 2, 5, 6):
        slider.evaluate("(input, k) => { input.value = k; input.dispatchEvent(new Event('input')); }", k)
        said.append(slider.get_attribute("aria-valuetext"))
    assert said == ["0 of 17 terms so far", "1 of 17 terms so far", "channel 0 (1 of 4): 1 of 4 stamps so far",
                    "channel 0 (1 of 4): 4 of 4 stamps so far", "channel 1 (2 of 4): 1 of 4 stamps so far"]  # fmt: skip


def test_a_sum_of_20_000_terms_is_there_at_once(opened, tmp_path):
    """A bias's gradient has a term for each pixel: copying what is known for each of them took seconds."""
    model = tc.Sequential([tc.Conv2D(1, 3, name="conv1"), tc.GlobalAvgPool2D(), tc.Dense(2)], input_shape=(1, 72, 72),
                          seed=0)  # fmt: skip
    model.compile("sgd", "cross_entropy")
    trace = tc.trace(model, np.random.default_rng(0).normal(size=(4, 1, 72, 72)).astype(np.float32), [0, 1, 0, 1])
    trace.save_html(tmp_path / "wide.html")
    there = opened(tmp_path / "wide.html")
    number = step_of(trace, "conv2d_backward", "db")
    session = there.page.context.new_cdp_session(there.page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})  # what the page works, not what it waits

    def worked() -> float:
        return next(one["value"] for one in session.send("Performance.getMetrics")["metrics"]
                    if one["name"] == "TaskDuration")  # fmt: skip

    before = worked()
    there.evaluate("(number) => tinycnn.goTo({ number })", number)
    took = worked() - before
    assert there.get_attribute(".accumulator input", "aria-valuetext") == "19600 of 19600 terms so far"
    assert took < 1.5


# ---------------------------------------------------------------- addresses that lead nowhere


@pytest.mark.parametrize(
    ("address", "place", "said"),
    [
        ("#s=99", (25, []), "There is no step 99: steps count from 0 to 25. This is step 25."),
        ("#s=-1", (0, [0, 0, 0, 0]), "There is no step -1: steps count from 0 to 25. This is step 0."),
        ("#s=2.5", (0, [0, 0, 0, 0]), "There is no step 2.5: steps count from 0 to 25. This is step 0."),
        ("#s=", (0, [0, 0, 0, 0]), "There is no step without a number: steps count from 0 to 25. This is step 0."),
        ("#step-3", (0, [0, 0, 0, 0]), "The address ends in #step-3, which names no step; one that does looks like "
                                       "#s=12&c=0,3,4&v=im2col."),
        ("#s=1&c=0,9,3,4", (1, [0, 2, 3, 4]), "There is no cell 0,9,3,4 in a result of shape (1, 3, 8, 8)."),
        ("#s=1&c=0,1", (1, [0, 0, 0, 0]), "There is no cell 0,1 in a result of shape (1, 3, 8, 8)."),
        ("#s=1&c=a,b,c,d", (1, [0, 0, 0, 0]), "There is no cell a,b,c,d in a result of shape (1, 3, 8, 8)."),
        ("#s=2&v=im2col", (2, [0, 0, 0, 0]), "This step has no view im2col, only window."),
        ("#s=1&v=<b>", (1, [0, 0, 0, 0]), "This step has no view <b>, only window, im2col, matmul."),
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_opens_what_is_nearest_and_says_so(opened, file, address, place, said):
    there = opened(file, address)
    assert there.place == place
    assert there.text(".complaint") == said
    assert said in there.text(".live")
    there.key("End", "Home")
    assert there.locator(".complaint").is_hidden(), "it goes with the next move"


def test_an_address_changed_by_hand_is_judged_too(opened, file):
    there = opened(file)
    assert there.locator(".complaint").is_hidden()
    there.evaluate("location.hash = '#s=40'")
    there.wait_for_selector(".complaint:not([hidden])")
    assert there.place == (25, [])
