"""How well the regression metrics of a window are known, from its sums alone.

Where the sums do not hold the moment that a variance needs, an approximation that errs towards "not worse" takes its place; each
says so. Intervals and tests of worsening both follow from what is here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, Scale
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.stats.metrics.influence import Influence, mean_of
from otel_mlmon.stats.metrics.outcomes import Mask, MetricOptions, Outcomes
from otel_mlmon.stats.metrics.performance import bias, mae, mape, mean_error, r2, rmse, wape

if TYPE_CHECKING:
    from otel_mlmon.values import PerformanceCounts


def mae_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Mean |error|: Student's law, variance of |e| from the sums of |e| and e². NaN ends for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = mae_estimate(PerformanceCounts(numeric=100, sum_abs_error=120.0, sum_squared_error=243.0))
    >>> round(e.low, 3), round(e.high, 3)
    (1.002, 1.416)
    """
    spread = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    return _mean(mae(counts), mae(counts), spread, counts.numeric, "positive", confidence)


def bias_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Size of the mean error: Student's law. NaN ends for fewer than two rows.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = bias_estimate(PerformanceCounts(numeric=100, sum_error=-20.0, sum_squared_error=103.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.0, 0.398)
    """
    spread = standard_deviation(counts.sum_error, counts.sum_squared_error, counts.numeric)
    return _mean(bias(counts), mean_error(counts), spread, counts.numeric, "absolute", confidence)


def rmse_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Root of the mean e²: Student's law of the mean, variance of e² from the sums of e² and e⁴; standard error by the delta method.

    NaN ends for fewer than two rows, and when the sum of e⁴ is less than that of e² allows, that is, was never kept.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = rmse_estimate(PerformanceCounts(numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.955, 1.045)
    """
    value = rmse(counts)
    unit = 1 / (2 * value) if value > 0 else 1.0
    return _mean(value, value * value, _spread_of_squares(counts), counts.numeric, "square", confidence, unit)


def mape_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Mean |error / truth|: Student's law. NaN ends for fewer than two rows.

    The sums hold no squares of relative errors. Their coefficient of variation c is taken as 1, that of exponential errors, or as
    that of independent |error| and lognormal |truth|, 1 + c² = (1 + c_error²) (1 + c_truth²), where it is more. Too sure of
    itself when truth comes close to 0, which makes the metric itself a poor choice.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = mape_estimate(PerformanceCounts(relative_rows=400, sum_abs_relative_error=48.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.108, 0.132)
    """
    of_error = _one_plus_variation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    value = mape(counts)
    spread = value * math.sqrt(max(1.0, of_error * of_truth - 1))
    return _mean(value, value, spread, counts.relative_rows, "positive", confidence)


def wape_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Sum |error| / sum |truth|: Student's law of a ratio of means, delta method. NaN ends for fewer than two rows.

    The sums do not say how |error| and |truth| go together. That they mostly are large together, which would lower the variance,
    is left out.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = wape_estimate(PerformanceCounts(
    ...     numeric=400, sum_abs_error=400.0, sum_squared_error=600.0, sum_abs_truth=4e3, sum_squared_truth=4.4e4
    ... ))
    >>> round(e.value, 3), round(e.low, 3), round(e.high, 3)
    (0.1, 0.092, 0.108)
    """
    value = wape(counts)
    if counts.numeric < 2 or math.isnan(value):
        return unknown(value, counts.numeric)
    of_error = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = standard_deviation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    spread = math.hypot(of_error, value * of_truth) / mean(counts.sum_abs_truth, counts.numeric)
    return _mean(value, value, spread, counts.numeric, "positive", confidence)


def r2_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """R²: Student's law of 1 - R² = mean e² / variance of the truth, delta method. NaN ends where R² or those of the RMSE are.

    The fourth moment of the truth, which the sums do not hold, is that of lognormal truth where all has one sign (prices, counts,
    durations), else of normal truth; that errors and truth mostly are large together, which would lower the variance, is left
    out.

    >>> from otel_mlmon.values import PerformanceCounts
    >>> e = r2_estimate(PerformanceCounts(
    ...     numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0, sum_squared_truth=2500.0, sum_abs_truth=1.0
    ... ))
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (0.6, 0.55, 0.65)
    """
    value = r2(counts)
    ratio, square = 1 - value, rmse(counts) ** 2
    if math.isnan(ratio):
        return unknown(value, counts.numeric)
    kurtosis = 3.0
    if abs(counts.sum_truth) >= counts.sum_abs_truth * (1 - 1e-9) > 0:
        w = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
        kurtosis = w**4 + 2 * w**3 + 3 * w**2 - 3  # lognormal, w = exp(sigma²)
    variation = _spread_of_squares(counts) / square if square > 0 else 0.0
    spread = ratio * math.hypot(variation, math.sqrt(kurtosis - 1))
    return _mean(value, ratio, spread, counts.numeric, "complement", confidence)


def _one_plus_variation(total: float, total_squares: float, count: int) -> float:
    """Mean square over squared mean, that is 1 + (coefficient of variation)²; at least 1, also when all is 0."""
    return max(1.0, (total_squares / total) * (count / total)) if total else 1.0


def _spread_of_squares(counts: PerformanceCounts) -> float:
    """Standard deviation of e²; NaN when the sum of e⁴ cannot belong to that of e²."""
    least = mean(counts.sum_squared_error, counts.numeric) * counts.sum_squared_error
    if not counts.sum_fourth_error >= least * (1 - 1e-9):  # Cauchy-Schwarz, but for rounding
        return math.nan
    return standard_deviation(counts.sum_squared_error, counts.sum_fourth_error, counts.numeric)


def _mean(
    value: float, centre: float, spread: float, rows: int, scale: Scale, confidence: float, unit: float = 1.0
) -> Estimate:
    """Of a mean, `centre`, whose terms have the given standard deviation; `value` is the figure that `scale` makes of it, and
    moves by `unit` when the mean moves by 1. Unknown for fewer than two rows.
    """
    if rows < 2 or math.isnan(spread):
        return unknown(value, rows)
    error = spread / math.sqrt(rows)
    return estimated(value, error * unit, rows, SamplingDistribution(centre, error, rows - 1, scale), confidence)


def quantile_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Mean of q × (truth - prediction) where that is above 0, else of (1 - q) × (prediction - truth), in the unit of the
    prediction: pinball loss (Koenker and Bassett, Econometrica 46, 1978). Half the MAE for the median.

    Raises ValueError unless the quantile q is between 0 and 1.

    >>> from otel_mlmon.stats.metrics.outcomes import numbers
    >>> round(quantile_loss(numbers([1, 2, 3], [0, 2, 5]), MetricOptions(quantile=0.9)).value, 4)
    0.3667
    """
    q = options.quantile
    if not 0 <= q <= 1:
        raise ValueError(f"quantile must be between 0 and 1, found {q}")
    rows = both_numbers(outcomes, options)
    short = outcomes.truth[rows] - outcomes.prediction[rows]
    return mean_of(np.maximum(q * short, (q - 1) * short), "positive")


def both_numbers(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Rows whose truth and prediction are finite numbers.

    >>> from otel_mlmon.stats.metrics.outcomes import numbers
    >>> both_numbers(numbers([1, float("nan")], [1, 2]), MetricOptions()).tolist()
    [True, False]
    """
    return np.isfinite(outcomes.truth) & np.isfinite(outcomes.prediction)
