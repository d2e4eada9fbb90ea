"""Tests and intervals of shares of rows, against a limit and against the reference."""

from __future__ import annotations

import math

import numpy as np

from otel_mlmon.stats.inference.p_values import t_quantile


def exceeds(successes: int, trials: int, rate: float) -> float:
    """Return the p-value of "the rate is at most `rate`": one-sided exact binomial test, P(X >= successes).

    Source: Clopper and Pearson, Biometrika 26 (1934). NaN without trials. Raises ValueError unless
    0 <= successes <= trials and 0 <= rate <= 1.

    >>> exceeds(successes=8, trials=10, rate=0.5)
    0.0546875
    """
    _check(successes, trials)
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must be between 0 and 1, found {rate}")
    if trials == 0:
        return math.nan
    if successes == 0:
        return 1.0
    from scipy.special import betainc

    return float(betainc(successes, trials - successes + 1, rate))


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval (low, high) of a rate; (NaN, NaN) without trials.

    Source: Wilson, JASA 22 (1927). Raises ValueError unless 0 <= successes <= trials and 0 < confidence < 1.

    >>> low, high = wilson(successes=8, trials=10, confidence=0.95)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    _check(successes, trials)
    z = t_quantile(confidence, math.inf)
    return score_interval(successes / trials, trials, z) if trials else (math.nan, math.nan)


def score_interval(rate: float, trials: float, z: float) -> tuple[float, float]:
    """Return the lowest and highest limit L with |rate - L| <= z sqrt(L (1 - L) / trials).

    >>> low, high = score_interval(0.8, 10, 1.959964)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    centre = rate + z * z / (2 * trials)
    half = z * math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2)
    scale = 1 + z * z / trials
    return (centre - half) / scale if rate > 0 else 0.0, (centre + half) / scale if rate < 1 else 1.0


def _check(successes: int, trials: int) -> None:
    if not 0 <= successes <= trials:
        raise ValueError(f"successes must be between 0 and the trials, found {successes} of {trials}")


def fisher_greater(successes: int, trials: int, ref_successes: int, ref_trials: int) -> float:
    """Return the p-value of "the rate is at most the reference's": one-sided Fisher's exact test.

    P(at least `successes` of `trials`), given the successes and trials of both sides together. Counts of effective
    rows need not be whole, so it is not scipy.stats.fisher_exact. Source: Fisher, JRSS 98 (1935). 1 without successes;
    NaN when a side has no trials. Raises ValueError unless 0 <= successes <= trials on both sides.

    >>> round(fisher_greater(3, 4, 1, 4), 6)
    0.242857
    """
    _check(successes, trials)
    _check(ref_successes, ref_trials)
    if trials == 0 or ref_trials == 0:
        return math.nan
    total, rows = successes + ref_successes, trials + ref_trials
    if successes <= max(0, total - ref_trials):
        return 1.0
    share = trials / rows
    deviation = math.sqrt(max(total * share * (1 - share), 1.0))
    if successes < total * share - 8 * deviation:
        return 1.0
    from scipy.special import gammaln

    last = min(total, trials, math.ceil(max(successes, total * share) + 40 * deviation + 40))
    x = np.arange(successes, last + 1, dtype=np.float64)
    drawn = gammaln(total + 1) - gammaln(x + 1) - gammaln(total - x + 1)
    left = gammaln(rows - total + 1) - gammaln(trials - x + 1) - gammaln(rows - total - trials + x + 1)
    all_draws = gammaln(rows + 1) - gammaln(trials + 1) - gammaln(rows - trials + 1)
    log_terms = drawn + left - all_draws
    return min(1.0, float(np.exp(log_terms).sum()))


def beyond_extremes(outside: int, trials: int, ref_trials: int) -> float:
    """Return P(at least `outside` of `trials` new values lie beyond the two extremes of `ref_trials` earlier ones).

    For exchangeable continuous values of any distribution the number beyond is negative hypergeometric, that is
    beta-binomial (2, ref_trials - 1). Source: Wilks, Annals of Mathematical Statistics 13 (1942). Ties make it err
    towards "inside". 1 when none is outside. Raises ValueError unless 0 <= outside <= trials and ref_trials >= 2.

    >>> round(beyond_extremes(1, 1, 99), 6)
    0.02
    """
    _check(outside, trials)
    if ref_trials < 2:
        raise ValueError(f"two earlier values have two extremes, found {ref_trials}")
    if outside == 0:
        return 1.0
    from scipy.special import betaln, gammaln

    a, b = 2.0, ref_trials - 1.0
    x = np.arange(outside, trials + 1, dtype=np.float64)
    log_terms = (
        gammaln(trials + 1) - gammaln(x + 1) - gammaln(trials - x + 1) + betaln(x + a, trials - x + b) - betaln(a, b)
    )
    return min(1.0, float(np.exp(log_terms).sum()))
