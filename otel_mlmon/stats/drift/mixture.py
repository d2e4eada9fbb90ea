"""What has happened to some of the values: the transformation that explains a window best.

A window's values are seen as a mixture: most come from the reference's distribution, a share `f` from a transformed one (another
unit, another sign, another field's), or from nowhere in particular, or all of them have moved. Each explanation's likelihood is
weighed against what it costs in free parameters (Schwarz, Annals of Statistics 6, 1978: BIC).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.stats.drift.distribution import bin_index

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats

_BACKGROUND: Final = 1e-3  # share of values that any explanation may leave to chance
_STEPS: Final = 40
_ODD: Final = math.log(10)  # odds of a mechanism with a name against values from nowhere in particular
_CLOSE: Final = 3.0  # nats: explanations that nobody could choose between
_STRAY: Final = 0.05  # share of odd values that are odd for another reason
_IMPRECISE: Final = 2e-5  # how far people's factors between units are off: 10.764 for 10.7639
_WONDER: Final = 12.0  # nats against a shift that is larger than the whole range
_LIKELY: Final = 12.0  # nats: units whose sizes fit so well that how they are written may tell
CONSTANT: Final = 3  # values that are alike, from which on they are no accident
# Factors between units that are mistaken for one another, and powers of ten and of 60.
FACTORS: Final = (1000.0, 100.0, 10.0, 1e6, 3.28084, 1.609344, 2.204623, 2.54, 10.7639, 60.0, 3600.0, 12.0, 24.0, 7.0)

_POWERS: Final = frozenset({10.0, 100.0, 1000.0})  # cents and thousands are the most frequent of all


@dataclass(frozen=True, slots=True)
class Density:
    """A piecewise uniform density: disjoint intervals [low, high] in order, and the mass of each."""

    low: Floats
    high: Floats
    mass: Floats

    @classmethod
    def of(cls, edges: tuple[float, ...], counts: Counts, *, whole: bool = False) -> Density:
        """The reference's density from its bins (`counts` without those below and above).

        Bins of one value each become narrow intervals around the values. The last bin of `whole` numbers is as wide as the others.
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
        """Whether the intervals stand for single values: then there are gaps between them."""
        return len(self.low) > 1 and bool((self.low[1:] > self.high[:-1]).all())

    def without_zero(self, share: float) -> Density:
        """Of the values that are not 0, which are all but `share` of them."""
        at_zero = (self.low <= 0) & (self.high >= 0)
        if not at_zero.any():
            return self
        mass = self.mass.copy()
        mass[at_zero] = 0.0 if self.atoms else np.maximum(mass[at_zero] - share / at_zero.sum(), 0.0)
        return Density(self.low, self.high, mass / mass.sum()) if mass.any() else self

    def transformed(self, factor: float, offset: float = 0.0) -> Density:
        """The density of factor * x + offset."""
        low, high = self.low * factor + offset, self.high * factor + offset
        if factor < 0:
            return Density(high[::-1], low[::-1], self.mass[::-1])
        return Density(low, high, self.mass)

    def at(self, x: Floats) -> Floats:
        """Density at each x; 0 outside of all intervals."""
        place = np.clip(np.searchsorted(self.low, x, side="right") - 1, 0, len(self.low) - 1)
        inside = (x >= self.low[place]) & (x <= self.high[place])
        found: Floats = np.where(inside, (self.mass / np.maximum(self.width, 1e-300))[place], 0.0)
        return found

    @property
    def width(self) -> Floats:
        """What the mass of each interval is spread over; that of a single value reaches to the next one."""
        found: Floats = (self.high - self.low) * (2.0 if self.atoms else 1.0)
        return found


