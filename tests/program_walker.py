"""The program of a trace's step, walked as docs/trace.md says and no otherwise: by brute force, over every turn."""

from __future__ import annotations

import itertools
import math

import numpy as np

REST = "_rest"
OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "//": lambda a, b: a // b,
    "%": lambda a, b: a % b, "**": lambda a, b: a**b, "/": lambda a, b: np.float64(a) / np.float64(b),
}  # fmt: skip
COMPARED = {"<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
            "!=": np.not_equal}  # fmt: skip


def larger(a, b):
    """Whether b takes the place of a: the first NaN wins, then the strictly larger."""
    return b > a or (b != b and a == a)


class Walker:
    """Cells of what a program makes from these names."""

    def __init__(self, program, names):
        self.program, self.names, self.known = program, names, {}

    def cell(self, symbol, index, before=None):
        """What the statements before this one have left at a place."""
        key = symbol, tuple(index), len(self.program) if before is None else before
        if key not in self.known:
            with np.errstate(all="ignore"):
                self.known[key] = self.make(*key)
        return self.known[key]

    def make(self, symbol, index, before):
        mine = [k for k in range(before) if self.program[k]["target"] == symbol]
        if not mine:
            value = self.names[symbol] if symbol in self.names else {"inf": math.inf}[symbol]
            return np.float64(np.asarray(value)[index]) if np.ndim(value) else value
        written = [k for k in mine if not self.program[k]["scatter"] and self.turns(k, index)]
        start = np.asarray(self.names.get(symbol, 0.0))
        total = np.float64(start[index] if start.ndim else 0.0)
        if written:
            at = self.turns(written[-1], index)[-1]
            total = self.value(self.program[written[-1]]["expr"], at, written[-1])
        for k in mine:
            if self.program[k]["scatter"] and (not written or k > written[-1]):
                for at in self.turns(k, index):
                    total = total + self.value(self.program[k]["expr"], at, k)
        return total

    def turns(self, k, index):
        """Every turn of a statement's own loops whose places are this index."""
        statement = self.program[k]
        inner = set(bound(statement["expr"])).union(*(bound(expr) for _, expr in statement["let"]))
        loose = [n for n in statement["indices"] if n not in inner]
        wanted = self.flat(statement, index)
        found = []
        for values in itertools.product(*(range(statement["indices"][n]) for n in loose)):
            at = dict(zip(loose, values, strict=True))
            for words, expr in statement["let"]:
                at |= dict(zip(words, self.argmax(expr, at, k), strict=True))
            if [self.value(place, at, k) for place in statement["places"]] == wanted:
                found.append(at)
        return found

    def flat(self, statement, index):
        """An index with the axes of `...` taken as one."""
        places = statement["places"]
        if not places or places[-1] != ["idx", REST]:
            return list(index)
        lead = len(places) - 1
        rest = statement["shape"][lead:]
        return [*index[:lead], int(np.ravel_multi_index(index[lead:], rest)) if rest else 0]

    def shape(self, symbol, k):
        made = [statement for statement in self.program[:k] if statement["target"] == symbol]
        return made[-1]["shape"] if made else list(np.shape(self.names[symbol]))

    def value(self, expr, at, k):
        head = expr[0]
        value = lambda e: self.value(e, at, k)  # noqa: E731
        if head == "num":
            return expr[1]
        if head == "idx":
            return at[expr[1]]
        if head == "name":
            return at[expr[1]] if expr[1] in at else self.cell(expr[1], (), k)
        if head == "read":
            return self.read(expr[1], expr[2], at, k)
        if head == "neg":
            return -value(expr[1])
        if head == "if":
            return value(expr[2] if value(expr[1]) else expr[3])
        if head == "cmp":
            sides = [value(side) for side in expr[2]]
            return float(all(COMPARED[sign](a, b) for sign, a, b in zip(expr[1], sides, sides[1:], strict=False)))
        if head == "call":
            return self.call(expr[1], [value(part) for part in expr[2]])
        if head in OPERATORS:
            return OPERATORS[head](value(expr[1]), value(expr[2]))
        return self.reduce(head, [self.value(expr[2], at | more, k) for more in self.inner(expr[1], k)])

    def read(self, symbol, places, at, k):
        index = [int(self.value(place, at, k)) for place in places]
        if places[-1] == ["idx", REST]:
            lead = len(places) - 1
            rest = self.shape(symbol, k)[lead:]
            index = [*index[:lead], *map(int, np.unravel_index(index[-1], rest))] if rest else index[:lead]
        return self.cell(symbol, tuple(index), k)

    def inner(self, names, k):
        sizes = self.program[k]["indices"]
        for values in itertools.product(*(range(sizes[n]) for n in names)):
            yield dict(zip(names, values, strict=True))

    def argmax(self, expr, at, k):
        best, where = -math.inf, (0,) * len(expr[1])
        for more in self.inner(expr[1], k):
            value = self.value(expr[2], at | more, k)
            if larger(best, value):
                best, where = value, tuple(more.values())
        return where

    def reduce(self, kind, values):
        if kind == "sum":
            return sum(values)
        if kind == "mean":
            return sum(values) / len(values)
        if kind == "prod":
            return math.prod(values)
        best = values[0]
        for value in values[1:]:
            best = value if larger(best, value) == (kind == "max") and best != value else best
        return best

    def call(self, name, values):
        if name in ("max", "min"):
            return self.reduce(name, values)
        return getattr(np, name)(np.float64(values[0]))


def bound(expr):
    """The indices that sums (and max, …) inside an expression run over."""
    if not isinstance(expr, list):
        return []
    own = expr[1] if expr and expr[0] in ("sum", "mean", "max", "min", "prod", "argmax") else []
    return [*own, *(n for part in expr if isinstance(part, list) for n in bound(part))]

