"""Shares of rows: is one above a limit, above the reference's, and how well is it known."""

from __future__ import annotations

import math
from typing import Final

_TINY: Final = 1e-30  # a variance that is 0 but for the bisection's last digit
_SYMMETRIC: Final = 1e-6  # skewness that makes no difference


def exceeds(successes: int, trials: int, rate: float) -> float:
    """One-sided exact binomial test: P(X >= successes) when X is binomial with `trials` and `rate`.

    A small value says that the true rate is above `rate`. Source: Clopper and Pearson, Biometrika 26 (1934). NaN when
    there are no trials. Raises ValueError unless 0 <= successes <= trials and 0 <= rate <= 1.

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
    """One-sided test that the rate is above the reference's rate plus `margin` (a difference of shares, 0 to 1).

    Score test (Farrington and Manning, Statistics in Medicine 9, 1990), with half a success taken off for continuity
    and corrected for skewness (Gart and Nam, Biometrics 46, 1990) by Pearson's type III law in place of the normal
    one: plain, the test is too sure where successes are rare. NaN when a side has no trials.

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
    """P(Z >= z) for a shifted gamma variable with mean 0, variance 1 and the given skewness."""
    from scipy.special import gammainc, gammaincc, ndtr

    if abs(skewness) < _SYMMETRIC:
        return float(ndtr(-z))
    shape = 4 / skewness**2
    x = max(0.0, shape + math.copysign(math.sqrt(shape), skewness) * z)
    return float(gammaincc(shape, x) if skewness > 0 else gammainc(shape, x))


def wilson(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Wilson's score interval (low, high) of a rate. Source: Wilson, JASA 22 (1927). (NaN, NaN) when there are no
    trials.

    Raises ValueError unless 0 <= successes <= trials and 0 < confidence < 1.

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
    """All limits L with |rate - L| <= z sqrt(L (1 - L) / trials), from low to high.

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
    """The reference rate that makes the counts most likely when the rate is `margin` above it.

    Bisection: the derivative of the log-likelihood falls with the rate.
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
    """Fisher's exact test, one-sided: P(at least `successes` of `trials`), given all successes and trials of both sides.

    A small value says that the rate is above the reference's. Source: Fisher, JRSS 98 (1935). 1 when there are no successes; NaN
    when a side has no trials. Raises ValueError unless 0 <= successes <= trials on both sides.

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
    spread = math.sqrt(max(total * share * (1 - share), 1.0))
    if successes < total * share - 8 * spread:
        return 1.0
    import numpy as np
    from scipy.special import gammaln

    last = min(total, trials, math.ceil(max(successes, total * share) + 40 * spread + 40))
    x = np.arange(successes, last + 1, dtype=np.float64)
    log_terms = (
        gammaln(total + 1) - gammaln(x + 1) - gammaln(total - x + 1)
        + gammaln(rows - total + 1) - gammaln(trials - x + 1) - gammaln(rows - total - trials + x + 1)
        - gammaln(rows + 1) + gammaln(trials + 1) + gammaln(rows - trials + 1)
    )  # fmt: skip
    return min(1.0, float(np.exp(log_terms).sum()))


def beyond_extremes(outside: int, trials: int, ref_trials: int, ends: int = 2) -> float:
    """P(at least `outside` of `trials` new values lie beyond the `ends` extremes of `ref_trials` earlier ones).

    For exchangeable continuous values, whatever their distribution: by symmetry the number beyond is negative
    hypergeometric, that is beta-binomial (`ends`, ref_trials - ends + 1). Source: Wilks, Annals of Mathematical
    Statistics 13 (1942). Ties make it err towards "inside". 1 when none is outside. Raises ValueError unless
    0 <= outside <= trials and 1 <= ends <= ref_trials.

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