@dataclass(frozen=True, slots=True)
class Explanation:
    """`kind`: none, unit, sign, swap, outliers, shift. `share` of the values that are affected; `factor` and `offset` say
    how, and `factors` which others would do nearly as well; `other` names the field that these values seem to belong to.
    `score` is the gain over "nothing" in nats.
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
    """The best explanation of the finite values `x`, given the reference's bins (`counts` has those below and above).

    `others` are the densities of other fields, for values that were swapped. `zeros`: share of 0 in the reference. `whole`: the
    reference's values all are whole numbers, so that in another unit they are multiples of the factor.

    >>> rng = np.random.default_rng(1)
    >>> reference, window = rng.lognormal(size=5000), rng.lognormal(size=1000)
    >>> window[:100] *= 1000
    >>> edges = tuple(np.quantile(reference, np.linspace(0, 1, 41)))
    >>> counts = np.array([0, *np.histogram(reference, edges)[0], 0])
    >>> found = explain_values(window, edges, counts)
    >>> found.kind, found.factor, round(found.share, 1)
    ('unit', 1000.0, 0.1)
    """
    x = x[x != 0]  # 0 is 0 in any unit, and says nothing
    if not len(x) or len(edges) < 2:
        return Explanation("none", 0.0)
    odd = x[(x < edges[0]) | (x > edges[-1]) | (whole & (x != np.rint(x)))]
    if len(odd) >= CONSTANT and np.unique(odd, return_counts=True)[1].max() >= 0.9 * len(odd):
        return Explanation("outliers", len(odd) / len(x))  # a single value: a default, and no transformation
    density = Density.of(edges, counts[1:-1], whole=whole).without_zero(zeros)
    with np.errstate(over="ignore", invalid="ignore"):
        bottom, top = min(float(x.min()), edges[0]), max(float(x.max()), edges[-1])
        # Single values and whole numbers reach to the next one, the last of them too.
        width = top - bottom + (float(density.width.min()) if density.atoms else float(whole))
        if not 0 < width < math.inf:
            return Explanation("outliers", 1.0)
        chance = np.full(len(x), _BACKGROUND / width)
        plain = density.at(x)
        if whole:
            plain = np.where(x == np.rint(x), plain, 0.0)
        nothing = float(np.log(plain + chance).sum())
        cost = math.log(len(x)) / 2
        found: dict[str, list[Explanation]] = {}
        for candidate, values, prior in _candidates(x, density, edges, width, others or {}, whole):
            share, likelihood = _fit(plain, values, chance) if values is not None else (1.0, candidate.score)
            gain = likelihood - nothing - prior - cost
            found.setdefault(candidate.kind, []).append(replace(candidate, share=share, score=gain))
    # That it is another unit is one thing, and which one is another: the evidence for a kind is the sum over its candidates.
    best = max(found.values(), key=lambda same: float(np.logaddexp.reduce([one.score for one in same])))
    likeliest = max(best, key=lambda one: one.score)
    if likeliest.score <= 0:
        return Explanation("none", 0.0)
    if likeliest.kind != "unit" or likeliest.offset:
        return likeliest
    close = _written([one for one in best if one.score > likeliest.score - _LIKELY and not one.offset], x, edges)
    return replace(close[0], factors=tuple(sorted(one.factor for one in close[1:])))


def _candidates(
    x: Floats, density: Density, edges: tuple[float, ...], width: float, others: Mapping[str, Density], whole: bool
) -> Iterator[tuple[Explanation, Floats | None, float]]:
    """Explanations, the density of the affected values (None: `score` is the likelihood), and what they cost beside f."""
    several = math.log(4 * len(FACTORS))
    for factor in FACTORS:
        for k in (factor, 1 / factor):
            yield (
                Explanation("unit", 0, factor=k),
                _on_grid(density.transformed(k).at(x), x, k, 0.0) if whole else density.transformed(k).at(x),
                math.log(2 * len(FACTORS) / 3) if factor in _POWERS else several,
            )
    for factor, offset in ((1.8, 32.0), (1 / 1.8, -32 / 1.8)):  # Celsius and Fahrenheit
        values = density.transformed(factor, offset).at(x)
        if whole:
            values = _on_grid(values, x, factor, offset)
        yield Explanation("unit", 0, factor=factor, offset=offset), values, several
    if edges[0] >= 0 or edges[-1] <= 0 or abs(edges[0] + edges[-1]) > 0.1 * (edges[-1] - edges[0]):
        yield Explanation("sign", 0, factor=-1.0), density.transformed(-1.0).at(x), 0.0
    for name, other in others.items():
        yield Explanation("swap", 0, other=name), other.at(x), math.log(len(others))
    half_log = math.log(len(x)) / 2
    yield Explanation("outliers", 0), np.full(len(x), 1 / width), half_log + _ODD  # how wide was seen in the data
    outside = x[(x < edges[0]) | (x > edges[-1])]
    middle = float(
        np.interp(0.5, np.concatenate([[0.0], density.mass.cumsum()]), np.append(density.low, density.high[-1]))
    )
    if len(outside) >= 3:
        offset = float(np.median(outside)) - middle
        for side in (outside[outside < edges[0]], outside[outside > edges[-1]]):
            if len(side) >= 3 and side.max() > side.min():
                low, high = float(side.min()), float(side.max())
                there = np.where((x >= low) & (x <= high), 1 / (high - low + _resolution(side)), 0.0)
                # Ends that are read off n values are known to a part in n: each costs log n, and not half of it.
                yield Explanation("outliers", 0), there, _ODD + 2 * math.log(2 * len(side))
        far = _WONDER if abs(offset) > edges[-1] - edges[0] else 0.0
        yield Explanation("outliers", 0, offset=offset), density.transformed(1.0, offset).at(x), half_log + far
    offset = float(np.median(x)) - middle
    mean = float((density.mass * (density.low + density.high)).sum()) / 2
    for moved in {offset, float(x.mean()) - mean}:
        far = (
            _WONDER if abs(moved) > edges[-1] - edges[0] else 0.0
        )  # all of them to where none was: seldom a mere shift
        values = density.transformed(1.0, moved).at(x) + _BACKGROUND / width
        yield Explanation("shift", 1.0, offset=moved, score=float(np.log(values).sum())), None, math.log(3) + far
    yield (
        Explanation("shift", 1.0, score=_reweighted(x, density, edges, width, whole)),
        None,
        half_log * (len(density.mass) + 1),
    )


def _on_grid(values: Floats, x: Floats, factor: float, offset: float) -> Floats:
    """Whole numbers in another unit are multiples of the factor, plus the offset: all of the mass is there, and none in between.

    Against a density over a continuum the mass of a point counts as spread over the steps in which the numbers are written.
    """
    steps = (x - offset) / factor
    hit = np.abs(steps - np.rint(steps)) < _rounding(steps)
    whole = x == np.rint(x)
    found: Floats = np.where(hit, values * np.where(whole, max(factor, 1.0), factor / _resolution(x[~whole])), 0.0)
    return found


def _written(units: list[Explanation], x: Floats, edges: tuple[float, ...]) -> list[Explanation]:
    """Of explanations that are likely by size, the likeliest first, with what is close to it, by how values are written.

    What is written in steps of `step` (a floor area in tenths) is a multiple of it again once it is back in its own unit, but for
    the rounding of its digits now. By another factor it is so as often as chance has it.
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
    found = sorted(units, key=lambda one: -one.score)
    return [one for one in found if one.score > found[0].score - _CLOSE]


