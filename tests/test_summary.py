"""What `summary()` says is true: sizes, receptive fields, weights and multiplications, each checked another way."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from layer_cases import CASES

from tinycnn import AvgPool2D, Conv2D, Dense, Flatten, GlobalAvgPool2D, MaxPool2D, Pad2D, ReLU, Sequential, Softmax

TABLE = """
          layer      size                                                         output  sees  params  MACs
────────────────────────────────────────────────────────────────────────────────────────────────────────────
input                                                                             2×9×8   1×1
eyes      Conv2D     ⌊(9 + 2 − 3)/2⌋ + 1 = 5, ⌊(8 + 2 − 2)/1⌋ + 1 = 9             4×5×9   3×2       52 2,160
relu1     ReLU                                                                    4×5×9   3×2        0     0
pool1     MaxPool2D  ⌊(5 + 0 − 2)/2⌋ + 1 = 2, ⌊(9 + 0 − 2)/2⌋ + 1 = 4             4×2×4   5×3        0     0
flatten1  Flatten    4·2·4 = 32                                                   32      5×3        0     0
dense1    Dense      32 → 3                                                       3       all       99    96
softmax1  Softmax                                                                 3       all        0     0
────────────────────────────────────────────────────────────────────────────────────────────────────────────
151 parameters (1 KiB), 2,256 multiply-accumulates for one example
one kernel each: eyes + relu1 + pool1
"""


def model() -> Sequential:
    """The network of the table."""
    return Sequential([Conv2D(4, (3, 2), stride=(2, 1), padding=1, activation="relu", name="eyes"), MaxPool2D(2),
                       Flatten(), Dense(3, activation="softmax")], input_shape=(2, 9, 8))  # fmt: skip


def cells(text: str) -> list[list[str]]:
    """The lines of a table, cut at two spaces or more."""
    return [re.split(r" {2,}", line.strip()) for line in text.strip().splitlines() if not line.startswith("─")]


def test_the_table_is_as_it_should_look():
    flat = lambda text: [" ".join(row).split() for row in cells(text)]  # noqa: E731
    assert flat(model().summary()) == flat(TABLE)


def test_its_columns_are_straight_and_its_lines_as_long_as_the_rules():
    head, rule, *rows, _, _, _ = model().summary().splitlines()
    assert set(rule) == {"─"}
    for title in ("layer", "size", "output", "sees"):
        at = head.index(title)
        for row in rows[1:]:
            assert row[at - 1] == " "
            assert row[at] != " " or title == "size"
    assert all(len(row) == len(rule) for row in (head, *rows[1:]))


def test_a_network_that_is_not_built_says_so():
    assert "not built" in Sequential([Dense(3)]).summary()


def test_a_wide_name_keeps_the_columns_straight():
    text = Sequential([Dense(3, name="全连接"), Dense(2)], input_shape=(4,)).summary().splitlines()
    assert text[3].index("Dense") + 3 == text[4].index("Dense"), "each wide character takes two columns"


@pytest.mark.parametrize("case", [c for c in CASES if "⌊" in c.build().facts(c.shape).size
                                  or "⌈" in c.build().facts(c.shape).size], ids=str)  # fmt: skip
def test_every_size_formula_holds_with_its_numbers(case):
    check_sizes(case.build().facts(case.shape).size, case.make().infer(case.shape)[1:])


@pytest.mark.parametrize("H", range(2, 9))
@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_the_size_formula_holds_in_ceil_mode_where_a_window_would_begin_outside(H, padding, stride):
    layer = MaxPool2D(2, stride=stride, padding=padding, ceil_mode=True)
    check_sizes(layer.facts((1, H, 9)).size, layer.infer((1, H, 9))[1:])


def check_sizes(text: str, sizes: tuple[int, ...]) -> None:
    """Evaluate a size formula as it is printed."""
    said = text.split(", ") if ", " in text else [text] * len(sizes)
    for one, size in zip(said, sizes, strict=True):
        formula, result = one.split(" = ")
        python = formula.replace("−", "-").replace("·", "*").replace("⌊", "math.floor(").replace("⌈", "math.ceil(")
        python = python.replace("⌋", ")").replace("⌉", ")")
        assert eval(python, {"math": math}) == int(result) == size, one


SEEING = [
    ([lambda: Conv2D(3, (3, 2))], (1, 9, 9), (3, 2)),
    ([lambda: Conv2D(2, 3), lambda: Conv2D(2, 3)], (2, 9, 9), (5, 5)),
    ([lambda: Conv2D(2, 3, stride=2), lambda: Conv2D(2, (3, 1), stride=2), lambda: Conv2D(2, (1, 2))], (1, 20, 21),
     (7, 7)),
    ([lambda: Conv2D(2, 3, dilation=(3, 2))], (1, 15, 15), (7, 5)),
    ([lambda: Conv2D(2, 3), ReLU, lambda: AvgPool2D(2), lambda: Conv2D(1, (2, 3), stride=3)], (1, 20, 22), (6, 8)),
    ([lambda: AvgPool2D(3, stride=2), lambda: AvgPool2D((2, 3), stride=(1, 2)), lambda: AvgPool2D(2)], (1, 25, 25),
     (7, 11)),
    ([lambda: Pad2D(2), lambda: Conv2D(1, 5, padding=2), lambda: AvgPool2D((1, 2))], (1, 12, 13), (5, 6)),
]  # fmt: skip


@pytest.mark.parametrize(("layers", "shape", "field"), SEEING)
def test_the_receptive_field_is_the_patch_of_pixels_that_move_an_output(layers, shape, field):
    """Brute force: change one pixel at a time, and see whether an output in the middle changes."""
    network = Sequential([make() for make in layers], input_shape=shape, dtype=np.float64)
    for w in network.named_params().values():
        w[...] = np.random.default_rng(0).uniform(0.5, 1.5, w.shape)  # positive: nothing cancels, ReLU is open
    x = np.random.default_rng(1).uniform(1, 2, size=(1, *shape))
    y = network.forward(x)
    u, v = y.shape[2] // 2, y.shape[3] // 2
    moved = np.zeros(shape[1:], bool)
    for r, q in np.ndindex(*shape[1:]):
        nudged = x.copy()
        nudged[0, :, r, q] += 1
        moved[r, q] = (network.forward(nudged)[0, :, u, v] != y[0, :, u, v]).any()
    rows, columns = np.flatnonzero(moved.any(axis=1)), np.flatnonzero(moved.any(axis=0))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == field
    table = [row for row in cells(network.summary()) if not row[0].startswith("one kernel each")]
    assert table[-2][-3] == f"{field[0]}×{field[1]}"


def test_behind_a_dense_layer_or_a_global_mean_an_output_sees_all():
    for head in ([GlobalAvgPool2D()], [Flatten(), Dense(2)]):
        table = cells(Sequential([Conv2D(2, 3), *head, Softmax()], input_shape=(1, 6, 6)).summary())
        assert [row[-3] for row in table[-3:-1]] == ["all", "all"]


MACS = [  # counted by hand: (layer, input, weights, multiplications for one example)
    (lambda: Conv2D(8, 3), (3, 10, 12), 8 * 27 + 8, 8 * 27 * 8 * 10),
    (lambda: Conv2D(8, (1, 5), stride=(2, 3), padding="same"), (4, 7, 9), 8 * 20 + 8, 8 * 20 * 4 * 3),
    (lambda: Conv2D(6, 3, groups=3, use_bias=False), (6, 5, 5), 6 * 18, 6 * 18 * 9),
    (lambda: Conv2D(6, 3, groups=6), (6, 5, 5), 6 * 9 + 6, 6 * 9 * 9),
    (lambda: Dense(10), (64,), 650, 640),
    (lambda: Dense(10, use_bias=False), (64,), 640, 640),
    (lambda: MaxPool2D(2), (3, 8, 8), 0, 0),
    (GlobalAvgPool2D, (3, 8, 8), 0, 0),
]


@pytest.mark.parametrize(("make", "shape", "weights", "macs"), MACS)
def test_weights_and_multiplications_are_those_counted_by_hand(make, shape, weights, macs):
    network = Sequential([make()], input_shape=shape)
    assert network.count_params() == weights
    assert network.layers[0].facts(shape).macs == macs
    assert cells(network.summary())[-2][-2:] == [f"{weights:,}", f"{macs:,}"]


@pytest.mark.parametrize(("make", "shape"), [row[:2] for row in MACS if row[3] and row[1] != (4, 7, 9)])
def test_with_ones_everywhere_the_outputs_add_up_to_the_multiplications(make, shape):
    """Every product is then 1, and no border's zeros are among them."""
    layer = make()
    layer.dtype = np.dtype(np.float64)
    layer.build(shape, np.random.default_rng(0))
    for w in layer.params.values():
        w[...] = 0 if w.ndim == 1 else 1
    assert layer.forward(np.ones((1, *shape))).sum() == layer.facts(shape).macs
