"""The check of layers and networks: right ones pass, every broken backward fails, and nothing is left changed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from layer_cases import CASES, spaced

from tinycnn import (
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    LogSoftmax,
    MaxPool2D,
    MinPool2D,
    Pad2D,
    ReLU,
    Sequential,
    Softmax,
    backend,
    ops,
)
from tinycnn.layers import Conv1D, Layer
from tinycnn.verify import check_layer, check_model


@pytest.fixture(autouse=True)
def _on_numpy():
    """What is broken here, to be found out, are functions of `tinycnn.ops`."""
    with backend("numpy"):
        yield


RNG = np.random.default_rng(0)


def every_kind() -> Sequential:
    """A network with every kind of layer, for images (2, 15, 13)."""
    layers = [
        Pad2D((1, 0, 2, 1), value=0.5), Conv2D(4, (3, 2), stride=(1, 2), padding=1, flip=True), ReLU(), MaxPool2D(2),
        Conv2D(4, 3, padding="same", dilation=2, groups=2), Softmax(), MinPool2D((2, 1), stride=1),
        AvgPool2D(2, stride=1, padding=(1, 0), count_include_pad=True), Conv2D(3, 1, use_bias=False), LogSoftmax(),
        GlobalAvgPool2D(), Flatten(), Dense(5, use_bias=False), Dense(4),
    ]  # fmt: skip
    model = Sequential(layers, input_shape=(2, 15, 13), seed=1)
    rng = np.random.default_rng(2)
    for key, w in model.named_params().items():
        if key.endswith(".b"):
            w[...] = rng.normal(size=w.shape)
    return model


def state(model: Layer) -> list:
    """All that a check might disturb: the very arrays, their bits and their types."""
    found = []
    for path, layer in model.walk():
        for kind in ("params", "grads", "buffers"):
            found += [(path, kind, k, id(a), a.dtype, a.tobytes()) for k, a in getattr(layer, kind).items()]
        found.append((path, layer.dtype))
    return found


@pytest.mark.parametrize(
    ("loss", "head", "y"),
    [
        ("cross_entropy", (), np.array([0, 3, 1])),
        ("cross_entropy", (), np.eye(4)[[0, 3, 1]]),
        ("categorical_crossentropy", (Softmax,), np.eye(4)[[0, 3, 1]]),
        ("sparse_categorical_crossentropy", (Softmax,), np.array([0, 3, 1])),
        ("mse", (), RNG.normal(size=(3, 4))),
    ],
)
def test_a_network_with_every_kind_of_layer_agrees_with_the_complex_step_to_1e_12(loss, head, y):
    model = every_kind()
    for make in head:
        model.add(make())
    model.compile(loss=loss)
    report = check_model(model, RNG.normal(size=(3, 2, 15, 13)), y, entries=24)
    assert report.worst_error <= 1e-12, f"\n{report}"
    assert [c.name for c in report.checks] == ["x", *model.named_params()]
    assert all(c.checked > 3 for c in report.checks)


def test_that_network_has_every_plain_kind_of_layer():
    kinds = {type(layer) for layer in every_kind().layers}
    made = [case.make() for case in CASES]
    assert kinds >= {type(layer) for layer in made if layer.kind in KINDS and not isinstance(layer, Conv1D)}


KINDS = ("conv", "pool", "gap", "dense", "flatten", "pad", "relu", "softmax", "log_softmax")


@pytest.mark.parametrize("trained", [False, True])
def test_a_check_leaves_the_network_as_it_was(trained):
    model = every_kind()
    model.compile()
    x = RNG.normal(size=(4, 2, 15, 13)).astype(np.float32)
    y = np.array([0, 1, 2, 3])
    if trained:
        model.fit(x, y, verbose=0)
    before, predicted = state(model), model.predict(x)
    check_model(model, x[:1], y[:1], entries=2)
    assert state(model) == before
    np.testing.assert_array_equal(model.predict(x), predicted)
    assert model.dtype == np.float32


@pytest.mark.parametrize("case", CASES[:3], ids=str)
def test_a_check_leaves_the_layer_as_it_was(case):
    layer = case.build(dtype=np.float32)
    y = layer.forward(case.x(dtype=np.float32))
    layer.backward(RNG.normal(size=y.shape).astype(np.float32))
    before = state(layer)
    check_layer(layer, case.x(), entries=2)
    assert state(layer) == before


def test_a_check_that_fails_half_way_leaves_the_network_as_it_was():
    model = every_kind()
    model.compile()
    before = state(model)
    with pytest.raises(ValueError, match="label 7 at position 0"):
        check_model(model, RNG.normal(size=(1, 2, 15, 13)), np.array([7]))
    assert state(model) == before


def test_training_goes_on_the_same_after_a_check():
    x, y = RNG.normal(size=(6, 2, 15, 13)).astype(np.float32), np.array([0, 1, 2, 3, 0, 1])
    runs = []
    for checked in (False, True):
        model = every_kind()
        model.compile()
        model.fit(x, y, verbose=0)
        if checked:
            check_model(model, x[:2], y[:2], entries=2)
        model.fit(x, y, verbose=0)
        runs.append(model.predict(x))
    np.testing.assert_array_equal(*runs)


class Counting(Layer):
    """y = x·(1 + a random number), and a buffer that counts the calls: what a check must rewind."""

    kind = "counting"

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(3)
        self.buffers = {"calls": np.zeros(1)}

    def forward(self, x, train=False):
        """Another factor at every call."""
        self.factor = self.rng.normal() + self.buffers["calls"][0]
        self.buffers["calls"] = self.buffers["calls"] + 1
        return x * self.factor

    def backward(self, dy):
        """The factor of the last call."""
        return dy * self.factor


def test_chance_and_buffers_are_rewound_before_every_evaluation_and_put_back_at_the_end():
    layer = Counting()
    layer.input_shape = (3,)
    before, twin = state(layer), copy.deepcopy(layer.rng)
    assert check_layer(layer, RNG.normal(size=(2, 3))).passed
    assert state(layer) == before
    assert layer.rng.normal() == twin.normal()


# --------------------------------------------------------------------------- mutants

MUTANTS = {
    "linear": {
        "dw transposed sums": lambda dx, dw, db: (dx, dw[::-1], db),
        "dw a mean": lambda dx, dw, db: (dx, dw / 3, db),
        "db a mean": lambda dx, dw, db: (dx, dw, db / 3),
        "db forgotten": lambda dx, dw, db: (dx, dw, 0 * db),
        "dx negated": lambda dx, dw, db: (-dx, dw, db),
        "dx a little off": lambda dx, dw, db: (dx * (1 + 1e-10), dw, db),
    },
    "conv2d": {
        "dw flipped": lambda dx, dw, db: (dx, dw[:, :, ::-1, ::-1], db),
        "dw of other filters": lambda dx, dw, db: (dx, np.roll(dw, 1, axis=0), db),
        "dx flipped": lambda dx, dw, db: (dx[:, :, ::-1, ::-1], dw, db),
        "dx shifted by a pixel": lambda dx, dw, db: (np.roll(dx, 1, axis=2), dw, db),
        "dx without its border": lambda dx, dw, db: (_without_border(dx), dw, db),
        "dx forgotten": lambda dx, dw, db: (0 * dx, dw, db),
        "one weight off": lambda dx, dw, db: (dx, _one_off(dw), db),
    },
    "max_pool2d": {
        "to every cell": lambda dx: dx + 0.1,
        "first rows only": lambda dx: np.where(np.arange(dx.shape[2])[:, None] < 3, dx, 0),
        "signs lost": abs,
    },
    "avg_pool2d": {"not divided": lambda dx: 4 * dx, "forgotten": lambda dx: 0 * dx},
    "relu": {"lets all through": lambda dx: np.where(dx == 0, 1.0, dx), "halved": lambda dx: dx / 2},
    "softmax": {"as if by itself": lambda dx: dx + 1e-9},
}
WHERE = {"linear": (lambda: Dense(4), (5,)), "conv2d": (lambda: Conv2D(3, 3, stride=2, padding=1), (2, 5, 7)),
         "max_pool2d": (lambda: MaxPool2D(3, stride=2, padding=1), (2, 5, 6)),
         "avg_pool2d": (lambda: AvgPool2D(2), (2, 5, 6)), "relu": (ReLU, (6,)), "softmax": (Softmax, (4,))}  # fmt: skip


def _without_border(dx: np.ndarray) -> np.ndarray:
    dx = dx.copy()
    dx[:, :, 0], dx[:, :, -1] = 0, 0
    return dx


def _one_off(dw: np.ndarray) -> np.ndarray:
    dw = dw.copy()
    dw[-1, -1, -1, -1] += 1e-6
    return dw


def break_op(monkeypatch, op: str, spoil) -> None:
    """Make an op's backward give spoilt gradients."""
    right = getattr(ops, f"{op}_backward")

    def wrong(dy, cache):
        found = right(dy, cache)
        return spoil(*found) if isinstance(found, tuple) else spoil(found)

    monkeypatch.setattr(ops, f"{op}_backward", wrong)


