"""Regression metrics of a window from its sums, with intervals by Student's t distribution.

No interval for fewer than two rows. Where the sums lack the moment that a variance needs, an approximation that errs
towards "not worse" replaces it; each function names its own. NaN always means undefined, never good.
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


def rmse(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the root mean squared error, in the unit of the prediction, by the delta method.

    The variance of e² follows from the sums of e² and e⁴. Heavy tails make a test err towards "not worse". No interval
    when the sum of e⁴ was not kept, that is, when it is too small for the sum of e².

    >>> e = rmse(PerformanceCounts(numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0))
    >>> e.value, round(e.low, 3), round(e.high, 3)
    (1.0, 0.955, 1.045)
    """
    value = math.sqrt(mean(counts.sum_squared_error, counts.numeric))
    unit = 1 / (2 * value) if value > 0 else 1.0
    return _mean(value, value * value, _deviation_of_squares(counts), counts.numeric, "square", confidence, unit)


def mae(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the mean |error|, in the unit of the prediction.

    The variance of |e| follows from the sums of |e| and e². Skewed errors make a test err towards "not worse".

    >>> e = mae(PerformanceCounts(numeric=100, sum_abs_error=120.0, sum_squared_error=243.0))
    >>> e.value, round(e.low, 3), round(e.high, 3)
    (1.2, 1.002, 1.416)
    """
    value = mean(counts.sum_abs_error, counts.numeric)
    deviation = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    return _mean(value, value, deviation, counts.numeric, "positive", confidence)


def bias(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate |mean of prediction - truth|, in the unit of the prediction; lower is better in both directions.

    >>> e = bias(PerformanceCounts(numeric=100, sum_error=-20.0, sum_squared_error=103.0))
    >>> e.value, round(e.low, 3), round(e.high, 3)
    (0.2, 0.0, 0.398)
    """
    error = mean(counts.sum_error, counts.numeric)
    deviation = standard_deviation(counts.sum_error, counts.sum_squared_error, counts.numeric)
    return _mean(abs(error), error, deviation, counts.numeric, "absolute", confidence)


def mape(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate the mean |error / truth| over rows with a truth other than 0, as a fraction.

    The sums hold no squares of relative errors. Their coefficient of variation c is taken as 1, that of exponential
    errors, or as that of independent |error| and lognormal |truth|, 1 + c² = (1 + c_error²) (1 + c_truth²), if larger.
    It is too small when truth comes close to 0; then the metric itself is a poor choice.

    >>> e = mape(PerformanceCounts(relative_rows=400, sum_abs_relative_error=48.0))
    >>> e.value, round(e.low, 3), round(e.high, 3)
    (0.12, 0.108, 0.132)
    """
    of_error = _one_plus_variation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    value = mean(counts.sum_abs_relative_error, counts.relative_rows)
    deviation = value * math.sqrt(max(1.0, of_error * of_truth - 1))
    return _mean(value, value, deviation, counts.relative_rows, "positive", confidence)


def wape(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate sum |error| / sum |truth|, as a fraction, by the delta method; NaN when the sum of |truth| is 0.

    The sums do not hold the covariance of |error| and |truth|. It is mostly positive, which would lower the variance;
    it is left out.

    >>> e = wape(PerformanceCounts(
    ...     numeric=400, sum_abs_error=400.0, sum_squared_error=600.0, sum_abs_truth=4e3, sum_squared_truth=4.4e4
    ... ))
    >>> round(e.value, 3), round(e.low, 3), round(e.high, 3)
    (0.1, 0.092, 0.108)
    """
    value = counts.sum_abs_error / counts.sum_abs_truth if counts.numeric and counts.sum_abs_truth else math.nan
    if counts.numeric < 2 or math.isnan(value):
        return unknown(value, counts.numeric)
    of_error = standard_deviation(counts.sum_abs_error, counts.sum_squared_error, counts.numeric)
    of_truth = standard_deviation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
    deviation = math.hypot(of_error, value * of_truth) / mean(counts.sum_abs_truth, counts.numeric)
    return _mean(value, value, deviation, counts.numeric, "positive", confidence)


def r2(counts: PerformanceCounts, confidence: float = 0.95) -> Estimate:
    """Estimate 1 - sum e² / sum (truth - mean truth)²: 1 is perfect, 0 is no better than the mean.

    NaN for fewer than two rows, and when the truth does not vary. 1 - R² = mean e² / variance of the truth, by the
    delta method. The sums lack the fourth moment of the truth. It is that of lognormal truth when all truth has one
    sign (prices, counts, durations), else of normal truth. The covariance of errors and truth, mostly positive, would
    lower the variance; it is left out. No interval when that of the RMSE is unknown.

    >>> e = r2(PerformanceCounts(
    ...     numeric=1000, sum_squared_error=1000.0, sum_fourth_error=3000.0, sum_squared_truth=2500.0, sum_abs_truth=1.0
    ... ))
    >>> round(e.value, 2), round(e.low, 2), round(e.high, 2)
    (0.6, 0.55, 0.65)
    """
    of_truth = standard_deviation(counts.sum_truth, counts.sum_squared_truth, counts.numeric)
    if not of_truth > 0:
        return unknown(math.nan, counts.numeric)
    value = 1 - counts.sum_squared_error / (of_truth * of_truth * (counts.numeric - 1))
    if math.isnan(value):
        return unknown(value, counts.numeric)
    kurtosis = 3.0
    if abs(counts.sum_truth) >= counts.sum_abs_truth * (1 - 1e-9) > 0:
        w = _one_plus_variation(counts.sum_abs_truth, counts.sum_squared_truth, counts.numeric)
        kurtosis = w**4 + 2 * w**3 + 3 * w**2 - 3  # lognormal, w = exp(sigma²)
    square = math.sqrt(mean(counts.sum_squared_error, counts.numeric)) ** 2
    variation = _deviation_of_squares(counts) / square if square > 0 else 0.0
    deviation = (1 - value) * math.hypot(variation, math.sqrt(kurtosis - 1))
    return _mean(value, 1 - value, deviation, counts.numeric, "complement", confidence)


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
