"""From calls to steps: each result of each call becomes a step, its arrays go into the store."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.formula import Formula
from tinycnn.tracing.origins import Origins
from tinycnn.tracing.sentences import Said, say
from tinycnn.tracing.steps import Entry, Step, code_of, names_of, options_of, parts_for, plain_number
from tinycnn.tracing.store import Store, plain
from tinycnn.tracing.watch import Call

Array = np.ndarray


class Builder:
    """Collects steps; `at` says whose calls are coming."""

    def __init__(self) -> None:
        self.store, self.steps = Store(), list[Step]()
        self.phase, self.kind, self.size_note = "forward", "", ""
        self.layer: str | None = None
        self.origins, self.weight = Origins(), ""  # what arrays are; whose update it is
        self.weights: dict[int, str] = {}  # whose array a weight is, by identity
        self.buffers: dict[int, str] = {}  # whose array a running statistic is

    def at(self, phase: str, layer: str | None, kind: str, size_note: str = "") -> None:
        """Whose calls come next."""
        self.phase, self.layer, self.kind, self.size_note = phase, layer, kind, size_note

    @property
    def whose(self) -> str:
        """What sentences call it."""
        return self.layer or "the loss"

    # ------------------------------------------------------------------ steps

    def add(
        self, formula: Formula, values: dict[str, Any], results: dict[str, Any], op: str, *, code: Any = None,
        options: Entry | None = None, weight: str = "", said: Said | None = None, together: bool = False,
    ) -> list[Step]:  # fmt: skip
        """A step for each result, or one for all: `values` is what went in, by the names of the formula."""
        self.weight = weight
        names = names_of(formula, values)
        roles = {name: self._role(name, value, values, formula) for name, value in names.items()}
        entries = {name: self._entry(name, value, roles[name]) for name, value in names.items()}
        made = []
        for group in [results] if together else [{result: value} for result, value in results.items()]:
            step = self._step(formula, names, entries, roles, group, op, weight)
            result = step.result
            step.code = code_of(code) if code is not None else {"file": "", "line": 0, "source": ""}
            step.options = options_of(values) if options is None else options
            facts = self._facts(step, names, weight)
            own = said or say(op, result, facts, formula, code)
            step.title, step.text = own.title, own.text
            step.left_out = self._left_out(step)
            self.steps.append(step)
            made.append(step)
        return made

    def _step(
        self, formula: Formula, names: dict[str, Any], entries: Entry, roles: dict[str, str], results: dict[str, Any],
        op: str, weight: str,
    ) -> Step:  # fmt: skip
        printed, statements, read = parts_for(formula, list(results), names)
        reads = [self._line(name, entries[name], roles[name]) for name in read if isinstance(entries[name], str)]
        writes = [self._written(result, value, formula, roles, weight, op) for result, value in results.items()]
        ids = {line["symbol"]: line["tensor"] for line in writes}
        before = {symbol: entries[symbol] for symbol in ids if symbol in read and isinstance(entries[symbol], str)}
        main = "w" if "w" in results else next(iter(results))
        step = Step(
            len(self.steps), self.phase, self.layer, self.kind, op, "", printed, "", reads, writes, main,
            self._shape_note(reads, writes), {}, {}, statements, entries, before, {s: ids[s] for s in before},
        )  # fmt: skip
        step.marks = self._marks(op, [*reads, *writes])
        return step

    def _written(
        self, result: str, value: Any, formula: Formula, roles: dict[str, str], weight: str, op: str
    ) -> Entry:
        role = roles.get(result) or self._role_of_result(result, formula)
        tensor = self.store.put(value, role)
        note = "x with its border" if op == "pad" else f"{result} of {weight or self.whose}"
        self.origins.add(tensor, f"{weight} after the update" if weight and result == "w" else note)
        return {"symbol": result, "tensor": tensor, "role": role, "shape": list(np.shape(value)), "note": note}

    def array(self, step: Step) -> Array:
        """What a step wrote."""
        return self.store.table[step.writes[0]["tensor"]].array

    def plain_step(self, op: str, said: Said, reads: dict[str, Array], writes: dict[str, Array], code: Any) -> Step:
        """A step of a layer that no formula is declared for: what went in and what came out."""
        role = "gradient" if self.phase == "backward" else "activation"
        read = [self._line(name, self.store.put(value, role), role) for name, value in reads.items()]
        out = []
        for symbol, value in writes.items():
            written = self.store.put(value, role)
            self.origins.add(written, f"{symbol} of {self.whose}")
            out.append(self._line(symbol, written, role))
        empty = {"name": "", "text": "", "latex": "", "mathml": "", "where": "", "source": ""}
        step = Step(
            len(self.steps), self.phase, self.layer, self.kind, op, said.title, empty, said.text, read, out,
            out[0]["symbol"], self._shape_note(read, out), code_of(code), {}, [],
            {line["symbol"]: line["tensor"] for line in read},
        )  # fmt: skip
        step.marks = self._marks(op, [*read, *out])
        self.steps.append(step)
        return step

    # ------------------------------------------------------------------ parts

    def _entry(self, name: str, value: Any, role: str) -> Any:
        number = plain_number(value)
        return self.store.put(value, role) if number is None else number

    def _line(self, symbol: str, tensor: str, role: str) -> Entry:
        stored = self.store.table[tensor]
        own = self.weight if self.weight and symbol == "w" else f"{self.layer}.{symbol}"
        return {"symbol": symbol, "tensor": tensor, "role": role, "shape": list(stored.shape),
                "note": self.origins.of(tensor, own)}  # fmt: skip

    def _role(self, name: str, value: Any, values: dict[str, Any], formula: Formula) -> str:
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return "number"
        if id(values.get(name)) in self.weights:
            return "weight"
        return self._role_of_result(name, formula, value)

    def _role_of_result(self, name: str, formula: Formula, value: Any = None) -> str:
        if self.phase == "update" and name in ("m", "v", "s", "d", "running", "norm"):
            return "state"
        root = formula.parent or formula
        is_gradient = name == "dy" or (name[0] == "d" and (name[1:] in root.symbols or name[1:] in formula.symbols))
        if is_gradient or name in ("past", "through", "pull", "g", "slope"):
            return "gradient"
        if name == "t" and self.layer is None:
            return "label"
        if name in ("w", "b", "gamma", "beta") and self.phase != "check":
            return "weight"
        if value is not None and np.asarray(value).dtype.kind in "biu":
            return "index"
        if name in ("running", "mean", "var"):
            return "state"
        return "number" if name in ("L", "R", "total", "norm") else "activation"

    def _shape_note(self, reads: list[Entry], writes: list[Entry]) -> str:
        size = lambda line: f"{line['symbol']} ({', '.join(map(str, line['shape']))})"  # noqa: E731
        shapes = f"{', '.join(map(size, reads))} → {', '.join(map(size, writes))}"
        return f"{self.size_note}; {shapes}" if self.size_note else shapes

    def _marks(self, op: str, lines: list[Entry]) -> list[str]:
        """What is not finite, in words. A pool's border is infinite by right."""
        found = []
        for line in lines:
            array = self.store.table[line["tensor"]].array
            bordered = line["symbol"] == "xp" or op in ("pad", "pad2d_forward")
            nan, inf = int(np.isnan(array).sum()), 0 if bordered else int(np.isinf(array).sum())
            counts = [f"{count} {word}" for count, word in ((nan, "NaN"), (inf, "infinite")) if count]
            if counts:
                found.append(f"{line['symbol']}: {' and '.join(counts)} of {array.size} numbers")
        return found

    def _left_out(self, step: Step) -> str:
        cut = [line for line in (*step.reads, *step.writes) if not self.store.table[line["tensor"]].whole]
        words = [f"the first {self.store.table[c['tensor']].first:,} numbers of {c['symbol']}" for c in cut]
        return f"Only {', '.join(words)} are kept." if cut else ""

    def _facts(self, step: Step, names: dict[str, Any], weight: str) -> Entry:
        """What a sentence may name."""
        shape = step.writes[0]["shape"]
        numbers = {name: value for name, value in step.names.items() if not isinstance(value, str)}
        return numbers | {
            "whose": self.whose, "weight": weight, "out": shape, "options": step.options,
            "values": names, "value": self.store.table[step.writes[0]["tensor"]].array,
        }  # fmt: skip


def results_of(call: Call) -> dict[str, Any]:
    """What a call made, by the names of its formula; a gradient of what is not there is none."""
    formula, result = call.formula, call.result
    if call.op.endswith("_forward"):
        return {formula.results[0]: result[0]}
    values = (result,) if len(formula.results) == 1 else result
    found = dict(zip(formula.results, values, strict=True))
    ordered = sorted(found, key=lambda name: name in ("dx", "dz", "dp"))  # what goes on to the layer before comes last
    return {name: found[name] for name in ordered if found[name] is not None}


def same_numbers(a: Any, b: Any) -> bool:
    """Whether two arrays are equal to the bit, NaN and all."""
    a, b = plain(a), plain(b)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()
