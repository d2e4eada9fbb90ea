"""Classification metrics of a window from its confusion counts, their estimates and tests; business value.

Classes that appear neither in truth nor in predictions do not exist. NaN always means undefined, never good.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown, worse
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, Scale
from otel_mlmon.stats.inference.summary import mean

Confusion = Mapping[tuple[str, str], int]
"""Rows per (truth, prediction) pair of class names."""

Values = Mapping[tuple[str, str], float]
"""Value of one prediction by (truth, prediction); a missing pair has the value 0."""


def accuracy(confusion: Confusion, positive: str | None = None) -> float:
    """Return the share of right predictions; `positive` makes no difference.

    >>> accuracy({("yes", "yes"): 8, ("yes", "no"): 2})
    0.8
    """
    return mean(*share_of("accuracy", confusion, None))


def precision(confusion: Confusion, positive: str | None = None) -> float:
    """Return the share of right predictions of class `positive`, else the mean over predicted classes.

    A class that is never predicted is left out of the mean (scikit-learn's `zero_division=nan`).

    >>> precision({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10}, "yes")
    0.8
    """
    return _of_classes(confusion, positive, lambda s: (s.right, s.predicted))


def recall(confusion: Confusion, positive: str | None = None) -> float:
    """Return the share of the rows of class `positive` that are predicted, else the mean over true classes.

    >>> recall({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10})
    0.9166666666666667
    """
    return _of_classes(confusion, positive, lambda s: (s.right, s.true))


def f1(confusion: Confusion, positive: str | None = None) -> float:
    """Return 2 TP / (2 TP + FP + FN) of class `positive`, else the mean over all classes (macro).

    >>> round(f1({("yes", "yes"): 8, ("no", "yes"): 2, ("no", "no"): 10}, "yes"), 6)
    0.888889
    """
    return _of_classes(confusion, positive, lambda s: (2 * s.right, s.predicted + s.true))


class ClassSums(NamedTuple):
    """Rows of one class."""

    right: int
    true: int
    predicted: int


def class_sums(confusion: Confusion) -> dict[str, ClassSums]:
    """Return the sums of each class in truth or predictions; ValueError for a negative count.

    >>> class_sums({("a", "a"): 3, ("a", "b"): 1})
    {'a': ClassSums(right=3, true=4, predicted=3), 'b': ClassSums(right=0, true=0, predicted=1)}
    """
    true: Counter[str] = Counter()
    predicted: Counter[str] = Counter()
    for (truth, prediction), rows in confusion.items():
        if rows < 0:
            raise ValueError(f"rows must not be negative, found {rows} for truth {truth!r}, prediction {prediction!r}")
        true[truth] += rows
        predicted[prediction] += rows
    names = [name for name in {**true, **predicted} if true[name] or predicted[name]]
    return {name: ClassSums(confusion.get((name, name), 0), true[name], predicted[name]) for name in names}


def _of_classes(confusion: Confusion, positive: str | None, part_of: Callable[[ClassSums], tuple[int, int]]) -> float:
    sums = class_sums(confusion)
    if positive is not None:
        return mean(*part_of(sums.get(positive, _NO_ROWS)))
    parts = [part_of(of_class) for of_class in sums.values()]
    defined = [part / whole for part, whole in parts if whole]
    return mean(sum(defined), len(defined))


class Share(NamedTuple):
    """Hits and trials of a metric that is a share, or (F1) a function of a share."""

    hits: int
    trials: int


_NO_ROWS = ClassSums(0, 0, 0)


def share_of(method: str, confusion: Confusion, positive: str | None) -> Share:
    """Return the share of accuracy, of precision or recall of one class, or J = TP / (TP + FP + FN) of F1.

    >>> share_of("f1", {("yes", "yes"): 8, ("yes", "no"): 1, ("no", "yes"): 2}, "yes")
    Share(hits=8, trials=11)
    """
    if method == "accuracy":
        right = sum(rows for (truth, prediction), rows in confusion.items() if truth == prediction)
        return Share(right, sum(confusion.values()))
    rows = class_sums(confusion).get(positive or "", _NO_ROWS)
    trials = {"precision": rows.predicted, "recall": rows.true, "f1": rows.true + rows.predicted - rows.right}[method]
    return Share(rows.right, trials)


def class_estimate(method: str, confusion: Confusion, positive: str | None, confidence: float = 0.95) -> Estimate:
    """Estimate accuracy, precision, recall or F1, of `positive` or as the mean over classes.

    A share has Wilson's interval. Its standard error is Agresti and Caffo's (The American Statistician 54, 2000: one
    more hit and one more miss), which is not 0 when all are hits. The mean over classes: see `_macro`.

    >>> e = class_estimate("accuracy", {("a", "a"): 8, ("a", "b"): 2}, None)
    >>> round(e.low, 4), round(e.high, 4), round(e.standard_error, 4)
    (0.4902, 0.9433, 0.125)
    """
    if method != "accuracy" and positive is None:
        return _macro(method, confusion, confidence)
    hits, trials = share_of(method, confusion, positive)
    if not trials:
        return unknown()
    share = hits / trials
    error = _share_error(share, trials)
    scale: Scale = "jaccard" if method == "f1" else "share"
    distribution = SamplingDistribution(share, 0.0, math.inf, scale, trials=trials)
    if method == "f1":
        return estimated(2 * share / (1 + share), error * 2 / (1 + share) ** 2, trials, distribution, confidence)
    return estimated(share, error, trials, distribution, confidence)


def class_worse(method: str, confusion: Confusion, limit: float, positive: str | None) -> float:
    """Return the p-value of "accuracy, precision, recall or F1 is at least `limit`" (0 to 1); NaN without rows.

    A share is tested by the exact binomial test of its misses, the mean over classes by a t test. F1 = 2 J / (1 + J),
    so its share J is tested. The exact test is a little stricter than Wilson's interval: when it finds a share worse
    than a limit of one half or more, so does the interval. Raises ValueError for a limit outside 0 to 1.

    >>> round(class_worse("accuracy", {("a", "a"): 80, ("a", "b"): 20}, 0.9, None), 4)
    0.002
    >>> round(class_worse("f1", {("yes", "yes"): 80, ("yes", "no"): 10, ("no", "yes"): 10}, 0.95, "yes"), 4)
    0.0011
    """
    if not 0 <= limit <= 1:
        raise ValueError(f"limit must be between 0 and 1, found {limit}")
    if method != "accuracy" and positive is None:
        return worse(class_estimate(method, confusion, None), limit, "higher")
    hits, trials = share_of(method, confusion, positive)
    return exceeds(trials - hits, trials, 1 - (limit / (2 - limit) if method == "f1" else limit))


def business_value(confusion: Confusion, values: Values, confidence: float = 0.95) -> Estimate:
    """Estimate the mean value per prediction, in the unit of `values`, by Student's t distribution.

    NaN without rows, no interval for fewer than two. Rare large values that did not occur are not in the interval; the
    window must be long enough to have some of them.

    >>> confusion = {("bad", "bad"): 10, ("bad", "good"): 5, ("good", "good"): 85}
    >>> e = business_value(confusion, {("bad", "good"): -100, ("good", "good"): 2})
    >>> round(e.value, 4), round(e.low, 2), round(e.high, 2)
    (-3.3, -7.73, 1.13)
    """
    valued = [(rows, float(values.get(pair, 0.0))) for pair, rows in confusion.items()]
    count = sum(rows for rows, _ in valued)
    if not count:
        return unknown()
    value = math.fsum(rows * each for rows, each in valued) / count
    if count < 2:
        return unknown(value, count)
    squares = math.fsum(rows * (each - value) ** 2 for rows, each in valued)
    error = math.sqrt(squares / (count - 1) / count)
    return estimated(value, error, count, SamplingDistribution(value, error, count - 1), confidence)


def _macro(method: str, confusion: Confusion, confidence: float) -> Estimate:
    """Estimate the mean over classes of (a + b) TP / (a predicted + b true).

    Delta method for the multinomial confusion matrix (Takahashi et al., Confidence interval for micro-averaged F1 and
    macro-averaged F1 scores, Applied Intelligence 52, 2022), with rows - classes degrees of freedom. A class with only
    hits or only misses shows no variance, so the variance is at least that of a share of all rows. Unknown when there
    are no more rows than classes.
    """
    of_predicted, of_true, value = {
        "precision": (1, 0, precision(confusion)),
        "recall": (0, 1, recall(confusion)),
        "f1": (1, 1, f1(confusion)),
    }[method]
    sums = class_sums(confusion)
    base = {name: of_predicted * s.predicted + of_true * s.true for name, s in sums.items()}
    defined = {name for name, rows in base.items() if rows}
    rows = sum(confusion.values())
    if rows <= len(defined) or not defined:
        return unknown(value, rows)

    def influence(truth: str, prediction: str) -> float:
        """Return the derivative of the sum over classes by the count of one cell, without the factor a + b."""
        change = 1 / base[truth] if truth == prediction else 0.0
        if prediction in defined:
            change -= of_predicted * sums[prediction].right / base[prediction] ** 2
        if truth in defined:
            change -= of_true * sums[truth].right / base[truth] ** 2
        return change

    total = sum(n * influence(truth, prediction) ** 2 for (truth, prediction), n in confusion.items() if n)
    error = math.sqrt(total) * (of_predicted + of_true) / len(defined)
    distribution = SamplingDistribution(value, error, rows - len(defined), "mostly_high", trials=rows)
    return estimated(value, max(error, _share_error(value, rows)), rows, distribution, confidence)


def _share_error(share: float, trials: int) -> float:
    drawn = (share * trials + 1) / (trials + 2)
    return math.sqrt(drawn * (1 - drawn) / (trials + 2))
