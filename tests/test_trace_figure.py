"""A step as a figure or an animation: the numbers in it are the trace's, and marks stand where the cells are."""

import numpy as np
import pytest
from PIL import Image
from test_trace_terminal import found, traced_digit

from tinycnn.formula.numbers import cell_number, formula_number
from tinycnn.tracing.figure import show
from tinycnn.tracing.pictures import factors, pictures


@pytest.fixture(scope="module")
def traced():
    return traced_digit()


def texts(ax):
    return [text.get_text() for text in ax.texts]


def titled(figure, start):
    return next(ax for ax in figure.axes if ax.get_title(loc="left").startswith(start))


def test_the_matrices_hold_the_recorded_numbers(traced):
    number = found(traced, "conv2d_forward", "y")
    figure = show(traced, number, (0, 1, 3, 4))
    names = traced.names(number)
    assert texts(titled(figure, "xp[0,0]")) == [cell_number(v) for v in names["xp"][0, 0].ravel()]
    assert texts(titled(figure, "w[1,0]")) == [cell_number(v) for v in names["w"][1, 0].ravel()]


def test_the_row_below_is_the_row_of_im2col_times_the_row_of_weights(traced):
    number = found(traced, "conv2d_forward", "y")
    index = (0, 1, 3, 4)
    pairs = factors(traced.cell(number, index))
    row = traced.im2col(number)[index[2] * 8 + index[3]]
    np.testing.assert_array_equal([a["value"] for a, _ in pairs], row)
    np.testing.assert_array_equal([b["value"] for _, b in pairs], traced.names(number)["w"][1].ravel())
    strip = titled(show(traced, number, index), "as a row")
    assert texts(strip)[: len(row)] == [cell_number(v) for v in row]
    assert formula_number(traced.cell(number, index)["total"]) in strip.get_title(loc="left")


def test_an_image_of_colour_is_white_at_zero_and_even_on_both_sides(traced):
    number = found(traced, "conv2d_backward", "dw")
    image = titled(show(traced, number, (1, 0, 2, 0)), "dw[1,0]").images[0]
    low, high = image.get_clim()
    assert low == -high
    np.testing.assert_allclose(image.cmap(image.norm(0.0))[:3], [0.97] * 3, atol=0.01)


def test_a_scattered_gradient_shows_in_how_many_windows_each_pixel_lies(traced):
    number = found(traced, "conv2d_backward", "dx")
    cell = traced.cell(number, (0, 0, 0, 4))
    counts = next(one for one in pictures(traced, traced[number], cell)[0] if one.title.startswith("windows"))
    np.testing.assert_array_equal(counts.matrix, traced.visits(number))
    assert counts.matrix[0, 4] == 6
    assert counts.matrix[0, 0] == 4
    assert texts(titled(show(traced, number, (0, 0, 0, 4)), "windows"))[4] == "6"


def test_the_largest_of_a_pool_has_its_star_in_its_place(traced):
    number = found(traced, "max_pool2d_forward", "y")
    cell = traced.cell(number, (0, 1, 1, 2))
    window = pictures(traced, traced[number], cell)[0][0]
    (star,) = [place for place, kinds in window.marks.items() if "largest" in kinds]
    places = sorted(window.marks)
    values = [window.matrix[place] for place in places]
    assert star == places[int(np.argmax(values))]


def test_an_update_shows_the_weights_before_and_after(traced):
    number = found(traced, "adam_step", "w")
    step = traced[number]
    before, after = traced.tensors[step.before["w"]], traced.tensors[step.after["w"]]
    shown = {one.title: one.matrix for one in pictures(traced, step, traced.cell(number, (1, 0, 1, 1)))[0]}
    np.testing.assert_array_equal(shown["w[1,0] before"], before[1, 0])
    np.testing.assert_array_equal(shown["w[1,0] after"], after[1, 0])
    assert (before != after).any()


def test_a_step_without_a_cell_has_a_figure(traced):
    for step in traced[::3]:
        assert show(traced, step.number).get_size_inches()[0] == 8
    with pytest.raises(IndexError, match="steps 0 to"):
        show(traced, len(traced))


def test_an_animation_has_a_frame_a_cell_and_fills_them_in_order(traced, tmp_path):
    number = found(traced, "conv2d_backward", "db")
    assert traced.animate(tmp_path / "db.gif", number, milliseconds=200) == 3
    with Image.open(tmp_path / "db.gif") as gif:
        assert (gif.n_frames, gif.info["duration"]) == (3, 200)
        first = np.asarray(gif.convert("RGB")).astype(int)
        gif.seek(2)
        assert (np.abs(np.asarray(gif.convert("RGB")) - first) > 60).any()


def test_an_animation_that_cannot_be_is_refused_before_a_frame_is_drawn(traced, tmp_path):
    number = found(traced, "cross_entropy_forward", "L")
    with pytest.raises(ValueError, match="makes no array whose cells"):
        traced.animate(tmp_path / "loss.gif", number)
    with pytest.raises(IndexError):
        traced.animate(tmp_path / "none.gif", 99)
    assert not list(tmp_path.iterdir())


def test_a_figure_says_which_matrices_it_leaves_out(traced):
    number = found(traced, "conv2d_backward", "dx")
    figure = show(traced, number, (0, 0, 0, 4))
    caption = "\n".join(text.get_text() for part in figure.subfigs for text in part.texts)
    drawn = [ax.get_title(loc="left") for ax in figure.axes]
    for symbol in ("dy", "w"):
        shown = sum(title.startswith(f"{symbol}[") for title in drawn)
        assert f"{3 - shown} more of {symbol}" in caption
