"""Cross-validation: train the same network several times, each time judged on a part that it has not seen.

One split tells how good one network is on one test part, and luck is in both. With k folds every example is tested
once, and the k results say how much of a difference is luck. What is measured on data (the mean and spread to normalise
by) is measured on each fold's training part alone, or the test part would no longer be unseen.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycnn.data.split import folds as plain_folds
from tinycnn.data.split import group_folds, stratified_folds
from tinycnn.data.statistics import channel_statistics
from tinycnn.errors import ShapeError
from tinycnn.formula import formula
from tinycnn.model.sequential import Sequential, check_seed
from tinycnn.train.history import History

Indices = NDArray[np.int64]


@formula(
    "mean = mean[n](values[n])",
    "sd = sqrt(sum[n]((values[n] - mean)**2) / (N - 1))",
    where="values[n] is the result of fold n",
    shapes="values (N) -> mean (), sd ()",
    source="Gauss 1823, Theoria combinationis observationum; Kohavi 1995, IJCAI, on folds",
)
def mean_and_sd(values: ArrayLike) -> tuple[float, float]:
    """The mean of some numbers and how far they scatter around it: the standard deviation of a sample.

    values (N,) -> two numbers. Raises ValueError for fewer than two values, which do not scatter.

    >>> mean_and_sd([0.8, 0.9, 1.0])
    (0.9, 0.09999999999999998)
    """
    found = np.asarray(values, np.float64)
    if found.ndim != 1 or len(found) < 2:
        raise ValueError(f"mean_and_sd: expected at least two numbers (N,), got shape {found.shape}")
    return float(found.mean()), float(found.std(ddof=1))


@dataclass(frozen=True)
class Fold:
    """One round: who was trained on, who tested, the seed, what training reported, and the result on the test part."""

    train: Indices
    test: Indices
    seed: int
    history: History
    scores: dict[str, float]


@dataclass(frozen=True)
class CrossValidation(Mapping[str, NDArray[np.float64]]):
    """What came of it: `result["accuracy"]` has a number for each fold, `mean` and `sd` one for all of them.

    `predictions` (N, …) holds for every example what the network said that had not seen it, and `folds` the rounds.
    """

    folds: tuple[Fold, ...]
    predictions: NDArray = field(repr=False)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name not in self.folds[0].scores:
            raise KeyError(f"no metric {name!r}; there are {', '.join(self)}")
        return np.array([fold.scores[name] for fold in self.folds])

    def __iter__(self) -> Iterator[str]:
        return iter(self.folds[0].scores)

    def __len__(self) -> int:
        return len(self.folds[0].scores)

    @property
    def mean(self) -> dict[str, float]:
        """The mean over the folds, by metric."""
        return {name: mean_and_sd(self[name])[0] for name in self}

    @property
    def sd(self) -> dict[str, float]:
        """The standard deviation over the folds, by metric."""
        return {name: mean_and_sd(self[name])[1] for name in self}

    def __str__(self) -> str:
        width = max(10, *(len(name) for name in self))
        lines = ["fold  " + "  ".join(f"{name:>{width}}" for name in self)]
        rows = [*((str(i), fold.scores) for i, fold in enumerate(self.folds, 1)), ("mean", self.mean), ("sd", self.sd)]
        lines += [f"{name:4}  " + "  ".join(f"{numbers[key]:{width}.4f}" for key in self) for name, numbers in rows]
        return "\n".join(lines)


def cross_validate(
    make_model: Callable[[int], Sequential], x: ArrayLike, y: ArrayLike, folds: int = 5, stratified: bool = True,
    groups: ArrayLike | None = None, seed: int = 0, normalise: bool = False, verbose: int = 0, **fit_options: Any,
) -> CrossValidation:  # fmt: skip
    """Train and judge a network on each of `folds` rounds; the result has the mean and the scatter of every metric.

    `make_model(seed)` makes a new compiled network, its weights drawn from that seed; each fold has a seed of its own,
    which follows from `seed`, so that the same call gives the same numbers. `stratified` gives every fold the same mix
    of classes; with `groups` (N,) no group is divided, and the mix is what whole groups have. `normalise` gives each
    network the channel statistics of its own training part. What else is named goes to `fit`: `epochs`, `batch_size`,
    `augment`, `callbacks`, of which each fold gets a copy that remembers no other. Nothing is validated in between: to
    stop or choose by the test part would be to train on it.

    Raises TypeError and ValueError for what makes no new compiled network (one that was trained, or that shares its
    weights with the fold before, has seen the test part), for one that brings statistics measured elsewhere, for data
    that cannot be divided so, and as `fit` does.

    >>> import tinycnn as tc
    >>> def make_model(seed):
    ...     model = tc.Sequential([tc.Flatten(), tc.Dense(2)], input_shape=(1, 1, 2), seed=seed)
    ...     model.compile(tc.optim.SGD(1.0), metrics=["accuracy"])
    ...     return model
    >>> x = np.array([[[[1, 0]]], [[[0, 1]]]] * 6, np.float32)
    >>> result = cross_validate(make_model, x, [0, 1] * 6, folds=3, epochs=20)
    >>> result["accuracy"], result.sd["accuracy"]
    (array([1., 1., 1.]), 0.0)
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 2 or y.ndim < 1 or len(x) != len(y):
        raise ShapeError(f"x {x.shape} and y {y.shape} must have the same number of examples, (N, …) and (N, …)")
    if taken := {"validation_data", "resume_from"} & set(fit_options):
        raise TypeError(f"cross_validate: {', '.join(sorted(taken))} is not for you to give; each fold has its own")
    done: list[Fold] = []
    made: list[Sequential] = []
    predictions: NDArray | None = None
    for train, test in _rounds(y, folds, stratified, groups, check_seed(seed)):
        fold_seed = int(np.random.SeedSequence([seed, len(done)]).generate_state(1)[0])
        made.append(_new_model(make_model, fold_seed, made))
        model = made[-1]
        if normalise:
            model.preprocessing["normalise"] = channel_statistics(x[train])
        history = model.fit(x[train], y[train], verbose=verbose, **copy.deepcopy(fit_options))
        said = model.predict(x[test])
        predictions = np.empty((len(x), *said.shape[1:]), said.dtype) if predictions is None else predictions
        predictions[test] = said
        done.append(Fold(train, test, fold_seed, history, model.evaluate(x[test], y[test]).as_dict()))
    assert predictions is not None
    return CrossValidation(tuple(done), predictions)


