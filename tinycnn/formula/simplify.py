"""Products and sums of expressions, kept simple while a derivative grows: no factor 1, no double minus, no u/u.

A product is a whole number or a fraction, the factors over the line, and those under it. That is enough: the chain rule
only ever multiplies, and adds up what it multiplied.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction

Factors = tuple[ast.expr, ...]


def same(a: ast.AST, b: ast.AST) -> bool:
    """Whether two expressions are written alike."""
    return type(a) is type(b) and ast.unparse(a) == ast.unparse(b)


@dataclass(frozen=True)
class Product:
    """number · over[0] · over[1] · … / (under[0] · …)."""

    number: Fraction = Fraction(1)
    over: Factors = ()
    under: Factors = ()

    def __mul__(self, other: Product) -> Product:
        over, under = _cancel((*self.over, *other.over), (*self.under, *other.under))
        return Product(self.number * other.number, over, under)

    def __truediv__(self, other: Product) -> Product:
        return self * Product(1 / other.number, other.under, other.over)

    def __neg__(self) -> Product:
        return Product(-self.number, self.over, self.under)

    def split(self, belongs: Callable[[ast.expr], bool]) -> tuple[Product, Product]:
        """The factors that belong, and all others (the number with them)."""
        inside = Product(Fraction(1), tuple(filter(belongs, self.over)), tuple(filter(belongs, self.under)))
        left = tuple(f for f in self.over if not belongs(f)), tuple(f for f in self.under if not belongs(f))
        return inside, Product(self.number, *left)

    def without(self, part: Product) -> Product | None:
        """What is left when the factors of `part` are taken away; None if they are not all there."""
        over, under = _take(self.over, part.over), _take(self.under, part.under)
        if over is None or under is None:
            return None
        return Product(self.number / part.number, over, under)

    def expression(self) -> ast.expr:
        """The product as one expression, the number first, powers gathered, the minus in front of all."""
        number = abs(self.number)
        over = [ast.Constant(number.numerator)] if number.numerator != 1 else []
        under = [ast.Constant(number.denominator)] if number.denominator != 1 else []
        node = _chain([*over, *_powers(self.over)])
        if self.under or under:
            node = ast.BinOp(node, ast.Div(), _chain([*under, *_powers(self.under)]))
        return ast.UnaryOp(ast.USub(), node) if self.number < 0 else node


ONE = Product()


def product(node: ast.expr) -> Product:
    """An expression taken apart into its factors."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return Product(Fraction(node.value))
    if isinstance(node, ast.UnaryOp):
        return -product(node.operand)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return product(node.left) * product(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and not is_zero(node.right):
        return product(node.left) / product(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and is_number(node.right, 2):
        return product(node.left) * product(node.left)
    return Product(over=(node,))


def add(products: Iterable[Product]) -> Product:
    """The sum, as a product that may have it as its only factor; what is 0 is left out, equals are counted."""
    kept: list[Product] = []
    for one in filter(lambda p: p.number, products):
        like = next((k for k, p in enumerate(kept) if _factors_alike(p, one)), None)
        if like is None:
            kept.append(one)
        else:
            kept[like] = Product(kept[like].number + one.number, one.over, one.under)
    kept = [p for p in kept if p.number]
    if len(kept) < 2:
        return kept[0] if kept else Product(Fraction(0))
    if all(p.number < 0 for p in kept):
        return -add([-p for p in kept])
    return Product(over=(sum_expression(p.expression() for p in kept),))


def sum_expression(terms: Iterable[ast.expr]) -> ast.expr:
    """a + b − c: a term with a minus in front is taken away instead, and does not stand first."""
    first, *others = sorted(terms, key=lambda term: isinstance(term, ast.UnaryOp))
    total: ast.expr = first
    for term in others:
        if isinstance(term, ast.UnaryOp):
            total = ast.BinOp(total, ast.Sub(), term.operand)
        else:
            total = ast.BinOp(total, ast.Add(), term)
    return total


def comparison(left: ast.expr, sign: type[ast.cmpop], right: ast.expr) -> ast.expr:
    """[left > right] or alike, in which a − b > b − a is simply a > b."""
    if same(_turned(left), right):
        right = ast.Constant(0)
        if isinstance(left, ast.BinOp) and isinstance(left.op, ast.Sub):
            right, left = left.right, left.left
    return ast.Compare(left, [sign()], [right])


def is_number(node: ast.expr, value: int) -> bool:
    """Whether an expression is this number."""
    return isinstance(node, ast.Constant) and node.value == value and not isinstance(node.value, bool)


def is_zero(node: ast.expr) -> bool:
    """Whether an expression is a plain 0."""
    return is_number(node, 0)


def _turned(node: ast.expr) -> ast.expr:
    """The expression with its sign turned: b − a for a − b, −a for a."""
    match node:
        case ast.UnaryOp():
            return node.operand
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return ast.BinOp(right, ast.Sub(), left)
    return ast.UnaryOp(ast.USub(), node)


def _cancel(over: Factors, under: Factors) -> tuple[Factors, Factors]:
    """What stands both over and under the line, taken away; a root that stands twice is what it is the root of."""
    over, under = _roots(over), _roots(under)
    left = []
    for factor in over:
        rest = _take(under, (factor,))
        if rest is None:
            left.append(factor)
        else:
            under = rest
    return tuple(left), under


def _roots(factors: Factors) -> Factors:
    for k, factor in enumerate(factors):
        is_root = isinstance(factor, ast.Call) and isinstance(factor.func, ast.Name) and factor.func.id == "sqrt"
        twin = next((j for j in range(k + 1, len(factors)) if is_root and same(factor, factors[j])), None)
        if twin is not None:
            inside = product(factor.args[0])  # type: ignore[attr-defined]
            if inside.number == 1 and not inside.under:
                return _roots((*factors[:k], *inside.over, *factors[k + 1 : twin], *factors[twin + 1 :]))
    return factors


def _take(factors: Factors, wanted: Factors) -> Factors | None:
    """The factors without those wanted, each taken once; None if one is missing."""
    left = list(factors)
    for one in wanted:
        found = next((k for k, factor in enumerate(left) if same(factor, one)), None)
        if found is None:
            return None
        del left[found]
    return tuple(left)


def _factors_alike(a: Product, b: Product) -> bool:
    rest = a.without(Product(Fraction(1), b.over, b.under))
    return rest is not None and not rest.over and not rest.under


def _powers(factors: Factors) -> list[ast.expr]:
    """Each factor once, with the power that says how often it stands there."""
    found: list[ast.expr] = []
    for factor in factors:
        if not any(same(factor, one) for one in found):
            found.append(factor)
    counts = [sum(same(one, factor) for factor in factors) for one in found]
    return [f if n == 1 else ast.BinOp(f, ast.Pow(), ast.Constant(n)) for f, n in zip(found, counts, strict=True)]


def _chain(factors: list[ast.expr]) -> ast.expr:
    if not factors:
        return ast.Constant(1)
    node = factors[0]
    for factor in factors[1:]:
        node = ast.BinOp(node, ast.Mult(), factor)
    return node
