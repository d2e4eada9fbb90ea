"""Score test of "a share of the values is in another unit", from binned counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from otel_mlmon.stats.drift.mixture import FACTORS, Density
from otel_mlmon.values import Counts, Floats

_SCALES: Final = (*FACTORS, *(1 / factor for factor in FACTORS), -1.0)
_ROUNDS: Final = 60
_WORTH_A_TAIL: Final = 3.0  # standard errors


@dataclass(frozen=True, slots=True)
class UnitScore:
    """The best `factor`, the `share` of affected values, and the `p_value` corrected for all tried factors."""

    factor: float
    share: float
    p_value: float


def unit_score(
    edges: tuple[float, ...], reference: Counts, window: Counts, design_effect: float = 1.0
) -> UnitScore | None:
    """Return the transformation with the largest score, on the values inside the reference's range.

    Counts include one bin below and one above the edges. The statistic is the derivative of the log likelihood of the
    mixture (1 - f) p + f p_T at f = 0 (Rao's score test). Rare bins make it far from normal, so its tail is the saddle
    point approximation (Lugannani and Rice, 1980). The sample size n m / (n + m) accounts for the reference's own
    error. None without values, and when no transformation would change the distribution.

    >>> rng = np.random.default_rng(3)
    >>> values, window = rng.lognormal(size=20_000), rng.lognormal(size=2_000)
    >>> window[:100] /= 10
    >>> edges = tuple(np.quantile(values, np.linspace(0, 1, 41)).tolist())
    >>> def count(x): return np.array([0, *np.histogram(x, edges)[0], 0])
    >>> unit_score(edges, count(values), count(window)).p_value < 1e-6
    True
    """
    before, now = reference[1:-1], window[1:-1]
    m, n = int(before.sum()), int(now.sum())
    if not m or not n:
        return None
    factors, shares, weights, information = _prepared(edges, tuple(before.tolist()))
    if not factors:
        return None
    rows = n * m / (n + m) / design_effect
    score = weights @ (now / n - shares)
    z = score * np.sqrt(rows / information)
    best = int(np.argmax(z))
    # The saddle point approximation fails near the mean, where the p-value does not matter.
    p_value = _tail(weights[best], shares, float(score[best]), rows) if z[best] > _WORTH_A_TAIL else 1.0
    return UnitScore(factors[best], float(score[best] / information[best]), min(1.0, p_value * len(weights)))


class _Prepared(NamedTuple):
    """Factors, shares of the bins, weights by transformation and bin (mean 0), information of each transformation."""

    factors: list[float]
    shares: Floats
    weights: Floats
    information: Floats


@lru_cache(maxsize=2048)
def _prepared(edges: tuple[float, ...], counts: tuple[int, ...]) -> _Prepared:
    """Prepare the score of each transformation, by the reference's bins."""
    density = Density.of(edges, np.asarray(counts))
    shares = (np.asarray(counts) + 0.5) / (sum(counts) + 0.5 * len(counts))
    with np.errstate(over="ignore", invalid="ignore"):
        masses = [(scale, _mass(density.transformed(scale), density)) for scale in _SCALES]
    # Otherwise nearly all values would be out of range, which another check finds.
    inside = [(scale, mass / shares) for scale, mass in masses if mass.sum() >= 0.2]
    if not inside:
        return _Prepared([], shares, np.zeros((0, len(counts))), np.zeros(0))
    weights = np.stack([line for _, line in inside])
    weights = weights - (weights @ shares)[:, None]
    information = (weights**2) @ shares
    use = information > 0.05
    factors = [scale for (scale, _), used in zip(inside, use.tolist(), strict=True) if used]
    return _Prepared(factors, shares, weights[use], information[use])


def _mass(transformed: Density, bins: Density) -> Floats:
    """Return the mass of `transformed` in each of the bins, by its distribution function."""
    points = np.concatenate([transformed.low, transformed.high[-1:]])
    cumulated = np.concatenate([[0.0], transformed.mass.cumsum()])
    if (np.diff(points) <= 0).any():
        return np.zeros(len(bins.low))
    mass: Floats = np.interp(bins.high, points, cumulated) - np.interp(bins.low, points, cumulated)
    return mass


def _tail(weights: Floats, shares: Floats, score: float, rows: float) -> float:
    """Return P(mean of `rows` independent weights >= score), each weight drawn with the bins' shares."""
    low, high = 0.0, 1.0

    def cumulants(t: float) -> tuple[float, float, float]:
        power = t * weights
        top = float(power.max())
        e = shares * np.exp(power - top)
        total = float(e.sum())
        mean = float((e * weights).sum()) / total
        return math.log(total) + top, mean, float((e * weights**2).sum()) / total - mean**2

    if score >= float(weights.max()):
        return 0.0
    while cumulants(high)[1] < score and high < 1e6:
        low, high = high, high * 2
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if cumulants(middle)[1] < score else (low, middle)
    t = (low + high) / 2
    k, _, variance = cumulants(t)
    w = math.sqrt(max(2 * rows * (t * score - k), 0.0))
    u = t * math.sqrt(rows * max(variance, 1e-300))
    if w < 1e-4 or u < 1e-4:
        return 0.5
    from scipy.special import ndtr

    p_value = float(ndtr(-w) + math.exp(-w * w / 2) / math.sqrt(2 * math.pi) * (1 / u - 1 / w))
    return min(1.0, p_value) if p_value > 0 else float(ndtr(-w))
