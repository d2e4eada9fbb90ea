"""Schema changes: features that came, went, changed their name or their place. One alert, however many they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from otel_mlmon.checks.case import FieldCase, judge, no_data
from otel_mlmon.checks.distribution import seen_once
from otel_mlmon.checks.model_case import ModelCase, too_few_predictions
from otel_mlmon.checks.rows import finite_numbers
from otel_mlmon.checks.transformation import explain
from otel_mlmon.rulefile import Schema, chosen
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.drift.ordered import kolmogorov_smirnov
from otel_mlmon.stats.inference.proportion import beyond_extremes, fisher_greater
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference

_GONE = 0.999  # share of rows without the field, from which it is removed
_USED = 0.5  # share of the reference's rows that have a field, from which its absence is news
_NEW = 0.005  # share of rows with a field that the reference does not know
_SURE = 1e-6
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


def schema_change(rule: Schema, case: ModelCase) -> CheckResult:
    """Number of features that are not where the reference has them."""
    if case.reference is None:
        return no_data("no_reference", "the model has no reference, which would say what its features are")
    if case.window is None or case.n < rule.min_rows:
        return too_few_predictions(case.n, rule.min_rows)
    changes = _changes(rule, case)
    fields = sorted({name for change in changes for name in change.fields})
    message = "; ".join(map(str, changes)) if changes else f"{len(case.reference.fields)} fields as in the reference"
    return judge(
        float(len(fields)),
        0.0,
        float("nan"),
        rows=case.n,
        reference_rows=case.reference.rows,
        message=message,
        finding=changes[0].kind if changes else "",
        evidence=lambda: {"fields": fields, "numbers": [[str(change), None, None] for change in changes]},
    )


def _changes(rule: Schema, case: ModelCase) -> list[_Change]:
    assert case.reference is not None and case.window is not None
    names = {n for n in {*case.reference.fields, *case.window.fields} if output_name(n) is None}
    cases = {n: case.field(n) for n in sorted(names) if not chosen(n, rule.ignore)}
    removed, partly = [], []
    for name, field in cases.items():
        if field.expected is not None and field.expected.rows and field.expected.absent / field.expected.rows < _USED:
            rows = field.profile.rows or case.n
            absent = field.profile.absent if field.profile.rows else case.n
            if absent >= _GONE * rows:
                removed.append(name)
            elif fisher_greater(absent, rows, field.expected.absent, field.expected.rows) < _SURE:
                partly.append((absent, name))
    added = [n for n, f in cases.items() if f.reference is None and f.profile.values >= max(_NEW * case.n, 1)]
    changes = []
    for name in [*removed, *(name for _, name in partly)]:
        match = next((new for new in added if _same(case, cases[name], new)), None)
        if match is not None:
            changes.append(_Change("renamed", (name, match)))
            added.remove(match)
            removed = [other for other in removed if other != name]
            partly = [(count, other) for count, other in partly if other != name]
    changes += _together(partly)
    changes += [_Change("removed", tuple(removed))] if removed else []
    changes += [_Change("added", tuple(added))] if added else []
    return [*_swapped(cases), *changes]


def _together(partly: list[tuple[int, str]]) -> list[_Change]:
    """Groups of fields that lost about the same number of rows."""
    groups: list[list[tuple[int, str]]] = []
    for count, name in sorted(partly):
        if groups and count <= groups[-1][0][0] * 1.1 + 2:
            groups[-1].append((count, name))
        else:
            groups.append([(count, name)])
    return [_Change("dropped_together", tuple(n for _, n in group)) for group in groups if len(group) >= _TOGETHER]


def _same(case: ModelCase, lost: FieldCase, new: str) -> bool:
    """Whether the values of a new field are distributed like those of a lost one."""
    assert lost.reference is not None and lost.expected is not None
    block, rows = case.block()
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
    return len(labels) >= 20 and sum(label in lost.reference.categories for label in labels) > (1 - _ALIKE) * len(
        labels
    )


def _swapped(cases: dict[str, FieldCase]) -> list[_Change]:
    """Pairs of which each has the other's values."""
    likeness = {name: other for name, case in cases.items() if (other := _looks_like(case, cases)) is not None}
    return [
        _Change("swapped", (a, b))
        for a, b in combinations(sorted(likeness), 2)
        if likeness[a] == b and likeness[b] == a
    ]


def _looks_like(case: FieldCase, cases: dict[str, FieldCase]) -> str | None:
    reference, expected, profile = case.reference, case.expected, case.profile
    if reference is None or expected is None:
        return None
    if reference.kind == "categorical":
        new, texts = sum(profile.new.values()), profile.types.get("string", 0)
        if not new or fisher_greater(new, max(texts, new), seen_once(expected), expected.rows) > _SURE:
            return None
        return _category_of(profile.new, reference, cases)
    if expected.bins is None or profile.bins is None or not profile.bins.sum() or not expected.bins.sum():
        return None
    if min(_beyond(expected, profile), kolmogorov_smirnov(expected.bins, profile.bins).p_value) > _SURE:
        return None  # as ever: what two fields have in common is no news
    found = explain(case)
    return found.other if found is not None and found.finding == "swap" else None


def _beyond(expected: FieldProfile, profile: FieldProfile) -> float:
    """How likely chance alone brings so many numbers beyond the reference's extremes."""
    if profile.bins is None or expected.numbers < 2:
        return 1.0
    return beyond_extremes(int(profile.bins[0] + profile.bins[-1]), int(profile.bins.sum()), expected.numbers)


def _category_of(new: object, reference: FieldReference, cases: dict[str, FieldCase]) -> str | None:
    names = set(new) if isinstance(new, dict) else set()
    if not names:
        return None
    for name, other in cases.items():
        known = other.reference.categories if other.reference and other.reference.kind == "categorical" else ()
        if name != reference.name and names <= set(known):
            return name
    return None
