"""Slice search: values of one feature, or of two together, in which losses are larger than expected.

All slices are tested and the best one is taken. Then its rows are removed and the rest is searched again, so that a
slice that only overlaps with a bad one is not reported. The best slice has the largest likelihood ratio: a part of a
bad slice has a smaller one, and so has a slice with good rows. Sources: Kulldorff, A spatial scan statistic (1997);
Chung et al., Slice Finder, ICDE 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.slices.neighbours import Neighbours
from otel_mlmon.stats.slices.significance import (
    by_label,
    gain_of_rate,
    gain_of_scale,
    larger,
    mean_above_zero,
    more_often,
    scores,
)
from otel_mlmon.stats.slices.tables import Tables
from otel_mlmon.values import Counts, Floats

_ROWS, _LOSS, _EXPECTED, _LIMIT, _SQUARE, _SCORE, _SCALE = range(7)  # the square of loss - expected
# The test of ranks is strict; the mean, which the margin refers to, must only be above the expectation at this level.
_MEAN_ABOVE: Final = 0.05
LABELS: Final = 200
_LEAST: Final = 1e-3  # a row's scale is at least this share of the mean
_PASSES: Final = 3
_COLUMNS: Final = 3  # reported columns that are tried to do without


@dataclass(frozen=True, slots=True)
class Codes:
    """A column that names slices: row i has the label `labels[codes[i]]`; code -1 means none of the labels."""

    codes: npt.NDArray[np.int32]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """How well the expected losses are known.

    - `tolerance`: their relative error; a smaller difference is never reported.
    - `rows`: the rows that they were learnt from. A slice's expectation is as uncertain as a mean of its part of them.
    - `noisy`: they are right for groups of rows only, and are not used to rank single rows.
    - `alike`: design effects of the residuals by number of consecutive rows (`design_effect.design_effects`).
    - `times`: order the rows; without them the rows are in order.
    """

    tolerance: float = 0.0
    rows: float = math.inf
    noisy: bool = False
    alike: Mapping[int, float] = field(default_factory=dict)
    times: Counts | None = None


EXACT: Final = Trust()


@dataclass(frozen=True, slots=True)
class Slice:
    """`conditions` are one or two (field, text such as "= INLAND", "3 to 5", "is missing"); both must hold.

    `mean` and `expected` are those of the loss over all its `rows`. `p_value` compares its rows outside the other
    reported slices with all rows outside them, and is corrected for all slices that were tested.
    """

    conditions: tuple[tuple[str, str], ...]
    rows: int
    mean: float
    expected: float
    p_value: float
    mask: npt.NDArray[np.bool_]


def search(
    columns: Mapping[str, Codes],
    losses: Floats,
    expected: Floats,
    *,
    margin: float,
    min_rows: int,
    confidence: float,
    most: int = 10,
    trust: Trust = EXACT,
    limits: Floats | None = None,
) -> list[Slice]:
    """Return the slices whose mean loss is more than `margin` (relative) above expectation and above the other rows'.

    `losses` and `expected` are per row, finite and not negative. When losses do not depend on features, no slice is
    returned with probability `confidence`; half of the error probability is for slices of one feature, half for those
    of two (weighted Bonferroni). Of more than 24 columns only the first are searched in pairs, so the most important
    must come first. The 200 most frequent labels of a column can name a slice, the first 30 of them also in pairs.

    `limits` replaces `margin`: the mean loss up to which a slice is fine, row by row. Raises ValueError for columns of
    unequal length and for losses out of range.

    >>> rng = np.random.default_rng(0)
    >>> town, age = rng.integers(20, size=4000), rng.integers(4, size=4000)
    >>> errors = rng.normal(size=4000) * np.where((town == 3) | (town == 7), 2.0, 1.0)
    >>> columns = {
    ...     "town": Codes(town.astype(np.int32), tuple(f"= {i}" for i in range(20))),
    ...     "age": Codes(age.astype(np.int32), ("0", "1", "2", "3")),
    ... }
    >>> slices = search(columns, errors**2, np.ones(4000), margin=0.3, min_rows=50, confidence=0.99)
    >>> sorted(part.conditions for part in slices)
    [(('town', '= 3'),), (('town', '= 7'),)]
    """
    _check(columns, losses, expected, min_rows)
    limits = (1 + margin) * expected if limits is None else limits
    columns = {name: used for name, column in columns.items() if (used := _usable(column, min_rows)).labels}
    if len(losses) < 2 * min_rows or not columns or not (losses > 0).any():
        return []
    best = SliceSearch(columns, losses, expected, limits, trust, max(min_rows, 2), 1 - confidence).result(most)
    kept = [part for part in best if not any(_within(part, other) for other in best if other is not part)]
    return sorted(kept, key=lambda part: -part.rows * (part.mean - part.expected))


def _check(columns: Mapping[str, Codes], losses: Floats, expected: Floats, min_rows: int) -> None:
    n = len(losses)
    if len(expected) != n or any(len(column.codes) != n for column in columns.values()):
        lengths = {"expected": len(expected), **{name: len(column.codes) for name, column in columns.items()}}
        raise ValueError(f"all columns must have the length of losses, {n}; found {lengths}")
    for name, values in (("losses", losses), ("expected", expected)):
        if not (np.isfinite(values) & (values >= 0)).all():
            raise ValueError(f"{name} must be finite and not negative, found {values[~(values >= 0)][:3].tolist()}")
    for name, column in columns.items():
        if n and int(column.codes.max()) >= len(column.labels):
            raise ValueError(
                f"column {name!r} has codes up to {int(column.codes.max())}, and {len(column.labels)} labels"
            )
    if min_rows < 1:
        raise ValueError(f"min_rows must be 1 or more, found {min_rows}")


def _usable(column: Codes, min_rows: int) -> Codes:
    """Drop the labels that are too rare to be a slice, without a look at the losses."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    kept = [code for code in np.argsort(-counts, kind="stable")[:LABELS].tolist() if counts[code] >= min_rows]
    place = np.full(len(column.labels) + 1, -1, np.int32)  # the last place is that of -1
    place[kept] = np.arange(len(kept))
    return Codes(place[column.codes], tuple(column.labels[code] for code in kept))


