"""What came of a check: per subject a verdict, the smallest failing case and the likely mistake; as text or dict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinycnn.checking.explain import Explanation
from tinycnn.checking.features import in_common
from tinycnn.checking.judge import Record

PASS, WRONG, STOPPED = "pass", "wrong", "stopped"


@dataclass
class Result:
    """One subject of a file: the records of all its cases, the smallest failing one, and the likely mistakes.

    `verdict` is "pass", "wrong", or "stopped" for what never came to an answer. `remarks` say what else was noticed;
    `about` is why it stopped.
    """

    subject: str
    functions: tuple[str, ...]
    records: list[Record] = field(default_factory=list)
    smallest: Record | None = None
    mistakes: list[Explanation] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    about: str = ""

    @property
    def verdict(self) -> str:
        """One of the three words."""
        if self.about:
            return STOPPED
        return WRONG if any(r.faults and r.question.kind != "nan" for r in self.records) else PASS

    @property
    def cases(self) -> int:
        """How many cases were asked."""
        return len(self.records)

    @property
    def passed(self) -> int:
        """How many of them are right."""
        return sum(not r.faults for r in self.records)

    @property
    def mistake(self) -> str:
        """The likeliest mistake in a few words; empty if there is none, or none is known."""
        if self.verdict != WRONG:
            return self.about
        if self.mistakes:
            return self.mistakes[0].title
        return self.smallest.faults[0].text if self.smallest else ""

    @property
    def in_common(self) -> str:
        """What the failing cases have in common."""
        return in_common([r for r in self.records if r.question.kind != "nan"])

    def as_dict(self) -> dict[str, Any]:
        """For JSON: everything that the report says at its fullest."""
        return {
            "op": self.subject, "functions": list(self.functions), "verdict": self.verdict, "cases": self.cases,
            "passed": self.passed, "about": self.about, "remarks": self.remarks, "in_common": self.in_common,
            "smallest": _case(self.smallest),
            "mistakes": [{"name": m.name, "title": m.title, "story": m.story, "lesson": m.lesson, "source": m.source,
                          "explains": "everything" if m.whole else list(m.results), "sure": m.sure}
                         for m in self.mistakes],
        }  # fmt: skip


@dataclass
class Report:
    """All that was found in one file, or of one function; `str()` shows as much as `hint` (1, 2 or 3) says.

    `about` is what kept the file from being checked at all; `printed` is what it printed.
    """

    file: str
    results: list[Result] = field(default_factory=list)
    about: str = ""
    remarks: list[str] = field(default_factory=list)
    printed: str = ""
    hint: int = 2
    nothing: bool = False  # no function has a name of ours

    @property
    def passed(self) -> bool:
        """Whether there was something to check, and all of it is right."""
        return bool(self.results) and not self.about and all(r.verdict == PASS for r in self.results)

    def text(self, hint: int | None = None, columns: int = 80) -> str:
        """The report in words: 1 says where, 2 shows the case, 3 names the mistake."""
        from tinycnn.checking.text import report_text

        return report_text(self, self.hint if hint is None else hint, columns)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"file": self.file, "passed": self.passed, "about": self.about, "remarks": self.remarks,
                "printed": self.printed, "results": [r.as_dict() for r in self.results]}  # fmt: skip

    def rows(self) -> list[tuple[str, ...]]:
        """A row an op: file, op, verdict, likely mistake, cases passed, cases."""
        if not self.results:
            verdict = STOPPED if self.about and not self.nothing else "nothing to check"
            return [(self.file, "", verdict, self.about, "0", "0")]
        return [(self.file, r.subject, r.verdict, r.mistake, str(r.passed), str(r.cases)) for r in self.results]


def _case(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    question = record.question
    given = {k: _plain(v) for k, v in question.given.items()}
    return {
        "label": question.label, "arguments": given, "dy": _plain(question.dy),
        "faults": [f.text for f in record.faults],
        "expected": {k: _plain(question.expected[k]) for k in record.answer.results if k in question.expected},
        "got": {k: _plain(v) for k, v in record.answer.results.items()},
    }  # fmt: skip


def _plain(value: Any) -> Any:
    """Arrays as lists, what is not finite as a word, so that the JSON is JSON."""
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, complex):
        return str(value)
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, int | float | str | bool | None) else str(value)
