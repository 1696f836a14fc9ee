"""The page's matrices of a convolution are those of Python: im2col, dyᵀ·cols, and dy·w laid back by col2im."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import trace_networks as networks
from test_page import asked, needs_node

import tinycnn as tc

CASES = ["windows", "branches", "larger"]  # strides, dilation, uneven padding, groups, flip, sequences


@cache
def trace(case: str) -> Any:
    return tc.trace(*networks.example(networks.network(case)))


def convolutions(case: str, result: str) -> list[Any]:
    return [one for one in trace(case).steps if one.op.startswith(("conv1d", "conv2d")) and one.result == result]


def columns(tr: Any, step: Any) -> list[dict[str, Any]]:
    """For each group: where every entry of its matrices lies, as the page has it."""
    values = tr.names(step)
    y = values["dy"] if step.op.endswith("backward") else tr.tensors[step.writes[0]["tensor"]]
    plain = {name: value for name, value in step.names.items() if not isinstance(value, str)}
    case = {"names": plain, "output": y.shape, "weights": values["w"].shape, "image": values["x"].shape}
    return asked("columns", cases=[case | {"group": g} for g in range(int(plain.get("groups", 1)))])


def taken(array: np.ndarray, places: list) -> np.ndarray:
    """What stands at a matrix of places."""
    places = np.array(places)
    return array[tuple(np.moveaxis(places, -1, 0))]


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_columns_are_those_of_im2col_and_their_product_is_y(case):
    tr = trace(case)
    assert convolutions(case, "y")
    for step in convolutions(case, "y"):
        names, y = tr.names(step), tr.tensors[step.writes[0]["tensor"]]
        groups = columns(tr, step)
        cols = [taken(names["xp"], group["pixels"]) for group in groups]
        np.testing.assert_array_equal(np.concatenate(cols, axis=1), tr.im2col(step))
        for one, group in zip(cols, groups, strict=True):
            bias = np.array([names["b"][place[0]] for place in np.array(group["weights"])[:, 0]])
            found = one @ taken(names["w"], group["weights"]).T + bias
            np.testing.assert_allclose(found, taken(y, group["outputs"]), rtol=1e-12, atol=1e-12)


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_dw_is_dy_turned_times_the_columns(case):
    tr = trace(case)
    assert convolutions(case, "dw")
    for step in convolutions(case, "dw"):
        names, dw = tr.names(step), tr.tensors[step.writes[0]["tensor"]]
        for group in columns(tr, step):
            found = taken(names["dy"], group["outputs"]).T @ taken(names["xp"], group["pixels"])
            np.testing.assert_allclose(found, taken(dw, group["weights"]), rtol=1e-11, atol=1e-12)


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_a_pixel_gathers_the_entries_of_dy_times_w_that_lie_on_it_and_no_others(case):
    tr = trace(case)
    assert convolutions(case, "dx")
    for step in convolutions(case, "dx"):
        names, dx = tr.names(step), tr.tensors[step.writes[0]["tensor"]]
        groups = columns(tr, step)
        per_group = dx.shape[1] // len(groups)
        for index in np.ndindex(1, *dx.shape[1:]):
            group = groups[index[1] // per_group]
            dcols = taken(names["dy"], group["outputs"]) @ taken(names["w"], group["weights"])
            entries = group["entries"][",".join(map(str, index))]
            assert sum(dcols[p, k] for p, k in entries) == pytest.approx(dx[index], rel=1e-9, abs=1e-12)
            terms = tr.cell(step, index)["terms"]
            reads = {(read["symbol"], *read["index"]) for term in terms for read in term["reads"]}
            filters = range(len(group["weights"]))
            made_from = {("dy", *group["outputs"][p][f]) for p, _ in entries for f in filters}
            made_from |= {("w", *group["weights"][f][k]) for _, k in entries for f in filters}
            assert made_from == reads


@needs_node
@pytest.mark.parametrize("case", CASES)
def test_every_place_leads_back_to_its_entry(case):
    tr = trace(case)
    for result in ("y", "dw", "dx"):
        for step in convolutions(case, result):
            for group in columns(tr, step):
                assert group["back"] == {"weights": True, "outputs": True, "pixels": True}
