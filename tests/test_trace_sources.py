"""What is marked in the matrices beside a cell is what the cell depends on, entry by entry, and nothing else.

The judge changes the entries and looks whether the cell's value changes. It changes all that is not marked at once:
that must change nothing. And it changes what is marked one by one: each must be able to change the value, if not on
the recorded numbers then on others (a pixel that won its window does not care how small the second is).
"""

from __future__ import annotations

import numpy as np
import pytest
from test_trace_ops import traced
from trace_networks import CASES as NETWORKS
from trace_networks import example, network

import tinycnn as tc
from tinycnn.formula import Formula
from tinycnn.tracing import pictures as pictures_file
from tinycnn.tracing.cells import RecordedCells
from tinycnn.tracing.formulas import formula_named
from tinycnn.tracing.grid import WINDOW
from tinycnn.tracing.pictures import pictures
from tinycnn.verify.cases import CASES

MOST_CHANGED = 4  # marked entries of a cell that are changed one by one
REDRAWN = 60  # other numbers that are tried until a change of an entry shows


@pytest.fixture(autouse=True)
def _all_matrices(monkeypatch):
    monkeypatch.setattr(pictures_file, "_MOST_SLICES", 10**6)


def marked(trace, step, cell):
    """Every marked place of what is read; where all of a matrix is, no place of it is marked."""
    places = set()
    for picture in pictures(trace, step, cell)[0]:
        if not picture.is_read:
            continue
        own = [place for place, kinds in picture.marks.items() if WINDOW in kinds] or np.ndindex(picture.matrix.shape)
        vector = np.ndim(trace.names(step)[picture.symbol]) == 1
        places |= {(picture.symbol, (*picture.lead, *(place[1:] if vector else place))) for place in own}
    return places


def tables(program):
    """The arrays that are read inside an index, to find a place: of these, what leads elsewhere is not read."""
    names = set()

    def walk(node, inside):
        if isinstance(node, list) and node:
            if node[0] == "read":
                names.update({node[1]} if inside else ())
                walk(node[2], True)
            else:
                for part in node:
                    walk(part, inside)

    for statement in program:
        walk(statement["places"], True)
        walk(statement["expr"], False)
    return names


class Judge:
    """One cell of a step, worked out anew with other numbers."""

    def __init__(self, trace, step, index, symbol):
        self.step, self.index, self.symbol = step, index, symbol
        self.formula: Formula = formula_named(step.formula["name"])
        self.given = {name: np.array(v, float) if np.ndim(v) else v for name, v in trace.names(step).items()}
        self.tables = tables(step.program)
        for name in self.tables:
            self.given[name] = np.asarray(trace.names(step)[name])
        read = {line["symbol"] for line in step.reads}
        self.arrays = {name: v for name, v in self.given.items() if name in read and np.size(v) > 1}

    def value(self, names):
        with np.errstate(all="ignore"):
            return float(RecordedCells(self.formula, names).cell(self.index, self.symbol).value)

    def without(self, places, rng):
        """The value with other numbers everywhere but at these places."""
        for drawn in (*rng.normal(size=(6, 9)), np.full(9, np.nan)):
            names = dict(self.given)
            for name, array in self.arrays.items():
                if name in self.tables:
                    continue
                names[name] = rng.choice(drawn, array.shape)
                for at in (at for symbol, at in places if symbol == name):
                    names[name][at] = array[at]
            yield self.value(names)

    def matters(self, name, at, rng):
        """Whether a change of this entry alone can change the value."""
        names = dict(self.given)
        for _ in range(REDRAWN):
            before = self.value(names)
            array = names[name]
            others = np.unique(array) if name in self.tables else (np.nan, 1e3, -1e3)
            if len(others) == 1:
                return True  # of a table of places with but one place to lead to
            for other in others:
                changed = array.copy()
                changed[at] = other
                if not same(before, self.value(names | {name: changed})):
                    return True
            names = {k: rng.permutation(v.ravel()).reshape(v.shape) if k in self.arrays and k not in self.tables else v
                     for k, v in self.given.items()}  # fmt: skip
        return False


def same(a, b):
    return a == b or (a != a and b != b)


def assert_marks_are_what_it_depends_on(trace, step, symbol, index, rng):
    judge = Judge(trace, step, index, symbol)
    places = marked(trace, step, trace.cell(step, index, symbol))
    sources = {(one["symbol"], tuple(one["index"])) for one in trace.sources(step, index, symbol)}
    assert places == {one for one in sources if one[0] in judge.arrays}, (step, symbol, index)
    value = judge.value(judge.given)
    for other in judge.without(places, rng):
        assert same(value, other), f"{step}: {symbol}{list(index)} depends on more than {sorted(places)}"
    order = sorted(places)
    for k in rng.permutation(len(order))[:MOST_CHANGED]:
        assert judge.matters(*order[k], rng), f"{step}: {symbol}{list(index)} does not depend on {order[k]}"


def drawn_place(shape, rng):
    return tuple(int(rng.integers(size)) for size in shape)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_of_every_op_the_marks_are_what_the_cell_depends_on(case):
    trace, rng = traced(case), np.random.default_rng(7)
    for step in trace:
        for line in step.writes:
            assert_marks_are_what_it_depends_on(trace, step, line["symbol"], drawn_place(line["shape"], rng), rng)


@pytest.mark.parametrize("case", NETWORKS)
def test_of_every_kind_of_step_the_marks_are_what_the_cell_depends_on(case):
    trace, rng = tc.trace(*example(network(case)), unfused=True), np.random.default_rng(8)
    kinds = {step.op: step for step in trace if step.formula["name"]}
    assert any(step.phase == "update" for step in kinds.values())
    for step in kinds.values():
        for line in step.writes:
            assert_marks_are_what_it_depends_on(trace, step, line["symbol"], drawn_place(line["shape"], rng), rng)
