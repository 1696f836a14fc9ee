"""ONNX's cases: those of single operators, which it makes as its modules are imported, and the models it ships."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import onnx_judge.losses
import onnx_judge.values
import onnx_judge.windows  # noqa: F401, each enters its adapters
from onnx_judge.run import ADAPTERS, run

NODE_OPS = sorted(ADAPTERS)
MODEL_KINDS = ("pytorch-converted", "pytorch-operator")
_ROUNDED = {"test_averagepool_2d_ceil_last_window_starts_on_pad": 2e-4}  # its numbers are written with four digits


@dataclass(frozen=True)
class Case:
    """A model, and for each set of inputs the outputs that it must give, as closely as `rtol` and `atol` say."""

    name: str
    kind: str
    model: Any = field(repr=False)
    data_sets: list[tuple[list[Any], list[Any]]] = field(repr=False)
    rtol: float
    atol: float

    def numbers(self) -> int:
        """How many numbers go in and come out."""
        return sum(np.size(a) for given, expected in self.data_sets for a in (*given, *expected))

    def judge(self) -> None:
        """Run it. Raises AssertionError if an output differs, NotOursError if it asks for what tinycnn does not do.

        ONNX allows 1e-3 of each number; what there is to see is 2e-7 of an output's largest, so 1e-6 is held as well.
        """
        for given, expected in self.data_sets:
            for ours, theirs in zip(run(self.model, given), expected, strict=True):
                theirs = np.asarray(theirs)
                assert ours.shape == theirs.shape, f"shape {ours.shape}, expected {theirs.shape}"
                assert ours.dtype == theirs.dtype, f"{ours.dtype}, expected {theirs.dtype}"
                np.testing.assert_allclose(ours, theirs, rtol=self.rtol, atol=self.atol)
                largest = float(np.abs(theirs).max(initial=0))
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=_ROUNDED.get(self.name, 1e-6) * largest)


@cache
def module_of(op: str) -> str:
    """The module of onnx's that makes the cases of an operator, in a class of the operator's name."""
    found = importlib.util.find_spec("onnx.backend.test.case.node")
    files = Path(found.origin).parent.glob("*.py")
    (name,) = (file.stem for file in files if f"\nclass {op}(Base)" in file.read_text(encoding="utf-8"))
    return name


@cache
def node_cases(op: str) -> tuple[Case, ...]:
    """The cases of one operator: models that are that operator alone."""
    before = np.random.get_state()  # noqa: NPY002, importing them seeds NumPy's old generator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node

        importlib.import_module(f"{node.__name__}.{module_of(op)}")
    np.random.set_state(before)  # noqa: NPY002
    alone = [c for c in node._NodeTestCases if [n.op_type for n in c.model.graph.node] == [op]]
    return tuple(Case(c.name, "node", c.model, c.data_sets, c.rtol, c.atol) for c in alone)


@cache
def model_names(kind: str) -> tuple[str, ...]:
    """The models of one kind that came with onnx."""
    return tuple(sorted(_model_tests(kind)))


@cache
def model_case(kind: str, name: str) -> Case:
    """A model that came with onnx, read from its files."""
    import onnx

    found = _model_tests(kind)[name]
    model = onnx.load(Path(found.model_dir) / "model.onnx")
    folders = sorted(Path(found.model_dir).glob("test_data_set_*"))
    sets = [(list(_stored(folder, "input")), list(_stored(folder, "output"))) for folder in folders]
    return Case(name, kind, model, sets, found.rtol, found.atol)


def all_cases(kind: str) -> list[Case]:
    """Every case of a kind."""
    if kind == "node":
        return [case for op in NODE_OPS for case in node_cases(op)]
    return [model_case(kind, name) for name in model_names(kind)]


@cache
def _model_tests(kind: str) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

    return {case.name: case for case in load_model_tests(kind=kind)}


def _stored(folder: Path, what: str) -> Iterator[np.ndarray]:
    import onnx
    from onnx import numpy_helper

    for number in range(len(list(folder.glob(f"{what}_*.pb")))):
        tensor = onnx.TensorProto()
        tensor.ParseFromString((folder / f"{what}_{number}.pb").read_bytes())
        yield numpy_helper.to_array(tensor)
