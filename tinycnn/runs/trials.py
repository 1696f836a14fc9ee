"""What a sweep tries: every combination of some values, or so many drawn at random from values and ranges.

`lr=0.01,0.1` are two values; `lr=0.0001..0.1` is a range, drawn from by its logarithm where it spans a factor of ten or
more, and evenly otherwise; `optimizer.momentum=0.5,0.9` reaches into a table. Random search finds good settings sooner
where only a few of them matter: each of its trials tries a new value of every setting.

Source: Bergstra & Bengio 2012, JMLR 13, "Random search for hyper-parameter optimization".
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycnn.runs.settings import Settings, SettingsError, settings_of

MOST = 10_000  # trials in one sweep
LOGARITHMIC = 10.0  # a range whose ends differ by this factor is drawn from by its logarithm
TABLES = ("optimizer", "schedule", "regularizer")
REAL = ("lr", "val")  # numbers between whole ones can be drawn for these, however a range is written
Choice = Mapping[str, Any]


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; whole ones if both ends are."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """One number, evenly or by its logarithm."""
        low, high = self.low, self.high
        if low > 0 and high / low >= LOGARITHMIC:
            found = math.exp(rng.uniform(math.log(low), math.log(high)))
            return round(found) if self._whole else float(f"{found:.4g}")
        return int(rng.integers(int(low), int(high) + 1)) if self._whole else float(f"{rng.uniform(low, high):.4g}")

    @property
    def _whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


def tried(texts: Sequence[str]) -> dict[str, Any]:
    """What to try for each setting, from words such as `lr=0.01,0.1` and `lr=0.0001..0.1`.

    Raises SettingsError for what does not read so, and for a setting that comes twice.

    >>> tried(["lr=0.01,0.1", "batch_size=16..64"])
    {'lr': (0.01, 0.1), 'batch_size': Range(low=16, high=64)}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, values = (part.strip() for part in text.partition("="))
        if not (name and equals and values):
            raise SettingsError(f"what to try reads lr=0.01,0.1 or lr=0.0001..0.1, got {text!r}")
        if name in found:
            raise SettingsError(f"{name} is to be tried twice: put its values into one list")
        found[name] = _range(name, values) if ".." in values else _values(name, values)
    return found


def choices(tries: Mapping[str, Any], random: int | None, seed: int) -> list[Choice]:
    """Every combination, or `random` drawn ones, in an order that is always the same.

    Raises SettingsError for nothing to try, a range where every combination is asked for, or more trials than 10,000.
    """
    if not tries:
        raise SettingsError("a sweep needs something to try, as lr=0.01,0.1")
    if random is None:
        ranges = [name for name, values in tries.items() if isinstance(values, Range)]
        if ranges:
            raise SettingsError(f"{ranges[0]} is a range: say how many trials to draw at random")
        count = math.prod(map(len, tries.values()))
    else:
        count = random
    if not 1 <= count <= MOST:
        raise SettingsError(f"a sweep has 1 to {MOST:,} trials, and this would have {count:,}")
    if random is None:
        return [dict(zip(tries, values, strict=True)) for values in itertools.product(*tries.values())]
    return [_drawn(tries, np.random.default_rng([seed, i])) for i in range(random)]  # the first ones stay as they were


def chosen(settings: Settings, choice: Choice) -> Settings:
    """The settings with a trial's values put in; raises SettingsError for a setting or a value that cannot be.

    A word for a table is its name: `optimizer=adam`.
    """
    tables: dict[str, Any] = {}
    for name, value in sorted(choice.items(), key=lambda item: "." in item[0]):  # what reaches into a table comes last
        outer, dot, inner = name.partition(".")
        if dot:
            tables.setdefault(outer, dict(getattr(settings, outer, {}) or {}))[inner] = value
        else:
            tables[name] = {"name": value} if name in TABLES and isinstance(value, str) else value
    return settings_of(tables).over(settings)


def _drawn(tries: Mapping[str, Any], rng: np.random.Generator) -> Choice:
    return {
        name: values.draw(rng) if isinstance(values, Range) else values[int(rng.integers(len(values)))]
        for name, values in tries.items()
    }


def _range(name: str, text: str) -> Range:
    ends = [_value(end) for end in text.split("..")]
    if len(ends) != 2 or any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends):
        raise SettingsError(f"a range reads {name}=0.0001..0.1, got {text!r}")
    if not ends[0] < ends[1] < math.inf:
        raise SettingsError(f"{name}: a range goes from less to more, got {text!r}")
    return Range(*(map(float, ends) if name.rpartition(".")[2] in REAL else ends))


def _values(name: str, text: str) -> tuple[Any, ...]:
    values = tuple(map(_value, text.split(",")))
    if twice := [value for place, value in enumerate(values) if value in values[:place]]:
        raise SettingsError(f"{name}: {twice[0]} stands there twice, and would be the same trial")
    return values


def _value(text: str) -> Any:
    """A number or true or false as TOML writes it, and anything else a word."""
    try:
        return tomllib.loads(f"v = {text.strip()}")["v"]
    except tomllib.TOMLDecodeError:
        return text.strip()
