"""The page of all formulas, made from their declarations: `python -m tinycnn.formula.page > docs/formulas.md`."""

from __future__ import annotations

import re
import sys

from tinycnn.formula.declare import Formula, Formulas
from tinycnn.formula.foundations import FOUNDATIONS
from tinycnn.formula.mathml import symbol_of_latex
from tinycnn.formula.notation import LATEX_SYMBOLS, TEXT_SYMBOLS
from tinycnn.formula.parse import Definition
from tinycnn.formula.printing import text_definition

PARTS = {
    "algebra": "Algebra\n\nArrays added, multiplied and turned over, number by number; images and labels as arrays.",
    "calculus": "Calculus\n\nHow fast a function changes, what it adds up to, and which way is down. A limit is "
    "followed from both sides, an integral summed over ever finer pieces; where that does not settle, `evaluate` says "
    "so.",
    "probability": "Probability\n\nAn experiment has N outcomes, and outcome n the probability p[n]. An event is an "
    "array of 1 (the outcome belongs to it) and 0; a random variable has a number for each outcome.",
    "size": "Counting\n\nWhat `model.summary()` tells of each layer: its weights, its multiplications, how much of the "
    "image it sees. The size of its output is [output_size](#output_size).",
}

PACKAGES = ("ops", "layers", "optim", "train", "data", "evaluation")  # in this order


def page(formulas: Formulas) -> str:
    """Every formula as mathematics, with the meaning of its symbols, its shapes and its source, as Markdown."""
    head = (
        "# Formulas\n\n"
        "Made from the declarations in the code by `python -m tinycnn.formula.page > docs/formulas.md`. The letters\n"
        "are those of [notation.md](notation.md). What they rest on, from the matrix product to Bayes, is at the\n"
        "end, under [Foundations](#foundations).\n\n"
        "Each prints as text, LaTeX and MathML, which a browser shows by itself. Its derivative by what it reads is a\n"
        "formula too, made by the chain rule from the text alone; every written backward is held to it.\n\n"
        "```python\n"
        ">>> import tinycnn as tc\n"
        '>>> print(tc.formulas["linear"].derivative("w").text)\n'
        "dw[f,c] = Σ[n] dy[n,f]·x[n,c]\n"
        '>>> tc.formulas["scalar_multiple"].derivative("s").evaluate(dy=[1.0, 2.0], s=5.0, a=[3.0, 4.0])\n'
        "array(11.)\n"
        "```\n"
    )
    apart = {f.name for part in FOUNDATIONS.values() for f in part}
    forwards = [f for name, f in formulas.items() if not name.endswith("_backward") and name not in apart]
    forwards.sort(key=_place)  # whatever was imported first
    return "\n".join([head, *(_section(f, formulas) for f in forwards), _foundations(formulas)])


def _place(entry: Formula) -> tuple[int, str]:
    """A package's formulas stand together, and in it those of a file, as they are declared."""
    part = entry.module.split(".")[1]
    return PACKAGES.index(part) if part in PACKAGES else len(PACKAGES), entry.module


def _foundations(formulas: Formulas) -> str:
    """The formulas that belong to no op, part by part."""
    head = (
        "# Foundations\n\n"
        "The formulas that belong to no op. Each is evaluated as it is written; a function is a Python function:\n\n"
        "```python\n"
        ">>> import tinycnn as tc\n"
        '>>> tc.formulas["derivative"].evaluate(f=lambda x: x**2, x=3)\n'
        "array(6.)\n"
        '>>> print(tc.formulas["dot_product"].terms((), a=[1, 2, 3], b=[4, 5, 6]).text())\n'
        "1·4 + 2·5 + 3·6\n"
        "```\n"
    )
    parts = []
    for part, entries in FOUNDATIONS.items():
        parts += [f"## {PARTS[part]}\n", *(_section(entry, formulas, "###") for entry in entries)]
    return "\n".join([head, *parts])


def _section(entry: Formula, formulas: Formulas, mark: str = "##") -> str:
    lines = [f"{mark} {entry.name}\n", f"{entry.about}\n"] if entry.about else [f"{mark} {entry.name}\n"]
    lines.append(f"$$\n{entry.latex}\n$$\n")
    if entry.where:
        lines.append(f"where {_meanings(entry.where)}.\n")
    lines.append(f"Shapes: `{entry.shapes_text}`\n")
    if entry.source:
        lines.append(f"Source: {entry.source}.\n")
    backward = formulas.get(entry.name + "_backward")
    if backward is not None:
        lines.append(f"Backward:\n\n$$\n{backward.latex}\n$$\n")
        own = backward.where[len(entry.where) :]
        if own:
            lines.append(f"where {_meanings(own)}.\n")
    return "\n".join(lines)


def _meanings(where: tuple[Definition, ...]) -> str:
    """What the symbols mean; one that is a Greek letter in the formula is called both: lr (η)."""
    clauses = []
    for definition in where:
        clause = text_definition(definition)
        for name in definition.names:
            greek = re.fullmatch(r"\\[a-z]+", LATEX_SYMBOLS.get(name, "")) and name not in TEXT_SYMBOLS
            if greek:
                letter = re.sub(r"<[^>]*>", "", symbol_of_latex(LATEX_SYMBOLS[name]))
                clause = clause.replace(name, f"{name} ({letter})", 1)
        clauses.append(_code_free(clause))
    return "; ".join(clauses)


def _code_free(text: str) -> str:
    return text.replace("_", r"\_").replace("*", r"\*")


if __name__ == "__main__":
    import tinycnn  # noqa: F401, declares all formulas
    from tinycnn.formula import formulas

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(page(formulas))
