"""The figures that judge a network show what the metrics say: curves, calibration, mistakes, the report, heat."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tinycnn import metrics, plot
from tinycnn.errors import ShapeError

RNG = np.random.default_rng(0)
TRUE = np.append(RNG.integers(0, 4, 60), [0, 1, 2, 3])
P = RNG.dirichlet(np.ones(5), 64)  # class 4 occurs nowhere
P[np.arange(64), TRUE] += 0.5
P /= P.sum(axis=1, keepdims=True)
X = RNG.random((64, 1, 8, 6))
HEAT = RNG.normal(size=(64, 8, 6))
LONG = ("a giant anteater", "a", "bee", "an unusually long name", "cat")


def figures():  # drawn anew by each call, for the layout of a figure that is drawn twice may move
    return {
        "roc": lambda: plot.roc(TRUE, P, LONG),
        "roc of two": lambda: plot.roc(TRUE == 0, P[:, 0]),
        "precision_recall": lambda: plot.precision_recall(TRUE, P, LONG),
        "calibration": lambda: plot.calibration(TRUE, P),
        "misclassified": lambda: plot.misclassified(X, P, TRUE, LONG),
        "none misclassified": lambda: plot.misclassified(X[:1], [[0.9, 0.1]], [0]),
        "report": lambda: plot.report(TRUE, P, LONG),
        "heatmaps": lambda: plot.heatmaps(X, {"up": abs(HEAT), "both": HEAT}, titles=[str(n) for n in range(64)]),
        "one heatmap": lambda: plot.heatmaps(np.repeat(X[:1], 3, axis=1) - 2, {"flat": np.zeros((1, 8, 6))}),
    }


every_figure = pytest.mark.parametrize("name", figures())


def words(fig):
    found = [t.get_text() for ax in fig.axes for t in (*ax.texts, ax.title, ax._left_title, ax.xaxis.label)]
    return [t for t in found if t]


@every_figure
def test_every_figure_is_1200_pixels_wide_and_the_same_bytes_every_time(name, tmp_path):
    assert type(figures()[name]()) is Figure
    plot.save(figures()[name](), tmp_path / "a.png")
    plot.save(figures()[name](), tmp_path / "b.png")
    data = (tmp_path / "a.png").read_bytes()
    assert data == (tmp_path / "b.png").read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        assert image.width == 1200


@every_figure
def test_no_words_run_over_the_edge(name):
    fig = figures()[name]()
    fig.draw_without_rendering()
    box, page = fig.get_tightbbox(), fig.bbox_inches
    assert min(box.x0, box.y0) >= -0.01
    assert box.x1 <= page.x1 + 0.01
    assert box.y1 <= page.y1 + 0.01


def test_the_roc_lines_are_the_curves_and_the_legend_has_their_areas():
    ax = plot.roc(TRUE, P, LONG).axes[0]
    lines = ax.lines[1:]  # the first is guessing
    areas = metrics.roc_auc(TRUE, P, None)
    for k in range(4):
        fpr, tpr, _ = metrics.roc_curve(k == TRUE, P[:, k])
        assert np.array_equal(lines[k].get_xdata(), fpr)
        assert np.array_equal(lines[k].get_ydata(), tpr)
    assert not len(lines[4].get_xdata())
    said = [text.get_text() for text in ax.get_legend().get_texts()]
    assert said == [f"{name}  {area:.3f}" for name, area in zip(LONG[:4], areas, strict=False)] + ["cat  –"]
    assert ax.get_title(loc="left") == f"ROC: area {np.nanmean(areas):.3f}, the mean of 4 classes"


def test_the_precision_recall_lines_are_steps_whose_area_is_the_average_precision():
    ax = plot.precision_recall(TRUE, P).axes[0]
    for k, line in enumerate(ax.lines[:4]):
        x, y = line.get_data()
        assert line.get_drawstyle() == "steps-pre"
        assert np.diff(x) @ y[1:] == pytest.approx(metrics.average_precision(k == TRUE, P[:, k]))


def test_more_classes_than_colours_are_told_apart_by_their_dashes():
    true = np.arange(9).repeat(2)
    looks = [(line.get_color(), line.get_linestyle()) for line in plot.roc(true, RNG.random((18, 9))).axes[0].lines[1:]]
    assert len(set(looks)) == 9


def test_the_calibration_points_are_the_full_bins():
    fig = plot.calibration(TRUE, P, bins=8)
    found = metrics.calibration_curve(TRUE, P, 8)
    full = found.counts > 0
    points = next(line for line in fig.axes[0].lines if line.get_marker() == "o")
    assert np.array_equal(points.get_xdata(), found.confidence[full])
    assert np.array_equal(points.get_ydata(), found.frequency[full])
    assert [bar.get_height() for bar in fig.axes[1].patches] == found.counts.tolist()
    error = metrics.expected_calibration_error(TRUE, P, 8)
    assert f"off by {100 * error:.1f} %" in fig.axes[0].get_title(loc="left")


def test_the_mistake_of_the_largest_loss_comes_first_with_its_picture_and_numbers():
    fig = plot.misclassified(X, P, TRUE, LONG, most=3)
    loss = np.where(P.argmax(axis=1) == TRUE, -1, -np.log(P[np.arange(64), TRUE]))
    for ax, n in zip(fig.axes, np.argsort(-loss), strict=False):
        assert np.array_equal(ax.images[0].get_array(), X[n, 0])
        said = int(P[n].argmax())
        assert ax.get_title() == f"is {LONG[TRUE[n]]}\nsaid {LONG[said]}: {100 * P[n, said]:.0f} %"
        assert ax.get_xlabel() == f"#{n}, loss {loss[n]:.2f}"
    assert len(fig.axes) == 3
    assert fig._suptitle.get_text() == f"{(loss >= 0).sum()} of 64 wrong, the 3 of the largest loss"


def test_no_mistakes_is_said():
    assert "no mistakes" in words(figures()["none misclassified"]())


def test_the_report_has_every_number_of_the_table():
    said = words(plot.report(TRUE, P))
    table = metrics.classification_report(TRUE, P, output_dict=True)
    for name, numbers in table.items():
        if name != "accuracy":
            assert name in said
            for key in ("precision", "recall", "f1"):
                assert f"{numbers[key]:.3f}" in said
    assert f"accuracy {100 * table['accuracy']:.1f} % of 64 examples" in said


def test_heat_is_blue_below_zero_orange_above_and_clear_at_zero():
    heat = np.zeros((1, 1, 3))
    heat[0, 0] = [-2, 0, 2]
    ax = plot.heatmaps(np.full((1, 1, 1, 3), 0.5), {"map": heat}).axes[1]
    against, clear, for_ = ax.images[0].get_array()[0]
    assert against[2] > against[0]
    assert clear[0] == clear[1] == clear[2]
    assert for_[0] > for_[2]
    assert ax.get_xlabel() == "largest 2"


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: plot.roc(TRUE, P, ("a", "b")), ValueError, "2 names for 5 classes"),
        (lambda: plot.roc([0, 0], [0.1, 0.2]), ValueError, "all 2 examples are of class 0"),
        (lambda: plot.calibration(TRUE, 3 * P), ValueError, "is not in|adds up to"),
        (lambda: plot.misclassified(X[:3], P, TRUE), ShapeError, "got .3, 1, 8, 6. and .64, 5."),
        (lambda: plot.heatmaps(X, HEAT), TypeError, "expected maps by their names, .* got ndarray"),
        (lambda: plot.heatmaps(X, {}), ValueError, "expected pictures .* 0 maps"),
        (lambda: plot.heatmaps(X, {"map": np.zeros((64, 6, 8))}), ShapeError, "'map' must be .64, 8, 6."),
        (lambda: plot.heatmaps(X, {"map": np.full((64, 8, 6), np.nan)}), ValueError, "not finite"),
        (lambda: plot.heatmaps(X, {"map": X[:, 0]}, titles=["a"]), ValueError, "1 titles for 64 pictures"),
    ],
)
def test_what_cannot_be_drawn_is_named(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
