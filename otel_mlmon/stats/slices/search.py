"""Where something is concentrated: the values of a feature, or of two together, in which losses are larger than expected.

All slices are looked at and the best one is taken; then its rows are out of it, and what is left is searched again, so that a slice
that just overlaps with a bad one is not named. "Best" is the largest likelihood ratio: a part of a bad slice has less of it, and
so has a slice with rows that are fine. Sources: Kulldorff, A spatial scan statistic (1997); Chung et al., Slice Finder, ICDE 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

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

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Counts, Floats

_ROWS, _LOSS, _EXPECTED, _LIMIT, _SQUARE, _SCORE, _SCALE = range(7)  # of differences, the square
# The ranks tell that errors are larger as a whole; the mean itself, which the margin is about, need only be so sure of its sign.
_MEAN_ABOVE: Final = 0.05
LABELS: Final = 200
_LEAST: Final = 1e-3  # a row's scale is no smaller than this share of the mean, or ratios would be of nothing
_PASSES: Final = 3
_COLUMNS: Final = 3  # that are tried without


@dataclass(frozen=True, slots=True)
class Codes:
    """One column to name slices by: `labels[codes[i]]`, -1 for none of the labels."""

    codes: npt.NDArray[np.int32]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """How well the expectations are known.

    They may be off by `tolerance`, relative: a smaller difference is no news, however sure. They were learnt from so many `rows`:
    what is expected of a slice is no surer than the mean of its part of these would be. `noisy` ones are right for parts of the
    rows rather than for single ones, and are not used to rank these. `alike` are the design effects of what is unexpected, by
    number of consecutive rows (`design_effect.design_effects`): neighbours in time say the same twice.
    """

    tolerance: float = 0.0
    rows: float = math.inf
    noisy: bool = False
    alike: Mapping[int, float] = field(default_factory=dict)


EXACT: Final = Trust()


@dataclass(frozen=True, slots=True)
class Slice:
    """`conditions` are (field, text such as "= INLAND", "3 to 5", "is missing"), one or two, both to hold.

    `mean` and `expected` are those of the loss over all its `rows`. `p_value` is for what of them other slices that were named do
    not hold, against the rows that none of those holds, and corrected for all slices that were looked at.
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
    pairs: bool = True,
    trust: Trust = EXACT,
    limits: Floats | None = None,
    times: Counts | None = None,
) -> list[Slice]:
    """The slices whose mean loss is more than `margin` (relative) above what is expected and above that of the other rows.

    `losses` and `expected` are per row, not negative and finite. With probability `confidence` none is named where losses and
    features have nothing to do with each other: half of the rest is for slices of one feature, half for those of two (weighted
    Bonferroni). Of more than 24 columns only the first are looked at in pairs: put those first that matter most. Of a
    column's labels the 200 most frequent can name a slice, the first 30 of them in pairs, too.

    `limits` replaces `margin`: the mean loss up to which a slice is fine, row by row. `times` say which rows are neighbours; without
    them, the rows are in order.

    >>> rng = np.random.default_rng(0)
    >>> town, age = rng.integers(20, size=4000), rng.integers(4, size=4000)
    >>> errors = rng.normal(size=4000) * np.where((town == 3) | (town == 7), 2.0, 1.0)
    >>> columns = {
    ...     "town": Codes(town.astype(np.int32), tuple(f"= {i}" for i in range(20))),
    ...     "age": Codes(age.astype(np.int32), ("0", "1", "2", "3")),
    ... }
    >>> found = search(columns, errors**2, np.ones(4000), margin=0.3, min_rows=50, confidence=0.99)
    >>> sorted(part.conditions for part in found)
    [(('town', '= 3'),), (('town', '= 7'),)]
    """
    _check(columns, losses, expected, min_rows)
    limits = (1 + margin) * expected if limits is None else limits
    columns = {name: used for name, column in columns.items() if (used := _usable(column, min_rows)).labels}
    if len(losses) < 2 * min_rows or not columns or not (losses > 0).any():
        return []
    times = np.arange(len(losses)) if times is None else times
    hunt = _Hunt(columns, losses, expected, limits, trust, times, max(min_rows, 2), 1 - confidence, pairs)
    found = hunt.slices(most)
    # Three towns in a row are two ranges of the longitude, too, and neither range is better on its own if it is replaced. So
    # what there is without a column that was named is compared as a whole.
    named = dict.fromkeys(name for part in found for name, _ in part.conditions)
    for name in list(named)[:_COLUMNS]:
        hunt.without = (list(columns).index(name),)
        other = hunt.slices(most)
        if hunt.fit(other) > hunt.fit(found):
            found = other
    kept = [part for part in found if not any(_within(part, other) for other in found if other is not part)]
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
    """Without the labels that are too rare to be a slice; the choice is made without a look at the losses."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.labels))
    kept = [code for code in np.argsort(-counts, kind="stable")[:LABELS].tolist() if counts[code] >= min_rows]
    place = np.full(len(column.labels) + 1, -1, np.int32)  # the last is that of -1
    place[kept] = np.arange(len(kept))
    return Codes(place[column.codes], tuple(column.labels[code] for code in kept))


def _within(part: Slice, other: Slice) -> bool:
    return part.rows < other.rows and not (part.mask & ~other.mask).any()


class _Hunt:
    """The search, on the rows that no slice has been named for yet."""

    def __init__(
        self,
        columns: Mapping[str, Codes],
        losses: Floats,
        expected: Floats,
        limits: Floats,
        trust: Trust,
        times: Counts,
        min_rows: int,
        alpha: float,
        pairs: bool,
    ) -> None:
        self.columns, self.losses, self.expected = columns, losses, expected
        self.by, self.worth = 1 + trust.tolerance, 1 / (1 + len(losses) / trust.rows)
        self.min_rows, self.alpha = min_rows, alpha
        self.binary = bool(((losses == 0) | (losses == 1)).all())
        codes = [column.codes.astype(np.int64) + 1 for column in columns.values()]
        scale = by_label(expected, codes) if trust.noisy else expected
        least = _LEAST * float(expected.mean()) or 1.0
        self.score = losses if self.binary else scores(losses / np.maximum(scale, least))
        self.score_squares = self.score**2
        self.near, self.effects = Neighbours(times, trust.alike, self.score), dict[int, float]()
        squares = (losses - expected) ** 2
        measures = np.stack([np.ones(len(losses)), losses, expected, limits, squares, self.score, scale])
        self.tables = Tables(codes, [len(c.labels) + 1 for c in columns.values()], measures, pairs=pairs)
        tested = self.tables.candidates(min_rows)
        single = int((tested & ~self.tables.double).sum())
        double = int((tested & self.tables.double).sum())
        kinds = (single > 0) + (double > 0)
        self.tests = np.where(self.tables.double, kinds * double, kinds * single)
        self.tested = tested
        self.costs = (
            math.log(max(kinds * single, 1)),
            math.log(max(kinds * double, 1)),
        )  # of naming one with 1, 2 conditions
        self.without: tuple[int, ...] = ()  # columns that name nothing

    def slices(self, most: int) -> list[Slice]:
        """One after the other, each on the rows that those before it do not hold, and once more on those of all others."""
        found: list[Slice] = []
        while len(found) < most and (best := self.best(found)) is not None:
            found.append(best)
        # The first was the best one before the others were known: a range that holds most of two bad towns. Given the others,
        # it may be one of the towns, or nothing.
        for _ in range(_PASSES):
            before = [part.conditions for part in found]
            for conditions in before:
                at = next(i for i, part in enumerate(found) if part.conditions == conditions)
                best = self.best([*found[:at], *found[at + 1 :]])
                found[at : at + 1] = [] if best is None else [best]
            while len(found) < most and (best := self.best(found)) is not None:
                found.append(best)
            if [part.conditions for part in found] == before:
                break
        return found

    def fit(self, found: Sequence[Slice]) -> float:
        """Log-likelihood of one scale, or rate, per slice and one for the rest, less what the choice of the slices costs."""
        left = np.ones(len(self.losses), bool)
        total = 0.0
        for mask in (*(part.mask for part in found), left):
            group = mask & left
            amount, n = float(self.score[group].sum()), int(group.sum())
            if amount > 0:
                usual = float(self.expected[group].sum()) if self.binary else n
                total += amount * math.log(amount / usual) if self.binary else -n / 2 * math.log(amount / n)
            left = left & ~mask
        return total - sum(self.costs[len(part.conditions) - 1] for part in found)

    def best(self, others: Sequence[Slice]) -> Slice | None:
        """The slice that says most of the rows that no other one holds, and is sure and large enough."""
        tables = self.tables
        left = np.ones(len(self.losses), bool)
        for part in others:
            left &= ~part.mask
        tables.leave(left)
        allowed = self.tested & ~np.isin(tables.columns, self.without).any(axis=1)
        cells = np.flatnonzero(allowed & tables.candidates(self.min_rows))
        if not len(cells):
            return None
        # The cheap questions first: what is asked next is asked of those that are left.
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
            chosen = next((i for i, c in enumerate(cells) if self.says_it_simpler(int(c), int(cells[0]))), 0)
        return self.slice(int(cells[chosen]), float(p[chosen]))

    def effect_of(self, cell: int) -> float:
        """Design effect of all rows of a cell."""
        if cell not in self.effects:
            self.effects[cell] = self.near.effect(self.tables.mask(cell))
        return self.effects[cell]

    def p_values(self, sums: Floats, effects: Floats | float = 1.0) -> Floats:
        """Of the hypothesis that the losses are what is expected, times what they are for all rows that are left."""
        totals, worth = self.tables.totals, self.worth / effects
        if not self.binary:
            return larger(
                sums[_SCORE],
                sums[_ROWS],
                totals[_SCORE],
                float(self.score_squares[self.tables.left].sum()),
                round(totals[_ROWS]),
                self.by * self.beyond_scale(sums),
                worth,
            )
        level = self.by * (max(1.0, totals[_LOSS] / totals[_EXPECTED]) if totals[_EXPECTED] > 0 else 1.0)
        hits, rows = worth * sums[_LOSS], worth * sums[_ROWS]
        return more_often(hits, rows, level * sums[_EXPECTED] / sums[_ROWS])

    def beyond_scale(self, sums: Floats) -> Floats:
        """How much more is expected of cells than the scale by which their rows were ranked, at least 1.

        That scale has one factor per label: of working days at eight it knows the working days and the hour.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            more: Floats = np.maximum(np.nan_to_num(sums[_EXPECTED] / sums[_SCALE], nan=1.0, posinf=1.0), 1.0)
        return more

    def large(self, sums: Floats) -> npt.NDArray[np.bool_]:
        """Beyond the margin, also where all other rows are worse than expected."""
        others = np.maximum(self.tables.totals[:, None] - sums, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            level = np.nan_to_num(others[_LOSS] / others[_EXPECTED], nan=1.0, posinf=1.0)
        beyond: npt.NDArray[np.bool_] = sums[_LOSS] > np.maximum(level, 1.0) * sums[_LIMIT]
        return beyond

    def mean_is_above(self, sums: Floats, effects: Floats | float = 1.0) -> npt.NDArray[np.bool_]:
        if self.binary:
            return np.ones(sums.shape[1], bool)
        worth = 1 / effects
        p = mean_above_zero(worth * (sums[_LOSS] - sums[_EXPECTED]), worth * sums[_SQUARE], worth * sums[_ROWS])
        found: npt.NDArray[np.bool_] = p <= max(_MEAN_ABOVE, self.alpha)
        return found

    def gain(self, sums: Floats) -> Floats:
        totals = self.tables.totals
        if not self.binary:
            return gain_of_scale(
                sums[_SCORE] / self.beyond_scale(sums), sums[_ROWS], totals[_SCORE], round(totals[_ROWS])
            )
        usual = totals[_LOSS] * sums[_EXPECTED] / max(totals[_EXPECTED], math.ulp(0.0))
        return gain_of_rate(sums[_LOSS], usual, totals[_LOSS])

    def says_it_simpler(self, cell: int, pair: int) -> bool:
        """Whether one condition may stand for two: what it has more is no better, and what it lacks is nothing bad."""
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
        # The pair is the best of those that were looked at in this slice, and must differ by more than that.
        tests = 1 + int((self.tested & (self.tables.parents == cell).any(axis=1)).sum())
        inside, rest = self.score[both], self.score[extra]
        spread = np.concatenate([inside - inside.mean(), rest - rest.mean()]).std()
        error = spread * math.sqrt(1 / len(inside) + 1 / len(rest))
        z = (inside.mean() - rest.mean()) / error if error > 0 else math.inf
        return tests * math.erfc(z / math.sqrt(2)) / 2 > max(self.alpha, 1e-4)

    def bad(self, rows: npt.NDArray[np.bool_]) -> bool:
        """Whether these rows alone would be a slice, without correction."""
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
