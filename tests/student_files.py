"""Students' files for the tests of `tinycnn check`: each exhibit of the museum as a file, and right and bad ones."""

from __future__ import annotations

import ast
import importlib
import inspect

from tinycnn.checking.mistakes import SLIPS_OF_THE_MUSEUM
from tinycnn.verify.museum import Mutant

_HOMES = {  # where the op of each formula is written
    "max_pool2d": "ops.pool", "avg_pool2d": "ops.pool", "conv2d": "ops.conv", "softmax": "ops.softmax",
    "cross_entropy": "ops.loss", "categorical_crossentropy": "ops.loss", "flatten": "ops.reshape",
    "relu": "ops.activation", "f1": "train.metrics", "adam": "optim.adam", "adamw": "optim.adam",
    "dropout": "ops.dropout",
    "batch_norm": "ops.norm", "conv_transpose2d": "ops.conv_transpose", "max_unpool2d": "ops.resize",
}  # fmt: skip


def museum_file(exhibit: Mutant) -> str:
    """What a student with this bug would hand in: our own code of the op with the bug in it, standing by itself."""
    patches = SLIPS_OF_THE_MUSEUM.get(exhibit.name, exhibit.patches)
    op = exhibit.ops[0]
    modules = list(dict.fromkeys([*(p.where.partition(":")[0] for p in patches), _HOMES[op]]))
    modules.sort(key=lambda m: ["ops.window", "ops.im2col"].index(m) if m in ("ops.window", "ops.im2col") else 9)
    body: list[ast.stmt] = []
    for name in modules:
        text = inspect.getsource(importlib.import_module(f"tinycnn.{name}"))
        tree = ast.parse(text)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                own = [p for p in patches if p.where == f"{name}:{node.name}"]
                body.append(_patched(node, text, own))
            elif not _left_out(node, modules):
                body.append(node)
    wanted = {f"{op}_forward", f"{op}_backward", op, f"{op}_step"}
    return "from __future__ import annotations\n" + ast.unparse(ast.Module(_needed(body, wanted), []))


def _patched(node: ast.FunctionDef, text: str, patches: list) -> ast.FunctionDef:
    lines = text.splitlines()
    first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
    source = "\n".join(lines[first : node.end_lineno]) + "\n"
    for patch in patches:
        source = patch.applied(source)
    found = ast.parse(source).body[0]
    assert isinstance(found, ast.FunctionDef)
    found.decorator_list = []
    return found


def _left_out(node: ast.stmt, modules: list[str]) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__" or (node.module or "").removeprefix("tinycnn.") in modules
    return isinstance(node, ast.Expr)


def _needed(body: list[ast.stmt], wanted: set[str]) -> list[ast.stmt]:
    """Only the functions and classes that the wanted ones call, and all that is neither."""
    named = {n.name: n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    keep, waiting = set(), [name for name in wanted if name in named]
    while waiting:
        name = waiting.pop()
        if name not in keep:
            keep.add(name)
            waiting += [n.id for n in ast.walk(named[name]) if isinstance(n, ast.Name) and n.id in named]
    return [n for n in body if getattr(n, "name", None) in keep or n not in named.values()]
