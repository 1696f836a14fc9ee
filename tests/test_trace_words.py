"""What is said of a cell: which of a window won, also where windows have gaps, and what no window ever held."""

from __future__ import annotations

import numpy as np

import tinycnn as tc


def traced(layer: tc.layers.Layer, image: np.ndarray) -> tc.tracing.Trace:
    model = tc.Sequential([layer, tc.Flatten(), tc.Dense(2)], input_shape=image.shape, seed=0)
    model.compile("sgd", "cross_entropy")
    return tc.trace(model, image, 1)


def step_of(tr: tc.tracing.Trace, op: str) -> int:
    return next(step.number for step in tr.steps if step.op == op)


def test_the_winner_of_a_window_with_gaps_is_named_by_its_row_and_column_in_the_window():
    image = np.zeros((1, 4, 5), np.float32)
    image[0, 2, 3] = 9.0
    tr = traced(tc.MaxPool2D(2, stride=1, dilation=2), image)
    step = step_of(tr, "max_pool2d_forward")
    assert tr.cell(step, (0, 0, 0, 1))["why"] == "Row 1, column 1 of the window won."
    assert tr.cell(step, (0, 0, 0, 0))["why"] == "Row 0, column 0 of the window won."


def test_what_lay_between_the_windows_of_a_mean_won_nothing_and_lost_nothing():
    tr = traced(tc.AvgPool2D(1, stride=2), np.ones((1, 3, 5), np.float32))
    step = step_of(tr, "avg_pool2d_backward")
    assert tr.cell(step, (0, 0, 1, 1))["why"] == "It lay in no window, so nothing comes back to it."
    tr = traced(tc.MaxPool2D(1, stride=2), np.ones((1, 3, 5), np.float32))
    step = step_of(tr, "max_pool2d_backward")
    assert tr.cell(step, (0, 0, 1, 1))["why"] == "It won no window, so nothing comes back to it."
