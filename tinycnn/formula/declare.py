"""A formula is declared once, in a decorator right above the code that implements it, and drives everything else."""

from __future__ import annotations

import ast
import inspect
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from tinycnn.formula import printing
from tinycnn.formula.cell import Cell
from tinycnn.formula.expand import Cells
from tinycnn.formula.loops import LoopNest, Macros
from tinycnn.formula.notation import INDEX_SIZES, REST
from tinycnn.formula.parse import (
    FUNCTION,
    Definition,
    FormulaError,
    index_name,
    is_rest,
    parse_shapes,
    parse_statement,
    parse_where,
)
from tinycnn.formula.registry import Formulas

Given = Callable[[dict[str, Any]], dict[str, Any]]


class Formula:
    """One declared formula: printed, evaluated literally, and taken apart, all from the same text.

    `text`, `latex` and `mathml` print it; `evaluate(**arrays)` walks it loop by loop; `terms(index, **arrays)` shows
    what makes up one cell; `derivative(wrt)` is the formula of its gradient. `source` names the paper or book.
    """

    def __init__(
        self, name: str, lines: tuple[str, ...], where: str = "", shapes: str = "", source: str = "",
        given: Given | None = None, defaults: Mapping[str, Any] | None = None, parent: Formula | None = None,
        about: str = "",
    ):  # fmt: skip
        self.name, self.lines, self.parent, self.about = name, lines, parent, about
        self.parameters: tuple[str, ...] = ()  # of the function that the formula stands above
        self.module = ""  # where that stands
        self.source: str = source or (parent.source if parent else "")
        self.given: Given | None = given or (parent.given if parent else None)
        self.defaults: dict[str, Any] = dict(parent.defaults if parent else {}) | dict(defaults or {})
        own, self.results = parse_shapes(shapes)
        self.inputs: tuple[str, ...] = tuple(parse_shapes(shapes.partition("->")[0])[0])
        self.shapes = _inherit_shapes(own, parent) if parent else own
        elementwise = frozenset(symbol for symbol, dims in self.shapes.items() if dims == ("...",))
        self.functions = frozenset(symbol for symbol, dims in self.shapes.items() if dims == FUNCTION)
        self.statements = tuple(parse_statement(line, elementwise, self.functions) for line in lines)
        self.where: tuple[Definition, ...] = (parent.where if parent else ()) + parse_where(where, elementwise)
        self.results = self.results or tuple(dict.fromkeys(s.target for s in self.statements))
        self.symbols = frozenset(self.shapes) | {s.target for s in self.statements}

    # ------------------------------------------------------------------ print

    @property
    def text(self) -> str:
        """The formula as mathematics in plain text, a line a statement."""
        return "\n".join(printing.text_statement(s) for s in self.statements)

    @property
    def latex(self) -> str:
        """The formula as LaTeX, ready between `$$`."""
        lines = [printing.latex_statement(s, *self._kinds) for s in self.statements]
        if len(lines) == 1:
            return lines[0]
        aligned = r" \\ ".join(printing.align(line) for line in lines)
        return rf"\begin{{aligned}} {aligned} \end{{aligned}}"

    @property
    def mathml(self) -> str:
        """The formula as MathML: a `<math>` element, which browsers show by themselves."""
        from tinycnn.formula import mathml  # loaded when it is asked for, as few who import tinycnn do

        return mathml.mathml(self.statements, *self._kinds)

    @property
    def _kinds(self) -> tuple[frozenset[str], frozenset[str]]:
        """The symbols that are one number, and those that are gradients of what the formula, or its forward, uses."""
        numbers = frozenset(s for s, dims in self.shapes.items() if dims == () and s not in self.results)
        used = {*self.symbols, *self.parameters, *(self.parent.symbols if self.parent else ())}
        return numbers, self.symbols & {f"d{symbol}" for symbol in used}

    @property
    def where_text(self) -> str:
        """What the symbols mean, in one line."""
        return "; ".join(printing.text_definition(d) for d in self.where)

    @property
    def shapes_text(self) -> str:
        """The shapes of everything that goes in and comes out."""
        show = lambda name: f"{name} ({', '.join(dims)})" if (dims := self.shapes.get(name)) is not None else name  # noqa: E731
        inputs = ", ".join(show(s) for s in self.inputs)
        return f"{inputs} → {', '.join(show(r) for r in self.results)}".strip()

    @property
    def loops(self) -> str:
        """The formula as the Python loops that `evaluate` runs."""
        return "\n\n".join(nest.source for nest in self._nests)

    def __repr__(self) -> str:
        return f"<formula {self.name}: {self.text.splitlines()[0]}>"

    # ----------------------------------------------------------- differentiate

    def derivative(self, wrt: str, result: str | None = None) -> Formula:
        """The gradient of a loss by `wrt`, as a formula that uses `dy`, the gradient by the result (the first).

        It is derived by the chain rule from the formula alone, and takes what the formula takes, and dy. Raises
        FormulaError where the formula has no derivative (floor, argmax, an index), or none that it can write.

        >>> mse = Formula("mse", ("L = sum[n]((x[n] - t[n])**2)",), shapes="x (N), t (N) -> L ()")
        >>> print(mse.derivative("x").text)
        dx[n] = 2·dy·(x[n] − t[n])
        >>> mse.derivative("x").evaluate(dy=1, x=[1.0, 2.0], t=[3.0, 2.0])
        array([-4.,  0.])
        """
        from tinycnn.formula.derivative import Derivation

        derived = Derivation(self, wrt, result)
        given = derived.given if derived.counts else None
        name = f"{self.name}_d{wrt}"
        entry = Formula(name, tuple(derived.lines), derived.where, derived.shapes, given=given, parent=self)
        entry.parameters = (*self.parameters, derived.upstream) if self.parameters else ()
        if derived.scatters:  # onto what the formula makes, which tells its shape
            vars(entry)["_first"] = self._nests
        return entry

    # --------------------------------------------------------------- evaluate

    def evaluate(self, **values: Any) -> Any:
        """Compute the formula literally, loop by loop: slow, and right by inspection.

        Arrays and options go by the names the formula gives them. One result comes as an array, several as a named
        tuple. Raises FormulaError if something is missing or sizes disagree.
        """
        names = self._run_all(self._nests, values)
        results = [names[r] for r in self.results]
        return results[0] if len(results) == 1 else namedtuple(self.name, self.results)(*results)

    def terms(self, index: tuple[int, ...], result: str | None = None, **values: Any) -> Cell:
        """What one cell of a result is made of: the cells read, each product, and the sum.

        `result` names the result, or what is made on the way to it; without it, the first. The cells that others
        scatter onto (`+=`) are the sum of what lands on them. Raises FormulaError for a place outside the result.
        """
        return self.cells(**values).cell(index, result)

    def cells(self, **values: Any) -> Cells:
        """The cells of what the formula makes of these values, to take several apart: `.cell(index, result)`."""
        return Cells(self, values)

    def names(self, **values: Any) -> dict[str, Any]:
        """Every name the formula may use, with its value: arrays, options, sizes, and what follows from them."""
        unknown = sorted(set(values) - self._accepted)
        if unknown and self.parameters:  # it stands above a function, and a misspelt option would go unnoticed
            raise FormulaError(f"{self.name} has no {unknown[0]!r}; it takes {', '.join(sorted(self._accepted))}")
        names = self.defaults | {k: np.asarray(v) if isinstance(v, list) else v for k, v in values.items()}
        if self.given is not None:
            try:
                names |= self.given(names)
            except KeyError as error:
                given = ", ".join(sorted(values))
                raise FormulaError(f"{self.name} needs {error.args[0]}; it was given {given}") from None
        for function in self.functions & names.keys():
            if not callable(names[function]):
                raise FormulaError(f"{self.name}: {function} is a function, got {names[function]!r}")
        self._bind_sizes(names)
        nests = (*self._first, *self._nests)
        known, missing = set(names), set[str]()
        for nest in nests:  # w = w − lr·dw makes a w, and needs one
            missing |= nest.used - known
            known.add(nest.target)
        if missing:
            given = ", ".join(sorted(values))
            raise FormulaError(f"{self.name} needs {', '.join(sorted(missing))}; it was given {given}")
        return {name: _wide(value) for name, value in names.items()}

    @cached_property
    def _accepted(self) -> frozenset[str]:
        """Every name that `evaluate` may be given: arrays, options, and what the loops use."""
        used = {name for nest in (*self._first, *self._nests) for name in nest.used}
        sizes = {d for dims in self.shapes.values() if dims != FUNCTION for d in dims or () if d.isidentifier()}
        inherited = self.parent._accepted if self.parent is not None else frozenset()
        return frozenset(self.shapes) | frozenset(self.parameters) | used | sizes | inherited

    @cached_property
    def _macros(self) -> Macros:
        return Macros(self.where, self.symbols)

    @cached_property
    def _nests(self) -> tuple[LoopNest, ...]:
        return tuple(LoopNest(s, self._macros) for s in self.statements)

    @cached_property
    def _first(self) -> tuple[LoopNest, ...]:
        """The forward's loops, where a backward uses what they make (softmax's p, in its own gradient)."""
        if self.parent is None:
            return ()
        made = {s.target for s in self.parent.statements}
        return self.parent._nests if any(nest.used & made for nest in self._nests) else ()

    def _bind_sizes(self, names: dict[str, Any]) -> None:
        """`x (N,C,H,W)` given x tells N, C, H and W, and every array must tell the same, also what `...` is."""
        rest: dict[str, tuple[int, ...]] = {}
        for symbol, dims in self.shapes.items():
            value = names.get(symbol)
            if dims is None or not isinstance(value, np.ndarray):
                continue
            plain = [d for d in dims if d != "..."]
            if value.ndim < len(plain) or (value.ndim > len(plain) and "..." not in dims):
                raise FormulaError(f"{self.name}: {symbol} is ({', '.join(dims)}), got shape {value.shape}")
            if "..." in dims and rest.setdefault("...", value.shape[len(plain) :]) != value.shape[len(plain) :]:
                raise FormulaError(f"{self.name}: `...` is {rest['...']}, but {symbol} has shape {value.shape}")
            for dim, size in zip(plain, value.shape, strict=False):
                if dim.isidentifier() and names.setdefault(dim, size) != size:
                    raise FormulaError(f"{self.name}: {dim} is {names[dim]}, but {symbol} has shape {value.shape}")

    def _run_all(self, nests: tuple[LoopNest, ...], values: dict[str, Any]) -> dict[str, Any]:
        """Walk the statements in order; returns every name with its value."""
        names = self.names(**values)
        made: set[str] = set()
        with np.errstate(all="ignore"):
            for nest in (*self._first, *nests):
                self._run(nest, names, made)
        return names

    def _run(self, nest: LoopNest, names: dict[str, Any], made: set[str]) -> None:
        target, places = nest.target, nest.places
        if target not in names:
            names[target] = np.zeros(self._shape_of(nest, names), _result_type(names))
        elif target not in made:
            # an update (w = w − …) works on a copy, not on the caller's array
            names[target] = np.array(names[target], _result_type(names), order="C")
        made.add(target)
        sizes = self._sizes(nest, names, target)
        flat = {name: _flatten(names[name], lead) for name, lead in nest.reads().items()}
        lead = len(places) - 1 if places and is_rest(places[-1]) else None
        try:
            nest.run(_flatten(names[target], lead), names | flat, sizes)
        except ZeroDivisionError:
            raise FormulaError(f"{self.name}: {target} would be something divided by 0") from None

    def _sizes(self, nest: LoopNest, names: dict[str, Any], target: str) -> dict[str, int]:
        return {index: self._size_of(index, nest, names, target) for index in nest.indices}

    def _size_of(self, index: str, nest: LoopNest, names: dict[str, Any], target: str) -> int:
        """How far an index runs: the axis where it stands alone, else by notation (u runs to OH)."""
        found = set()
        for symbol, axis in nest.axes_of(index):
            shape = np.shape(names[symbol])
            found.add(int(np.prod(shape[axis:])) if index == REST else shape[axis])
        if len(found) > 1:
            raise FormulaError(f"{self.name}: index {index} would run over {sorted(found)} at once")
        alone = [axis for axis, place in enumerate(nest.places) if index_name(place) == index]
        if alone and target in names:
            shape = np.shape(names[target])
            found.add(int(np.prod(shape[alone[0] :])) if index == REST else shape[alone[0]])
        if found:
            return min(found)  # a result may be a part of what is read: da[n,c] = dy[n,c], of a concatenation
        size = INDEX_SIZES.get(index)
        if size not in names:
            raise FormulaError(f"{self.name}: nothing tells how far index {index} runs")
        return int(names[size])

    def _rest_of(self, nest: LoopNest, names: dict[str, Any]) -> tuple[int, ...]:
        if not (nest.places and is_rest(nest.places[-1])):
            return ()
        made = names.get(nest.target)  # a result that `given` shaped (reshape) has axes of its own
        return self._rest(names) if made is None else np.shape(made)[len(nest.places) - 1 :]

    def _shape_of(self, nest: LoopNest, names: dict[str, Any]) -> tuple[int, ...]:
        """A result's shape: as declared, else that of what it is the gradient of, else the range of its indices."""
        target = nest.target
        dims = self.shapes.get(target)
        if dims is not None:
            return tuple(s for d in dims for s in (self._rest(names) if d == "..." else (_size(d, names),)))
        if target[0] == "d" and target[1:] in names:
            return np.shape(names[target[1:]])
        sizes = self._sizes(nest, names, target)
        return tuple(s for p in nest.places for s in (self._rest(names) if is_rest(p) else (sizes[ast.unparse(p)],)))

    def _rest(self, names: dict[str, Any]) -> tuple[int, ...]:
        """The axes that `...` stands for: those an array has beyond the ones its shape names."""
        for symbol, dims in self.shapes.items():
            if dims and dims[-1] == "..." and symbol in names:
                return np.shape(names[symbol])[len(dims) - 1 :]
        raise FormulaError(f"{self.name}: no array tells what `...` stands for")


