"""Label selection bias: do the rows whose ground truth is known look like all the others, and what follows if they do not?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats

    Mask = npt.NDArray[np.bool_]

_FOLDS: Final = 5
# Small trees: what decides whether an outcome becomes known is seldom intricate, and shares that are far off weigh a lot.
_SETTINGS: Final = {
    "max_iter": 40,
    "learning_rate": 0.1,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 50,
    "l2_regularization": 1.0,
    "early_stopping": False,
    "random_state": 0,
}
LEAST_SHARE: Final = 0.05  # of rows like this one that are labelled: a row stands for no more than 1 / 0.05 of them


@dataclass(frozen=True, slots=True)
class Comparison:
    """`auc`: how well labelled rows can be told from the others, 0.5 being not at all. `p_value`: of that they cannot.

    `shares` says of each row which share of the rows like it is labelled.
    """

    auc: float
    p_value: float
    shares: Floats


def compare(features: Floats, categorical: Sequence[bool], labelled: Mask, rng: np.random.Generator) -> Comparison:
    """A classifier two-sample test: boosted trees, cross-validated, tell labelled rows from the others by their features.

    `features` is rows × columns, NaN where a value is missing; those of `categorical` columns are whole numbers from 0 to 253.
    Needs `_FOLDS` rows of either kind or more. The AUC of each fold has the variance of Mann and Whitney's U where there is no
    difference (DeLong's, at an AUC of a half); that folds share most of their training rows is accounted for by Nadeau and
    Bengio's factor (Machine Learning 52, 2003). Source of the test: Lopez-Paz and Oquab, Revisiting Classifier Two-Sample
    Tests, ICLR 2017. The trees are scikit-learn's.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(1000, 2))
    >>> found = compare(x, [False, False], x[:, 0] + rng.normal(size=1000) > 0, rng)
    >>> found.auc > 0.7, found.p_value < 1e-6
    (True, True)
    """
    counts = int(labelled.sum()), int((~labelled).sum())
    if min(counts) < _FOLDS:
        raise ValueError(f"{_FOLDS} rows with and without a label are needed, found {counts[0]} and {counts[1]}")
    fold = np.empty(len(labelled), np.int64)
    for side in (labelled, ~labelled):  # each fold has its part of either
        fold[side] = rng.permutation(np.arange(int(side.sum())) % _FOLDS)
    used = _varying(features)
    shares = np.full(len(labelled), counts[0] / len(labelled))
    if not used.any():
        return Comparison(0.5, 1.0, shares)
    features, categories = features[:, used], np.asarray(categorical, bool)[used]
    aucs, variances = [], []
    for k in range(_FOLDS):
        test = fold == k
        shares[test] = _fitted(features[~test], categories, labelled[~test]).predict_proba(features[test])[:, 1]
        auc, variance = _auc(shares[test], labelled[test])
        aucs.append(auc)
        variances.append(variance)
    mean = float(np.mean(aucs))
    overlap = 1 + _FOLDS / (_FOLDS - 1)  # 1/K + n_test / n_train, over 1/K
    z = (mean - 0.5) / math.sqrt(sum(variances) / _FOLDS**2 * overlap)
    return Comparison(mean, math.erfc(z / math.sqrt(2)) / 2, shares)


def _varying(features: Floats) -> Mask:
    with np.errstate(invalid="ignore"):
        same = (features == features[:1]) | (np.isnan(features) & np.isnan(features[:1]))
    varies: Mask = ~same.all(axis=0)
    return varies


def _fitted(features: Floats, categorical: Mask, labelled: Mask) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    model = HistGradientBoostingClassifier(**_SETTINGS, categorical_features=categorical if categorical.any() else None)
    with threadpool_limits(1, "openmp"):  # threads that wait for one another take many times as long on a busy machine
        return model.fit(features, labelled)


def _auc(scores: Floats, labelled: Mask) -> tuple[float, float]:
    """With the variance that it has without a difference, ties counted."""
    from scipy.stats import rankdata

    ranks = rankdata(scores)
    ones, zeros = int(labelled.sum()), int((~labelled).sum())
    auc = (ranks[labelled].sum() - ones * (ones + 1) / 2) / (ones * zeros)
    n = ones + zeros
    _, ties = np.unique(scores, return_counts=True)
    tied = float((ties.astype(np.float64) ** 3 - ties).sum()) / (n * (n - 1))
    return float(auc), max((n + 1 - tied) / (12 * ones * zeros), 1e-12)


@dataclass(frozen=True, slots=True)
class Corrected:
    """A mean over all rows, estimated from those that are labelled. `effective_rows` (Kish): what the weights leave of these."""

    mean: float
    standard_error: float
    effective_rows: float


def corrected_mean(losses: Floats, labelled: Mask, shares: Floats, expected: Floats | None = None) -> Corrected:
    """The mean of `losses` (NaN where there is no label) over all rows, had all of them a label.

    Labelled rows stand for those that are like them: weighted by the inverse of the share that is labelled, cut off at
    `LEAST_SHARE`, relative to the sum of the weights (Hájek). With `expected`, a model's guess of each row's loss, the guess
    is averaged over all rows, and only what it is wrong by is weighted: right when either the guess or the shares are (augmented
    inverse propensity weighting; Robins, Rotnitzky and Zhao, JASA 89, 1994). Neither can know of a reason for having no label that
    no feature shows. Rows without a finite loss count as not labelled.

    >>> share = np.repeat([0.8, 0.2], 500)
    >>> labelled = np.arange(1000) % 10 < share * 10
    >>> found = corrected_mean(np.where(labelled, np.repeat([1.0, 3.0], 500), np.nan), labelled, share)
    >>> round(found.mean, 6), round(found.effective_rows)
    (2.0, 320)
    """
    known = labelled & np.isfinite(losses)
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
    # The guess and what it is wrong by are not correlated where it is a good one.
    squares += float(expected.var()) / len(expected)
    return Corrected(mean + float(expected.mean()), math.sqrt(squares), effective)


def standardised_difference(x: Floats, labelled: Mask) -> float:
    """Difference of the means of labelled and other rows, in standard deviations of both together; tails are cut at 1 and 99 %.

    >>> round(standardised_difference(np.array([0.0, 1.0, 2.0, 3.0]), np.array([False, False, True, True])), 3)
    1.794
    """
    known = np.isfinite(x)
    sides = [x[known & labelled], x[known & ~labelled]]
    if not all(len(side) for side in sides):
        return 0.0
    low, high = np.quantile(x[known], [0.01, 0.99])
    labelled_, others = (np.clip(side, low, high) for side in sides)
    spread = float(np.clip(x[known], low, high).std())
    return float(labelled_.mean() - others.mean()) / spread if spread > 0 else 0.0
