"""How sure: one-sided p-values that a classifier is worse than a given value, from its confusion counts alone."""

from __future__ import annotations

from otel_mlmon.stats.classification import class_estimate, hits_of
from otel_mlmon.stats.estimate import worse
from otel_mlmon.stats.performance import Confusion
from otel_mlmon.stats.proportion import exceeds


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
