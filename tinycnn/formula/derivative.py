"""The derivative of a formula, as a formula: the chain rule, followed backwards from the last statement to the first.

Each number that is made on the way gets a gradient of its own, and adds up what everything that read it owes to it.
What was read at `x[n,c]` gathers: `dx[n,c] = sum[f](dy[n,f]*w[f,c])`. What was read at a composite place cannot tell by
whom, so the readers hand out: `dxp[n,c,u*s+i,v*s+j] += dy[n,f,u,v]*w[f,c,i,j]`. Where `where` says that xp is x padded,
dx is dxp without its border. Of equals in a window the first is the largest; of `max(a, b)` at a tie it is b, so that
relu'(0) = 0. `y[…] = …` is taken to write no place twice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinycnn.formula.collect import Owed, lines_of
from tinycnn.formula.notation import INDEX_SIZES, REST
from tinycnn.formula.parse import FUNCTION, FormulaError, Statement, free_indices, index_name
from tinycnn.formula.partials import Rules, Share, cells_of, names_of, renamed
from tinycnn.formula.simplify import Product, product, same
from tinycnn.formula.unfold import Unfold, cell

if TYPE_CHECKING:
    from tinycnn.formula.declare import Formula


class Derivation:
    """One derivative in the making: `lines`, `where`, `shapes` and `given` declare it."""

    def __init__(self, formula: Formula, wrt: str, result: str | None = None):
        self.formula, self.wrt = formula, wrt
        self.result = result or formula.results[0]
        self.clauses: list[str] = []  # of `where`
        self.counts: dict[tuple[str, ...], str] = {}  # the means over `...`, and what each is divided by
        self.indices_of = dict(formula._macros.depends)  # of the names that `where` defines through indices
        self.taken = self._names_in_use()
        self.first: list[Statement] = []  # what the derivative needs beside what the formula makes
        self.lines: list[str] = []
        self._check()
        steps = self._steps()
        self._go_back(steps)
        used = set(re.findall(r"\w+", " ".join(self.lines + self.clauses)))
        for step in reversed(self.first):
            if step.target in used:
                used |= set(names_of(step.expr))
                self.lines.insert(0, f"{ast.unparse(cell(step.target, step.places))} = {ast.unparse(step.expr)}")

    @property
    def scatters(self) -> bool:
        """Whether shares are handed out to the gradient of something that the formula makes."""
        made = {f"d{s.target}" for s in self.formula.statements}
        return any("+=" in line and line.split("[")[0] in made for line in self.lines)

    @property
    def where(self) -> str:
        """What the new symbols mean."""
        return "; ".join(self.clauses)

    @property
    def shapes(self) -> str:
        """The upstream gradient is like the result."""
        dims = self.formula.shapes.get(self.result)
        axes = f" ({','.join(dims)})" if dims is not None else ""
        return f"{self.upstream}{axes} -> d{self.wrt}"

    def given(self, names: dict[str, Any]) -> dict[str, Any]:
        """What the formula's own `given` finds, and how many numbers each mean over `...` is over."""
        found = self.formula.given(names) if self.formula.given is not None else {}
        return found | {name: self._count(indices, names | found) for indices, name in self.counts.items()}

    # ------------------------------------------------------- before the start

    def _names_in_use(self) -> set[str]:
        entry = self.formula
        exprs = [s.expr for s in entry.statements] + [d.expr for d in entry.where if d.expr is not None]
        sizes = {d for dims in entry.shapes.values() for d in dims or ()}
        named = {name for d in entry.where for name in d.names}
        used = {n.id for expr in exprs for n in ast.walk(expr) if isinstance(n, ast.Name)}
        return {*entry.symbols, *sizes, *named, *used, *INDEX_SIZES, *entry.parameters, *entry.defaults}

    def _check(self) -> None:
        """The derivative of a number that the formula uses, for a result that it makes."""
        entry, targets = self.formula, {s.target for s in self.formula.statements}
        if entry.parent is not None:
            raise FormulaError(f"{entry.name} is a derivative already: take that of {entry.parent.name}")
        if self.result not in targets:
            raise FormulaError(f"{entry.name} makes {', '.join(sorted(targets))}, and no {self.result!r}")
        indices = INDEX_SIZES.keys() - entry.symbols
        read = {n for s in self._all_statements() for n in names_of(s.expr)} - indices
        if entry.shapes.get(self.wrt) == FUNCTION or self.wrt not in read:
            uses = ", ".join(sorted(read)) or "nothing"
            raise FormulaError(f"{entry.name} has no derivative by {self.wrt!r}; it uses {uses}")
        for k, statement in enumerate(entry.statements):
            if statement.target in {n for s in entry.statements[: k + 1] for n in names_of(s.expr)}:
                raise FormulaError(
                    f"{entry.name} makes {statement.target} anew from what it was: the two have one name, and so would "
                    "their gradients"
                )
        self._check_given(read)
        self.upstream = "dy" if self.result == "y" or "y" not in self.taken else f"d{self.result}"

    def _check_given(self, read: set[str]) -> None:
        """What `given` makes of it (`half = x/2`, `gray is x as …`) is no statement, so what it owes is not known."""
        followed = {s.target for s in self._paddings()} | self.formula._macros.depends.keys()
        for definition in self.formula.where:
            uses = names_of(definition.expr) if definition.expr else definition.meaning.split()[:1]
            if self.wrt in uses and (apart := set(definition.names) & read - followed):
                given = f"{self.formula.name} is given {', '.join(apart)}"
                raise FormulaError(f"{given}, which depends on {self.wrt} outside of its statements")

    def _all_statements(self) -> list[Statement]:
        return [*self._paddings(), *self.formula.statements]

    def _paddings(self) -> Iterator[Statement]:
        """`xp is x padded …`, as a statement: xp[n,c,r+top,q+left] = x[n,c,r,q]. Around it are zeros, or −∞."""
        index_of = {"N": "n", "C": "c", "H": "r", "W": "q"}
        border = {"r": "top", "q": "left"}
        for definition in self.formula.where:
            padded = re.match(r"(\w+) padded\b", definition.meaning)
            dims = self.formula.shapes.get(padded[1]) if padded else None
            if padded is not None and dims and all(dim in index_of for dim in dims):
                indices = [index_of[dim] for dim in dims]
                places = [f"{i}+{border[i]}" if i in border else i for i in indices]
                read = ast.parse(f"{padded[1]}[{','.join(indices)}]", mode="eval").body
                yield Statement(
                    definition.names[0], tuple(ast.parse(p, mode="eval").body for p in places), False, read
                )

    # ------------------------------------------------ forwards: what depends

    def _steps(self) -> list[Statement]:
        """The statements, each Σ that needs a name with one, from what the derivative is by to the result."""
        self.rules = Rules({self.wrt}, self._count_of, self._place_of)
        unfold = Unfold(lambda node: self.rules.depends(node), self.free, self._fresh)
        steps: list[Statement] = []
        for statement in self._all_statements():
            statement = self._spelt_out(statement)
            if not self.rules.depends(statement.expr):
                steps.append(statement)
                continue
            parts = unfold.statement(statement)
            self.first += parts[:-1]
            self.rules.carries |= {p.target for p in parts[:-1] if self.rules.depends(p.expr)} | {statement.target}
            steps += parts
        if self.result not in self.rules.carries:
            raise FormulaError(f"in {self.formula.name}, {self.result} does not depend on {self.wrt}")
        return steps

    def _spelt_out(self, statement: Statement) -> Statement:
        """The statement, with the names that `where` defines written out if the derivative passes through them."""
        simple = self.formula._macros.simple
        if not any(name in simple and self.rules.depends(simple[name]) for name in names_of(statement.expr)):
            return statement
        return Statement(statement.target, statement.places, statement.scatter, renamed(statement.expr, simple))

    def free(self, *nodes: ast.expr) -> list[str]:
        """The open indices of some expressions, in order of appearance."""
        found: dict[str, None] = {}
        for node in nodes:
            found.update(free_indices(node, self.formula.symbols, self.indices_of))
        return list(found)

    # -------------------------------------------------- backwards: who owes

    def _go_back(self, steps: list[Statement]) -> None:
        owed: dict[str, list[Owed]] = {self.result: []}
        gradients: dict[str, str] = {}
        owing: set[str] = set()  # what is owed by a gradient is collected later, so that gradient must stay as it is
        for k in reversed(range(len(steps))):
            step, target = steps[k], steps[k].target
            if target not in owed or target == self.wrt:
                continue
            if target not in gradients:
                gradients[target] = self.upstream if target == self.result else self._collect(target, owed[target])
            upstream = cell(gradients[target], step.places)
            earlier = [s for s in steps[:k] if s.target == target and self.rules.depends(s.expr)]
            shares = self._shares(step, alone=sum(s.target == target for s in steps) == 1)
            for share in shares:
                owed.setdefault(share.symbol, []).append(self._owed(step, upstream, share))
            owing |= {target} if shares else set()
            if not step.scatter and not all(self._apart(s, step) for s in earlier):
                if target in owing:
                    raise FormulaError(f"{self.formula.name} may write twice to one place of {target}, and use both")
                self.lines.append(f"{ast.unparse(upstream)} = 0")  # what was written over owes nothing
        if self.wrt not in owed:
            raise FormulaError(f"in {self.formula.name}, {self.result} changes with {self.wrt} in steps alone")
        self._collect(self.wrt, owed[self.wrt])

    def _collect(self, symbol: str, owed: list[Owed]) -> str:
        name = f"d{symbol}"
        if name in self.taken or name == self.upstream:
            raise FormulaError(f"{self.formula.name}: the gradient of {symbol} would be {name}, which is taken")
        self.lines += lines_of(name, owed, self)
        return name

    def _shares(self, step: Statement, alone: bool) -> list[Share]:
        """The shares of one statement; where its own result stands in them (tanh, exp), by that name."""
        if any(self.rules.depends(place) for place in step.places):
            raise FormulaError(f"{step.target} is written where {self.wrt} says: there is no derivative")
        shares = self.rules.shares(step.expr)
        bare = [index_name(place) for place in step.places]
        if step.scatter or not alone or not all(bare) or len(set(bare)) < len(bare):
            return shares
        known = cell(step.target, step.places)
        return [replace(share, factor=_recognised(share.factor, step.expr, known)) for share in shares]

    def _owed(self, step: Statement, upstream: ast.expr, share: Share) -> Owed:
        loops = self.free(*step.places, step.expr) if step.scatter else self.free(*step.places)
        factor, loops_of_all = Product(over=(upstream,)) * share.factor, (*loops, *share.over)
        return Owed(share.places, factor, loops_of_all, share.placed, share.guarded, step)

    def _apart(self, a: Statement, b: Statement) -> bool:
        """Whether two statements are seen to write to different places: c, of CA channels, and CA+c."""
        for one, other in zip(a.places, b.places, strict=False):
            sides = {ast.unparse(s) for s in (other.left, other.right)} if isinstance(other, ast.BinOp) else set()
            if index_name(one) and ast.unparse(one) in sides and self.size_of(index_name(one), a) in sides:
                return True
        return False

    # ----------------------------------------------- names, sizes and places

    def _fresh(self, wanted: str) -> str:
        name = next(n for n in (wanted, *(f"{wanted}{k}" for k in range(2, 100))) if n not in self.taken)
        self.taken.add(name)
        return name

    def _place_of(self, indices: tuple[str, ...], body: ast.expr) -> tuple[str, ...]:
        """Names for the place of the largest: `a, b = argmax[i,j](…)`."""
        if REST in indices:
            raise FormulaError("max[...] has a place on axes that are not named: its derivative cannot be written")
        clause = f"argmax[{','.join(indices)}]({ast.unparse(body)})"
        for known in self.clauses:
            if known.endswith(f"= {clause}"):
                return tuple(known.split(" = ")[0].split(", "))
        words = tuple(self._fresh(letter) for letter, _ in zip("abcdefgh", indices, strict=False))
        open_indices = frozenset(self.free(body)) - set(indices)
        self.indices_of |= dict.fromkeys(words, open_indices)
        self.clauses.append(f"{', '.join(words)} = {clause}")
        return words

    def _count_of(self, indices: tuple[str, ...]) -> Product:
        """How many numbers a mean is over: the product of its sizes, or a name for it where `...` is among them."""
        if REST not in indices:
            sizes = [self.size_of(index) for index in indices]
            return Product(over=tuple(ast.Name(size) for size in sizes))
        if indices not in self.counts:
            self.counts[indices] = self._fresh("M")
            self.clauses.append(f"{self.counts[indices]} is how many numbers the mean is over")
        return Product(over=(ast.Name(self.counts[indices]),))

    def size_of(self, index: str, *statements: Statement) -> str:
        """The name of an index's size: that of the axis where it stands alone, else by notation."""
        for statement in statements or self._all_statements():
            for symbol, places in cells_of(statement.expr, cell(statement.target, statement.places)):
                for place, dim in zip(places, self.formula.shapes.get(symbol) or (), strict=False):
                    if index_name(place) == index and dim.isidentifier():
                        return dim
        return INDEX_SIZES[index]

    def _count(self, indices: tuple[str, ...], names: dict[str, Any]) -> int:
        arrays = {s: d for s, d in self.formula.shapes.items() if d and isinstance(names.get(s), np.ndarray)}
        total = 1
        for index in indices:
            if index == REST:
                symbol, dims = next((s, d) for s, d in arrays.items() if d[-1] == "...")
                total *= int(np.prod(names[symbol].shape[len(dims) - 1 :]))
            else:
                size = self.size_of(index)
                axes = [names[s].shape[d.index(size)] for s, d in arrays.items() if size in d]
                total *= int(names[size] if size in names else axes[0])
        return total


def _recognised(factor: Product, expr: ast.expr, known: ast.expr) -> Product:
    """The factor, where the statement's own expression stands in it as its result: 1 − tanh(x)² as 1 − y²."""
    whole = product(expr)
    if not whole.over and len(whole.under) == 1:  # y = 1/(1 + e): e/(1 + e) is 1 − y
        below = whole.under[0]
        for part in factor.over:
            if isinstance(below, ast.BinOp) and same(below, ast.BinOp(ast.Constant(1), ast.Add(), part)):
                rest = factor.without(Product(over=(part,), under=(below,)))
                if rest is not None:
                    return _recognised(rest, expr, known) * product(ast.BinOp(ast.Constant(1), ast.Sub(), known))
    if (whole.over or whole.under) and (rest := factor.without(whole)) is not None:
        return _recognised(rest, expr, known) * Product(over=(known,))

    class Known(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return known if same(node, expr) else self.generic_visit(node)

    swap = lambda factors: tuple(Known().visit(ast.parse(ast.unparse(f), mode="eval").body) for f in factors)  # noqa: E731
    return Product(factor.number, swap(factor.over), swap(factor.under))
