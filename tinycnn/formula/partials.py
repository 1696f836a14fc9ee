"""The rules of differentiation, one for each sign of the language: what an expression owes to every number it reads.

`x·w` owes w to x, and x to w; `sum[c](…)` owes each summand what the summand owes; `max[i,j](…)` owes all of it to the
place of the largest, the first of equals. `max(a, b)` owes it to the larger, and of equals to b: so relu'(0) = 0.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from tinycnn.formula.notation import INDEX_SIZES, REST
from tinycnn.formula.parse import FUNCTIONS, FormulaError, reduction, subscripts
from tinycnn.formula.simplify import ONE, Product, add, comparison, is_number, product, same

_TWO = Product(ONE.number * 2)


@dataclass(frozen=True)
class Share:
    """What an expression owes to one cell it reads: `factor`, for every value of the indices that Σ runs `over`."""

    symbol: str
    places: tuple[ast.expr, ...]
    factor: Product
    over: tuple[str, ...] = ()
    placed: bool = False  # whether its place is that of a largest (a, b = argmax …)
    guarded: bool = False  # whether the cell is read in one branch alone, and may not be there in the other

    def is_like(self, other: Share) -> bool:
        """Whether it is the same cell, so that both shares add up."""
        own, others = (ast.Tuple([ast.Name(s.symbol), *s.places]) for s in (self, other))
        return same(own, others) and self.over == other.over


def names_of(node: ast.AST) -> Iterator[str]:
    """The names an expression uses; the word before a bracket, as in `mean[n](…)` or `exp(…)`, is none."""
    words = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
             and n.func.id in FUNCTIONS}  # fmt: skip
    words |= {id(n.func.value) for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Subscript)}
    return (n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in words)


def cells_of(*exprs: ast.expr) -> Iterator[tuple[str, tuple[ast.expr, ...]]]:
    """Every array cell in some expressions, as (symbol, places)."""
    nodes = [node for expr in exprs for node in ast.walk(expr)]
    heads = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    for node in nodes:
        if isinstance(node, ast.Subscript) and id(node) not in heads:
            yield node.value.id, subscripts(node)  # type: ignore[attr-defined]


class Rules:
    """The shares of an expression; `carries` are the symbols that depend on what the derivative is by.

    `count(indices)` gives how many numbers a mean is over, `place(indices, body)` names the place of the largest.
    """

    def __init__(
        self,
        carries: Iterable[str],
        count: Callable[[tuple[str, ...]], Product],
        place: Callable[[tuple[str, ...], ast.expr], tuple[str, ...]],
    ):
        self.carries = frozenset(carries)
        self.count, self.place = count, place

    def depends(self, node: ast.AST) -> bool:
        """Whether the expression's value changes with what the derivative is by."""
        return any(name in self.carries for name in names_of(node))

    def shares(self, node: ast.expr) -> list[Share]:
        """Every cell that the expression depends on, with what it owes to it."""
        if not self.depends(node):
            return []
        if isinstance(node, ast.Name):
            return [Share(node.id, (), ONE)]
        if isinstance(node, ast.Subscript):
            return [self._cell(node)]
        if (reduced := reduction(node)) is not None:
            return self._reduction(*reduced)
        if isinstance(node, ast.UnaryOp):
            return _times(self.shares(node.operand), -ONE)
        if isinstance(node, ast.BinOp):
            return _gathered(self._binary(node))
        if isinstance(node, ast.IfExp):
            return self._choice(node)
        if isinstance(node, ast.Compare):
            raise FormulaError(f"[{ast.unparse(node)}] changes in steps, and has no derivative")
        assert isinstance(node, ast.Call)
        return self._call(node)

    def _cell(self, node: ast.Subscript) -> Share:
        symbol, places = node.value.id, subscripts(node)  # type: ignore[attr-defined]
        for place in places:
            if self.depends(place):
                raise FormulaError(f"{ast.unparse(place)} says which place of {symbol} is read: there is no derivative")
        return Share(symbol, places, ONE)

    def _binary(self, node: ast.BinOp) -> list[Share]:
        left, right = node.left, node.right
        if isinstance(node.op, ast.Add | ast.Sub):
            sign = ONE if isinstance(node.op, ast.Add) else -ONE
            return [*self.shares(left), *_times(self.shares(right), sign)]
        if isinstance(node.op, ast.Mult):
            after = [replace(s, factor=product(left) * s.factor) for s in self.shares(right)]
            return [*_times(self.shares(left), product(right)), *after]
        if isinstance(node.op, ast.Div):
            lost = -product(node) / product(right)
            return [*_times(self.shares(left), ONE / product(right)), *_times(self.shares(right), lost)]
        if isinstance(node.op, ast.Pow):
            slope = product(right) * product(_power(left, right))
            grown = product(node) * product(_apply("log", left))
            return [*_times(self.shares(left), slope), *_times(self.shares(right), grown)]
        raise FormulaError(f"{ast.unparse(node)} changes in steps, and has no derivative")

    def _choice(self, node: ast.IfExp) -> list[Share]:
        """Each branch owes where it is taken, and nothing elsewhere."""
        body, orelse = self.shares(node.body), self.shares(node.orelse)
        found = []
        for share in body:
            others = [o for o in orelse if o.is_like(share)]
            orelse = [o for o in orelse if o not in others]
            other = others[0].factor.expression() if others else ast.Constant(0)
            found.append((share, share.factor.expression(), other))
        found += [(share, ast.Constant(0), share.factor.expression()) for share in orelse]
        return [replace(share, factor=_chosen(node.test, a, b), guarded=True) for share, a, b in found]

    def _call(self, node: ast.Call) -> list[Share]:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in ("max", "min"):
            return self._larger(name, *node.args)
        if name not in _SLOPES:
            raise FormulaError(_WHY_NOT.get(name, f"the derivative of {ast.unparse(node)} is not known by its formula"))
        return _times(self.shares(node.args[0]), _SLOPES[name](node))

    def _larger(self, name: str, a: ast.expr, b: ast.expr) -> list[Share]:
        first, second = (ast.Gt, ast.LtE) if name == "max" else (ast.Lt, ast.GtE)
        left, right = (product(comparison(a, sign, b)) for sign in (first, second))
        return _gathered([*_times(self.shares(a), left), *_times(self.shares(b), right)])

    def _reduction(self, kind: str, indices: tuple[str, ...], body: ast.expr) -> list[Share]:
        if kind == "argmax":
            raise FormulaError("argmax says where the largest is, in whole steps: it has no derivative")
        if kind in ("max", "min"):
            return self._largest(kind, indices, body)
        factor = ONE
        if kind == "mean":
            factor = ONE / self.count(indices)
        if kind == "prod":
            factor = product(_others(indices, body))
        return [replace(s, over=(*indices, *s.over)) for s in _times(self.shares(body), factor)]

    def _largest(self, kind: str, indices: tuple[str, ...], body: ast.expr) -> list[Share]:
        """All of it to one place: the indices of the largest stand where those of the window stood."""
        words = self.place(indices, body if kind == "max" else ast.UnaryOp(ast.USub(), body))
        table: dict[str, ast.expr] = {index: ast.Name(word) for index, word in zip(indices, words, strict=True)}
        shares = []
        for share in self.shares(body):
            factor = product(renamed(share.factor.expression(), table))
            places = tuple(renamed(place, table) for place in share.places)
            shares.append(replace(share, places=places, factor=factor, placed=True))
        return shares


