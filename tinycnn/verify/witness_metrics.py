"""Witnesses of the metrics: their formulas walked, scikit-learn's answers, and cases worked by hand."""

from __future__ import annotations

from collections.abc import Iterator

from tinycnn.formula import formulas
from tinycnn.train import metrics
from tinycnn.verify.part_cases import AVERAGES, label_case, number_case, score_case
from tinycnn.verify.recorded import recorded
from tinycnn.verify.rows import Row, distance, row_of, worst

RATIOS = {
    "precision": metrics.precision, "recall": metrics.recall, "f1": metrics.f1, "iou": metrics.iou,
    "dice_score": metrics.dice,
}  # fmt: skip
SKLEARN = "scikit-learn 1.9, recorded"
SEEDS = range(6)
# Five cats and three dogs: one cat taken for a dog, one dog for a cat and one for a bird. Worked by hand.
TRUE, PRED = [0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 1, 1, 0, 2]
BY_HAND = {
    "precision": [4 / 5, 1 / 2, 0], "recall": [4 / 5, 1 / 3, 0], "f1": [4 / 5, 2 / 5, 0], "iou": [4 / 6, 1 / 4, 0],
    "dice_score": [4 / 5, 2 / 5, 0],
}  # fmt: skip
# Averages of the precisions above: (4/5 + 1/2 + 0)/3; 5 of 8 called right; five eighths of 4/5 and three of 1/2.
AVERAGED = {"macro_average": 13 / 30, "micro_average": 5 / 8, "weighted_average": 11 / 16}


def metric_rows() -> Iterator[Row]:
    """The rows of every metric; none of it has a rung of its own."""
    yield from _ratios()
    yield from _averages()
    yield from _counts()
    yield from _top_k()
    yield from _numbers()


def _row(formula: str, witness: str, method: str, errors: list[float]) -> Row:
    return row_of(formula, "metric", witness, method, errors)


def _ratios() -> Iterator[Row]:
    for name, metric in RATIOS.items():
        walked, theirs = [], []
        theirs_name = "f1" if name == "dice_score" else name
        for seed in SEEDS:
            true, pred, K = label_case(seed)
            found = metric(true, pred, None, K)
            walked.append(distance(found, formulas[name].evaluate(y_true=true, y_pred=pred, num_classes=K)))
            theirs.append(distance(found, recorded("sklearn_metrics")[f"{theirs_name}/None/{seed}"]))
        yield _row(name, "literal", "the formula walked", walked)
        yield _row(name, "numeric", "worked by hand", [distance(metric(TRUE, PRED, None), BY_HAND[name])])
        yield _row(name, "external", SKLEARN, theirs)


def _averages() -> Iterator[Row]:
    """Each way of averaging, through every ratio there is."""
    for average in AVERAGES[1:]:
        theirs, walked = [], []
        for seed in SEEDS:
            true, pred, K = label_case(seed)
            m = metrics.confusion_matrix(true, pred, K)
            for name in ("precision", "recall", "f1", "iou"):
                found = RATIOS[name](true, pred, average, K)
                theirs.append(distance(found, recorded("sklearn_metrics")[f"{name}/{average}/{seed}"]))
            ratio = RATIOS["precision"](true, pred, None, K)
            given = {"macro": {"ratio": ratio}, "weighted": {"ratio": ratio, "actual": m.sum(axis=1)},
                     "micro": {"top": m.diagonal(), "bottom": m.sum(axis=0)}}[average]  # fmt: skip
            literal = formulas[f"{average}_average"].evaluate(**given)
            walked.append(distance(RATIOS["precision"](true, pred, average, K), literal))
        name = f"{average}_average"
        yield _row(name, "literal", "the formula walked", walked)
        by_hand = distance(metrics.precision(TRUE, PRED, average), AVERAGED[name])
        yield _row(name, "numeric", "worked by hand", [by_hand])
        yield _row(name, "external", SKLEARN, theirs)


def _counts() -> Iterator[Row]:
    for name, metric, by_hand in (("confusion_matrix", metrics.confusion_matrix, [[4, 1, 0], [1, 1, 1], [0, 0, 0]]),
                                  ("accuracy", metrics.accuracy, 5 / 8)):  # fmt: skip
        walked, theirs = [], []
        for seed in SEEDS:
            true, pred, K = label_case(seed)
            more = {"num_classes": K} if name == "confusion_matrix" else {}
            found = metric(true, pred, **more)
            walked.append(distance(found, formulas[name].evaluate(y_true=true, y_pred=pred, **more)))
            theirs.append(distance(found, recorded("sklearn_metrics")[f"{name}/{seed}"]))
        yield _row(name, "literal", "the formula walked", walked)
        yield _row(name, "numeric", "worked by hand", [distance(metric(TRUE, PRED), by_hand)])
        yield _row(name, "external", SKLEARN, theirs)


def _top_k() -> Iterator[Row]:
    walked, theirs = [], []
    for seed in SEEDS:
        labels, scores, k = score_case(seed)
        found = metrics.top_k_accuracy(labels, scores, k)
        walked.append(distance(found, formulas["top_k_accuracy"].evaluate(y_true=labels, scores=scores, k=k)))
        theirs.append(distance(found, recorded("sklearn_metrics")[f"top_k_accuracy/{seed}"]))
    by_hand = metrics.top_k_accuracy([0, 2], [[0.1, 0.6, 0.3], [0.1, 0.6, 0.3]], k=2)
    yield _row("top_k_accuracy", "literal", "the formula walked", walked)
    yield _row("top_k_accuracy", "numeric", "worked by hand", [distance(by_hand, 0.5)])
    yield _row("top_k_accuracy", "external", SKLEARN, theirs)


def _numbers() -> Iterator[Row]:
    """Of 3, −½, 2, 7 predicted as 2½, 0, 2, 8: squares ¼, ¼, 0, 1, sizes ½, ½, 0, 1, and 1.5 of 29.1875 unexplained."""
    true, pred = [3.0, -0.5, 2.0, 7.0], [2.5, 0.0, 2.0, 8.0]
    named = {"mean_squared_error": (metrics.mse, 0.375), "mean_absolute_error": (metrics.mae, 0.5),
             "r2": (metrics.r2, 1 - 1.5 / 29.1875)}  # fmt: skip
    for name, (metric, by_hand) in named.items():
        cases = [number_case(seed) for seed in SEEDS]
        found = [metric(a, b) for a, b in cases]
        literal = [formulas[name].evaluate(y_true=a, y_pred=b) for a, b in cases]
        theirs = [recorded("sklearn_metrics")[f"{name}/{seed}"] for seed in SEEDS]
        last = lambda value: value[-1] if isinstance(value, tuple) else value  # noqa: E731
        yield _row(
            name, "literal", "the formula walked", [distance(a, last(b)) for a, b in zip(found, literal, strict=True)]
        )
        yield _row(name, "numeric", "worked by hand", [distance(metric(true, pred), by_hand)])
        yield _row(name, "external", SKLEARN, [worst(map(distance, found, theirs))])
