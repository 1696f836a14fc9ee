"""Every formula has the witnesses that its kind owes, they agree, and what is broken is found by those that should."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pytest

import tinycnn as tc
from tinycnn import ops
from tinycnn.cli import main
from tinycnn.formula.declare import Formula, formulas
from tinycnn.layers import initialisers
from tinycnn.layers.losses import LOSSES
from tinycnn.optim import OPTIMIZERS
from tinycnn.train import metrics
from tinycnn.verify import coverage, witness_metrics, witness_optimizers
from tinycnn.verify.optimizer_cases import VARIED
from tinycnn.verify.recorded import recorded
from tinycnn.verify.report import summary, table
from tinycnn.verify.rows import Row, distance
from tinycnn.verify.witness import THREE, unproved, witness
from tinycnn.verify.witness_initialisers import initialiser_rows

KEYS = ["formula", "kind", "witness", "method", "backend", "cases", "worst_error", "tolerance", "passed"]


@pytest.fixture(scope="module")
def rows():
    return witness()


def test_every_witness_agrees(rows):
    assert [row for row in rows if not row.passed] == []
    assert {row.witness for row in rows} == {"literal", "numeric", "external"}


def test_every_formula_has_the_witnesses_that_it_owes(rows):
    assert unproved(rows) == {}
    for name in {row.formula for row in rows if row.kind in THREE}:
        assert {row.witness for row in rows if row.formula == name} == {"literal", "numeric", "external"}, name


def test_the_page_of_coverage_is_the_one_the_witnesses_make(rows):
    said = Path(__file__).parents[1].joinpath("docs", "coverage.md").read_text(encoding="utf-8")
    assert said == coverage.page(rows) + "\n", "make it anew: python -m tinycnn.verify.coverage > docs/coverage.md"


def test_a_formula_that_is_added_without_witnesses_is_named(rows, monkeypatch):
    monkeypatch.setitem(formulas._table, "cube", Formula("cube", ("y = x**3",), shapes="x (...) -> y (...)"))
    assert unproved(rows) == {"cube": "2 witnesses are owed, there is none"}
    assert "relu" in unproved([row for row in rows if (row.formula, row.witness) != ("relu", "external")])


def public_formulas() -> dict[str, str]:
    """What is public, and the formula that it must have."""
    found = {f"op {name}": getattr(ops, name).formula.name for name in ops.__all__}
    found |= {f"loss {name}": loss.op for name, loss in LOSSES.items()}
    found |= {f"optimizer {kind}": case.formula for case in VARIED.values() for kind in [case.kind.__name__]}
    assert {f"optimizer {kind.__name__}" for kind in OPTIMIZERS.values()} <= set(found)
    found |= {f"initialiser {name}": name for name in initialisers.INITIALISERS}
    for name in metrics.__all__:
        if name not in ("averaged", "classification_report"):  # which gather what the others compute
            found[f"metric {name}"] = getattr(metrics, name).formula.name
    return found


@pytest.mark.parametrize("what", public_formulas())
def test_whatever_is_public_has_a_formula_and_is_in_the_table(what, rows):
    name = public_formulas()[what]
    assert name in tc.formulas
    kinds = {row.kind for row in rows if row.formula == name.removesuffix("_backward")}
    assert len(kinds) == 1
    if what.split()[0] in ("loss", "optimizer", "initialiser", "metric"):
        assert kinds == {what.split()[0]}


# ------------------------------------------------------------------------------------------- what is broken is found


def failing(found):
    return {(row.witness, row.method.partition(":")[0]) for row in found if not row.passed}


def break_op(monkeypatch, name, change):
    """Serve an op with something done to its result."""
    real = getattr(ops, name)

    @functools.wraps(real)
    def broken(*args, **options):
        return change(real(*args, **options))

    monkeypatch.setattr(ops, name, broken)
    tc.backend("numpy")  # which is the rung that is broken now


def test_a_flipped_weight_gradient_is_found_by_all_three(monkeypatch):
    break_op(monkeypatch, "conv2d_backward", lambda found: (found[0], found[1][..., ::-1], found[2]))
    assert failing(witness(["conv2d"])) == {(w, "backward") for w in ("literal", "numeric", "external")}


def test_a_forward_that_agrees_with_its_wrong_backward_is_seen_by_two_and_missed_by_derivatives(monkeypatch):
    break_op(monkeypatch, "relu_forward", lambda found: (3 * found[0], found[1]))
    break_op(monkeypatch, "relu_backward", lambda dx: 3 * dx)
    assert {w for w, _ in failing(witness(["relu"]))} == {"literal", "external"}


def test_a_missing_bias_correction_is_found(monkeypatch):
    adam = tc.optim.Adam
    tc.backend("numpy")
    monkeypatch.setattr(adam, "update", lambda self, w, dw, state, o: w - o["lr"] * dw)
    found = [row for row in witness_optimizers.optimizer_rows() if row.formula == "adam"]
    assert {row.witness for row in found if not row.passed} == {"literal", "external"}


def test_an_initialiser_of_another_spread_is_found(monkeypatch):
    wide = lambda shape, rng: 1.1 * initialisers.he_normal(shape, rng)  # noqa: E731
    monkeypatch.setitem(initialisers.INITIALISERS, "he_normal", wide)
    found = [row for row in initialiser_rows() if row.formula == "he_normal" and not row.passed]
    assert {row.witness for row in found} == {"literal", "numeric"}
    assert len(found) == 3


def test_a_macro_f1_of_means_is_found(monkeypatch):
    def wrong(true, pred, average=None, K=None):
        if average is None:
            return metrics.f1(true, pred, None, K)
        p, r = metrics.precision(true, pred, average, K), metrics.recall(true, pred, average, K)
        return 2 * p * r / (p + r) if p + r else 0.0

    monkeypatch.setitem(witness_metrics.RATIOS, "f1", wrong)
    assert {(row.formula, row.witness) for row in witness_metrics.metric_rows() if not row.passed} == {
        ("macro_average", "external"), ("weighted_average", "external"),
    }  # fmt: skip


def test_nan_never_passes():
    assert not Row("x", "op", "literal", "", "numpy", 1, float("nan"), 1e-12).passed
    assert not Row("x", "op", "literal", "", "numpy", 0, 0.0, 1e-12).passed
    assert distance([np.nan, 1.0], [0.0, 1.0]) == np.inf
    assert distance([0.0, 1.0], [0.0, 1.0], terms=[0.0, 1.0]) == 0.0
    assert distance([1e-30, 1.0], [0.0, 1.0], terms=[0.0, 1.0]) == np.inf, "a true zero must be zero"
    assert distance([1.0], [1.0, 1.0]) == np.inf


# ------------------------------------------------------------------------------------------------ the command line


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["verify", *arguments])
    captured = capsys.readouterr()
    return stopped.value.code, captured.out, captured.err


def test_json_is_a_list_of_rows_alone_on_standard_output(capsys):
    code, out, _ = run(capsys, "linear", "--json")
    found = json.loads(out)
    assert code == 0
    assert [list(row) for row in found] == [KEYS] * len(found)
    assert {row["witness"] for row in found} == {"literal", "numeric", "external"}
    assert all(row["passed"] for row in found)
    assert {row["backend"] for row in found} == {"numba", "numpy"}, "both that serve unless another is chosen"


def test_a_failure_is_said_and_the_exit_status_is_one(capsys, monkeypatch):
    break_op(monkeypatch, "tanh_backward", lambda dx: -dx)
    code, out, _ = run(capsys, "tanh")
    assert code == 1
    assert "FAILED" in out
    assert "tanh: numeric, backward: complex step: off by" in out
    assert "1e-12 is allowed" in out


@pytest.mark.parametrize("rung", ["loops", "numpy"])
def test_the_backend_that_serves_is_the_one_that_is_named(capsys, rung):
    code, out, _ = run(capsys, "max_pool2d", "--backend", rung, "--json")
    assert code == 0
    assert {row["backend"] for row in json.loads(out)} == {rung}


def test_all_rungs_are_held_to_their_witnesses_where_that_is_asked_for(capsys):
    code, out, _ = run(capsys, "relu", "--backend", "all")
    assert code == 0
    titles = {line.split("  ")[0] for line in out.splitlines()}
    assert {f"relu, {rung}" for rung in ("loops", "numpy", "njit", "numba")} <= titles
    assert "ops served by loops and by njit and by numba and by numpy" in out


def test_a_backward_is_shown_with_its_forward():
    assert {row.formula for row in witness(["softmax_backward"])} == {"softmax"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["conv3d"], "no formula 'conv3d'; did you mean conv"),
    (["--backend", "cuda"], "no backend 'cuda'; there are loops, numpy"),
])  # fmt: skip
def test_an_unknown_name_is_one_clear_line(capsys, arguments, message):
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_the_table_fits_the_terminal_where_it_can(rows, columns):
    lines = table(rows, columns).splitlines()
    assert len(lines) == len(rows) + 1
    assert max(map(len, lines)) <= max(columns, 91)
    assert "every witness agrees" in summary(rows, 1.0)


def test_every_recording_is_read_whole():
    assert {name.split("/")[0] for name in recorded("sklearn_metrics")} >= {"precision", "recall", "f1", "iou", "r2"}
    assert all(
        np.isfinite(a).all() for name in ("torch_ops", "torch_optim", "torch_parts") for a in recorded(name).values()
    )
