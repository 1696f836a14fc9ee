"""Print docs/judges.md: what software that nobody here wrote says of tinycnn, and what it was not asked.

python tests/make_judges.py > docs/judges.md
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from onnx_judge.scope import ONNX_VERSION, OUT_OF_SCOPE

PAGE = """\
# External judges

A test that we write may share our mistake. So every op is also held to numbers that others published. This page lists
them, with what is left out and why; `python tests/make_judges.py > docs/judges.md` makes it, and a test holds it to
what the tests do.

## ONNX, operator by operator

ONNX publishes cases with every operator: attributes, inputs, and the outputs that a runtime must give. Those of our
operators are run through the public ops, in float32, by every rung (the small ones by `loops` and `njit`). They are
held to ONNX's own tolerance, 1e-3 of each number, and to 1e-6 of an output's largest number: float32's last digits.

**Every case that is run passes.** The cases are those of onnx {version}. A sequence is run as an image one pixel high.

{operators}

## Models that came out of PyTorch

onnx also ships small models that were exported from PyTorch, with what PyTorch computed. A model is run if an op of
ours is in it and all else in it is plain arithmetic or moves numbers about. All that are run pass.

{models}

What these judges do not see: ONNX's own cases of Conv have kernels of ones, which a flip leaves as they are (the
models condemn it); no case of Conv or ConvTranspose has borders that differ at the two ends; those of Adam are all at
step 0, where there is no bias to correct (CS231n's is at step 6). PyTorch and the formula see all of these.

## Left out, and why

An adapter refuses each of these with the reason given; a test fails if a case is neither run nor listed.

{left_out}

## CS231n's published numbers

Stanford's course gives its students inputs without chance in them, and the results to compare with, to eight digits
or more: a convolution with stride and padding, a max pool, a dense layer, a ReLU, a step of momentum, RMSProp and Adam,
the scores and losses of two networks of two layers, and the loss to expect of a classifier that knows nothing.
`tests/test_cs231n.py` has them.

## PyTorch and scikit-learn

Where PyTorch is installed, every op, optimizer and initialiser is compared with its own on random configurations,
forward and backward in float64 (`pytest -m torch`); what it computed for a few of each is bundled, for tests that run
without it. Metrics are held to scikit-learn's in the same way.
"""


def page() -> str:
    """The page, counted from the cases that the installed onnx has."""
    return PAGE.format(version=ONNX_VERSION, operators=_operators(), models=_models(), left_out=_left_out())


def _operators() -> str:
    from onnx_judge.cases import NODE_OPS, node_cases
    from onnx_judge.run import ADAPTERS

    rows, total = [], Counter()
    for op in NODE_OPS:
        count = _count("node", [case.name for case in node_cases(op)])
        total += count
        ours = ", ".join(f"`{name}`" for name in ADAPTERS[op].judges.split(", "))
        rows.append((op, ours, *_figures(count)))
    return _table(("ONNX's operator", "ours", "cases", "run", "left out"), [*rows, ("all", "", *_figures(total))])


def _models() -> str:
    from onnx_judge.cases import MODEL_KINDS, model_names

    rows = [(f"`{kind}`", *_figures(_count(kind, model_names(kind)))) for kind in MODEL_KINDS]
    return _table(("kind", "models", "run", "left out"), rows)


def _count(kind: str, names: Iterable[str]) -> Counter[str]:
    return Counter("left out" if name in OUT_OF_SCOPE[kind] else "run" for name in names)


def _figures(count: Counter[str]) -> tuple[str, ...]:
    return str(count.total()), str(count["run"]), str(count["left out"] or "")


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" if k < len(head) - 3 else "---:" for k in range(len(head))), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _left_out() -> str:
    """Each reason, with the cases of all kinds that it keeps out."""
    by_reason: dict[str, list[str]] = {}
    for cases in OUT_OF_SCOPE.values():
        for name, reason in cases.items():
            by_reason.setdefault(reason, []).append(name.removeprefix("test_"))
    most_first = sorted(by_reason.items(), key=lambda entry: -len(entry[1]))
    return "\n".join(f"- **{reason}** ({len(names)}) `{'`, `'.join(sorted(names))}`" for reason, names in most_first)


if __name__ == "__main__":
    print(page(), end="")
