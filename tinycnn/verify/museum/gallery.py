"""The gallery: docs/museum.md and its pictures, made from the museum.

python -m tinycnn.verify.museum.gallery docs
"""

from __future__ import annotations

import sys
from pathlib import Path

from tinycnn.files import write_whole
from tinycnn.plot.beside import beside
from tinycnn.plot.style import save
from tinycnn.verify.museum import MUTANTS, Mutant
from tinycnn.verify.museum.scenes import scene
from tinycnn.verify.museum.trial import GRADIENT_CHECK, Trial, hold

_INTRO = """# The bug museum

Bugs that libraries, books and tutorials had, and a few that are easily made. Each is kept as a change of a line or a
few of tinycnn's own code, which a context puts in and takes out again. Where our code is built otherwise than the one
that had the bug, the story says what is done *here*.

```python
import tinycnn as tc

with tc.verify.mutant("flipped-kernel"):
    ...  # train, and see that it still learns
```

`tinycnn verify --mutants` puts them in one after the other and asks every witness; the pages below say what came of it.
The accuracies are those of a small network on 640 of the bundled digits, six epochs, judged on 360 others, with and
without the bug; on another machine they may differ a little.

"""


def page(trials: dict[str, tuple[Trial, Trial]]) -> str:
    """The gallery as Markdown, from the trial and the control of every mutant."""
    blind = [name for name, (trial, _) in trials.items() if GRADIENT_CHECK not in trial.by]
    lesson = (
        f"**A gradient check alone misses {len(blind)} of these {len(trials)}**, because forward and backward agree"
        " with each other, or because no gradient is in play: " + ", ".join(f"[{n}](#{n})" for n in blind) + ". What"
        " finds them is the formula, software that somebody else wrote, or a careful tester's habits.\n\n"
    )
    rows = ["| | bug | caught by | a gradient check | accuracy | without it |", "|---|---|---|---|---|---|"]
    for name, (trial, control) in trials.items():
        seen = "sees it" if GRADIENT_CHECK in trial.by else "**is blind**"
        rows.append(
            f"| {MUTANTS[name].number} | [{name}](#{name}) | {', '.join(trial.by)} | {seen} | {_percent(trial)} |"
            f" {_percent(control)} |"
        )
    sections = [_section(MUTANTS[name], *pair) for name, pair in trials.items()]
    return _INTRO + lesson + "\n".join(rows) + "\n\n" + "\n".join(sections)


def _percent(trial: Trial) -> str:
    return "none: NaN" if trial.accuracy is None else f"{trial.accuracy:.1%}"


def _section(exhibit: Mutant, trial: Trial, control: Trial) -> str:
    formulas = ", ".join(f"[{op}](formulas.md#{op})" for op in exhibit.ops)
    missed = f" Blind to it: {', '.join(trial.missed_by)}." if trial.missed_by else ""
    return (
        f"## {exhibit.name}\n\n**{exhibit.title}.** {exhibit.story}\n\n"
        f"![{exhibit.title}: as it should be, and with the bug](museum/{exhibit.name}.png)\n\n"
        f"```diff\n{exhibit.diff()}\n```\n\n"
        f"Breaks: {formulas}. Caught by: {', '.join(trial.by)}.{missed}\n\n"
        f"*Why did it still converge?* {exhibit.converged} ({_percent(trial)} with it, {_percent(control)}"
        " without.)\n\n"
        f"*What it teaches.* {exhibit.lesson}\n\nSource: {exhibit.source}.\n"
    )


def make(folder: Path) -> None:
    """Write the page and a picture for each mutant."""
    (folder / "museum").mkdir(parents=True, exist_ok=True)
    for name, exhibit in MUTANTS.items():
        view = scene(exhibit)
        save(beside(view.right, view.wrong, view.what), folder / "museum" / f"{name}.png")
    trials = {name: (hold(exhibit), hold(exhibit, mutated=False)) for name, exhibit in MUTANTS.items()}
    write_whole(folder / "museum.md", page(trials).encode())


if __name__ == "__main__":
    make(Path(sys.argv[1] if len(sys.argv) > 1 else "docs"))