def renamed(node: ast.expr, table: dict[str, ast.expr]) -> ast.expr:
    """A copy of the expression with other names in it."""

    class Rename(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return table.get(name.id, name)

    return Rename().visit(ast.parse(ast.unparse(node), mode="eval").body)


def _chosen(test: ast.expr, a: ast.expr, b: ast.expr) -> Product:
    """a if test else b; a minus that both have stands in front."""
    if isinstance(a, ast.UnaryOp) and is_number(b, 0):
        return -_chosen(test, a.operand, b)
    if isinstance(b, ast.UnaryOp) and is_number(a, 0):
        return -_chosen(test, a, b.operand)
    return product(a if same(a, b) else ast.IfExp(test, a, b))


def _times(shares: Iterable[Share], factor: Product) -> list[Share]:
    return [replace(share, factor=share.factor * factor) for share in shares]


def _gathered(shares: list[Share]) -> list[Share]:
    """One share for each cell."""
    found: list[Share] = []
    for share in shares:
        like = [s for s in found if s.is_like(share)]
        if like:
            found[found.index(like[0])] = replace(share, factor=add([like[0].factor, share.factor]))
        else:
            found.append(share)
    return found


def _apply(function: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(function), [argument], [])


def _power(base: ast.expr, exponent: ast.expr) -> ast.expr:
    """base to the power of one less."""
    if isinstance(exponent, ast.Constant) and isinstance(exponent.value, int | float):
        less = exponent.value - 1
        return ast.Constant(1) if less == 0 else base if less == 1 else ast.BinOp(base, ast.Pow(), ast.Constant(less))
    return ast.BinOp(base, ast.Pow(), ast.BinOp(exponent, ast.Sub(), ast.Constant(1)))


def _others(indices: tuple[str, ...], body: ast.expr) -> ast.expr:
    """The product of all factors but one: `prod[l](1 if l == k else …)`."""
    free = [i for i in INDEX_SIZES if i not in names_of(body) and i not in indices]
    index = indices[0]
    other = next((i for i in free if INDEX_SIZES[i] == INDEX_SIZES.get(index)), None)
    if len(indices) > 1 or index == REST or other is None:
        shown = ", ".join(indices).replace(REST, "...")
        raise FormulaError(f"prod[{shown}]: the derivative needs a second index as long as the first; only k and l are")
    rest = renamed(body, {index: ast.Name(other)})
    chosen = ast.IfExp(ast.Compare(ast.Name(other), [ast.Eq()], [ast.Name(index)]), ast.Constant(1), rest)
    return ast.Call(ast.Subscript(ast.Name("prod"), ast.Name(other), ast.Load()), [chosen], [])


_SLOPES: dict[str, Callable[[ast.Call], Product]] = {
    "exp": lambda node: product(node),
    "log": lambda node: ONE / product(node.args[0]),
    "sqrt": lambda node: ONE / (_TWO * product(node)),
    "sin": lambda node: product(ast.Call(ast.Name("cos"), node.args, [])),
    "cos": lambda node: product(ast.UnaryOp(ast.USub(), ast.Call(ast.Name("sin"), node.args, []))),
    "tanh": lambda node: product(ast.BinOp(ast.Constant(1), ast.Sub(), ast.BinOp(node, ast.Pow(), ast.Constant(2)))),
}
_WHY_NOT = {"floor": "a floor changes in steps, and has no derivative"}
