"""Regression metrics of a window from its sums, and their estimates.

Where the sums lack the moment that a variance needs, an approximation that errs towards "not worse" replaces it; each
function names its own. NaN always means undefined, never good.
"""

from __future__ import annotations

import math

import numpy as np

from otel_mlmon.stats.inference.estimate import Estimate, estimated, unknown
from otel_mlmon.stats.inference.sampling_distribution import SamplingDistribution, Scale
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.stats.metrics.influence import Influence, mean_of
from otel_mlmon.stats.metrics.outcomes import MetricOptions, Outcomes, both_numbers
from otel_mlmon.values import PerformanceCounts


def rmse(counts: PerformanceCounts) -> float:
    """Return the root mean squared error, in the unit of the prediction; NaN without numeric rows.

    >>> rmse(PerformanceCounts(numeric=4, sum_squared_error=36.0))
    3.0
    """
    return math.sqrt(mean(counts.sum_squared_error, counts.numeric))


def mae(counts: PerformanceCounts) -> float:
    """Return the mean absolute error, in the unit of the prediction; NaN without numeric rows.

    >>> mae(PerformanceCounts(numeric=4, sum_abs_error=10.0))
    2.5
    """
    return mean(counts.sum_abs_error, counts.numeric)


def mean_error(counts: PerformanceCounts) -> float:
    """Return the mean of prediction - truth; above 0 the model predicts too much. NaN without numeric rows.

    >>> mean_error(PerformanceCounts(numeric=4, sum_error=-6.0))
    -1.5
    """
    return mean(counts.sum_error, counts.numeric)


def bias(counts: PerformanceCounts) -> float:
    """Return the absolute value of `mean_error`, so lower is better in both directions.

    >>> bias(PerformanceCounts(numeric=4, sum_error=-6.0))
    1.5
    """
    return abs(mean_error(counts))


def mape(counts: PerformanceCounts) -> float:
    """Return the mean of |error / truth| over rows with a truth other than 0, as a fraction; NaN without such rows.

    >>> mape(PerformanceCounts(relative_rows=4, sum_abs_relative_error=1.0))
    0.25
    """
    return mean(counts.sum_abs_relative_error, counts.relative_rows)


def wape(counts: PerformanceCounts) -> float:
    """Return the sum of |error| over the sum of |truth|, as a fraction; NaN when the sum of |truth| is 0.

    >>> wape(PerformanceCounts(numeric=4, sum_abs_error=1.0, sum_abs_truth=8.0))
    0.125
    """
    return counts.sum_abs_error / counts.sum_abs_truth if counts.numeric and counts.sum_abs_truth else math.nan


def r2(counts: PerformanceCounts) -> float:
    """Return 1 - sum e² / sum (truth - mean truth)²: 1 is perfect, 0 is no better than the mean.

    NaN for fewer than two numeric rows, and when the truth does not vary.

    >>> round(r2(PerformanceCounts(numeric=3, sum_squared_error=2.0, sum_truth=6.0, sum_squared_truth=14.0)), 9)
    0.0
    """
    deviation = standard_deviation(counts.sum_truth, counts.sum_squared_truth, counts.numeric)
    if not deviation > 0:
        return math.nan
    return 1 - counts.sum_squared_error / (deviation * deviation * (counts.numeric - 1))


def mae_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the mean |error| by Student's t distribution; no interval for fewer than two rows.

    The variance of |e| follows from the sums of |e| and e². Skewed errors make a test err towards "not worse".

    >>> e = mae_estimate(PerformanceCounts(numeric=100, sum_abs_error=120.0, sum_squared_error=243.0))
    >>> round(e.low, 3), round(e.high, 3)
    (1.002, 1.416)
    """
    deviation = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    return _mean(mae(counts), mae(counts), deviation, counts.numeric, "positive", confidence)


def bias_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the size of the mean error by Student's t distribution; no interval for fewer than two rows.

    >>> e = bias_estimate(PerformanceCounts(numeric=100, sum_error=-20.0, sum_squared_error=103.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.0, 0.398)
    """
    deviation = standard_deviation(counts.sum_error, counts.sum_squared_error, counts.numeric)
    return _mean(bias(counts), mean_error(counts), deviation, counts.numeric, "absolute", confidence)


