"""Champion against challenger: two models' predictions of the same rows.

The comparison is paired, so the difficulty of the rows cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from otel_mlmon.stats.inference.estimate import Better, Estimate, Groups, estimated, jackknife, unknown, worse
from otel_mlmon.stats.inference.p_values import t_quantile
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.metrics.influence import mean_of
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes, both_numbers, performance_counts
from otel_mlmon.stats.metrics.scores import positive_class
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS
from otel_mlmon.values import Floats


class _Pair(NamedTuple):
    """The metric of both models."""

    first: float
    second: float


class Comparison(NamedTuple):
    """`difference` is the second model's metric less the first's, in the metric's unit, with its interval.

    `p_value` is that of "the second is no worse than the first", one-sided; `rows` can be judged for both. NaN where
    not known.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float
    rows: int


def paired_worse(
    method: str, first: Outcomes, second: Outcomes, options: MetricOptions | None = None, confidence: float = 0.95
) -> Comparison:
    """Test whether `second` is worse than `first` in a metric of `METRICS` or `ROW_METRICS`, on the same rows in order.

    Rows that cannot be judged for both models are left out.

    - RMSE, MAE: paired t test of squared or absolute errors.
    - Accuracy: McNemar's exact mid-p test (Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13, 2013),
      interval of Agresti and Min (Statistics in Medicine 24, 2005).
    - Metrics of rows: paired differences of the rows' influence; for ROC AUC the paired test of DeLong et al., with the
      variance of perfect scores as in `roc_auc`.
    - All others: delete-a-group jackknife of the difference.

    Raises ValueError when rows or truth of the two differ, KeyError for an unknown method.

    >>> first, second = (Outcomes.of_numbers([1, 2, 3, 4, 5, 6], p) for p in ([1, 2, 4, 4, 5, 6], [2, 3, 4, 6, 6, 8]))
    >>> c = paired_worse("mae", first, second)
    >>> round(c.difference, 4), round(c.low, 4), round(c.p_value, 4)
    (1.1667, 0.3767, 0.0063)
    """
    options = options or MetricOptions()
    _check(first, second)
    if method in ROW_METRICS:
        return _by_rows(method, first, second, options, confidence)
    metric = METRICS[method]
    if method in ("rmse", "mae", "bias", "mape", "wape", "r2"):
        rows = both_numbers(first, options) & both_numbers(second, options)
    else:
        codes = (first.true_class, first.predicted_class, second.true_class, second.predicted_class)
        rows = np.min(codes, axis=0) >= 0
    first, second = first.take(rows), second.take(rows)

    def statistic(outcomes: Outcomes) -> float:
        return metric.value(performance_counts(outcomes), options.positive)

    pair = _Pair(statistic(first), statistic(second))
    if method == "accuracy":
        right = [side.true_class == side.predicted_class for side in (first, second)]
        return _mcnemar(pair, right[0], right[1], confidence)
    if method in ("rmse", "mae"):
        return _by_errors(method, pair, first, second, confidence)
    return _jackknife(statistic, first, second, metric.better, confidence)


def _jackknife(
    statistic: Callable[[Outcomes], float], first: Outcomes, second: Outcomes, better: Better, confidence: float
) -> Comparison:
    """Compare any statistic of rows by delete-a-group jackknife of the difference."""

    def differences(groups: Groups) -> list[float]:
        without = [groups != group for group in range(int(groups.max()) + 1)]
        whole = statistic(second) - statistic(first)
        return [whole, *(statistic(second.take(w)) - statistic(first.take(w)) for w in without)]

    difference = jackknife(differences, len(first), confidence)
    return _compared(_Pair(statistic(first), statistic(second)), difference, better, len(first))


def _by_errors(method: str, pair: _Pair, first: Outcomes, second: Outcomes, confidence: float) -> Comparison:
    """Test by paired t test. A difference of mean squares is that of their roots times the sum of the roots."""
    power, unit = (2, pair.first + pair.second) if method == "rmse" else (1, 1.0)
    errors = [np.abs(side.prediction - side.truth) ** power for side in (first, second)]
    difference = mean_of(errors[1] - errors[0], "plain").estimate(confidence)
    compared = _compared(pair, difference, "lower", len(first))
    if unit > 0:
        compared = compared._replace(low=difference.low / unit, high=difference.high / unit)
    return compared._replace(difference=pair.second - pair.first)


def _by_rows(method: str, first: Outcomes, second: Outcomes, options: MetricOptions, confidence: float) -> Comparison:
    metric = ROW_METRICS[method]
    if first.scores and options.positive is None:
        options = MetricOptions(positive_class(first, options), options.quantile, options.k)
    rows = metric.rows(first, options) & metric.rows(second, options)
    if first.query is not None and rows.any():  # a query may have lost all but one row
        left = replace(first, query=np.where(rows, first.query, -1).astype(np.int32))
        rows = rows & metric.rows(left, options)
    first, second = first.take(rows), second.take(rows)
    one, two = metric.influence(first, options), metric.influence(second, options)
    pair, difference, units = _Pair(one.value, two.value), two.value - one.value, len(one.of_rows)
    if units < 2 or math.isnan(difference):
        return _compared(pair, unknown(difference), metric.better, units)
    of_rows: Floats = two.of_rows - one.of_rows
    same = difference == 0 and not of_rows.any()
    excess = 0.0 if same else one.excess + two.excess
    error = math.sqrt(float(of_rows @ of_rows) + excess)
    distribution = SamplingDistribution(difference, error, units - 1)
    return _compared(pair, estimated(difference, error, units, distribution, confidence), metric.better, units)


def _mcnemar(pair: _Pair, first: Mask, second: Mask, confidence: float) -> Comparison:
    from scipy.special import bdtr, bdtrc

    rows, lost, won = len(first), int((first & ~second).sum()), int((second & ~first).sum())
    if not rows:
        return Comparison(*pair, math.nan, math.nan, math.nan, math.nan, 0)
    discordant = lost + won
    above = float(bdtrc(lost, discordant, 0.5))
    p_value = above + (float(bdtr(lost, discordant, 0.5)) - float(bdtr(lost - 1, discordant, 0.5) if lost else 0.0)) / 2
    centre = (won - lost) / (rows + 2)
    error = math.sqrt((discordant + 1) / (rows + 2) - centre**2) / math.sqrt(rows + 2)
    reach = t_quantile(confidence, math.inf) * error
    difference = (won - lost) / rows
    low, high = max(-1.0, centre - reach), min(1.0, centre + reach)
    return Comparison(
        *pair, difference, min(low, difference), max(high, difference), p_value if discordant else 1.0, rows
    )


def _compared(pair: _Pair, difference: Estimate, better: Better, rows: int) -> Comparison:
    p_value = worse(difference, 0.0, better)
    return Comparison(*pair, difference.value, difference.low, difference.high, p_value, rows)


def _check(first: Outcomes, second: Outcomes) -> None:
    if len(first) != len(second):
        raise ValueError(f"a paired comparison needs the same rows, found {len(first)} and {len(second)}")
    named = [np.array([*side.classes, ""], object)[side.true_class] for side in (first, second)]
    differ = ~((first.truth == second.truth) | (np.isnan(first.truth) & np.isnan(second.truth))) | (
        named[0] != named[1]
    )
    if differ.any():
        row = int(np.flatnonzero(differ)[0])
        raise ValueError(
            f"a paired comparison needs the same truth; it differs in {int(differ.sum())} rows, first in row {row}"
        )
