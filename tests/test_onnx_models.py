"""Models that came out of PyTorch and ship with onnx: those of our ops give what PyTorch gave; the rest is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinycnn.backends import RUNGS, backend

onnx = pytest.importorskip("onnx")
from make_judges import page  # noqa: E402
from onnx_judge.cases import MODEL_KINDS, model_case, model_names  # noqa: E402
from onnx_judge.reasons import NotOursError  # noqa: E402
from onnx_judge.scope import ONNX_VERSION, OUT_OF_SCOPE  # noqa: E402

KNOWN = onnx.__version__ == ONNX_VERSION
SLOW, SMALL = ("loops", "njit"), 4000
MODELS = [(kind, name) for kind in MODEL_KINDS for name in model_names(kind)]
TO_RUN = [(kind, name) for kind, name in MODELS if name not in OUT_OF_SCOPE[kind]]
LISTED = [(kind, name) for kind, name in MODELS if name in OUT_OF_SCOPE[kind]]


# What Numba must compile first takes a minute, and the formulas walked in Python are slow: by hand, `-m slow`.
EVERY_RUNG = [pytest.param(r, marks=() if r == "numpy" else pytest.mark.slow) for r in sorted(RUNGS)]


@pytest.mark.parametrize("rung", EVERY_RUNG)
def test_every_model_gives_what_pytorch_gave(rung):
    complaints = {}
    for kind, name in TO_RUN:
        case = model_case(kind, name)
        if rung in SLOW and case.numbers() >= SMALL:
            continue
        try:
            with backend(rung):
                case.judge()
        except AssertionError as difference:
            complaints[name] = str(difference)
        except NotOursError as reason:
            if KNOWN:
                complaints[name] = f"neither run nor listed: {reason}"
    assert complaints == {}


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_what_is_listed_is_indeed_refused_and_for_the_reason_given(kind):
    for name in (name for listed_kind, name in LISTED if listed_kind == kind):
        with pytest.raises(NotOursError) as refusal:
            model_case(kind, name).judge()
        assert str(refusal.value) == OUT_OF_SCOPE[kind][name], name


@pytest.mark.skipif(not KNOWN, reason=f"the list is of the cases of onnx {ONNX_VERSION}")
def test_every_listed_model_exists():
    for kind in MODEL_KINDS:
        assert set(OUT_OF_SCOPE[kind]) <= set(model_names(kind))


@pytest.mark.skipif(not KNOWN, reason=f"the page counts the cases of onnx {ONNX_VERSION}")
def test_the_page_of_judges_says_what_is_run_and_what_is_not():
    said = (Path(__file__).parent.parent / "docs" / "judges.md").read_text(encoding="utf-8")
    assert said == page(), "make it anew: python tests/make_judges.py > docs/judges.md"