def _rounds(
    y: NDArray, k: int, stratified: bool, groups: ArrayLike | None, seed: int
) -> Iterator[tuple[Indices, Indices]]:
    if groups is not None:
        if np.shape(groups) != (len(y),):
            raise ShapeError(f"groups: expected one for each of the {len(y)} examples, got shape {np.shape(groups)}")
        return group_folds(groups, k, seed)
    if not 2 <= k <= len(y):
        raise ValueError(f"folds must be from 2 to the number of examples, {len(y)}; got {k}")
    if not stratified:
        return plain_folds(len(y), k, seed)
    labels = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 and (y.sum(axis=1) == 1).all() else y
    if labels.ndim != 1 or labels.dtype.kind not in "iub":
        raise ValueError(f"stratified: a class for each example is needed, got y {y.dtype} {y.shape}; stratified=False")
    names, counts = np.unique(labels, return_counts=True)
    if (few := counts < k).any():
        shown = f"class {names[few][0]} has {counts[few][0]} examples"
        warnings.warn(f"{shown}, and there are {k} folds: some test none of it", stacklevel=3)
    return stratified_folds(labels, k, seed)


def _new_model(make_model: Callable[[int], Sequential], seed: int, before: list[Sequential]) -> Sequential:
    """A network that has seen nothing yet."""
    if not callable(make_model):
        raise TypeError(f"make_model must be a function of a seed that makes a compiled network, got {make_model!r}")
    try:
        inspect.signature(make_model).bind(seed)
    except TypeError:
        raise TypeError(
            f"make_model must take one argument, the seed of the fold; got {inspect.signature(make_model)}"
        ) from None
    model = make_model(seed)
    if not isinstance(model, Sequential):
        raise TypeError(f"make_model must return a tinycnn.Sequential, got {type(model).__name__}")
    model._compiled()
    old = {id(w) for other in before for w in other.named_params().values()}
    if model.epochs_seen or any(id(w) in old for w in model.named_params().values()):
        raise ValueError("make_model must make a new network each time, layers and all: this one was trained before")
    if any(model.optimizer is other.optimizer for other in before):
        raise ValueError("make_model must make a new optimizer each time: this one remembers the fold before")
    if "normalise" in model.preprocessing:
        raise ValueError(
            "the network brings statistics of its own to normalise by; measured on all data they would tell it of the "
            "test part. Leave them out, and give normalise=True: they are measured on each fold's training part"
        )
    return model