def _inherit_shapes(own: dict[str, Any], parent: Formula) -> dict[str, Any]:
    """A backward's symbols: its forward's, the upstream dy like y, and each gradient like what it belongs to."""
    shapes = dict(parent.shapes) | {"dy": parent.shapes.get(parent.results[0])}
    for name, dims in own.items():
        shapes[name] = dims if dims is not None else shapes.get(name.removeprefix("d"))
    return shapes


def _size(dim: str, names: dict[str, Any]) -> int:
    try:
        return int(eval(dim, {"__builtins__": {}}, names))  # a size such as N*OH*OW, from the declaration
    except NameError as error:
        raise FormulaError(f"nothing tells how large {error.name} is; give it by its name") from None


def _wide(value: Any) -> Any:
    """Integers in 64 bits, in which formulas count: two bytes of 200 are 400 together, and not 144."""
    narrow = isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biu" and value.dtype.itemsize < 8
    return value.astype(np.int64) if narrow else value


def _flatten(value: Any, lead: int | None) -> Any:
    if lead is None:
        return value
    shape = np.shape(value)
    return np.reshape(value, (*shape[:lead], int(np.prod(shape[lead:]))))


def _result_type(names: dict[str, Any]) -> np.dtype:
    inexact = [v.dtype for v in names.values() if isinstance(v, np.ndarray) and v.dtype.kind in "fc"]
    return np.result_type(*inexact) if inexact else np.dtype(np.float64)