def _within(part: Slice, other: Slice) -> bool:
    return part.rows < other.rows and not (part.mask & ~other.mask).any()


class SliceSearch:
    """The search on the rows outside the slices that it has already taken."""

    def __init__(
        self,
        columns: Mapping[str, Codes],
        losses: Floats,
        expected: Floats,
        limits: Floats,
        trust: Trust,
        min_rows: int,
        alpha: float,
    ) -> None:
        self.columns, self.losses, self.expected = columns, losses, expected
        self.by, self.effective = 1 + trust.tolerance, 1 / (1 + len(losses) / trust.rows)
        self.min_rows, self.alpha = min_rows, alpha
        self.binary = bool(((losses == 0) | (losses == 1)).all())
        codes = [column.codes.astype(np.int64) + 1 for column in columns.values()]
        scale = by_label(expected, codes) if trust.noisy else expected
        least = _LEAST * float(expected.mean()) or 1.0
        self.score = losses if self.binary else scores(losses / np.maximum(scale, least))
        self.score_squares = self.score**2
        times = np.arange(len(losses)) if trust.times is None else trust.times
        self.near, self.effects = Neighbours(times, trust.alike, self.score), dict[int, float]()
        squares = (losses - expected) ** 2
        measures = np.stack([np.ones(len(losses)), losses, expected, limits, squares, self.score, scale])
        self.tables = Tables(codes, [len(c.labels) + 1 for c in columns.values()], measures)
        tested = self.tables.candidates(min_rows)
        single = int((tested & ~self.tables.double).sum())
        double = int((tested & self.tables.double).sum())
        kinds = (single > 0) + (double > 0)
        self.tests = np.where(self.tables.double, kinds * double, kinds * single)
        self.tested = tested
        # log-likelihood that a slice of one condition, or of two, must gain
        self.costs = math.log(max(kinds * single, 1)), math.log(max(kinds * double, 1))
        self.without: tuple[int, ...] = ()  # columns that name no slice

    def result(self, most: int) -> list[Slice]:
        """Return the slices, or those found without one of their columns when they fit better.

        Three towns in a row may also be two ranges of the longitude, and no single exchange improves the ranges.
        """
        best = self.slices(most)
        reported = dict.fromkeys(name for part in best for name, _ in part.conditions)
        for name in list(reported)[:_COLUMNS]:
            self.without = (list(self.columns).index(name),)
            other = self.slices(most)
            if self.fit(other) > self.fit(best):
                best = other
        return best

    def slices(self, most: int) -> list[Slice]:
        """Return slices, each the best on the rows outside those before it; then revise each given all others."""
        taken: list[Slice] = []
        while len(taken) < most and (best := self.best(taken)) is not None:
            taken.append(best)
        # The first was the best before the others were known: a range with most of two bad towns. Given the others, one
        # of the towns may be better, or nothing.
        for _ in range(_PASSES):
            before = [part.conditions for part in taken]
            for conditions in before:
                at = next(i for i, part in enumerate(taken) if part.conditions == conditions)
                best = self.best([*taken[:at], *taken[at + 1 :]])
                taken[at : at + 1] = [] if best is None else [best]
            while len(taken) < most and (best := self.best(taken)) is not None:
                taken.append(best)
            if [part.conditions for part in taken] == before:
                break
        return taken

    def fit(self, slices: Sequence[Slice]) -> float:
        """Return the log-likelihood of one scale, or rate, per slice and one for the rest, less the slices' costs."""
        left = np.ones(len(self.losses), bool)
        total = 0.0
        for mask in (*(part.mask for part in slices), left):
            group = mask & left
            amount, n = float(self.score[group].sum()), int(group.sum())
            if amount > 0:
                usual = float(self.expected[group].sum()) if self.binary else n
                total += amount * math.log(amount / usual) if self.binary else -n / 2 * math.log(amount / n)
            left = left & ~mask
        return total - sum(self.costs[len(part.conditions) - 1] for part in slices)

    def best(self, others: Sequence[Slice]) -> Slice | None:
        """Return the best significant and large enough slice on the rows outside the others."""
        tables = self.tables
        left = np.ones(len(self.losses), bool)
        for part in others:
            left &= ~part.mask
        tables.leave(left)
        allowed = self.tested & ~np.isin(tables.columns, self.without).any(axis=1)
        cells = np.flatnonzero(allowed & tables.candidates(self.min_rows))
        if not len(cells):
            return None
        # Cheap filters first: each test runs on the cells that are left.
        cells = cells[self.large(tables.sums[:, cells])]
        p = self.p_values(tables.sums[:, cells])
        cells = cells[np.minimum(p * self.tests[cells], 1.0) <= self.alpha]
        effects = np.array([self.effect_of(int(cell)) for cell in cells]) if self.near else np.ones(len(cells))
        sums = tables.sums[:, cells]
        p = np.minimum(self.p_values(sums, effects) * self.tests[cells], 1.0)
        good = (p <= self.alpha) & self.mean_is_above(sums, effects)
        if not good.any():
            return None
        cells, p, sums, effects = cells[good], p[good], sums[:, good], effects[good]
        gain = self.gain(sums) / effects - np.log(self.tests[cells])
        order = np.lexsort((cells, -gain))
        cells, p = cells[order], p[order]
        chosen = 0
        if tables.double[cells[0]]:
            chosen = next((i for i, c in enumerate(cells) if self.replaces(int(c), int(cells[0]))), 0)
        return self.slice(int(cells[chosen]), float(p[chosen]))

    def effect_of(self, cell: int) -> float:
        """Return the design effect of all rows of a cell."""
        if cell not in self.effects:
            self.effects[cell] = self.near.effect(self.tables.mask(cell))
        return self.effects[cell]

    def p_values(self, sums: Floats, effects: Floats | float = 1.0) -> Floats:
        """Return p-values of "the cell's losses exceed expectation as much as those of all rows that are left"."""
        totals, effective = self.tables.totals, self.effective / effects
        if not self.binary:
            return larger(
                sums[_SCORE],
                sums[_ROWS],
                totals[_SCORE],
                float(self.score_squares[self.tables.left].sum()),
                round(totals[_ROWS]),
                self.by * self.beyond_scale(sums),
                effective,
            )
        level = self.by * (max(1.0, totals[_LOSS] / totals[_EXPECTED]) if totals[_EXPECTED] > 0 else 1.0)
        hits, rows = effective * sums[_LOSS], effective * sums[_ROWS]
        return more_often(hits, rows, level * sums[_EXPECTED] / sums[_ROWS])

    def beyond_scale(self, sums: Floats) -> Floats:
        """Return the ratio of a cell's expectation to the scale that its rows were ranked by, at least 1.

        The scale has one factor per label: it knows working days and the hour of eight, not their combination.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            more: Floats = np.maximum(np.nan_to_num(sums[_EXPECTED] / sums[_SCALE], nan=1.0, posinf=1.0), 1.0)
        return more

    def large(self, sums: Floats) -> npt.NDArray[np.bool_]:
        """Return whether the losses exceed the margin, also when all other rows are worse than expected."""
        others = np.maximum(self.tables.totals[:, None] - sums, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.nan_to_num(others[_LOSS] / others[_EXPECTED], nan=1.0, posinf=1.0)
        beyond: npt.NDArray[np.bool_] = sums[_LOSS] > np.maximum(level, 1.0) * sums[_LIMIT]
        return beyond

    def mean_is_above(self, sums: Floats, effects: Floats | float = 1.0) -> npt.NDArray[np.bool_]:
        if self.binary:
            return np.ones(sums.shape[1], bool)
        differences = sums[_LOSS] - sums[_EXPECTED]
        p = mean_above_zero(differences / effects, sums[_SQUARE] / effects, sums[_ROWS] / effects)
        above: npt.NDArray[np.bool_] = p <= max(_MEAN_ABOVE, self.alpha)
        return above

    def gain(self, sums: Floats) -> Floats:
        totals = self.tables.totals
        if not self.binary:
            return gain_of_scale(
                sums[_SCORE] / self.beyond_scale(sums), sums[_ROWS], totals[_SCORE], round(totals[_ROWS])
            )
        usual = totals[_LOSS] * sums[_EXPECTED] / max(totals[_EXPECTED], math.ulp(0.0))
        return gain_of_rate(sums[_LOSS], usual, totals[_LOSS])

    def replaces(self, cell: int, pair: int) -> bool:
        """Return whether one condition may replace two: its extra rows are no better, the missing rows are not bad."""
        if self.tables.double[cell]:
            return False
        left = self.tables.left
        one, both = self.tables.mask(cell) & left, self.tables.mask(pair) & left
        if not (one & both).any():
            return False
        lacks, extra = both & ~one, one & ~both
        if lacks.sum() > 1 and self.bad(lacks):
            return False
        if not extra.any() or (extra.sum() >= self.min_rows and self.bad(extra)):
            return True
        # The pair is the best of all pairs in this slice, and must differ by more than the best by chance.
        tests = 1 + int((self.tested & (self.tables.parents == cell).any(axis=1)).sum())
        inside, rest = self.score[both], self.score[extra]
        deviation = np.concatenate([inside - inside.mean(), rest - rest.mean()]).std()
        error = deviation * math.sqrt(1 / len(inside) + 1 / len(rest))
        z = (inside.mean() - rest.mean()) / error if error > 0 else math.inf
        return tests * math.erfc(z / math.sqrt(2)) / 2 > max(self.alpha, 1e-4)

    def bad(self, rows: npt.NDArray[np.bool_]) -> bool:
        """Return whether these rows alone would be a slice, without correction for multiple testing."""
        sums = self.tables.measures[:, rows].sum(axis=1)[:, None]
        effect = self.near.effect(rows) if self.near else 1.0
        return bool(self.large(sums)[0] and self.p_values(sums, effect)[0] <= min(self.alpha, 0.05))

    def slice(self, cell: int, p_value: float) -> Slice:
        columns, mask = list(self.columns.items()), self.tables.mask(cell)
        return Slice(
            conditions=tuple(
                (columns[place][0], columns[place][1].labels[code - 1]) for place, code in self.tables.places(cell)
            ),
            rows=int(mask.sum()),
            mean=float(self.losses[mask].mean()),
            expected=float(self.expected[mask].mean()),
            p_value=p_value,
            mask=mask,
        )
