"""A data set is pictures and their labels, side by side; training takes it in batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.errors import ShapeError


@dataclass(frozen=True, eq=False)
class Dataset:
    """Examples `x` (N, …) and the class `y` (N,) of each, as an integer that counts in `classes`.

    Where every pixel has a class, y is (N, H, W); where an example may have several at once, y is (N, K) of 0 and 1.
    Indexing with a slice, an index array or a mask gives a Dataset; `name` says where the data come from.

    Raises ShapeError if x and y differ in length, ValueError or TypeError for labels that are no class.

    >>> pets = Dataset(np.zeros((3, 1, 2, 2)), [0, 1, 0], classes=("cat", "dog"), name="pets")
    >>> pets
    Dataset 'pets': 3 examples, x (3, 1, 2, 2) float64, 2 classes: cat 2, dog 1
    >>> pets[pets.y == 0]
    Dataset 'pets': 2 examples, x (2, 1, 2, 2) float64, 2 classes: cat 2, dog 0
    """

    x: NDArray
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    name: str = ""

    def __post_init__(self):
        x, classes = np.asarray(self.x), tuple(str(c) for c in self.classes)
        y = _check_targets(np.asarray(self.y), len(classes))
        if x.ndim == 0 or len(x) != len(y):
            raise ShapeError(f"Dataset {self.name!r}: x {x.shape} and y {y.shape} must have the same length N.")
        for field, value in (("x", x), ("y", y), ("classes", classes)):
            object.__setattr__(self, field, value)  # the one way to set a field of a frozen dataclass

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> "Dataset":
        rows = np.atleast_1d(np.arange(len(self))[index])  # ds[3] is a data set of one
        return Dataset(self.x[rows], self.y[rows], self.classes, self.name)

    def __array__(self, *args, **options):
        raise TypeError("a Dataset is two arrays: pass its examples, .x, and where targets are wanted its .y")

    def counts(self) -> NDArray[np.int64]:
        """How many examples hold each class, (K,); a mask holds every class that one of its pixels has."""
        if self.y.ndim == 1:
            return np.bincount(self.y, minlength=len(self.classes))
        if self.y.ndim == 2:
            return self.y.sum(axis=0)
        return np.array([(self.y == k).any(axis=(1, 2)).sum() for k in range(len(self.classes))], np.int64)

    def __repr__(self) -> str:
        counts = self.counts()
        shown = ", ".join(f"{c} {n}" for c, n in zip(self.classes[:12], counts, strict=False))
        more = ", …" if len(self.classes) > 12 else ""
        return (
            f"Dataset {self.name!r}: {len(self):,} examples, x {self.x.shape} {self.x.dtype}, "
            f"{len(self.classes)} classes: {shown}{more}"
        )


def _check_targets(y: NDArray, num_classes: int) -> NDArray[np.int64]:
    """The targets of a data set as int64: labels (N,), masks (N, H, W), or rows of 0 and 1 (N, K)."""
    if y.ndim == 3:
        return check_labels(y.reshape(-1), num_classes, what="y, pixel by pixel").reshape(y.shape)
    if y.ndim != 2 or y.shape[1] == 1:
        return check_labels(y, num_classes, what="y")
    if y.shape[1] != num_classes or y.dtype.kind not in "biu" or not ((y == 0) | (y == 1)).all():
        raise ShapeError(
            f"y: rows must hold 0 or 1 for each of the {num_classes} classes, as integers (N, {num_classes}); got "
            f"{y.dtype} of shape {y.shape}."
        )
    return y.astype(np.int64)


def check_labels(labels: ArrayLike, num_classes: int | None = None, what: str = "labels") -> NDArray[np.int64]:
    """Labels as an int64 array (N,), from integers of shape (N,) or (N, 1); or an error that names the bad one.

    Raises TypeError if they are not integers, ShapeError for another shape, ValueError naming value and position of
    the first label that is negative or not below `num_classes`.

    >>> check_labels([[2], [0]], num_classes=3)
    array([2, 0])
    >>> check_labels([0, 3], num_classes=3)
    Traceback (most recent call last):
    ValueError: labels: 3 at position 1 is not a class: with num_classes = 3 the classes are 0 … 2.
    """
    y = np.asarray(labels)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        raise ShapeError(f"{what}: expected integers of shape (N,) or (N, 1), got shape {y.shape}.")
    if y.size == 0:
        return np.zeros(0, np.int64)  # [] is float64 to NumPy, and holds no wrong label
    if y.dtype.kind not in "iu":
        raise TypeError(
            f"{what}: expected integers, got {y.dtype} ({y.item(0)!r} at position 0). "
            "If these are class numbers, convert them with .astype(int)."
        )
    bad = y < 0 if num_classes is None else (y < 0) | (y >= num_classes)
    if bad.any():
        i = int(bad.argmax())
        allowed = "classes start at 0" if num_classes is None else _allowed(num_classes)
        raise ValueError(f"{what}: {y[i]} at position {i} is not a class: {allowed}.")
    return y.astype(np.int64)


def _allowed(num_classes: int) -> str:
    if num_classes < 1:
        return f"with num_classes = {num_classes} there are none"
    return f"with num_classes = {num_classes} the classes are 0 … {num_classes - 1}"


def one_hot(labels: ArrayLike, num_classes: int) -> NDArray[np.float32]:
    """A row of zeros for each label, with a one at its class.

    The formula is `tinycnn.formulas["one_hot"]`.

    labels (N,) or (N, 1) integers -> t (N, num_classes) float32. Raises TypeError for labels that are not integers,
    ValueError naming the first that is negative or not below `num_classes`.

    >>> one_hot([2, 0], num_classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]], dtype=float32)
    """
    y = check_labels(labels, num_classes)
    t = np.zeros((len(y), num_classes), np.float32)
    t[np.arange(len(y)), y] = 1
    return t


def to_categorical(labels: ArrayLike, num_classes: int | None = None) -> NDArray[np.float32]:
    """Keras's word for `one_hot`; without `num_classes` the largest label decides.

    >>> to_categorical([1, 0]).shape
    (2, 2)
    """
    y = check_labels(labels, num_classes)
    return one_hot(y, int(y.max(initial=-1)) + 1 if num_classes is None else num_classes)


def to_nchw(x: ArrayLike) -> NDArray:
    """Pictures with the channels last, as Keras keeps them, to channels first, as tinycnn does.

    y[n,c,h,w] = x[n,h,w,c]

    x (N, H, W, C) -> y (N, C, H, W), a copy; grey pictures without a channel axis, (N, H, W), gain one: (N, 1, H, W).
    Raises ShapeError for any other number of axes.

    >>> to_nchw(np.zeros((5, 28, 20, 3))).shape, to_nchw(np.zeros((5, 28, 20))).shape
    ((5, 3, 28, 20), (5, 1, 28, 20))
    """
    pictures = np.asarray(x)
    if pictures.ndim == 3:
        return pictures[:, None].copy()
    if pictures.ndim == 4:
        return pictures.transpose(0, 3, 1, 2).copy(order="C")
    raise ShapeError(
        f"to_nchw: expected a batch of pictures, (N, H, W, C) or (N, H, W), got shape {pictures.shape}."
        + (" For one picture, add the batch axis: x[None]." if pictures.ndim == 2 else "")
    )


def batches(
    x: ArrayLike, y: ArrayLike, batch_size: int, rng: np.random.Generator | int | None = None
) -> Iterator[tuple[NDArray, NDArray]]:
    """Every example once, `batch_size` at a time: in order, or shuffled by `rng` (a Generator or a seed).

    x (N, …), y (N, …) -> pairs of (B, …) and (B, …); B = batch_size, and the last batch is smaller where N asks for it.
    Raises ShapeError if x and y differ in length, ValueError for a batch size below 1.

    >>> [list(xb) for xb, yb in batches(np.arange(5), np.zeros(5), batch_size=2)]
    [[np.int64(0), np.int64(1)], [np.int64(2), np.int64(3)], [np.int64(4)]]
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        raise ShapeError(f"batches: x {x.shape} and y {y.shape} must have the same length N.")
    if batch_size < 1:
        raise ValueError(f"batches: batch_size must be at least 1, got {batch_size}.")
    order = np.arange(len(x)) if rng is None else np.random.default_rng(rng).permutation(len(x))
    # A generator inside, so that the checks above speak at the call and not at the first batch.
    return ((x[rows], y[rows]) for rows in (order[i : i + batch_size] for i in range(0, len(x), batch_size)))
