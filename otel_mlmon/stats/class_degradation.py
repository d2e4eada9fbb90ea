"""How sure: one-sided p-values that a classifier is worse than a given value, from its confusion counts alone."""

from __future__ import annotations

import math

from otel_mlmon.stats.performance import ClassSums, Confusion, class_sums, f1, precision, recall
from otel_mlmon.stats.proportion import exceeds
from otel_mlmon.stats.student import t_tail

_NO_ROWS = ClassSums(0, 0, 0)


def accuracy_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "accuracy is at least `limit`" (0 to 1): exact binomial test of the wrong predictions; NaN without
    rows.

    >>> round(accuracy_worse({("a", "a"): 80, ("a", "b"): 20}, 0.9), 4)
    0.002
    """
    wrong = sum(rows for (truth, prediction), rows in confusion.items() if truth != prediction)
    return _misses(wrong, sum(confusion.values()), limit)


def precision_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "precision is at least `limit`" (0 to 1): exact binomial test for one class, else `_macro_worse`.

    >>> round(precision_worse({("yes", "yes"): 80, ("no", "yes"): 20}, 0.9, "yes"), 4)
    0.002
    """
    if positive is None:
        return _macro_worse(confusion, precision(confusion), limit, of_predicted=1, of_true=0)
    rows = class_sums(confusion).get(positive, _NO_ROWS)
    return _misses(rows.predicted - rows.right, rows.predicted, limit)


def recall_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "recall is at least `limit`" (0 to 1): exact binomial test for one class, else `_macro_worse`.

    >>> round(recall_worse({("yes", "yes"): 80, ("yes", "no"): 20}, 0.9, "yes"), 4)
    0.002
    """
    if positive is None:
        return _macro_worse(confusion, recall(confusion), limit, of_predicted=0, of_true=1)
    rows = class_sums(confusion).get(positive, _NO_ROWS)
    return _misses(rows.true - rows.right, rows.true, limit)


def f1_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "F1 is at least `limit`" (0 to 1): exact binomial test for one class, else `_macro_worse`.

    For one class F1 = 2 J / (1 + J), and J = TP / (TP + FP + FN) is a plain proportion, which the test is about.

    >>> round(f1_worse({("yes", "yes"): 80, ("yes", "no"): 10, ("no", "yes"): 10}, 0.95, "yes"), 4)
    0.0011
    """
    if positive is None:
        return _macro_worse(confusion, f1(confusion), limit, of_predicted=1, of_true=1)
    rows = class_sums(confusion).get(positive, _NO_ROWS)
    touched = rows.true + rows.predicted - rows.right
    return _misses(touched - rows.right, touched, limit / (2 - limit))


def _misses(misses: int, rows: int, limit: float) -> float:
    if not 0 <= limit <= 1:
        raise ValueError(f"limit must be between 0 and 1, found {limit}")
    return exceeds(misses, rows, 1 - limit)


def _macro_worse(confusion: Confusion, value: float, limit: float, *, of_predicted: int, of_true: int) -> float:
    """P-value of "the mean over classes of (a + b) TP / (a predicted + b true) is at least `limit`".

    a = `of_predicted`, b = `of_true`. Delta method for the multinomial confusion matrix (Takahashi et al., Confidence
    interval for micro-averaged F1 and macro-averaged F1 scores, Applied Intelligence 52, 2022), as a t test with rows
    - classes degrees of freedom. The variance is never taken below that of a plain proportion `limit` of all rows: a
    class with nothing but hits or misses shows none. NaN when there are no more rows than classes.
    """
    if not 0 <= limit <= 1:
        raise ValueError(f"limit must be between 0 and 1, found {limit}")
    sums = class_sums(confusion)
    base = {name: of_predicted * s.predicted + of_true * s.true for name, s in sums.items()}
    defined = {name for name, rows in base.items() if rows}
    rows = sum(confusion.values())
    if rows <= len(defined) or not defined:
        return math.nan

    def influence(truth: str, prediction: str) -> float:
        """Derivative of the sum over classes by the count of one cell, without the factor a + b."""
        change = 1 / base[truth] if truth == prediction else 0.0
        if prediction in defined:
            change -= of_predicted * sums[prediction].right / base[prediction] ** 2
        if truth in defined:
            change -= of_true * sums[truth].right / base[truth] ** 2
        return change

    total = sum(n * influence(truth, prediction) ** 2 for (truth, prediction), n in confusion.items() if n)
    variance = total * ((of_predicted + of_true) / len(defined)) ** 2
    return t_tail(limit - value, math.sqrt(max(variance, limit * (1 - limit) / rows)), rows - len(defined))
