"""A convolution as matrices: im2col and one matrix product, forward and backward, are what the ops and the formula say.

The judges: `ops.im2col` and `ops.col2im`, the recorded results, and the terms of the formula's own cells.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import seeds
from test_trace_terminal import found, traced_digit

import tinycnn as tc
from tinycnn import Conv1D, Conv2D, Dense, Flatten, Sequential
from tinycnn.formula.numbers import cell_number
from tinycnn.ops.conv import by_group
from tinycnn.tracing.grid import UNICODE, WINDOW
from tinycnn.tracing.play import Player
from tinycnn.tracing.products import Matrices, group_of, product_pictures
from tinycnn.tracing.terminal import step_lines

OPTIONS = {"stride": (2, 1), "padding": (1, 0, 2, 1), "dilation": (1, 2)}


def traced(seed=0, groups=1, flip=False, kernel=(3, 2), **options):
    """A convolution with signed gradients, in float64; its three steps by what they make."""
    layer = Conv2D(4, kernel, groups=groups, flip=flip, **(options or OPTIONS))
    return steps_of(Sequential([layer, Flatten(), Dense(3)], input_shape=(2, 7, 6), dtype=np.float64, seed=seed), seed)


def steps_of(model, seed=0):
    model.compile("sgd", "mse")
    rng = np.random.default_rng(seed)
    trace = tc.trace(model, rng.normal(size=(2, *model.input_shape)), rng.normal(size=(2, 3)))
    return trace, {step.result: step for step in trace if step.op.startswith("conv") and step.result != "db"}


def marked(picture):
    return sorted(place for place, kinds in picture.marks.items() if WINDOW in kinds)


@settings(max_examples=12)
@given(seed=seeds, groups=st.sampled_from([1, 2]), flip=st.booleans(), k=st.integers(1, 3), s=st.integers(1, 3),
       d=st.integers(1, 2), p=st.integers(0, 2))  # fmt: skip
def test_the_columns_and_their_product_are_those_of_the_ops(seed, groups, flip, k, s, d, p):
    options = {"stride": (s, 1), "padding": p, "dilation": (d, 1)}
    trace, steps = traced(seed, groups, flip, (k, 2), **options)
    names = trace.names(steps["dx"])
    cols, _ = tc.ops.im2col(names["x"], (k, 2), **options)
    np.testing.assert_array_equal(trace.im2col(steps["y"]), cols)
    np.testing.assert_array_equal(trace.im2col(steps["dw"]), cols)
    dx = tc.ops.col2im(trace.im2col(steps["dx"]), names["x"].shape, (k, 2), **options)
    np.testing.assert_allclose(dx, trace.tensors[steps["dx"].writes[0]["tensor"]], atol=1e-13)
    for group in range(groups):
        for step in steps.values():
            one = trace.matmul(step, group)
            plus = 0 if one.plus is None else one.plus
            np.testing.assert_allclose(one.left @ one.right + plus, one.product, atol=1e-12)
        np.testing.assert_array_equal(trace.matmul(steps["y"], group).left, by_group(cols, groups)[group])
        np.testing.assert_array_equal(trace.matmul(steps["dw"], group).right, by_group(cols, groups)[group])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("result", ["y", "dw", "dx"])
def test_the_marked_row_and_column_are_the_terms_of_the_formula(result, groups, flip):
    trace, steps = traced(1, groups, flip)
    step, rng = steps[result], np.random.default_rng(2)
    shape = step.writes[0]["shape"]
    for flat in rng.choice(int(np.prod(shape)), 12, replace=False):
        index = tuple(map(int, np.unravel_index(flat, shape)))
        cell = trace.cell(step, index)
        matrices = Matrices(trace, step, group_of(trace, step, index))
        product, (left, right, cells) = matrices.product(), matrices.marks(index)
        terms = sorted((t["reads"][0]["value"], t["reads"][1]["value"]) for t in cell["terms"] if len(t["reads"]) == 2)
        pairs = [
            (product.left[r, k], product.right[k, c]) for r, c in cells for k in range(product.left.shape[1])
        ]
        assert sorted(pairs) == terms
        made = sum(product.product[place] for place in cells)
        assert made == pytest.approx(cell["total"], rel=1e-12, abs=1e-13)
        assert set(left) == {(r, k) for r, _ in cells for k in range(product.left.shape[1])}
        assert set(right) == {(k, c) for _, c in cells for k in range(product.left.shape[1])}


def test_a_sequence_is_a_product_as_well():
    model = Sequential([Conv1D(4, 3, stride=2, padding=(1, 0), groups=2, flip=True), Flatten(), Dense(3)],
                       input_shape=(4, 9), dtype=np.float64)  # fmt: skip
    trace, steps = steps_of(model)
    for step in steps.values():
        for group in range(2):
            one = trace.matmul(step, group)
            plus = 0 if one.plus is None else one.plus
            np.testing.assert_allclose(one.left @ one.right + plus, one.product, atol=1e-13)
    dx, index = steps["dx"], (1, 2, 3)
    matrices = Matrices(trace, dx, group_of(trace, dx, index))
    made = sum(matrices.product().product[place] for place in matrices.marks(index)[2])
    assert made == pytest.approx(trace.cell(dx, index)["total"], abs=1e-14)


@pytest.mark.parametrize("result", ["y", "dw", "dx"])
@pytest.mark.parametrize("view", ["im2col", "matmul"])
def test_terminal_and_figure_show_the_same_matrices(result, view):
    trace, steps = traced(3, groups=2)
    step = steps[result]
    index = tuple(size // 2 for size in step.writes[0]["shape"])
    found, said = product_pictures(trace, step, trace.cell(step, index), view)
    lines = "\n".join(step_lines(trace, step.number, index, 100, UNICODE, view))
    titles = [ax.get_title(loc="left") for ax in trace.show(step.number, index, view).axes]
    assert len(titles) == len(found)
    for picture, title in zip(found, titles, strict=True):
        assert picture.title in lines
        assert title.startswith(picture.title)
        assert marked(picture) or picture.symbol == "xp"
    assert " ".join(said.split()) in " ".join(lines.split())
    assert "group" in said


def test_a_view_that_a_step_does_not_have_is_refused_in_words(capsys):
    trace, steps = traced()
    trace.print(steps["y"].number, (0, 0, 1, 1), "matmul")
    assert "wᵀ" in capsys.readouterr().out
    with pytest.raises(ValueError, match="has the views window, im2col, matmul, not 'columns'"):
        trace.print(steps["y"].number, view="columns")
    dense = trace.find("dense1", "forward")[0].number
    with pytest.raises(ValueError, match="has the views window, not 'im2col'"):
        trace.show(dense, view="im2col")
    with pytest.raises(ValueError, match="not 'matmul'"):
        trace.matmul(dense)
    with pytest.raises(IndexError, match="groups 0 to 0, got 1"):
        trace.matmul(steps["dw"], 1)


def test_a_key_turns_to_the_next_view_and_an_address_names_one():
    trace = traced_digit()
    player = Player(trace, found(trace, "conv2d_forward", "y"), (0, 0, 3, 4))
    for view in ("im2col", "matmul", "window", "im2col"):
        player.press("v")
        assert player.view == view
    assert "cols, 64×9" in "\n".join(player.lines(80, UNICODE))
    player.press("N")
    player.press("v")
    assert "no other view" in player.note
    number = found(trace, "conv2d_backward", "dw")
    player.press("g", lambda prompt: f"s={number}&c=1,0,2,0&v=matmul")
    assert (player.number, player.index, player.view) == (number, (1, 0, 2, 0), "matmul")
    player.press("g", lambda prompt: f"s={number}&c=1,0,2,0&v=heap")
    assert "not 'heap'" in player.note


def test_the_figure_of_a_product_has_the_rows_around_the_cell_in_numbers(tmp_path):
    trace = traced_digit()
    number = found(trace, "conv2d_forward", "y")
    figure = trace.show(number, (0, 1, 3, 4), "matmul")
    y = next(ax for ax in figure.axes if ax.get_title(loc="left").startswith("y"))
    rows = trace.matmul(number).product[23:35]
    assert y.get_title(loc="left") == "y rows 23–34 of 64"
    assert [text.get_text() for text in y.texts] == [cell_number(v) for v in rows.ravel()]
    figure.savefig(tmp_path / "matmul.png")
    with Image.open(tmp_path / "matmul.png") as png:
        assert png.width > 400
