"""The page of all formulas, made from their declarations: `python -m tinycnn.formula.page > docs/formulas.md`."""

from __future__ import annotations

import sys

from tinycnn.formula.declare import Formula, Formulas


def page(formulas: Formulas) -> str:
    """Every formula as mathematics, with the meaning of its symbols, its shapes and its source, as Markdown."""
    head = (
        "# Formulas\n\n"
        "Made from the declarations in the code by `python -m tinycnn.formula.page > docs/formulas.md`. The letters\n"
        "are those of [notation.md](notation.md).\n"
    )
    forwards = [f for name, f in formulas.items() if not name.endswith("_backward")]
    parts = [_section(f, formulas) for f in forwards]
    return "\n".join([head, *parts])


def _section(entry: Formula, formulas: Formulas) -> str:
    lines = [f"## {entry.name}\n", f"$$\n{entry.latex}\n$$\n"]
    if entry.where_text:
        lines.append(f"where {_code_free(entry.where_text)}.\n")
    lines.append(f"Shapes: `{entry.shapes_text}`\n")
    if entry.source:
        lines.append(f"Source: {entry.source}.\n")
    backward = formulas.get(entry.name + "_backward")
    if backward is not None:
        lines.append(f"Backward:\n\n$$\n{backward.latex}\n$$\n")
        own = backward.where_text.removeprefix(entry.where_text).lstrip("; ")
        if own:
            lines.append(f"where {_code_free(own)}.\n")
    return "\n".join(lines)


def _code_free(text: str) -> str:
    return text.replace("_", r"\_").replace("*", r"\*")


if __name__ == "__main__":
    import tinycnn  # noqa: F401, declares all formulas
    from tinycnn.formula import formulas

    sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    sys.stdout.write(page(formulas))
