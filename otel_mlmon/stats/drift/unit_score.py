"""Score tests for "a share of the values is in another unit", from binned counts alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.drift.mixture import FACTORS, Density

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats

_SCALES: Final = (*FACTORS, *(1 / factor for factor in FACTORS), -1.0)
_ROUNDS: Final = 60
_NEWS: Final = 3.0  # standard errors


@dataclass(frozen=True, slots=True)
class UnitScore:
    """`factor` fits best; `share` of the values would be affected; `p_value` is corrected for all factors tried."""

    factor: float
    share: float
    p_value: float


def unit_score(
    edges: tuple[float, ...], reference: Counts, window: Counts, design_effect: float = 1.0
) -> UnitScore | None:
    """The transformation whose score is largest, on the values inside the reference's range.

    Counts have those below and above the edges. The statistic is the derivative of the log likelihood of the mixture
    (1 - f) p + f p_T at f = 0 (Rao's score test); its tail is the saddle point approximation (Lugannani and Rice, 1980), since
    the weights of rare bins make it far from normal. The reference's own error is in the sample size n m / (n + m). None
    without values, or where no transformation could be told from none.

    >>> rng = np.random.default_rng(3)
    >>> values, window = rng.lognormal(size=20_000), rng.lognormal(size=2_000)
    >>> window[:100] /= 10
    >>> edges = tuple(np.quantile(values, np.linspace(0, 1, 41)).tolist())
    >>> def count(x): return np.array([0, *np.histogram(x, edges)[0], 0])
    >>> found = unit_score(edges, count(values), count(window))
    >>> found.p_value < 1e-6
    True
    """
    before, now = reference[1:-1], window[1:-1]
    m, n = int(before.sum()), int(now.sum())
    if not m or not n:
        return None
    scales, shares, weights, information = _weights(edges, tuple(before.tolist()))
    if not scales:
        return None
    rows = n * m / (n + m) / design_effect
    score = weights @ (now / n - shares)
    z = score * np.sqrt(rows / information)
    best = int(np.argmax(z))
    # Near the mean the saddle point is no use, and the answer no news.
    p_value = _tail(weights[best], shares, float(score[best]), rows) if z[best] > _NEWS else 1.0
    return UnitScore(scales[best], float(score[best] / information[best]), min(1.0, p_value * len(weights)))


@lru_cache(maxsize=2048)
def _weights(edges: tuple[float, ...], counts: tuple[int, ...]) -> tuple[list[float], Floats, Floats, Floats]:
    """(factors, shares of the bins, weights per transformation and bin with mean 0, information of each)."""
    density = Density.of(edges, np.asarray(counts))
    shares = (np.asarray(counts) + 0.5) / (sum(counts) + 0.5 * len(counts))
    lines, kept = [], []
    for scale in _SCALES:
        with np.errstate(over="ignore", invalid="ignore"):
            inside = _mass(density.transformed(scale), density)
        if inside.sum() < 0.2:  # nearly all would be out of range, and is found there
            continue
        lines.append(inside / shares)
        kept.append(scale)
    if not lines:
        return [], shares, np.zeros((0, len(counts))), np.zeros(0)
    weights = np.stack(lines)
    weights = weights - (weights @ shares)[:, None]
    information = (weights**2) @ shares
    use = information > 0.05
    return (
        [scale for scale, used in zip(kept, use.tolist(), strict=True) if used],
        shares,
        weights[use],
        information[use],
    )


def _mass(moved: Density, bins: Density) -> Floats:
    """Mass of `moved` in each of the bins, by its distribution function."""
    points = np.concatenate([moved.low, moved.high[-1:]])
    cumulated = np.concatenate([[0.0], moved.mass.cumsum()])
    if (np.diff(points) <= 0).any():
        return np.zeros(len(bins.low))
    found: Floats = np.interp(bins.high, points, cumulated) - np.interp(bins.low, points, cumulated)
    return found


def _tail(weights: Floats, shares: Floats, score: float, rows: float) -> float:
    """P(mean of `rows` independent weights >= score), each weight drawn with the bins' shares."""
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
