"""Single values that have become frequent: a default that appears, vanishes or moves, and a field that is stuck."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from otel_mlmon.checks import evidence
from otel_mlmon.checks.context import FieldView, Limit, compare, no_data, not_in_reference, percent, too_few_values
from otel_mlmon.checks.drift import cells
from otel_mlmon.checks.integrity import SHARE_MARGIN
from otel_mlmon.checks.transformation import TRANSFORMED, WORTH_A_LOOK, Found, explain
from otel_mlmon.rulefile import DefaultValue, Stuck
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value
from otel_mlmon.stats.inference.proportion import fisher_greater
from otel_mlmon.values import FREQUENT_VALUES, CheckResult
from otel_mlmon.values.evidence import FieldEvidence, Line
from otel_mlmon.wire.columns import json_text, number_text

_STUCK: Final = 0.999
_REST_CHANGED: Final = 0.02  # p-value of all the other values, from which it is no single value that has changed
_REST_CHANGED_BY_A_NEW_ONE: Final = 1e-3  # of a value beyond all others: a distribution that has moved brings several
_REST_CHANGED_BY_A_FALL: Final = 0.05
_REST_CHANGED_FOR_A_NAME: Final = 0.2
_SURE_OF_ALL: Final = 1e-3  # p-value below which the change is certain, though no value stands alone
_CANDIDATES: Final = 3  # values that may be the one that stands alone
_SHOWN: Final = 8  # shares in the evidence
_WAS_THERE: Final = 0.01  # share of the reference's rows from which it is news that a value is gone
_SEVERAL: Final = 2  # times as many values must be in another unit, for a new value to be one of them
# Spellings of "not known"; any other new category is a new category.
_SPELLINGS: Final = (
    "|?|-|--|na|n/a|n.a.|nan|nil|none|null|unknown|undefined|missing|other|default|not available|not known"
    "|0|-1|99|999|9999"
)
_UNKNOWN: Final = frozenset(_SPELLINGS.split("|"))


@dataclass(frozen=True, slots=True)
class _Before:
    """Single values in the reference, as JSON text → rows. Any other has at most `others` rows."""

    counts: Mapping[str, int]
    rows: int
    others: int

    def of(self, value: str) -> int:
        return self.counts.get(value, self.others)


def _before(field: FieldView) -> _Before:
    reference, expected = field.reference, field.expected
    assert reference is not None and expected is not None
    if reference.kind == "categorical" and expected.categories is not None:
        names = [name if reference.type == "bool" else json_text(name) for name in reference.categories]
        return _Before(dict(zip(names, expected.categories.tolist(), strict=True)), expected.rows, 0)
    if reference.few_values and expected.bins is not None:
        names = [number_text(value) for value in reference.edges[:-1]]
        return _Before(dict(zip(names, expected.bins[1:-1].tolist(), strict=True)), expected.rows, 0)
    rows, shares = reference.profile.rows, reference.constants
    others = min(shares.values()) if len(shares) >= FREQUENT_VALUES else 1 / max(rows, 1)
    # A segment's own counts, where there are any; a value that is rare in the whole has no more rows in a part.
    counts = expected.top_values or {v: round(s * rows) for v, s in shares.items()}
    return _Before(counts, expected.rows if expected.top_values else rows, min(math.ceil(others * rows), expected.rows))


def _now(field: FieldView, value: str) -> int:
    """Rows of the window that have the value."""
    categories = field.profile.categories
    place = None if categories is None else _cell(field, value)
    if categories is not None and place is not None and place < len(categories):
        return int(categories[place])
    return field.profile.top_values.get(value, 0)


@dataclass(frozen=True, slots=True)
class _Changes:
    """Watched values as JSON text: rows now, and the change of their share with its p-value; surest first."""

    order: Sequence[str]
    now: Mapping[str, int]
    change: Mapping[str, float]
    p_values: Mapping[str, float]


def default_value(rule: DefaultValue, field: FieldView) -> CheckResult:
    """Largest change of any single value's share of the rows, the other values keeping their proportions."""
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    rows, before = field.profile.rows, _before(field)
    if rows < rule.min_rows:
        return too_few_values(rows, "rows", rule.min_rows)
    watched = _watched(rule, field, before)
    if not watched:
        return no_data("no_values", f"{field.name} has no value at all", rows=rows, reference_rows=before.rows)
    limit = SHARE_MARGIN if rule.above is None else rule.above
    changes = _changes(field, before, watched, limit)
    value = _single_value(field, before, changes)
    likeliest = changes.order[0]
    p_value = changes.p_values[likeliest if value is None else value]
    value = likeliest if value is None and p_value > _SURE_OF_ALL else value
    shown = value or likeliest
    message = (
        f"{field.name} is {evidence.shown(shown)} in {changes.now[shown] / rows:.1%} of the rows, "
        f"in the reference {before.counts.get(shown, 0) / max(before.rows, 1):.1%}"
    )
    size, finding = abs(changes.change[shown]), "default"
    if value is not None and value not in before.counts and size > limit and p_value < WORTH_A_LOOK:
        unit = _one_of_several(field, size)
        if unit is not None:
            finding, message = unit.finding, f"{message}; {unit.message}"
    if value is None:  # all shares have moved: that is drift, and for the drift rules to say
        size, p_value, message = 0.0, 1.0, f"{message}; so have the other values: no single value stands out"
    return compare(
        size,
        Limit(limit, rule.critical),
        p_value,
        rows=rows,
        reference_rows=before.rows,
        message=message,
        finding=finding,
        evidence=lambda: _details(field, before, changes),
    )