def rmse_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the root of the mean e² by Student's t distribution of the mean, and the delta method.

    The variance of e² follows from the sums of e² and e⁴. Heavy tails make a test err towards "not worse". No interval
    for fewer than two rows, and when the sum of e⁴ was not kept, that is, when it is too small for the sum of e².

    >>> e = rmse_estimate(PerformanceCounts(numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.955, 1.045)
    """
    value = rmse(counts)
    unit = 1 / (2 * value) if value > 0 else 1.0
    return _mean(value, value * value, _deviation_of_squares(counts), counts.numeric, "square", confidence, unit)


def mape_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the mean |error / truth| by Student's t distribution; no interval for fewer than two rows.

    The sums hold no squares of relative errors. Their coefficient of variation c is taken as 1, that of exponential
    errors, or as that of independent |error| and lognormal |truth|, 1 + c² = (1 + c_error²) (1 + c_truth²), if larger.
    It is too small when truth comes close to 0; then the metric itself is a poor choice.

    >>> e = mape_estimate(PerformanceCounts(relative_rows=400, sum_abs_relative_error=48.0))
    >>> round(e.low, 3), round(e.high, 3)
    (0.108, 0.132)
    """
    of_error = _one_plus_variation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    value = mape(counts)
    deviation = value * math.sqrt(max(1.0, of_error * of_truth - 1))
    return _mean(value, value, deviation, counts.relative_rows, "positive", confidence)


def wape_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate sum |error| / sum |truth| by Student's t distribution of a ratio of means, and the delta method.

    The sums do not hold the covariance of |error| and |truth|. It is mostly positive, which would lower the variance;
    it is left out. No interval for fewer than two rows.

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
    deviation = math.hypot(of_error, value * of_truth) / mean(counts.sum_abs_truth, counts.numeric)
    return _mean(value, value, deviation, counts.numeric, "positive", confidence)


def r2_estimate(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate R² by Student's t distribution of 1 - R² = mean e² / variance of the truth, and the delta method.

    The sums lack the fourth moment of the truth. It is that of lognormal truth when all truth has one sign (prices,
    counts, durations), else of normal truth. The covariance of errors and truth, mostly positive, would lower the
    variance; it is left out. No interval when R² or the interval of the RMSE is unknown.

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
    variation = _deviation_of_squares(counts) / square if square > 0 else 0.0
    deviation = ratio * math.hypot(variation, math.sqrt(kurtosis - 1))
    return _mean(value, ratio, deviation, counts.numeric, "complement", confidence)


def quantile_loss(outcomes: Outcomes, options: MetricOptions) -> Influence:
    """Return the mean of q × (truth - prediction) if above 0, else of (1 - q) × (prediction - truth): pinball loss.

    In the unit of the prediction; half the MAE for the median. Source: Koenker and Bassett, Econometrica 46, 1978.
    Raises ValueError unless the quantile q is between 0 and 1.

    >>> round(quantile_loss(Outcomes.of_numbers([1, 2, 3], [0, 2, 5]), MetricOptions(quantile=0.9)).value, 4)
    0.3667
    """
    q = options.quantile
    if not 0 <= q <= 1:
        raise ValueError(f"quantile must be between 0 and 1, found {q}")
    rows = both_numbers(outcomes, options)
    short = outcomes.truth[rows] - outcomes.prediction[rows]
    return mean_of(np.maximum(q * short, (q - 1) * short), "positive")


def _one_plus_variation(total: float, total_squares: float, count: int) -> float:
    """Return mean square over squared mean, that is 1 + (coefficient of variation)²; at least 1, also when all is 0."""
    return max(1.0, (total_squares / total) * (count / total)) if total else 1.0


def _deviation_of_squares(counts: PerformanceCounts) -> float:
    """Return the standard deviation of e²; NaN when the sum of e⁴ cannot belong to that of e²."""
    least = mean(counts.sum_squared_error, counts.numeric) * counts.sum_squared_error
    if not counts.sum_fourth_error >= least * (1 - 1e-9):  # Cauchy-Schwarz, but for rounding
        return math.nan
    return standard_deviation(counts.sum_squared_error, counts.sum_fourth_error, counts.numeric)


def _mean(
    value: float, centre: float, deviation: float, rows: int, scale: Scale, confidence: float, unit: float = 1.0
) -> Estimate:
    """Estimate by the mean `centre` of terms with the given standard deviation; unknown for fewer than two rows.

    `value` is the mean on the metric's own scale; it moves by `unit` when the mean moves by 1.
    """
    if rows < 2 or math.isnan(deviation):
        return unknown(value, rows)
    error = deviation / math.sqrt(rows)
    return estimated(value, error * unit, rows, SamplingDistribution(centre, error, rows - 1, scale), confidence)
