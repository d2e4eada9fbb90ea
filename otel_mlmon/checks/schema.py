"""Schema changes: features that came, went, changed their name or their place. One alert, however many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from otel_mlmon.checks.context import (
    FieldView,
    Limit,
    ModelView,
    compare,
    finite_numbers,
    no_data,
    too_few_predictions,
)
from otel_mlmon.checks.drift import seen_once
from otel_mlmon.checks.transformation import explain
from otel_mlmon.rulefile import Schema, chosen
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.inference.proportion import beyond_extremes, fisher_greater
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference
from otel_mlmon.values.evidence import Line, SchemaEvidence

_GONE = 0.999  # share of rows without the field, from which it is removed
_USED = 0.5  # share of the reference's rows that have a field, from which its absence is news
_NEW = 0.005  # share of rows with a field that the reference does not know
_CHANGE_P_VALUE = 1e-6  # below which a field has changed
_ALIKE = 0.15  # Kolmogorov-Smirnov distance up to which a new field may be a lost one under another name
_TOGETHER = 3  # fields that lose the same number of rows are lost together


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    fields: tuple[str, ...]

    def __str__(self) -> str:
        if self.kind == "renamed":
            return f"{self.fields[0]} renamed to {self.fields[1]}"
        if self.kind == "swapped":
            return f"{self.fields[0]} and {self.fields[1]} swapped"
        return f"{', '.join(self.fields[:12])}{' …' if len(self.fields) > 12 else ''} {self.kind.replace('_', ' ')}"


def schema_change(rule: Schema, view: ModelView) -> CheckResult:
    """Number of features that are not where the reference has them."""
    if view.reference is None:
        return no_data("no_reference", "the model has no reference, which would say what its features are")
    if view.window is None or view.n < rule.min_rows:
        return too_few_predictions(view.n, rule.min_rows)
    changes = _changes(rule, view)
    fields = sorted({name for change in changes for name in change.fields})
    message = "; ".join(map(str, changes)) if changes else f"{len(view.reference.fields)} fields as in the reference"
    return compare(
        float(len(fields)),
        Limit(0.0),
        rows=view.n,
        reference_rows=view.reference.rows,
        message=message,
        finding=changes[0].kind if changes else "",
        evidence=lambda: SchemaEvidence(tuple(fields), tuple(Line(str(change), None, None) for change in changes)),
    )


def _changes(rule: Schema, view: ModelView) -> list[_Change]:
    assert view.reference is not None and view.window is not None
    names = {n for n in {*view.reference.fields, *view.window.fields} if output_name(n) is None}
    fields = {n: view.context.field(n, view.segment) for n in sorted(names) if not chosen(n, rule.ignore)}
    removed, dropped = _lost(view, fields)
    least = max(_NEW * view.n, 1)
    added = [name for name, field in fields.items() if field.reference is None and field.profile.values >= least]
    renamed = _renamed(view, [fields[name] for name in (*removed, *dropped)], added)
    removed = [name for name in removed if name not in renamed]
    added = [name for name in added if name not in renamed.values()]
    changes = [_Change("renamed", pair) for pair in renamed.items()]
    changes += _together([(count, name) for name, count in dropped.items() if name not in renamed])
    changes += [_Change("removed", tuple(removed))] if removed else []
    changes += [_Change("added", tuple(added))] if added else []
    return [*_swapped(fields), *changes]


def _lost(view: ModelView, fields: Mapping[str, FieldView]) -> tuple[list[str], dict[str, int]]:
    """Return the fields that are gone; and by field the number of rows without it, where that has risen."""
    removed, dropped = [], {}
    for name, field in fields.items():
        before = field.expected
        if before is None or not before.rows or before.absent / before.rows >= _USED:
            continue
        rows = field.profile.rows or view.n
        absent = field.profile.absent if field.profile.rows else view.n
        if absent >= _GONE * rows:
            removed.append(name)
        elif fisher_greater(absent, rows, before.absent, before.rows) < _CHANGE_P_VALUE:
            dropped[name] = absent
    return removed, dropped


def _renamed(view: ModelView, lost: Sequence[FieldView], added: Sequence[str]) -> dict[str, str]:
    """Return new names by old ones: the first new field with the values of a lost one; each new field once."""
    renamed: dict[str, str] = {}
    for field in lost:
        match = next((new for new in added if new not in renamed.values() and _same(view, field, new)), None)
        if match is not None:
            renamed[field.name] = match
    return renamed


def _together(partly: list[tuple[int, str]]) -> list[_Change]:
    """Groups of fields that lost about the same number of rows."""
    groups: list[list[tuple[int, str]]] = []
    for count, name in sorted(partly):
        if groups and count <= groups[-1][0][0] * 1.1 + 2:
            groups[-1].append((count, name))
        else:
            groups.append([(count, name)])
    return [_Change("dropped_together", tuple(n for _, n in group)) for group in groups if len(group) >= _TOGETHER]


def _same(view: ModelView, lost: FieldView, new: str) -> bool:
    """Whether the values of a new field are distributed like those of a lost one."""
    assert lost.reference is not None and lost.expected is not None
    block, rows = view.block()
    cells = block.fields.get(new) if block is not None else None
    if cells is None:
        return False
    if lost.reference.kind == "numeric":
        values = finite_numbers(cells, rows)
        if len(values) < 20 or lost.expected.bins is None or not lost.reference.edges:
            return False
        counts = np.bincount(bin_index(values, lost.reference.edges), minlength=len(lost.reference.edges) + 1)
        return kolmogorov_smirnov(lost.expected.bins, counts).value < _ALIKE
    if cells.texts is None:
        return False
    codes = cells.texts.codes[rows]
    labels = [cells.texts.labels[c] for c in codes[codes >= 0]]
    known = sum(label in lost.reference.categories for label in labels)
    return len(labels) >= 20 and known > (1 - _ALIKE) * len(labels)


def _swapped(fields: Mapping[str, FieldView]) -> list[_Change]:
    """Pairs of fields that have each other's values."""
    likeness = {name: _looks_like(field, fields) for name, field in sorted(fields.items())}
    return [_Change("swapped", (a, b)) for a, b in combinations(likeness, 2) if (likeness[a], likeness[b]) == (b, a)]