def _watched(rule: DefaultValue, field: FieldView, before: _Before) -> set[str]:
    """The values that the rule names, or all frequent ones; of names, the known ones and those for "not known"."""
    watched = {json_text(v) for v in rule.values} if rule.values else {*before.counts, *field.profile.top_values}
    if len(before.counts) == 2 and rule.values is None and before.others == 0:
        watched -= set(before.counts)  # of two values, one's share is the other's: that is the distribution
    return {v for v in watched if v in before.counts or not v.startswith('"') or _stands_for_unknown(v)}


def _changes(field: FieldView, before: _Before, watched: set[str], limit: float) -> _Changes:
    """How the share of each watched value has changed, and how certain that is.

    A change that is too small to matter is not tested, but counts as a test. The values that stand in for others most
    often share one half of the error between them, all others the other half (weighted Bonferroni: Genovese, Roeder and
    Wasserman, Biometrika 93, 2006).
    """
    rows = field.profile.rows
    now = {v: _now(field, v) for v in watched}
    most = {v: _at_most(field, before, v) for v in watched}
    change = {v: n / rows - most[v] / max(before.rows, 1) for v, n in now.items()}
    # Of a value that the reference does not list, only the most that it may have had is known: it can rise, not fall.
    change |= {v: max(c, 0.0) for v, c in change.items() if v not in before.counts}
    likely = watched & _likely(field, before)

    def p_value(v: str) -> float:
        tests = 2 * len(likely if v in likely else watched - likely)
        return min(1.0, tests * _p_value(field, now[v], most[v], rows, before.rows))

    p_values = {v: p_value(v) if abs(c) > limit else 1.0 for v, c in change.items()}
    return _Changes(sorted(watched, key=lambda v: (p_values[v], -abs(change[v]), v)), now, change, p_values)


def _single_value(field: FieldView, before: _Before, changes: _Changes) -> str | None:
    """The first of the most certain changes that stands alone; None where all values have moved."""
    gone = [
        v
        for v, n in before.counts.items()
        if n >= _WAS_THERE * before.rows and changes.now.get(v, n) * before.rows < n * field.profile.rows / 10
    ]
    for value in changes.order[:_CANDIDATES]:
        if not _shifted(field, gone, value) and _alone(field, before, {value, *gone[: len(gone) == 1]}, value):
            return value
    return None


def _one_of_several(field: FieldView, size: float) -> Found | None:
    """A new value may be one of several: those of values that are in another unit."""
    assert field.reference is not None
    found = explain(field) if field.reference.kind == "numeric" else None
    another_unit = found is not None and found.finding in TRANSFORMED and found.share > _SEVERAL * size
    return found if another_unit else None


def _details(field: FieldView, before: _Before, changes: _Changes) -> FieldEvidence:
    of_field, n, m = evidence.of_field(field), field.profile.rows, max(before.rows, 1)
    lines = (
        Line(f"share of {evidence.shown(v)}", before.counts.get(v, 0) / m, changes.now[v] / n)
        for v in changes.order[:_SHOWN]
    )
    return replace(of_field, numbers=(*lines, *of_field.numbers))