formulas = Formulas()


def declare(name: str, *lines: str, about: str, **declared: Any) -> Formula:
    """Declare a formula that stands above no function of ours: `about` says in a sentence what it is.

    The rest is as for `formula`; it takes what its shapes name, and nothing else.
    """
    entry = Formula(name, lines, about=about, **declared)
    entry.parameters = entry.inputs
    return formulas.add(entry)


def formula(*lines: str, where: str = "", shapes: str = "", source: str = "", given: Given | None = None,
            name: str = "") -> Callable[[Callable], Callable]:  # fmt: skip
    """Declare the formula of the function below; it joins `formulas`, and the function's help() shows it.

    `where` says what symbols mean; `shapes` gives the axes of inputs and results; `given` derives further names (the
    padded image, the strides) from the arguments. A `…_backward` inherits all of these from its `…_forward`.
    """

    def declare(fn: Callable) -> Callable:
        own_name = name or fn.__name__.removesuffix("_forward").removesuffix("_step")
        parent = formulas.get(own_name.removesuffix("_backward")) if own_name.endswith("_backward") else None
        parameters = tuple(inspect.signature(fn).parameters.values()) if parent is None else ()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        entry = formulas.add(Formula(own_name, lines, where, shapes, source, given, defaults, parent))
        entry.module = fn.__module__
        if parameters and parameters[0].name != "cache":
            entry.parameters = tuple(p.name for p in parameters)
        fn.formula = entry  # type: ignore[attr-defined]
        fn.__doc__ = _with_formula(inspect.getdoc(fn) or "", entry, parent is None)
        return fn

    return declare


def _with_formula(doc: str, entry: Formula, whole: bool) -> str:
    """The docstring with the formula after its first paragraph, where a reader of help() looks for it."""
    first, _, rest = doc.partition("\n\n")
    block = "\n".join("    " + line for line in entry.text.splitlines())
    if whole and entry.where_text:
        block += f"\n\nwhere {entry.where_text}"
    if whole:
        block += f"\n\nShapes: {entry.shapes_text}."
    if whole and entry.source:
        said = f"Source: {entry.source}."
        rest = f"{said}\n\n{rest}" if ">>>" in rest else f"{rest}\n\n{said}".strip()
    return "\n\n".join(part for part in (first, block, rest) if part)
