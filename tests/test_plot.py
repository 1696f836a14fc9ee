"""Figures show what they claim to show, without pyplot, and the same bytes every time."""

import io
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tinycnn import files, plot
from tinycnn.errors import ShapeError
from tinycnn.plot.style import DIVERGING

HISTORY = {
    "loss": [2.0, 0.9, 0.5, 0.3],
    "accuracy": [0.3, 0.7, 0.85, 0.9],
    "val_loss": [1.5, 0.8, 0.6, 0.7],
    "val_accuracy": [0.5, 0.75, 0.8, 0.82],
}


def words(fig):
    """All text a reader sees on the figure's axes."""
    found = [t.get_text() for ax in fig.axes for t in [*ax.texts, ax.title, ax._left_title, *ax.get_xticklabels()]]
    return [t for t in found if t]


def pixels(fig, tmp_path):
    plot.save(fig, tmp_path / "fig.png")
    with Image.open(tmp_path / "fig.png") as image:
        return np.asarray(image.convert("RGB"))


def figure(name):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(10), 8)
    x, y, matrix = rng.random((8, 1, 8, 8)), rng.integers(0, 10, 8), rng.integers(0, 40, (10, 10))
    w = rng.normal(size=(16, 1, 3, 3))
    draw = {
        "curves": lambda: plot.learning_curves(HISTORY),
        "confusion": lambda: plot.confusion(matrix, list("0123456789")),
        "filters": lambda: plot.filters(w),
        "predictions": lambda: plot.predictions(x, p, y),
        "overview": lambda: plot.overview(HISTORY, matrix, w, x, p, y),
        "beside": lambda: plot.beside(w[:, 0, 0] * 1e3, w[:, 0, 1] * 1e3, "two tables of the same numbers, or nearly"),
    }
    return draw[name]()


every_figure = pytest.mark.parametrize("name", ["curves", "confusion", "filters", "predictions", "overview", "beside"])


