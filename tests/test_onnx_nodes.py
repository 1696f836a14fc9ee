"""ONNX's cases of single operators: run by every rung, or listed with the reason why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tinycnn.backends import RUNGS, backend

onnx = pytest.importorskip("onnx")
from onnx_judge.cases import NODE_OPS, Case, module_of, node_cases  # noqa: E402
from onnx_judge.reasons import NotOursError  # noqa: E402
from onnx_judge.scope import ONNX_VERSION, OUT_OF_SCOPE  # noqa: E402

KNOWN = onnx.__version__ == ONNX_VERSION  # with another version, cases may be missing, or new
SLOW, SMALL = ("loops", "njit"), 4000  # how many numbers a case may have for the rungs that walk formulas


def _to_run(op: str) -> list[Case]:
    return [case for case in node_cases(op) if case.name not in OUT_OF_SCOPE["node"] and not _forgets_epsilon(case)]


def _forgets_epsilon(case: Case) -> bool:
    """Older versions of this one case do not say with which epsilon its numbers were made."""
    return case.name == "test_adam_multiple" and "epsilon" not in {a.name for a in case.model.graph.node[0].attribute}


def _complaint(case: Case, rung: str) -> str | None:
    """What the case has to say against a rung."""
    try:
        with backend(rung):
            case.judge()
    except NotOursError as reason:
        return f"neither run nor listed: {reason}" if KNOWN else None
    except AssertionError as difference:
        return str(difference)
    return None


# What Numba must compile first takes a minute, and the formulas walked in Python are slow: by hand, `-m slow`.
EVERY_RUNG = [pytest.param(r, marks=() if r == "numpy" else pytest.mark.slow) for r in sorted(RUNGS)]


@pytest.mark.parametrize("rung", EVERY_RUNG)
@pytest.mark.parametrize("op", NODE_OPS)
def test_every_case_gives_what_onnx_says(op, rung):
    cases = [case for case in _to_run(op) if rung not in SLOW or case.numbers() < SMALL]
    assert cases
    complaints = {case.name: _complaint(case, rung) for case in cases}
    assert {name: why for name, why in complaints.items() if why} == {}


@pytest.mark.parametrize("op", NODE_OPS)
def test_what_is_listed_is_indeed_refused_and_for_the_reason_given(op):
    for case in node_cases(op):
        reason = OUT_OF_SCOPE["node"].get(case.name)
        if reason is not None:
            with pytest.raises(NotOursError, match=f"^{re.escape(reason)}$"):
                case.judge()


@pytest.mark.skipif(not KNOWN, reason=f"the list is of the cases of onnx {ONNX_VERSION}")
def test_every_listed_case_exists_and_no_case_of_ours_is_in_a_file_that_is_not_read():
    assert set(OUT_OF_SCOPE["node"]) <= {case.name for op in NODE_OPS for case in node_cases(op)}
    from onnx.backend.test.case import node

    read = {module_of(op) for op in NODE_OPS} | {"flexattention"}  # this one has ours in a graph inside its own node
    for path in Path(node.__file__).parent.glob("*.py"):
        made = set(re.findall(r"make_node\(\s*\"(\w+)\"", path.read_text(encoding="utf-8")))
        assert path.stem in read or not made & set(NODE_OPS), path.name
