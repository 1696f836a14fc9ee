"""Run an ONNX model by tinycnn's ops: read its graph node by node, and hand each to the adapter of its operator.

Each adapter is a function of a `Node`, with its inputs and attributes, and asks the rung in force for our op. A few
operators that only move numbers about, or are plain arithmetic, stand between ours; NumPy does those.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnx_judge.reasons import NO_SUCH_OP, NotOursError
from tinycnn import backends

Array = np.ndarray


@dataclass(frozen=True)
class Node:
    """One operator of a graph: its name, its inputs (None for one left out), its attributes, and its version."""

    op: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or its default."""
        return self.attributes.get(name, default)

    def input(self, position: int) -> Any:
        """An input, or None where there is none."""
        return self.inputs[position] if position < len(self.inputs) else None


@dataclass(frozen=True)
class Adapter:
    """How an ONNX operator is computed by ours, and the names of ours that it judges."""

    compute: Callable[[Node], Any]
    judges: str


ADAPTERS: dict[str, Adapter] = {}


def adapter(op: str, judges: str) -> Callable[[Callable[[Node], Any]], Callable[[Node], Any]]:
    """Enter a function as the adapter of an operator."""

    def enter(compute: Callable[[Node], Any]) -> Callable[[Node], Any]:
        ADAPTERS[op] = Adapter(compute, judges)
        return compute

    return enter


def serve(name: str, *args: Any, **options: Any) -> Any:
    """What the rung in force gives for one of our ops."""
    return backends.current()(name)(*args, **options)


def forward(name: str, *args: Any, **options: Any) -> Any:
    """The output of one of our forward ops, without its cache."""
    return serve(f"{name}_forward", *args, **options)[0]


def _split(node: Node) -> list[Array]:
    (x,), axis = node.inputs, node.get("axis", 0)
    return np.split(x, np.cumsum(node.get("split", [x.shape[axis] // node.outputs] * node.outputs))[:-1], axis)


GLUE: dict[str, Callable[[Node], Any]] = {
    "Constant": lambda node: _array(node.get("value")),
    "Transpose": lambda node: node.inputs[0].transpose(node.get("perm")),
    "Squeeze": lambda node: np.squeeze(node.inputs[0], tuple(node.get("axes"))),
    "Unsqueeze": lambda node: np.expand_dims(node.inputs[0], tuple(node.get("axes"))),
    "Split": _split,
    "Add": lambda node: node.inputs[0] + node.inputs[1],
    "Mul": lambda node: node.inputs[0] * node.inputs[1],
    "Neg": lambda node: -node.inputs[0],
}


def run(model: Any, inputs: list[Any]) -> list[Any]:
    """The outputs of a model. Raises NotOursError if the model, or one of its nodes, is beyond tinycnn."""
    ops = {node.op_type for node in model.graph.node}
    if not ops & set(ADAPTERS) or ops - set(ADAPTERS) - set(GLUE):
        raise NotOursError(NO_SUCH_OP)
    opsets = {one.domain: one.version for one in model.opset_import}
    values: dict[str, Any] = {"": None} | {t.name: _array(t) for t in model.graph.initializer}
    names = [given.name for given in model.graph.input if given.name not in values]
    values |= dict(zip(names, inputs, strict=True))
    for proto in model.graph.node:
        node = _node(proto, values, opsets.get(proto.domain, 1))
        found = (ADAPTERS[node.op].compute if node.op in ADAPTERS else GLUE[node.op])(node)
        several = found if isinstance(found, tuple | list) else (found,)
        values |= dict(zip(proto.output, several, strict=False))  # an adapter may give more than is asked for
    return [values[wanted.name] for wanted in model.graph.output]


def _node(proto: Any, values: dict[str, Any], opset: int) -> Node:
    from onnx import helper

    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    attributes = {name: a.decode() if isinstance(a, bytes) else a for name, a in attributes.items()}
    return Node(proto.op_type, tuple(values[name] for name in proto.input), attributes, opset, len(proto.output))


def _array(tensor: Any) -> Array:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)
