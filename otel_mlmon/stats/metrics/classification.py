"""How well the metrics of a classifier's window are known, from its confusion counts alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown, worse
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.performance import ClassSums, Confusion, class_sums, f1, precision, recall

_NO_ROWS = ClassSums(0, 0, 0)


class Hits(NamedTuple):
    """A metric that is a plain share, or (F1) a function of one."""

    hits: int
    trials: int


def hits_of(method: str, confusion: Confusion, positive: str | None) -> Hits:
    """What accuracy is a share of, or precision and recall of one class, and J = TP / (TP + FP + FN) for F1 = 2 J / (1 + J).

    >>> hits_of("f1", {("yes", "yes"): 8, ("yes", "no"): 1, ("no", "yes"): 2}, "yes")
    Hits(hits=8, trials=11)
    """
    if method == "accuracy":
        right = sum(rows for (truth, prediction), rows in confusion.items() if truth == prediction)
        return Hits(right, sum(confusion.values()))
    rows = class_sums(confusion).get(positive or "", _NO_ROWS)
    trials = {
        "precision": rows.predicted, "recall": rows.true, "f1": rows.true + rows.predicted - rows.right,
    }[method]  # fmt: skip
    return Hits(rows.right, trials)


def class_estimate(method: str, confusion: Confusion, positive: str | None, confidence: float = 0.95) -> Estimate:
    """Accuracy, precision, recall or F1, of `positive` or the mean over classes (of accuracy there is but one).

    A share has Wilson's interval, and the standard error of Agresti and Caffo (The American Statistician 54, 2000: one hit and
    one miss more than there were), which is not 0 where all are hits. The mean over classes: see `_macro`.

    >>> e = class_estimate("accuracy", {("a", "a"): 8, ("a", "b"): 2}, None)
    >>> round(e.low, 4), round(e.high, 4), round(e.standard_error, 4)
    (0.4902, 0.9433, 0.125)
    """
    if method != "accuracy" and positive is None:
        return _macro(method, confusion, confidence)
    hits, trials = hits_of(method, confusion, positive)
    if not trials:
        return unknown()
    share = hits / trials
    error = _share_error(share, trials)
    law = SamplingDistribution(share, 0.0, math.inf, "jaccard" if method == "f1" else "share", trials=trials)
    if method == "f1":
        return estimated(2 * share / (1 + share), error * 2 / (1 + share) ** 2, trials, law, confidence)
    return estimated(share, error, trials, law, confidence)


def _macro(method: str, confusion: Confusion, confidence: float) -> Estimate:
    """Mean over classes of (a + b) TP / (a predicted + b true).

    Delta method for the multinomial confusion matrix (Takahashi et al., Confidence interval for micro-averaged F1 and
    macro-averaged F1 scores, Applied Intelligence 52, 2022), with Student's law of rows - classes degrees of freedom. The variance
    is never taken below that of a plain share of all rows: a class with nothing but hits or misses shows none. Unknown when there
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
        """Derivative of the sum over classes by the count of one cell, without the factor a + b."""
        change = 1 / base[truth] if truth == prediction else 0.0
        if prediction in defined:
            change -= of_predicted * sums[prediction].right / base[prediction] ** 2
        if truth in defined:
            change -= of_true * sums[truth].right / base[truth] ** 2
        return change

    total = sum(n * influence(truth, prediction) ** 2 for (truth, prediction), n in confusion.items() if n)
    spread = math.sqrt(total) * (of_predicted + of_true) / len(defined)
    law = SamplingDistribution(value, spread, rows - len(defined), "mostly_high", trials=rows)
    return estimated(value, max(spread, _share_error(value, rows)), rows, law, confidence)


def _share_error(share: float, trials: int) -> float:
    drawn = (share * trials + 1) / (trials + 2)
    return math.sqrt(drawn * (1 - drawn) / (trials + 2))


def accuracy_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "accuracy is at least `limit`" (0 to 1): exact binomial test of the wrong predictions; NaN without
    rows.

    >>> round(accuracy_worse({("a", "a"): 80, ("a", "b"): 20}, 0.9), 4)
    0.002
    """
    return _worse("accuracy", confusion, limit, positive)


def precision_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "precision is at least `limit`" (0 to 1): exact binomial test for one class, else t test.

    >>> round(precision_worse({("yes", "yes"): 80, ("no", "yes"): 20}, 0.9, "yes"), 4)
    0.002
    """
    return _worse("precision", confusion, limit, positive)


def recall_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "recall is at least `limit`" (0 to 1): exact binomial test for one class, else t test.

    >>> round(recall_worse({("yes", "yes"): 80, ("yes", "no"): 20}, 0.9, "yes"), 4)
    0.002
    """
    return _worse("recall", confusion, limit, positive)


def f1_worse(confusion: Confusion, limit: float, positive: str | None = None) -> float:
    """P-value of "F1 is at least `limit`" (0 to 1): exact binomial test for one class, else t test.

    For one class F1 = 2 J / (1 + J), and J = TP / (TP + FP + FN) is a plain share, which the test is about.

    >>> round(f1_worse({("yes", "yes"): 80, ("yes", "no"): 10, ("no", "yes"): 10}, 0.95, "yes"), 4)
    0.0011
    """
    return _worse("f1", confusion, limit, positive)


def _worse(method: str, confusion: Confusion, limit: float, positive: str | None) -> float:
    """A share is tested exactly, which is a little stricter than its interval, Wilson's: where it finds a share worse than a limit
    of one half or more, so does the interval.
    """
    if not 0 <= limit <= 1:
        raise ValueError(f"limit must be between 0 and 1, found {limit}")
    if method != "accuracy" and positive is None:
        return worse(class_estimate(method, confusion, None), limit, "higher")
    hits, trials = hits_of(method, confusion, positive)
    return exceeds(trials - hits, trials, 1 - (limit / (2 - limit) if method == "f1" else limit))


Values = Mapping[tuple[str, str], float]
"""Value of one prediction by (truth, prediction); a pair that is missing is worth 0."""


def business_value(confusion: Confusion, values: Values, confidence: float = 0.95) -> Estimate:
    """Mean value per prediction, in the unit of `values`, with Student's law. NaN without rows, NaN ends for fewer than two.

    Values that are rare and large and did not occur are not in the interval; let the window be long enough for some of them.

    >>> e = business_value({("bad", "bad"): 10, ("bad", "good"): 5, ("good", "good"): 85}, {("bad", "good"): -100, ("good", "good"): 2})
    >>> round(e.value, 4), round(e.low, 2), round(e.high, 2)
    (-3.3, -7.73, 1.13)
    """
    worth = [(rows, float(values.get(pair, 0.0))) for pair, rows in confusion.items()]
    count = sum(rows for rows, _ in worth)
    if not count:
        return unknown()
    value = math.fsum(rows * each for rows, each in worth) / count
    if count < 2:
        return unknown(value, count)
    squares = math.fsum(rows * (each - value) ** 2 for rows, each in worth)
    error = math.sqrt(squares / (count - 1) / count)
    return estimated(value, error, count, SamplingDistribution(value, error, count - 1), confidence)


def business_value_worse(confusion: Confusion, limit: float, values: Values) -> float:
    """P-value of "the mean value is at least `limit`": t test. NaN for fewer than two rows.

    >>> round(business_value_worse({("a", "a"): 60, ("a", "b"): 40}, 0.7, {("a", "a"): 1.0}), 4)
    0.0225
    """
    return worse(business_value(confusion, values), limit, "higher")