def _rounding(x: Floats) -> Floats:
    """How far a whole number may be off after some arithmetic."""
    found: Floats = np.clip(1e-9 * np.abs(x), 1e-6, 1e-2)
    return found


def _resolution(x: Floats) -> float:
    """The step in which numbers are written: 0.01 for two decimals; no finer than a millionth."""
    for decimals in range(6):
        scaled = x * 10.0**decimals
        if (np.abs(scaled - np.rint(scaled)) < _rounding(scaled)).all():
            return 10.0**-decimals
    return 1e-6


def _fit(plain: Floats, values: Floats, chance: Floats) -> tuple[float, float]:
    """(share, log likelihood) of the mixture, by expectation maximisation."""
    share = 0.05
    for _ in range(_STEPS):
        mine = share * values
        share = float((mine / ((1 - share) * plain + mine + chance)).mean())
        share = min(max(share, 1e-6), 1.0)
    return share, float(np.log((1 - share) * plain + share * values + chance).sum())


def _reweighted(x: Floats, density: Density, edges: tuple[float, ...], width: float, whole: bool) -> float:
    """Log likelihood when each bin may have any share: drift without any structure."""
    seen = np.bincount(bin_index(x, edges), minlength=len(edges) + 1)
    widths = np.concatenate([[max(edges[0] - float(x.min()), width * 1e-6)], density.width,
                             [max(float(x.max()) - edges[-1], width * 1e-6)]])  # fmt: skip
    there = seen > 0
    odd = float((x != np.rint(x)).sum()) if whole else 0.0  # what no bin of whole numbers can hold
    return float((seen[there] * np.log(seen[there] / len(x) / widths[there])).sum()) + odd * math.log(
        _BACKGROUND / width
    )
