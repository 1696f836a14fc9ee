"""Which witness has seen which parameter of which op: the page docs/coverage.md.

python -m tinycnn.verify.coverage > docs/coverage.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator

from tinycnn.verify.cases import CASES, OpCase
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import WITNESSES, Row
from tinycnn.verify.witness import witness

_INTRO = """# What is proved, and by whom

Made from the cases and the witnesses themselves (`python -m tinycnn.verify.coverage`); `tinycnn verify` runs them.
A *literal* witness is the formula walked loop by loop, a *numeric* one a derivative or a count that knows no formula,
an *external* one what software nobody here wrote computed: PyTorch 2.13 and scikit-learn 1.9, recorded, so that the
witness is there where they are not. Beside these, the tests ask the ONNX suite ([judges.md](judges.md)), PyTorch itself
on cases that Hypothesis draws, and CS231n's published numbers.

## Ops and losses, parameter by parameter

How many cases of the fixed table set a parameter to something else than its default, for each witness. For the
first two as many more are drawn at random, over every parameter.
"""
_REST = """
## Every formula

How each is proved. What has a gradient owes three witnesses, anything else two.
"""


def page(rows: list[Row]) -> str:
    """The page, from the rows of `witness()`."""
    ops = [f"| `{op}` | {parameter} | {' | '.join(map(str, counts))} |" for op, parameter, counts in _parameters()]
    lines = [_INTRO, "| op | parameter | literal | numeric | external |", "|---|---|---|---|---|", *ops, _REST]
    lines += ["| formula | kind | literal | numeric | external |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row.formula for row in rows):
        own = [row for row in rows if row.formula == name]
        cells = ["; ".join(dict.fromkeys(row.method for row in own if row.witness == w)) for w in WITNESSES]
        lines.append(f"| `{name}` | {own[0].kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _parameters() -> Iterator[tuple[str, str, tuple[int, int, int]]]:
    """(op, parameter, how many cases each witness has of it), the whole op first."""
    for name in dict.fromkeys(case.name for case in CASES):
        cases = [case for case in CASES if case.name == name]
        yield name, "(all cases)", _counts(cases)
        for parameter in inspect.signature(cases[0].functions[0]).parameters:
            set_by = [case for case in cases if parameter in _set_parameters(case)]
            if set_by:
                yield name, parameter if parameter not in ("b", "mean") else _SAID[parameter], _counts(set_by)


_SAID = {"b": "no bias", "mean": "given statistics (evaluation)"}


def _counts(cases: list[OpCase]) -> tuple[int, int, int]:
    table = recorded("torch_ops")
    return sum(case.twin for case in cases), len(cases), sum(f"{case}/y" in table for case in cases)


def _set_parameters(case: OpCase) -> set[str]:
    """The parameters that this case sets to something else than their default, and a bias that it leaves out."""
    args, options = case.build()
    signature = inspect.signature(case.functions[0])
    bound = signature.bind(*args, **options)
    given = {name for name, p in signature.parameters.items() if p.default is not p.empty and name in bound.arguments}
    left_out = {"b"} if bound.arguments.get("b", 0) is None else set()
    return {name for name in given if name != "var" and not _is_default(bound, signature, name)} | left_out


def _is_default(bound: inspect.BoundArguments, signature: inspect.Signature, name: str) -> bool:
    value, default = bound.arguments[name], signature.parameters[name].default
    return value is default or (not hasattr(value, "shape") and value == default)


if __name__ == "__main__":
    sys.stdout.write(page(witness()) + "\n")