def _likely(field: FieldView, before: _Before) -> set[str]:
    """0, -1, and the reference's most frequent value and median: values that stand in for unknown ones."""
    reference = field.reference
    edges = reference.edges if reference and not reference.few_values else ()
    median = [number_text(edges[len(edges) // 2])] if edges else []
    return {"0", "-1", *sorted(before.counts, key=lambda v: -before.counts[v])[:1], *median}


def _at_most(field: FieldView, before: _Before, value: str) -> int:
    """Rows of the reference that may have had the value: no more than all of its bin."""
    place = _cell(field, value)
    if value in before.counts or place is None or field.reference is None or field.expected is None:
        return before.of(value)
    return min(before.others, int(cells(field.reference, field.expected)[place]))


def _stands_for_unknown(value: str) -> bool:
    return json.loads(value).strip().casefold() in _UNKNOWN


def _p_value(field: FieldView, now: int, before: int, rows: int, reference_rows: int) -> float:
    """Two-sided Fisher test of the effective numbers of rows."""
    effect = field.design_effect(rows, "single") if before else 1.0  # a value that was never there has no neighbours
    n, k, m, c = (round(count / effect) for count in (rows, now, reference_rows, before))
    return min(1.0, 2 * min(fisher_greater(k, n, c, m), fisher_greater(c, m, k, n)))


def _shifted(field: FieldView, left: Sequence[str], value: str) -> bool:
    """Whether the last of few values rose as the first vanished: all moved by one, up to the end of the scale."""
    edges = field.reference.edges if field.reference and field.reference.few_values else ()
    ends = [number_text(edge) for edge in (*edges[:1], *edges[-1:])]
    return len(left) == 1 and ends in ([left[0], value], [value, left[0]])


def _alone(field: FieldView, before: _Before, moved: set[str], value: str) -> bool:
    """Whether all values but `moved` kept their proportions: else all of the distribution has moved.

    A default that has become another one is two: the one that has gone, and the one that has come.
    """
    assert field.reference is not None and field.expected is not None
    then, seen = cells(field.reference, field.expected).copy(), cells(field.reference, field.profile).copy()
    for one in moved:
        place = _cell(field, one)
        if place is not None:
            then[place] = max(then[place] - before.counts.get(one, 0), 0)
            seen[place] = max(seen[place] - _now(field, one), 0)
    inside = (then + seen) > 0
    now, old = _now(field, value), before.counts.get(value, 0)
    if not then.any() or not seen.any() or inside.sum() < 2:
        return now > old or inside.sum() < 2  # with one other value alone, a rise is a default, a fall is its own
    # A value may have lost its rows to one other value: that is drift. It has gained rows from all alike.
    rose = now * field.expected.rows > old * field.profile.rows
    least = _REST_CHANGED if rose else _REST_CHANGED_BY_A_FALL
    place = _cell(field, value)
    if value not in before.counts and place is not None and not then[place]:
        least = _REST_CHANGED_BY_A_NEW_ONE
    if value.startswith('"') and not _stands_for_unknown(value):  # a name that means something
        least = _REST_CHANGED_FOR_A_NAME
    return bool(homogeneity_p_value(then[inside].astype(float), seen[inside].astype(float)) > least)


def _cell(field: FieldView, value: str) -> int | None:
    assert field.reference is not None
    reference = field.reference
    if reference.kind == "categorical":
        name = json.loads(value) if value.startswith('"') else value
        return reference.categories.index(name) if name in reference.categories else len(reference.categories)
    if value.startswith('"') or value in ("true", "false") or not reference.edges:
        return None
    return int(bin_index(np.array([float(value)]), reference.edges)[0])


def stuck(rule: Stuck, field: FieldView) -> CheckResult:
    """Share of the most frequent value: about 1 where a sensor, a join or a cache has stopped."""
    if field.reference is None or field.expected is None:
        return not_in_reference(field)
    values = field.profile.numbers + field.profile.types.get("string", 0) + field.profile.types.get("bool", 0)
    if values < rule.min_rows:
        return too_few_values(values, "values", rule.min_rows)
    top = max(field.profile.top_values, key=lambda v: field.profile.top_values[v], default="")
    count, then = field.profile.top_values.get(top, 0), _before(field)
    before = max((*then.counts.values(), then.others)) / max(then.rows, 1)
    if field.expected.minimum == field.expected.maximum:
        before = 1.0
    limit = (1 + before) / 2 if before >= _STUCK else _STUCK
    # That all independent rows have one value, when the most frequent one has that share.
    p_value = 1.0 if before >= 1 else before ** (values / field.design_effect(values))
    return compare(
        count / values,
        Limit(limit if rule.above is None else rule.above, rule.critical),
        p_value,
        rows=values,
        reference_rows=then.rows,
        finding="stuck",
        message=f"{percent(count, values)} of {values} values are {evidence.shown(top)}, "
        f"in the reference at most {before:.1%}",
        evidence=lambda: evidence.of_field(field),
    )