@pytest.mark.parametrize(("op", "mutant"), [(op, m) for op, mutants in MUTANTS.items() for m in mutants])
def test_a_layer_with_a_broken_backward_fails(op, mutant, monkeypatch):
    make, shape = WHERE[op]
    x = spaced((3, *shape))
    assert check_layer(make(), x, entries=200).passed
    break_op(monkeypatch, op, MUTANTS[op][mutant])
    report = check_layer(make(), x, entries=200)
    assert not report.passed, f"\n{report}"
    assert "WRONG at" in str(report)


@pytest.mark.parametrize(("op", "mutant"), [("linear", "db a mean"), ("conv2d", "dx shifted by a pixel"),
                                            ("conv2d", "dw flipped"), ("max_pool2d", "to every cell"),
                                            ("relu", "halved")])  # fmt: skip
def test_a_network_with_one_broken_layer_fails_and_the_arrays_before_it_too(op, mutant, monkeypatch):
    model = Sequential([Conv2D(2, 3), MaxPool2D(2), ReLU(), Conv2D(3, 2), Flatten(), Dense(3)], input_shape=(1, 8, 8))
    model.compile()
    x, y = RNG.normal(size=(2, 1, 8, 8)), np.array([0, 2])
    assert check_model(model, x, y).passed
    break_op(monkeypatch, op, MUTANTS[op][mutant])
    wrong = {check.name for check in check_model(model, x, y).checks if not check.passed}
    assert wrong
    if op == "linear":
        assert wrong == {"dense1.b"}
    if mutant == "dw flipped":
        assert wrong == {"conv1.w", "conv2.w"}
    if op in ("max_pool2d", "relu"):
        assert wrong == {"x", "conv1.w", "conv1.b"}


# --------------------------------------------------------------------------- what is refused


def test_a_network_without_a_loss_is_refused():
    with pytest.raises(RuntimeError, match="compile the model first"):
        check_model(every_kind(), RNG.normal(size=(1, 2, 15, 13)), np.array([0]))


def test_a_layer_is_checked_in_float64_only():
    with pytest.raises(TypeError, match=r"x must be float64 for a gradient check, got float32: use .astype"):
        check_layer(Dense(2), np.ones((1, 3), np.float32))