def _looks_like(field: FieldView, fields: Mapping[str, FieldView]) -> str | None:
    reference, expected, profile = field.reference, field.expected, field.profile
    if reference is None or expected is None:
        return None
    if reference.kind == "categorical":
        new, texts = sum(profile.new.values()), profile.types.get("string", 0)
        if not new or fisher_greater(new, max(texts, new), seen_once(expected), expected.rows) > _CHANGE_P_VALUE:
            return None
        return _category_of(profile.new, reference, fields)
    if expected.bins is None or profile.bins is None or not profile.bins.sum() or not expected.bins.sum():
        return None
    if min(_beyond(expected, profile), kolmogorov_smirnov(expected.bins, profile.bins).p_value) > _CHANGE_P_VALUE:
        return None  # unchanged: two fields may always have been alike
    explained = explain(field)
    return explained.other if explained is not None and explained.finding == "swap" else None


def _beyond(expected: FieldProfile, profile: FieldProfile) -> float:
    """How likely chance alone brings so many numbers beyond the reference's extremes."""
    if profile.bins is None or expected.numbers < 2:
        return 1.0
    return beyond_extremes(int(profile.bins[0] + profile.bins[-1]), int(profile.bins.sum()), expected.numbers)


def _category_of(new: Mapping[str, int], reference: FieldReference, fields: Mapping[str, FieldView]) -> str | None:
    """The other field whose categories include all new ones of this field."""
    others = {name: f.reference.categories for name, f in fields.items() if f.reference and name != reference.name}
    return next((name for name, categories in others.items() if set(new) <= set(categories)), None)
