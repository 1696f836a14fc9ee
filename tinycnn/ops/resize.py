"""Making images larger: repeat each pixel, blend the nearest four, or put maxima back where a pool found them.

All three are linear, so backward is the transpose: each input pixel collects from all the output pixels it went into,
with the weight it had there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.ops.checks import Array, floating, pair, upstream


def _nearest_names(names: dict[str, Any]) -> dict[str, Any]:
    sv, sh = pair(names["scale"], "scale")
    H, W = names["x"].shape[2:]
    return {"sv": sv, "sh": sh, "KH": sv, "KW": sh, "OH": H * sv, "OW": W * sh}


@formula(
    "y[n,c,u,v] = x[n, c, u//sv, v//sh]",
    where="sv, sh = scale; OH = H*sv; OW = W*sh",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="Odena, Dumoulin & Olah 2016, Deconvolution and Checkerboard Artifacts, Distill",
    given=_nearest_names,
)
def upsample_nearest2d_forward(x: Array, scale: Any) -> tuple[Array, tuple]:
    """Repeat each pixel `scale` times: an int or (vertical, horizontal).

    >>> upsample_nearest2d_forward(np.array([[[[1.0, 2.0]]]]), scale=2)[0][0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    x, (sv, sh) = floating(x, "x", "N,C,H,W"), pair(scale, "scale")
    return x.repeat(sv, axis=2).repeat(sh, axis=3), (x.shape, sv, sh)


@formula(
    "dx[n,c,r,q] = sum[i,j](dy[n, c, r*sv+i, q*sh+j])",
    where="i, j run over the sv×sh copies of a pixel",
    shapes="-> dx",
)
def upsample_nearest2d_backward(dy: Array, cache: tuple) -> Array:
    """Each pixel gathers from all its copies."""
    (N, C, H, W), sv, sh = cache
    dy = upstream(dy, (N, C, H * sv, W * sh))
    return dy.reshape(N, C, H, sv, W, sh).sum(axis=(3, 5))


@formula(
    "at[u] = u * (H - 1) / max(OH - 1, 1) if align_corners else min(max((u + 0.5) / scale - 0.5, 0), H - 1)",
    "row[u,i] = min(floor(at[u]) + i, H - 1)",
    "weight[u,i] = at[u] - floor(at[u]) if i == 1 else 1 - (at[u] - floor(at[u]))",
    where="OH = H*scale; at is where output row u lies among the input's rows; i is 0 above it and 1 below",
    shapes="-> row (OH,2), weight (OH,2)",
    source="Long, Shelhamer & Darrell 2015, arXiv:1411.4038, section 3.3; the corners as PyTorch puts them",
    given=lambda names: {"OH": names["H"] * names["scale"], "KH": 2},
)
def linear_neighbours(H: int, scale: int, align_corners: bool = False) -> tuple[Array, Array]:
    """For each row (or column) of an enlarged image the two of the input that it lies between, and their weights.

    Pixels are squares: the centre of output row u lies at (u + ½)/scale − ½ among the centres of the input, and beyond
    the outermost centres nothing changes any more. With `align_corners` pixels are points, the first and the last of
    both images fall together, and all else is spread evenly between.

    >>> row, weight = linear_neighbours(2, scale=2)
    >>> row.tolist(), weight.tolist()
    ([[0, 1], [0, 1], [0, 1], [1, 1]], [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [1.0, 0.0]])
    """
    u = np.arange(H * scale)
    at = u * (H - 1) / max(H * scale - 1, 1) if align_corners else np.clip((u + 0.5) / scale - 0.5, 0, H - 1)
    above = np.floor(at).astype(np.intp)
    row = np.stack([above, np.minimum(above + 1, H - 1)], axis=1)  # (OH, 2)
    return row, np.stack([1 - (at - above), at - above], axis=1)


def _bilinear_names(names: dict[str, Any]) -> dict[str, Any]:
    (sv, sh), (H, W) = pair(names["scale"], "scale"), names["x"].shape[2:]
    row, rv = linear_neighbours(H, sv, names["align_corners"])
    column, rh = linear_neighbours(W, sh, names["align_corners"])
    return {"row": row, "rv": rv, "column": column, "rh": rh, "OH": H * sv, "OW": W * sh}


@formula(
    "y[n,c,u,v] = sum[i,j](rv[u,i] * rh[v,j] * x[n, c, row[u,i], column[v,j]])",
    where="row, column are the two rows and the two columns of x between which pixel (u, v) lies;"
    "rv, rh are their weights (linear_neighbours)",
    shapes="x (N,C,H,W) -> y (N,C,OH,OW)",
    source="Long, Shelhamer & Darrell 2015, arXiv:1411.4038, section 3.3",
    given=_bilinear_names,
)
def upsample_bilinear2d_forward(x: Array, scale: Any, align_corners: bool = False) -> tuple[Array, tuple]:
    """Enlarge by an int or (vertical, horizontal), blending for each new pixel the four nearest of the input.

    `align_corners` as in PyTorch: whether the corner pixels' centres, or their outer edges, stay where they are.

    >>> upsample_bilinear2d_forward(np.array([[[[0.0, 4.0]]]]), scale=(1, 2))[0][0, 0]
    array([[0., 1., 3., 4.]])
    """
    x, (sv, sh) = floating(x, "x", "N,C,H,W"), pair(scale, "scale")
    H, W = x.shape[2:]
    (row, rv), (column, rh) = linear_neighbours(H, sv, align_corners), linear_neighbours(W, sh, align_corners)
    rv, rh = rv.astype(x.real.dtype), rh.astype(x.real.dtype)
    tall = sum(rv[:, i, None] * x[:, :, row[:, i]] for i in (0, 1))  # (N, C, OH, W): between two rows,
    y = sum(rh[:, j] * np.take(tall, column[:, j], axis=3) for j in (0, 1))  # and then between two columns
    return y, (x.shape, _as_matrix(row, rv, H), _as_matrix(column, rh, W))


@formula("dx[n, c, row[u,i], column[v,j]] += dy[n,c,u,v] * rv[u,i] * rh[v,j]", shapes="-> dx")
def upsample_bilinear2d_backward(dy: Array, cache: tuple) -> Array:
    """Each pixel collects from every pixel it was blended into, with the weight it had there.

    Along one axis the weights form a matrix, (OH, H); enlarging is A·x·Bᵀ, and its transpose Aᵀ·dy·B.
    """
    (N, C, _, _), A, B = cache
    return A.T @ upstream(dy, (N, C, len(A), len(B))) @ B


@formula(
    "y[n,c,u,v] = 0",
    "y[n, c, indices[n,c,r,q] // OW, indices[n,c,r,q] % OW] = x[n,c,r,q]",
    where="indices is the place in the output that each number goes to, counted row by row; OH, OW = output_size",
    shapes="x (N,C,H,W), indices (N,C,H,W) -> y (N,C,OH,OW)",
    source="Zeiler & Fergus 2014, arXiv:1311.2901, section 2.1",
    given=lambda names: dict(zip(("OH", "OW"), pair(names["output_size"], "output_size"), strict=True)),
)
def max_unpool2d_forward(x: Array, indices: Array, output_size: Any) -> tuple[Array, tuple]:
    """Put each number back where a max pool found its maximum (`max_pool2d_indices`), and zeros everywhere else.

    Raises ValueError for an index outside the output, or one that comes twice in a channel, as where the pool's
    windows overlapped: two numbers cannot go to one place. ShapeError if the indices have another shape than x.

    >>> max_unpool2d_forward(np.array([[[[5.0]]]]), np.array([[[[2]]]]), output_size=2)[0][0, 0]
    array([[0., 0.],
           [5., 0.]])
    """
    x, (OH, OW) = floating(x, "x", "N,C,H,W"), pair(output_size, "output_size")
    N, C, H, W = x.shape
    indices = _places(indices, x.shape, OH, OW).reshape(N, C, H * W)
    y = np.zeros((N, C, OH * OW), x.dtype)
    np.put_along_axis(y, indices, x.reshape(N, C, H * W), axis=2)
    return y.reshape(N, C, OH, OW), (indices, x.shape, OH, OW)


@formula("dx[n,c,r,q] = dy[n, c, indices[n,c,r,q] // OW, indices[n,c,r,q] % OW]", shapes="-> dx")
def max_unpool2d_backward(dy: Array, cache: tuple) -> Array:
    """Each number takes the gradient of the place it went to."""
    indices, x_shape, OH, OW = cache
    N, C = x_shape[:2]
    dy = upstream(dy, (N, C, OH, OW)).reshape(N, C, OH * OW)
    return np.take_along_axis(dy, indices, axis=2).reshape(x_shape)


def _as_matrix(row: Array, weight: Array, H: int) -> Array:
    """The two weights of every output row as a row of a matrix, (OH, H)."""
    matrix = np.zeros((len(row), H), weight.dtype)
    np.add.at(matrix, (np.arange(len(row))[:, None], row), weight)
    return matrix


def _places(indices: Any, shape: tuple[int, ...], OH: int, OW: int) -> Array:
    """Indices, once each is known to name a place of its own in its OH×OW channel."""
    if not (isinstance(indices, np.ndarray) and indices.dtype.kind in "iu"):
        got = getattr(indices, "dtype", type(indices).__name__)
        raise TypeError(f"indices must be an array of integers, got {got}")
    if indices.shape != shape:
        raise ShapeError(f"indices must have the shape of x, {shape}, got {indices.shape}")
    wrong = np.argwhere((indices < 0) | (indices >= OH * OW))
    if wrong.size:
        at = tuple(map(int, wrong[0]))
        raise ValueError(f"index {indices[at]} at {list(at)} is no place in a {OH}×{OW} output: 0 to {OH * OW - 1}")
    places = indices.astype(np.intp)
    planes = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1], 1, 1)
    taken = np.bincount((planes * (OH * OW) + places).ravel(), minlength=1)
    if taken.max() > 1:
        plane, place = divmod(int(taken.argmax()), OH * OW)
        raise ValueError(
            f"index {place} comes {taken.max()} times in channel {plane % shape[1]} of example {plane // shape[1]}: "
            "the pool's windows overlapped. Unpooling needs a stride of at least the kernel size."
        )
    return places
