"""The transformation of some values that explains a window best.

A window's values are a mixture. Most come from the reference's distribution, a share `f` from a transformed one
(another unit, another sign, another field), or they are outliers, or all values have shifted. The likelihood of each
explanation is penalised by its free parameters (BIC: Schwarz, Annals of Statistics 6, 1978).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.values import Counts, Floats

_BACKGROUND: Final = 1e-3  # share of values that any explanation leaves to chance
_STEPS: Final = 40
_ODD: Final = math.log(10)  # log odds of a named mechanism against outliers
_CLOSE: Final = 3.0  # nats: explanations that fit equally well
_STRAY: Final = 0.05  # share of odd values that are odd for another reason
_IMPRECISE: Final = 2e-5  # relative error of factors in use: 10.764 for 10.7639
_FAR: Final = 12.0  # nats against a shift that is larger than the whole range
_LIKELY: Final = 12.0  # nats: units that fit so well that the digits decide
CONSTANT: Final = 3  # equal values, from which on they are no accident
# Factors between units that are mistaken for one another, and powers of 10 and 60.
FACTORS: Final = (1000.0, 100.0, 10.0, 1e6, 3.28084, 1.609344, 2.204623, 2.54, 10.7639, 60.0, 3600.0, 12.0, 24.0, 7.0)

_POWERS: Final = frozenset({10.0, 100.0, 1000.0})  # cents and thousands are the most frequent


@dataclass(frozen=True, slots=True)
class Density:
    """A piecewise uniform density: disjoint intervals [low, high] in order, and the mass of each."""

    low: Floats
    high: Floats
    mass: Floats

    @classmethod
    def of(cls, edges: tuple[float, ...], counts: Counts, *, whole: bool = False) -> Density:
        """Return the reference's density from its bins (`counts` without the bins below and above).

        Bins of one value each become narrow intervals around the values. The last bin of `whole` numbers is as wide as
        the others.
        """
        bounds = np.asarray(edges, dtype=np.float64)
        mass = counts / max(float(counts.sum()), 1.0)
        if len(bounds) > 1 and bounds[-1] == bounds[-2]:
            values = bounds[:-1]
            half = float(np.diff(values).min()) / 4 if len(values) > 1 else max(abs(float(values[0])), 1.0) / 1000
            return cls(values - half, values + half, mass)
        high = bounds[1:].copy()
        high[-1] += 0.999 if whole else 0.0
        return cls(bounds[:-1], high, mass)

    @property
    def atoms(self) -> bool:
        """Return whether the intervals are single values, with gaps between them."""
        return len(self.low) > 1 and bool((self.low[1:] > self.high[:-1]).all())

    def without_zero(self, share: float) -> Density:
        """Return the density of the values other than 0, without the `share` of zeros."""
        at_zero = (self.low <= 0) & (self.high >= 0)
        if not at_zero.any():
            return self
        mass = self.mass.copy()
        mass[at_zero] = 0.0 if self.atoms else np.maximum(mass[at_zero] - share / at_zero.sum(), 0.0)
        return Density(self.low, self.high, mass / mass.sum()) if mass.any() else self

    def transformed(self, factor: float, offset: float = 0.0) -> Density:
        """Return the density of factor * x + offset."""
        low, high = self.low * factor + offset, self.high * factor + offset
        if factor < 0:
            return Density(high[::-1], low[::-1], self.mass[::-1])
        return Density(low, high, self.mass)

    def at(self, x: Floats) -> Floats:
        """Return the density at each x; 0 outside all intervals."""
        place = np.clip(np.searchsorted(self.low, x, side="right") - 1, 0, len(self.low) - 1)
        inside = (x >= self.low[place]) & (x <= self.high[place])
        density: Floats = np.where(inside, (self.mass / np.maximum(self.width, 1e-300))[place], 0.0)
        return density

    @property
    def width(self) -> Floats:
        """Return the width of each interval; that of a single value reaches to the next one."""
        width: Floats = (self.high - self.low) * (2.0 if self.atoms else 1.0)
        return width


@dataclass(frozen=True, slots=True)
class Explanation:
    """A `kind` (none, unit, sign, swap, outliers, shift) and the `share` of affected values.

    `factor` and `offset` are the transformation, `factors` others that fit nearly as well; `other` names the field of
    swapped values. `score` is the gain over "nothing" in nats.
    """

    kind: str
    share: float
    factor: float = 1.0
    offset: float = 0.0
    other: str = ""
    score: float = 0.0
    factors: tuple[float, ...] = ()


def explain_values(
    x: Floats,
    edges: tuple[float, ...],
    counts: Counts,
    others: Mapping[str, Density] | None = None,
    *,
    zeros: float = 0.0,
    whole: bool = False,
) -> Explanation:
    """Return the best explanation of the finite values `x`, given the reference's bins.

    `counts` include the bins below and above the edges. `others` are the densities of other fields, for swapped
    values. `zeros` is the share of 0 in the reference. `whole` says that all reference values are whole numbers, which
    are multiples of the factor in another unit.

    >>> rng = np.random.default_rng(1)
    >>> reference, window = rng.lognormal(size=5000), rng.lognormal(size=1000)
    >>> window[:100] *= 1000
    >>> edges = tuple(np.quantile(reference, np.linspace(0, 1, 41)))
    >>> counts = np.array([0, *np.histogram(reference, edges)[0], 0])
    >>> explanation = explain_values(window, edges, counts)
    >>> explanation.kind, explanation.factor, round(explanation.share, 1)
    ('unit', 1000.0, 0.1)
    """
    x = x[x != 0]  # 0 is 0 in any unit
    if not len(x) or len(edges) < 2:
        return Explanation("none", 0.0)
    odd = x[(x < edges[0]) | (x > edges[-1]) | (whole & (x != np.rint(x)))]
    if len(odd) >= CONSTANT and np.unique(odd, return_counts=True)[1].max() >= 0.9 * len(odd):
        return Explanation("outliers", len(odd) / len(x))  # a single value is a default, no transformation
    density = Density.of(edges, counts[1:-1], whole=whole).without_zero(zeros)
    with np.errstate(over="ignore", invalid="ignore"):
        bottom, top = min(float(x.min()), edges[0]), max(float(x.max()), edges[-1])
        # Single values and whole numbers reach to the next one, the last one too.
        width = top - bottom + (float(density.width.min()) if density.atoms else float(whole))
        if not 0 < width < math.inf:
            return Explanation("outliers", 1.0)
        best = _likeliest_kind(x, density, _candidates(x, density, edges, width, others or {}, whole), width, whole)
    likeliest = max(best, key=lambda one: one.score)
    if likeliest.score <= 0:
        return Explanation("none", 0.0)
    if likeliest.kind != "unit" or likeliest.offset:
        return likeliest
    close = _written([one for one in best if one.score > likeliest.score - _LIKELY and not one.offset], x, edges)
    return replace(close[0], factors=tuple(sorted(one.factor for one in close[1:])))


_Candidate = tuple[Explanation, Floats | None, float]
"""An explanation, the density of the affected values (None: `score` is the likelihood), and the penalty."""


def _likeliest_kind(
    x: Floats, density: Density, candidates: Iterable[_Candidate], width: float, whole: bool
) -> list[Explanation]:
    """Return the scored explanations of the kind with the most evidence.

    "Another unit" may be certain when the unit is not, so the evidence for a kind is the sum over its candidates.
    """
    chance = np.full(len(x), _BACKGROUND / width)
    plain = density.at(x)
    if whole:
        plain = np.where(x == np.rint(x), plain, 0.0)
    nothing = float(np.log(plain + chance).sum())
    cost = math.log(len(x)) / 2
    by_kind: dict[str, list[Explanation]] = {}
    for candidate, values, prior in candidates:
        share, likelihood = _fit(plain, values, chance) if values is not None else (1.0, candidate.score)
        gain = likelihood - nothing - prior - cost
        by_kind.setdefault(candidate.kind, []).append(replace(candidate, share=share, score=gain))
    return max(by_kind.values(), key=lambda same: float(np.logaddexp.reduce([one.score for one in same])))


def _candidates(
    x: Floats, density: Density, edges: tuple[float, ...], width: float, others: Mapping[str, Density], whole: bool
) -> Iterator[_Candidate]:
    several, power = math.log(4 * len(FACTORS)), math.log(2 * len(FACTORS) / 3)
    units = [(k, 0.0, power if unit in _POWERS else several) for unit in FACTORS for k in (unit, 1 / unit)]
    fahrenheit = [(1.8, 32.0, several), (1 / 1.8, -32 / 1.8, several)]
    for factor, offset, prior in units + fahrenheit:
        values = density.transformed(factor, offset).at(x)
        if whole:
            values = _on_grid(values, x, factor, offset)
        yield Explanation("unit", 0, factor=factor, offset=offset), values, prior
    if edges[0] >= 0 or edges[-1] <= 0 or abs(edges[0] + edges[-1]) > 0.1 * (edges[-1] - edges[0]):
        yield Explanation("sign", 0, factor=-1.0), density.transformed(-1.0).at(x), 0.0
    for name, other in others.items():
        yield Explanation("swap", 0, other=name), other.at(x), math.log(len(others))
    half_log = math.log(len(x)) / 2
    yield Explanation("outliers", 0), np.full(len(x), 1 / width), half_log + _ODD  # the width was estimated
    outside = x[(x < edges[0]) | (x > edges[-1])]
    middle = float(
        np.interp(0.5, np.concatenate([[0.0], density.mass.cumsum()]), np.append(density.low, density.high[-1]))
    )
    if len(outside) >= 3:
        offset = float(np.median(outside)) - middle
        for side in (outside[outside < edges[0]], outside[outside > edges[-1]]):
            if len(side) >= 3 and side.max() > side.min():
                low, high = float(side.min()), float(side.max())
                uniform = np.where((x >= low) & (x <= high), 1 / (high - low + _resolution(side)), 0.0)
                # An end that is an extreme of n values has a relative error of 1 / n: it costs log n, not half of it.
                yield Explanation("outliers", 0), uniform, _ODD + 2 * math.log(2 * len(side))
        far = _FAR if abs(offset) > edges[-1] - edges[0] else 0.0
        yield Explanation("outliers", 0, offset=offset), density.transformed(1.0, offset).at(x), half_log + far
    yield from _shifts(x, density, edges, width, middle)
    yield (
        Explanation("shift", 1.0, score=_reweighted(x, density, edges, width, whole)),
        None,
        half_log * (len(density.mass) + 1),
    )


def _shifts(x: Floats, density: Density, edges: tuple[float, ...], width: float, middle: float) -> Iterator[_Candidate]:
    """All values moved, by the difference of the medians or by that of the means."""
    offset = float(np.median(x)) - middle
    mean = float((density.mass * (density.low + density.high)).sum()) / 2
    for shift in {offset, float(x.mean()) - mean}:
        far = _FAR if abs(shift) > edges[-1] - edges[0] else 0.0  # all values out of the range are seldom a mere shift
        values = density.transformed(1.0, shift).at(x) + _BACKGROUND / width
        yield Explanation("shift", 1.0, offset=shift, score=float(np.log(values).sum())), None, math.log(3) + far


def _on_grid(values: Floats, x: Floats, factor: float, offset: float) -> Floats:
    """Return the density of whole numbers in another unit: multiples of the factor, plus the offset.

    To compare with a continuous density, the mass of a point is spread over the step in which the numbers are written.
    """
    steps = (x - offset) / factor
    hit = np.abs(steps - np.rint(steps)) < _rounding(steps)
    whole = x == np.rint(x)
    density: Floats = np.where(hit, values * np.where(whole, max(factor, 1.0), factor / _resolution(x[~whole])), 0.0)
    return density


def _written(units: list[Explanation], x: Floats, edges: tuple[float, ...]) -> list[Explanation]:
    """Rank likely units by the digits of the values; return the likeliest first, with all units that are close to it.

    Values that are written in steps (a floor area in tenths) are multiples of the step again in their own unit, but
    for the rounding of their digits. In another unit they are multiples by chance only.
    """
    inside = (x >= edges[0]) & (x <= edges[-1])
    odd = x[~inside]
    if not inside.any() or not len(odd):
        return _close(units)
    step = _resolution(x[inside])
    now = _resolution(odd)
    scored = []
    for one in units:
        reach = (now / 2 + _IMPRECISE * np.abs(odd)) / one.factor / step
        chance = np.minimum(2 * reach, 1.0)
        steps = odd / one.factor / step
        hit = np.abs(steps - np.rint(steps)) <= reach
        # A few of the odd values may be odd for another reason.
        gain = np.where(hit, np.log(_STRAY + (1 - _STRAY) / chance), math.log(_STRAY))
        scored.append(replace(one, score=one.score + float(gain[chance < 1].sum())))
    return _close(scored)


def _close(units: list[Explanation]) -> list[Explanation]:
    by_score = sorted(units, key=lambda unit: -unit.score)
    return [unit for unit in by_score if unit.score > by_score[0].score - _CLOSE]


def _rounding(x: Floats) -> Floats:
    """Return the rounding error of a whole number after some arithmetic."""
    rounding: Floats = np.clip(1e-9 * np.abs(x), 1e-6, 1e-2)
    return rounding


def _resolution(x: Floats) -> float:
    """Return the step in which numbers are written: 0.01 for two decimals; no finer than a millionth."""
    for decimals in range(6):
        scaled = x * 10.0**decimals
        if (np.abs(scaled - np.rint(scaled)) < _rounding(scaled)).all():
            return 10.0**-decimals
    return 1e-6


def _fit(plain: Floats, values: Floats, chance: Floats) -> tuple[float, float]:
    """Return share and log likelihood of the mixture, by expectation maximisation."""
    share = 0.05
    for _ in range(_STEPS):
        affected = share * values
        share = float((affected / ((1 - share) * plain + affected + chance)).mean())
        share = min(max(share, 1e-6), 1.0)
    return share, float(np.log((1 - share) * plain + share * values + chance).sum())


def _reweighted(x: Floats, density: Density, edges: tuple[float, ...], width: float, whole: bool) -> float:
    """Return the log likelihood when each bin may have any share: drift without structure."""
    seen = np.bincount(bin_index(x, edges), minlength=len(edges) + 1)
    below, above = edges[0] - float(x.min()), float(x.max()) - edges[-1]
    widths = np.concatenate([[max(below, width * 1e-6)], density.width, [max(above, width * 1e-6)]])
    used = seen > 0
    fractions = float((x != np.rint(x)).sum()) if whole else 0.0  # no bin of whole numbers can hold them
    of_bins = float((seen[used] * np.log(seen[used] / len(x) / widths[used])).sum())
    return of_bins + fractions * math.log(_BACKGROUND / width)
