"""Tests and intervals of shares of rows, against a limit and against the reference."""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-30  # a variance that is 0 but for the bisection's last digit
_SYMMETRIC: Final = 1e-6  # skewness that makes no difference


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


def exceeds_reference(successes: int, trials: int, ref_successes: int, ref_trials: int, margin: float) -> float:
    """Return the one-sided p-value of "the rate is at most the reference's plus `margin`" (a share, 0 to 1).

    Score test (Farrington and Manning, Statistics in Medicine 9, 1990), with half a success taken off for continuity.
    Pearson's type III distribution corrects for skewness (Gart and Nam, Biometrics 46, 1990), since the normal one is
    too sure when successes are rare. NaN when a side has no trials.

    Raises ValueError unless 0 <= successes <= trials on both sides and 0 <= margin <= 1.

    >>> round(exceeds_reference(30, 500, 100, 10_000, margin=0.02), 6)
    0.00043
    >>> exceeds_reference(5, 500, 100, 10_000, margin=0.0) > 0.5
    True
    """
    _check(successes, trials)
    _check(ref_successes, ref_trials)
    if not 0 <= margin <= 1:
        raise ValueError(f"margin must be between 0 and 1, found {margin}")
    if trials == 0 or ref_trials == 0:
        return math.nan
    if margin == 1:
        return 1.0
    ref_rate = _rate_at_margin(successes, trials, ref_successes, ref_trials, margin)
    rate = min(1.0, ref_rate + margin)
    variance = rate * (1 - rate) / trials + ref_rate * (1 - ref_rate) / ref_trials
    third = (
        rate * (1 - rate) * (1 - 2 * rate) / trials**2 - ref_rate * (1 - ref_rate) * (1 - 2 * ref_rate) / ref_trials**2
    )
    excess = (successes - 0.5) / trials - ref_successes / ref_trials - margin
    if excess <= 0 and variance < _TINY:  # both rates are 0, or both 1
        return 1.0
    return _type_iii_tail(excess / math.sqrt(variance), third / variance**1.5)


def _type_iii_tail(z: float, skewness: float) -> float:
    """Return P(Z >= z) for a shifted gamma variable with mean 0, variance 1 and the given skewness."""
    from scipy.special import gammainc, gammaincc, ndtr

    if abs(skewness) < _SYMMETRIC:
        return float(ndtr(-z))
    shape = 4 / skewness**2
    x = max(0.0, shape + math.copysign(math.sqrt(shape), skewness) * z)
    return float(gammaincc(shape, x) if skewness > 0 else gammainc(shape, x))


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's score interval (low, high) of a rate; (NaN, NaN) without trials.

    Source: Wilson, JASA 22 (1927). Raises ValueError unless 0 <= successes <= trials and 0 < confidence < 1.

    >>> low, high = wilson(successes=8, trials=10, confidence=0.95)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    _check(successes, trials)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, found {confidence}")
    if trials == 0:
        return math.nan, math.nan
    from scipy.special import ndtri

    return score_interval(successes / trials, trials, float(ndtri((1 + confidence) / 2)))


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


def _rate_at_margin(successes: int, trials: int, ref_successes: int, ref_trials: int, margin: float) -> float:
    """Return the most likely reference rate when the rate is `margin` above it.

    By bisection: the derivative of the log-likelihood falls with the rate.
    """
    low, high = 0.0, 1.0 - margin
    for _ in range(60):
        middle = (low + high) / 2
        rate = middle + margin
        slope = ref_successes / middle if ref_successes else 0.0
        slope += successes / rate if successes else 0.0
        slope -= (ref_trials - ref_successes) / (1 - middle) if ref_trials > ref_successes else 0.0
        slope -= (trials - successes) / (1 - rate) if trials > successes else 0.0
        low, high = (middle, high) if slope > 0 else (low, middle)
    return (low + high) / 2


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
    import numpy as np
    from scipy.special import gammaln

    last = min(total, trials, math.ceil(max(successes, total * share) + 40 * deviation + 40))
    x = np.arange(successes, last + 1, dtype=np.float64)
    drawn = gammaln(total + 1) - gammaln(x + 1) - gammaln(total - x + 1)
    left = gammaln(rows - total + 1) - gammaln(trials - x + 1) - gammaln(rows - total - trials + x + 1)
    all_draws = gammaln(rows + 1) - gammaln(trials + 1) - gammaln(rows - trials + 1)
    log_terms = drawn + left - all_draws
    return min(1.0, float(np.exp(log_terms).sum()))


def beyond_extremes(outside: int, trials: int, ref_trials: int, ends: int = 2) -> float:
    """Return P(at least `outside` of `trials` new values lie beyond the `ends` extremes of `ref_trials` earlier ones).

    For exchangeable continuous values of any distribution the number beyond is negative hypergeometric, that is
    beta-binomial (`ends`, ref_trials - ends + 1). Source: Wilks, Annals of Mathematical Statistics 13 (1942). Ties
    make it err towards "inside". 1 when none is outside. Raises ValueError unless 0 <= outside <= trials and
    1 <= ends <= ref_trials.

    >>> round(beyond_extremes(1, 1, 99, ends=2), 6)
    0.02
    """
    _check(outside, trials)
    if not 1 <= ends <= ref_trials:
        raise ValueError(f"ends must be between 1 and the reference's trials, found {ends} of {ref_trials}")
    if outside == 0:
        return 1.0
    import numpy as np
    from scipy.special import betaln, gammaln

    a, b = float(ends), float(ref_trials - ends + 1)
    x = np.arange(outside, trials + 1, dtype=np.float64)
    log_terms = (
        gammaln(trials + 1) - gammaln(x + 1) - gammaln(trials - x + 1) + betaln(x + a, trials - x + b) - betaln(a, b)
    )
    return min(1.0, float(np.exp(log_terms).sum()))
