"""Champion against challenger: two models' predictions of the same rows, which takes the rows' own difficulty out of the
comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from otel_mlmon.stats.inference.estimate import Better, Estimate, estimated, jackknife, unknown, worse
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution
from otel_mlmon.stats.inference.student import t_quantile
from otel_mlmon.stats.metrics.influence import mean_of
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes, performance_counts
from otel_mlmon.stats.metrics.performance import PERFORMANCE_METRICS
from otel_mlmon.stats.metrics.regression import both_numbers
from otel_mlmon.stats.metrics.row_metrics import ROW_METRICS
from otel_mlmon.stats.metrics.scores import positive_class

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

Figure = Callable[[Outcomes], float]


class Comparison(NamedTuple):
    """`difference` is the second's figure less the first's, in the metric's unit, with its interval; `p_value` is that of "the
    second is no worse than the first", one-sided. NaN where not known. `rows` are those that both could be judged by.
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
    """Whether `second` is worse than `first`, of the same rows in the same order, in any metric of `PERFORMANCE_METRICS` or
    `ROW_METRICS`. Rows that either cannot be judged by are left out.

    RMSE, MAE: paired t test of squared, absolute errors. Accuracy: McNemar's test, exact, mid-p (Fagerland, Lydersen and Laake, BMC
    Medical Research Methodology 13, 2013), interval of Agresti and Min (Statistics in Medicine 24, 2005). What needs rows: the
    differences of what each row adds, which for ROC AUC is the paired test of DeLong et al., with the variance of perfect scores as
    in `roc_auc`. The rest: delete-a-group jackknife of the difference.

    Raises ValueError when the two differ in rows or truth, KeyError for an unknown method.

    >>> from otel_mlmon.stats.metrics.outcomes import numbers
    >>> truth = [1, 2, 3, 4, 5, 6]
    >>> c = paired_worse("mae", numbers(truth, [1, 2, 4, 4, 5, 6]), numbers(truth, [2, 3, 4, 6, 6, 8]))
    >>> round(c.difference, 4), round(c.low, 4), round(c.p_value, 4)
    (1.1667, 0.3767, 0.0063)
    """
    options = options or MetricOptions()
    _check(first, second)
    if method in ROW_METRICS:
        return _by_rows(method, first, second, options, confidence)
    better = PERFORMANCE_METRICS[method].better
    if method in ("rmse", "mae", "bias", "mape", "wape", "r2"):
        rows = both_numbers(first, options) & both_numbers(second, options)
    else:
        rows = _classified(first) & _classified(second)
    first, second = first.take(rows), second.take(rows)

    def figure(outcomes: Outcomes) -> float:
        return PERFORMANCE_METRICS[method].function(performance_counts(outcomes), options.positive)

    pair = figure(first), figure(second)
    if method == "accuracy":
        return _mcnemar(pair, _right(first), _right(second), confidence)
    if method in ("rmse", "mae"):
        return _by_errors(method, pair, first, second, confidence)
    return paired_jackknife(figure, first, second, better, confidence)


def paired_jackknife(
    figure: Figure, first: Outcomes, second: Outcomes, better: Better, confidence: float = 0.95
) -> Comparison:
    """The comparison in any figure of rows, by delete-a-group jackknife of the difference.

    >>> from otel_mlmon.stats.metrics.outcomes import numbers
    >>> x = np.random.default_rng(0).normal(size=(2, 200))
    >>> truth, first = x[0].tolist(), (x[0] + x[1]).tolist()
    >>> median = lambda o: float(np.median(np.abs(o.prediction - o.truth)))
    >>> c = paired_jackknife(median, numbers(truth, first), numbers(truth, [2 * p for p in first]), "lower")
    >>> c.difference > 0.5, c.p_value < 0.01
    (True, True)
    """

    def differences(groups: np.ndarray) -> list[float]:
        without = [groups != group for group in range(int(groups.max()) + 1)]
        return [figure(second) - figure(first), *(figure(second.take(w)) - figure(first.take(w)) for w in without)]

    found = jackknife(differences, len(first), confidence)
    return _compared((figure(first), figure(second)), found, better, len(first))


def _by_errors(
    method: str, pair: tuple[float, float], first: Outcomes, second: Outcomes, confidence: float
) -> Comparison:
    """Paired t test; a difference of mean squares is one of their roots times the sum of the roots."""
    power, unit = (2, pair[0] + pair[1]) if method == "rmse" else (1, 1.0)
    errors = [np.abs(side.prediction - side.truth) ** power for side in (first, second)]
    found = mean_of(errors[1] - errors[0], "plain").estimate(confidence)
    compared = _compared(pair, found, "lower", len(first))
    if unit > 0:
        compared = compared._replace(low=found.low / unit, high=found.high / unit)
    return compared._replace(difference=pair[1] - pair[0])


def _by_rows(method: str, first: Outcomes, second: Outcomes, options: MetricOptions, confidence: float) -> Comparison:
    metric = ROW_METRICS[method]
    if first.scores and options.positive is None:
        options = MetricOptions(positive_class(first, options), options.quantile, options.k)
    rows = metric.rows(first, options) & metric.rows(second, options)
    if method == "ndcg" and rows.any():  # a query may have lost all but one row
        rows = rows & metric.rows(_without(first, ~rows), options)
    first, second = first.take(rows), second.take(rows)
    one, two = metric.influence(first, options), metric.influence(second, options)
    units = len(one.of_rows)
    if units < 2 or math.isnan(one.value) or math.isnan(two.value):
        return _compared((one.value, two.value), unknown(two.value - one.value), metric.better, units)
    moved: Floats = two.of_rows - one.of_rows
    same = two.value == one.value and not moved.any()
    excess = 0.0 if same else one.excess + two.excess
    error = math.sqrt(float(moved @ moved) + excess)
    found = estimated(
        two.value - one.value, error, units, SamplingDistribution(two.value - one.value, error, units - 1), confidence
    )
    return _compared((one.value, two.value), found, metric.better, units)


def _mcnemar(pair: tuple[float, float], first: Mask, second: Mask, confidence: float) -> Comparison:
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


def _compared(pair: tuple[float, float], found: Estimate, better: Better, rows: int) -> Comparison:
    return Comparison(*pair, found.value, found.low, found.high, worse(found, 0.0, better), rows)


def _right(outcomes: Outcomes) -> Mask:
    right: Mask = outcomes.true_class == outcomes.predicted_class
    return right


def _classified(outcomes: Outcomes) -> Mask:
    known: Mask = (outcomes.true_class >= 0) & (outcomes.predicted_class >= 0)
    return known


def _without(outcomes: Outcomes, rows: Mask) -> Outcomes:
    """The same outcomes, with those rows of no query."""
    assert outcomes.query is not None
    query = np.where(rows, -1, outcomes.query).astype(np.int32)
    return Outcomes(
        outcomes.truth,
        outcomes.prediction,
        outcomes.classes,
        outcomes.true_class,
        outcomes.predicted_class,
        outcomes.scores,
        query,
    )


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