@every_figure
def test_every_figure_is_1200_pixels_wide_and_the_same_bytes_every_time(name, tmp_path):
    plot.save(figure(name), tmp_path / "a.png")
    plot.save(figure(name), tmp_path / "b.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    assert b"matplotlib" not in data.lower()
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == 1200
        assert "Software" not in image.info
        assert name != "overview" or image.height == 700


@every_figure
def test_no_words_run_over_the_edge(name):
    fig = figure(name)
    assert type(fig) is Figure
    fig.draw_without_rendering()
    box, page = fig.get_tightbbox(), fig.bbox_inches
    assert box.x0 >= -0.01
    assert box.y0 >= -0.01
    assert box.x1 <= page.x1 + 0.01
    assert box.y1 <= page.y1 + 0.01


def test_figures_are_made_without_pyplot():
    code = (
        "import sys; from tinycnn import plot\n"
        "plot.filters([[[[1.0]]]]); plot.confusion([[1]])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_save_leaves_the_old_picture_where_it_fails(tmp_path, monkeypatch):
    plot.save(plot.filters(np.ones((1, 1, 2, 2))), tmp_path / "w.png")
    before = (tmp_path / "w.png").read_bytes()
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        plot.save(plot.filters(np.ones((2, 1, 2, 2))), tmp_path / "w.png")
    assert (tmp_path / "w.png").read_bytes() == before


# learning curves


def ring(ax):
    """Where the one ring of a panel is: the epoch and the number."""
    (ring,) = [line for line in ax.lines if line.get_marker() == "o"]
    return float(ring.get_xdata()[0]), float(ring.get_ydata()[0])


def test_each_panel_marks_its_own_best_epoch():
    fig = plot.learning_curves(HISTORY)
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["loss", "accuracy"]
    said = words(fig)
    assert "best epoch 3\n0.6" in said
    assert "best epoch 4\n82.0 %" in said
    assert [ring(ax) for ax in fig.axes] == [(3, 0.6), (4, 0.82)]


@pytest.mark.parametrize(
    ("accuracy", "best"),
    [([0.5, 0.9, 0.9, 0.7], (2, 0.9)), ([0.9, np.nan, 0.8, 0.7], (1, 0.9)), ([0.1, 0.2, np.inf, 0.3], (4, 0.3))],
)
def test_the_first_of_equal_accuracies_is_the_best_and_what_is_no_number_never(accuracy, best):
    _, panel = plot.learning_curves({"loss": [4, 3, 2, 1], "accuracy": accuracy}).axes
    assert ring(panel) == best


def test_lines_hold_the_history_and_are_named_at_their_ends():
    for ax, name in zip(plot.learning_curves(HISTORY).axes, ("loss", "accuracy"), strict=True):
        assert ax.lines[0].get_ydata().tolist() == HISTORY[name]
        assert ax.lines[1].get_ydata().tolist() == HISTORY[f"val_{name}"]
        assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()  # told apart without colour
        names = {t.get_text(): t for t in ax.texts if t.get_text() in ("training", "validation")}
        assert set(names) == {"training", "validation"}
        assert ax.get_legend() is None


def test_names_of_lines_that_end_together_are_moved_apart():
    fig = plot.learning_curves({"loss": [1.0, 0.5], "val_loss": [1.0, 0.5]})
    fig.draw_without_rendering()
    a, b = (t.get_window_extent() for t in fig.axes[0].texts if t.get_text() in ("training", "validation"))
    assert not a.overlaps(b)


@pytest.mark.parametrize(
    "history",
    [{"loss": [1.0]}, {"loss": [1.0, np.nan]}, {"loss": [np.nan]}, {"loss": np.ones(2), "val_loss": np.ones(2)}],
)
def test_short_and_broken_histories_are_drawn_too(history, tmp_path):
    assert pixels(plot.learning_curves(history), tmp_path).min() < 128


def test_a_history_without_loss_is_refused():
    with pytest.raises(ValueError, match=r"history has no 'loss' to draw; it holds \['accuracy'\]"):
        plot.learning_curves({"accuracy": [1.0]})


# confusion matrix


def test_counts_stand_in_their_cells_and_recall_at_the_end_of_the_row():
    ax = plot.confusion([[8, 2, 0], [0, 5, 0], [0, 0, 0]], ("cat", "dog", "bird")).axes[0]
    at = {tuple(t.get_position()): t.get_text() for t in ax.texts}
    assert at[0, 0] == "8"
    assert at[1, 0] == "2"  # column 1, row 0: a cat taken for a dog
    assert (0, 1) not in at
    assert [at[2.6, row] for row in range(3)] == ["80 %", "100 %", "–"]
    assert ax.get_ylabel() == "true"
    assert ax.get_title(loc="left") == "13 of 15 right: 86.7 %"


def test_a_single_error_among_thousands_of_hits_is_as_visible_as_can_be():
    m = np.diag([5000] * 10)
    m[3, 7] = 1
    image = plot.confusion(m).axes[0].images[0].get_array()
    assert to_hex(image[3, 7]) == "#d55e00"
    assert to_hex(image[7, 3]) == "#ffffff"
    assert to_hex(image[0, 0]) != to_hex(image[3, 7])


@pytest.mark.parametrize("K", [1, 2, 10, 20, 30])
def test_matrices_of_many_sizes_are_drawn(K, tmp_path):
    assert pixels(plot.confusion(np.full((K, K), 12), [f"class {k}" for k in range(K)]), tmp_path).min() < 128


def test_a_matrix_that_is_none_is_refused():
    with pytest.raises(ShapeError, match=r"expected a square matrix \(K, K\) of counts, got shape \(2, 3\)"):
        plot.confusion(np.ones((2, 3)))
    with pytest.raises(ValueError, match="classes: 3 names for 2 classes"):
        plot.confusion(np.eye(2), ("a", "b", "c"))


# filters


def test_zero_is_white_negative_blue_and_positive_orange():
    assert [to_hex(DIVERGING(v)) for v in (0.0, 0.5, 1.0)] == ["#2166ac", "#f7f7f7", "#b35806"]


def tiles_of(fig):
    return [image for ax in fig.axes for image in ax.images]


def test_all_filters_share_one_symmetric_scale():
    w = np.zeros((4, 1, 3, 3))
    w[2, 0, 1, 1] = 3
    fig = plot.filters(w)
    images = tiles_of(fig)
    assert len(images) == 4
    assert {im.get_clim() for im in images} == {(-3.0, 3.0)}
    assert to_hex(images[0].to_rgba(0.0)) == "#f7f7f7"


@pytest.mark.parametrize(
    ("shape", "tiles", "said"),
    [
        ((16, 1, 3, 3), 16, "16 × 1 × 3 × 3"),
        ((40, 1, 3, 3), 32, "32 filters and 1 channels shown"),
        ((8, 3, 5, 5), 24, "8 × 3 × 5 × 5"),
        ((64, 32, 3, 3), 128, "16 filters and 8 channels shown"),
        ((5, 1, 1, 7), 5, "5 × 1 × 1 × 7"),
    ],
)
def test_tiles_are_shown_and_what_is_left_out_is_said(shape, tiles, said):
    fig = plot.filters(np.random.default_rng(0).normal(size=shape))
    assert len(tiles_of(fig)) == tiles
    assert said in fig.get_suptitle()


def test_each_tile_shows_its_own_filter_and_channel():
    w = np.arange(2 * 3 * 4).reshape(2, 3, 2, 2) * 1.0
    shown = sorted(tiles_of(plot.filters(w)), key=lambda tile: (tile.get_extent()[3], tile.get_extent()[0]))
    for tile, (c, f) in zip(shown, np.ndindex(3, 2), strict=True):  # a row a channel, a column a filter
        assert np.array_equal(tile.get_array().data, w[f, c])


@pytest.mark.parametrize("shape", [(16, 1, 3, 3), (40, 1, 5, 2), (8, 3, 5, 5), (16, 8, 2, 6)])
def test_no_two_tiles_overlap_and_all_are_in_sight(shape):
    ax = plot.filters(np.ones(shape)).axes[0]
    (low, high), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    places = set()
    for left, right, lower, upper in (tile.get_extent() for tile in tiles_of(ax.figure)):
        assert low <= left < right <= high + 1e-9
        assert top <= upper < lower <= bottom + 1e-9
        assert (lower - upper, right - left) == pytest.approx(shape[2:])
        places.add((round(left, 6), round(upper, 6)))
    columns, rows = (sorted({place[side] for place in places}) for side in (0, 1))
    assert len(places) == len(tiles_of(ax.figure))
    assert min(np.diff(columns)) > shape[3]
    assert min(np.diff(rows)) > shape[2]


def test_filters_of_zeros_are_drawn_and_bad_ones_refused(tmp_path):
    pixels(plot.filters(np.zeros((2, 1, 3, 3))), tmp_path)
    with pytest.raises(ShapeError, match=r"expected weights \(F, C, KH, KW\), got shape \(3, 3\)"):
        plot.filters(np.ones((3, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        plot.filters(np.full((1, 1, 2, 2), np.nan))


# predictions


def test_right_and_wrong_are_said_in_words():
    fig = plot.predictions(
        np.zeros((3, 1, 4, 4)), [[0.7, 0.3], [0.2, 0.8], [1, 0]], y_true=[0, 0, 0], classes=("cat", "dog")
    )
    assert [ax.get_title(loc="left") for ax in fig.axes[::2]] == [
        "says cat: right",
        "says dog:\nWRONG, is cat",
        "says cat: right",
    ]
    plain = plot.predictions(np.zeros((1, 1, 4, 4)), [[0.7, 0.3]])
    assert plain.axes[0].get_title(loc="left") == "says 0"


def test_bars_are_the_three_most_probable_classes_with_their_numbers():
    fig = plot.predictions(np.zeros((1, 1, 4, 4)), [[0.05, 0.6, 0.001, 0.349]])
    bars = fig.axes[1]
    assert [b.get_width() for b in bars.patches] == [0.6, 0.349, 0.05]
    assert [t.get_text() for t in bars.texts] == ["1", "60 %", "3", "35 %", "0", "5 %"]


def test_no_more_than_asked_and_colour_pictures_in_colour():
    p = np.tile([0.5, 0.5], (20, 1))
    fig = plot.predictions(np.ones((20, 3, 4, 4)) * np.array(to_rgb("#D55E00"))[:, None, None], p, most=5)
    shown = [ax.images[0].get_array() for ax in fig.axes if ax.images]
    assert len(shown) == 5
    assert to_hex(shown[0][0, 0]) == "#d55e00"


@pytest.mark.parametrize("x", [np.zeros((0, 1, 4, 4)), np.zeros((3, 1, 4, 4)), np.zeros((2, 4, 4)), 1.0])
def test_pictures_that_do_not_match_the_probabilities_are_refused(x):
    with pytest.raises(ShapeError, match=r"expected x \(N, C, H, W\), probabilities \(N, K\)"):
        plot.predictions(x, np.full((2, 2), 0.5))


def test_labels_that_do_not_match_the_pictures_are_refused():
    with pytest.raises(ShapeError, match=r"y_true must be \(2,\), got shape \(3,\)"):
        plot.predictions(np.zeros((2, 1, 4, 4)), np.full((2, 2), 0.5), y_true=[0, 1, 0])


# two tables beside each other


def framed(ax):
    """The (row, column) of every frame, in order."""
    return sorted((round(f.get_y() + f.get_height() / 2), round(f.get_x() + f.get_width() / 2)) for f in ax.patches)


def test_what_differs_is_framed_in_the_second_table_alone():
    right = np.arange(6.0).reshape(2, 3)
    wrong = right + [[0, 1e-14, 1], [0, -2, 0]]
    first, second = plot.beside(right, wrong, "six numbers").axes
    assert [ax.get_title(loc="left") for ax in (first, second)] == ["as it should be", "with the bug"]
    assert framed(first) == []
    assert framed(second) == [(0, 2), (1, 1)]


def test_numbers_are_written_short_and_nan_is_named():
    values = [[np.nan, np.inf, -np.inf, 0.0], [-1.234, 12.34, -0.001, 1e-9]]
    first, second = plot.beside(values, values).axes
    said = ["NaN", "∞", "−∞", "0", "−1.23", "12", "≈0", "≈0"]
    assert [t.get_text() for t in first.texts] == [t.get_text() for t in second.texts] == said
    assert framed(second) == []  # a NaN where one should be is no difference


def test_a_nan_is_grey_and_framed_where_there_should_be_a_number():
    second = plot.beside([[1.0, 2.0]], [[1.0, np.nan]]).axes[1]
    assert framed(second) == [(0, 1)]
    image = second.images[0]
    assert to_hex(image.cmap(image.norm(image.get_array()))[0, 1]) == "#c8c8c8"


def test_both_tables_have_one_scale_of_colours_and_white_is_zero():
    for table in plot.beside([[1.0, 0.0]], [[1.0, -4.0]]).axes:
        assert table.images[0].get_clim() == (-4.0, 4.0)
    for table in plot.beside([[0.0]], [[np.nan]]).axes:  # nothing to scale by
        assert table.images[0].get_clim() == (-1.0, 1.0)


@pytest.mark.parametrize(("a", "b"), [
    (np.zeros((2, 3)), np.zeros((3, 2))), (np.zeros(3), np.zeros(3)), (np.zeros((0, 3)), np.zeros((0, 3))),
    (np.zeros((2, 17)), np.zeros((2, 17))), (1.0, 1.0),
])  # fmt: skip
def test_tables_that_cannot_lie_beside_each_other_are_refused(a, b):
    with pytest.raises(ShapeError, match="beside: expected two tables of the same shape, of 1 to 16"):
        plot.beside(a, b)


def test_of_one_epoch_the_curves_do_not_say_which_was_best():
    fig = plot.learning_curves({"loss": [0.5], "val_loss": [0.25], "accuracy": [0.8], "val_accuracy": [0.9]})
    assert "best" not in " ".join(words(fig))
