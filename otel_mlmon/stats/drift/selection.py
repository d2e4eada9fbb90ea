"""Selection bias of ground truth: do rows with known ground truth look like the others, and a mean corrected for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.ranking import area_by_ranks, midranks
from otel_mlmon.values import Floats

Mask = npt.NDArray[np.bool_]

_FOLDS: Final = 5
# Small trees: selection is seldom intricate, and a share that is far off has a large weight.
_SETTINGS: Final = {
    "max_iter": 40,
    "learning_rate": 0.1,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 50,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}
LEAST_SHARE: Final = 0.05  # of rows like this one with ground truth: a row stands for at most 1 / 0.05 of them


@dataclass(frozen=True, slots=True)
class Comparison:
    """`auc` of a classifier of rows with ground truth against the others (0.5: no difference), `p_value` of "0.5".

    `shares` is for each row the share of rows with ground truth among the rows like it.
    """

    auc: float
    p_value: float
    shares: Floats


def compare(features: Floats, categorical: Sequence[bool], with_truth: Mask, rng: np.random.Generator) -> Comparison:
    """Test by a cross-validated classifier whether rows with ground truth differ from the others.

    `features` is rows × columns, NaN for a missing value; `categorical` columns are whole numbers from 0 to 253. The
    classifier is scikit-learn's boosted trees. The AUC of each fold has the variance of Mann and Whitney's U without a
    difference (DeLong's, at an AUC of a half). Folds share most of their training rows; Nadeau and Bengio's factor
    (Machine Learning 52, 2003) accounts for it. Source: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample Tests,
    ICLR 2017. Raises ValueError for fewer than `_FOLDS` rows of either kind.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 2))
    >>> found = compare(x, [False, False], x[:, 0] + rng.normal(size=1000) > 0, rng)
    >>> found.auc > 0.7, found.p_value < 1e-6
    (True, True)
    """
    counts = int(with_truth.sum()), int((~with_truth).sum())
    if min(counts) < _FOLDS:
        raise ValueError(f"{_FOLDS} rows with and without a label are needed, found {counts[0]} and {counts[1]}")
    fold = np.empty(len(with_truth), np.int64)
    for side in (with_truth, ~with_truth):  # stratified
        fold[side] = rng.permutation(np.arange(int(side.sum())) % _FOLDS)
    used = ((features != features[:1]) & ~(np.isnan(features) & np.isnan(features[:1]))).any(axis=0)
    shares = np.full(len(with_truth), counts[0] / len(with_truth))
    if not used.any():
        return Comparison(0.5, 1.0, shares)
    features, categories = features[:, used], np.asarray(categorical, bool)[used]
    areas = []
    for k in range(_FOLDS):
        test = fold == k
        shares[test] = _fitted(features[~test], categories, with_truth[~test]).predict_proba(features[test])[:, 1]
        areas.append(_auc(shares[test], with_truth[test]))
    mean = float(np.mean([auc for auc, _ in areas]))
    overlap = 1 + _FOLDS / (_FOLDS - 1)  # 1/K + n_test / n_train, over 1/K
    z = (mean - 0.5) / math.sqrt(sum(variance for _, variance in areas) / _FOLDS**2 * overlap)
    return Comparison(mean, math.erfc(z / math.sqrt(2)) / 2, shares)


def _fitted(features: Floats, categorical: Mask, with_truth: Mask) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(**_SETTINGS, categorical_features=categorical if categorical.any() else None)
    with threadpool_limits(1, "openmp"):  # threads that wait for one another take many times as long on a busy machine
        return model.fit(features, with_truth)


def _auc(scores: Floats, with_truth: Mask) -> tuple[float, float]:
    """Return the AUC, and its variance without a difference, corrected for ties."""
    ones, zeros = int(with_truth.sum()), int((~with_truth).sum())
    n = ones + zeros
    _, ties = np.unique(scores, return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (n * (n - 1))
    return area_by_ranks(midranks(scores), with_truth), max((n + 1 - tied) / (12 * ones * zeros), 1e-12)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mean over all rows, estimated from rows with ground truth, and Kish's effective sample size of the weights."""

    mean: float
    standard_error: float
    effective_rows: float


def corrected_mean(losses: Floats, with_truth: Mask, shares: Floats, expected: Floats | None = None) -> Corrected:
    """Estimate the mean of `losses` (NaN without ground truth) over all rows, as if all had ground truth.

    Rows with ground truth are weighted by the inverse of their share, at least `LEAST_SHARE`, relative to the sum of
    the weights (Hájek). With `expected`, a model's expectation of each row's loss, the expectation is averaged over
    all rows and only its residuals are weighted; the mean is then right if either the expectations or the shares are
    (augmented inverse propensity weighting; Robins, Rotnitzky and Zhao, JASA 89, 1994). A cause of selection that no
    feature shows is not corrected. Rows without a finite loss count as without ground truth.

    >>> share = np.repeat([0.8, 0.2], 500)
    >>> with_truth = np.arange(1000) % 10 < share * 10
    >>> found = corrected_mean(np.where(with_truth, np.repeat([1.0, 3.0], 500), np.nan), with_truth, share)
    >>> round(found.mean, 6), round(found.effective_rows)
    (2.0, 320)
    """
    known = with_truth & np.isfinite(losses)
    if not known.any():
        return Corrected(math.nan, math.nan, 0.0)
    weights = known.mean() / np.maximum(shares[known], LEAST_SHARE)
    residual = losses[known] if expected is None else losses[known] - expected[known]
    mean = float((weights * residual).sum() / weights.sum())
    squares = float((weights**2 * (residual - mean) ** 2).sum()) / float(weights.sum()) ** 2
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    squares *= effective / max(effective - 1, 1e-9)
    if expected is None:
        return Corrected(mean, math.sqrt(squares), effective)
    # A good expectation and its residuals are not correlated.
    squares += float(expected.var()) / len(expected)
    return Corrected(mean + float(expected.mean()), math.sqrt(squares), effective)


def standardised_difference(x: Floats, with_truth: Mask) -> float:
    """Return the difference of the means of rows with ground truth and others, in standard deviations of all rows.

    Values are clipped to the 1 % and 99 % quantiles.

    >>> round(standardised_difference(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])), 3)
    1.794
    """
    known = np.isfinite(x)
    sides = [x[known & with_truth], x[known & ~with_truth]]
    if not all(len(side) for side in sides):
        return 0.0
    low, high = np.quantile(x[known], [0.01, 0.99])
    mean, others = (float(np.clip(side, low, high).mean()) for side in sides)
    deviation = float(np.clip(x[known], low, high).std())
    return (mean - others) / deviation if deviation > 0 else 0.0
