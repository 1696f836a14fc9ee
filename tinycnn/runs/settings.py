"""What a run is told: which network learns, from what, and how; written in a TOML file, in flags, or in both.

    data = "pictures/"
    epochs = 20
    [[layers]]
    type = "Conv2D"
    filters = 16
    kernel_size = 3
    [optimizer]
    name = "adam"
    lr = 1e-3

A flag is stronger than the file, the file than the network's own recipe. A word that is not known is an error before
anything is done, and names the nearest one that is.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

Entry = Mapping[str, Any]  # a thing by its name, with its options beside it


class SettingsError(ValueError):
    """A setting is not known, or has a value that it cannot have."""


@dataclass(frozen=True)
class Settings:
    """All that decides how a run goes. The same settings and data give the same run, to the bit.

    `net` names a network of the zoo; `layers` state one of your own instead. `val` is the share of the training part
    that is held out to watch by; `size` (H, W) is what pictures are resized to; with `skip_bad`, files that cannot be
    used are left out. None means: what the recipe says.
    """

    data: str = ""
    net: str | None = None
    layers: tuple[Entry, ...] = ()
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    optimizer: Entry = field(default_factory=dict)
    schedule: Entry = field(default_factory=dict)
    regularizer: Entry = field(default_factory=dict)
    loss: str | None = None
    metrics: tuple[str, ...] | None = None
    augment: tuple[Entry, ...] | None = None
    normalise: bool | None = None
    val: float | None = None
    size: tuple[int, int] | None = None
    grey: bool | None = None
    patience: int | None = None
    skip_bad: bool | None = None
    seed: int | None = None

    def __post_init__(self):
        _check(self)

    def over(self, below: Settings) -> Settings:
        """These settings where they say something, and those below where they do not."""
        usual = Settings()
        own = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(usual, f.name)}
        if "net" in own or "layers" in own:  # one network, not the one of the file beside the one of the flag
            below = replace(below, net=None, layers=())
        if "lr" in own.get("optimizer", {}):  # said later than the rate below
            below = replace(below, lr=None)
        if "optimizer" in own and own["optimizer"].get("name") in (None, below.optimizer.get("name")):
            own["optimizer"] = {**below.optimizer, **own["optimizer"]}
        return replace(below, **own)

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON, for the file that says what a run was told."""
        return {key: value for key, value in asdict(self).items()
                if not (value is None or value == {} or (key == "layers" and not value))}  # fmt: skip


def read_settings(path: str | Path) -> Settings:
    """The settings of a TOML file.

    Raises FileNotFoundError if there is none, SettingsError for what is no TOML, a word that is no setting, or a value
    that a setting cannot have; the message begins with the file's name.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no settings file {path}")
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    try:
        return settings_of(found)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def settings_of(found: Mapping[str, Any]) -> Settings:
    """Settings from a table of them, as a TOML file or a run's own record gives it."""
    known = [f.name for f in fields(Settings)]
    for word in found:
        if word not in known:
            raise SettingsError(f"there is no setting {word!r}{nearest(word, known)}")
    return Settings(**{word: _tuples(value) for word, value in found.items()})


def nearest(word: str, known: Any) -> str:
    """The word that was probably meant, or all that there are."""
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _tuples(value: Any) -> Any:
    """The same value with lists as tuples, all the way down."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _check(s: Settings) -> None:
    """Raise SettingsError for the first value that its setting cannot have."""
    for name in ("epochs", "batch_size", "patience"):
        _whole(name, getattr(s, name), least=1)
    _whole("seed", s.seed, least=0)
    for name, below in (("lr", math.inf), ("val", 1.0)):
        value = getattr(s, name)
        if value is not None and not (_is_number(value) and 0 < value < below):
            upper = "" if below == math.inf else f" and below {below:g}"
            raise SettingsError(f"{name} must be a number above 0{upper}, got {value!r}")
    for name, wanted, words in (
        ("data", str, "a name or a path"), ("net", str, "a name of the zoo"), ("loss", str, "a loss's name"),
        ("normalise", bool, "true or false"), ("grey", bool, "true or false"),
        ("skip_bad", bool, "true or false"), ("optimizer", Mapping, "a table"),
        ("schedule", Mapping, "a table"), ("regularizer", Mapping, "a table"), ("metrics", tuple, "a list of names"),
    ):  # fmt: skip
        value = getattr(s, name)
        if value is not None and not isinstance(value, wanted):
            raise SettingsError(f"{name} must be {words}, got {value!r}")
    for name in ("layers", "augment"):
        _entries(name, getattr(s, name) or ())
    for name in ("optimizer", "schedule", "regularizer"):
        if getattr(s, name) and "name" not in getattr(s, name):
            raise SettingsError(f"[{name}] needs a name")
    if s.size is not None and not (
        isinstance(s.size, tuple) and len(s.size) == 2 and all(isinstance(n, int) and n > 0 for n in s.size)
    ):
        raise SettingsError(f"size must be two whole numbers, height and width, got {s.size!r}")
    if s.net and s.layers:
        raise SettingsError("net names a network of the zoo, and layers state another: give one of them")


def _whole(name: str, value: Any, least: int) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
        raise SettingsError(f"{name} must be a whole number ≥ {least}, got {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _entries(name: str, entries: Any, path: str = "") -> None:
    if not isinstance(entries, tuple):
        raise SettingsError(f"{name} must be a list of tables, [[{name}]], got {entries!r}")
    for place, entry in enumerate(entries, start=1):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("type"), str):
            raise SettingsError(f'entry {path}{place} of {name} needs a type, as type = "Conv2D"')
        if name == "layers" and "layers" in entry:  # Residual and SkipConcat hold others
            _entries(name, entry["layers"], f"{path}{place}.")
