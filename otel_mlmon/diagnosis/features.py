"""Features by their drift times their importance for the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from otel_mlmon.checks.context import expected_profile
from otel_mlmon.diagnosis.losses import absolute_errors
from otel_mlmon.diagnosis.subject import Rows, WindowSample
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.distribution import Distribution, bin_index, coarse
from otel_mlmon.stats.drift.methods import DRIFT_METHODS
from otel_mlmon.stats.inference.summary import mean, standard_deviation
from otel_mlmon.values import FieldCells, FieldProfile, FieldReference, Reference
from otel_mlmon.values.explanation import FeatureDrift, Features

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats

MOST: Final = 12
_LEAST_ERRORS: Final = 30  # with known error, before a correlation means anything
_NOTES: Final = {
    "reference": "weighted by how much the model uses each feature: the importances of the reference",
    "error": "weighted by the correlation of the model's error with each feature in this window (correlation ratio), "
    "since the reference has no importances",
    "none": "not weighted: the reference has no importances, and too few errors are known to estimate them",
}
Weights = Literal["reference", "error", "none"]


def features(sample: WindowSample, reference: Reference, segment: str) -> Features:
    """Rank the reference's features by Jensen-Shannon distance × importance.

    The distance is over the reference's bins and one more for missing values. It is the distance of `stats.drift`,
    minus its expectation under no drift.
    """
    names = [name for name in reference.fields if output_name(name) is None]
    kind, weight = _weights(sample, reference, names)
    ranking = [
        drift
        for name in names
        if (drift := _drift(sample, reference, segment, name, weight.get(name, 0.0))) is not None
    ]
    ranking.sort(key=lambda drift: (-drift.score, -drift.distance, drift.feature))
    return Features(kind, _NOTES[kind], len(sample.rows), tuple(ranking[:MOST]))


def _weights(sample: WindowSample, reference: Reference, names: list[str]) -> tuple[Weights, Mapping[str, float]]:
    known = {name: max(reference.importances.get(name, 0.0), 0.0) for name in names}
    if any(known.values()):
        most = max(known.values())
        return "reference", {name: value / most for name, value in known.items()}
    errors = absolute_errors(sample.block, sample.known)
    finite = np.isfinite(errors)
    if finite.sum() < _LEAST_ERRORS or not errors[finite].std() > 0:
        return "none", dict.fromkeys(names, 1.0)
    rows, errors = sample.known[finite], errors[finite]
    return "error", {
        name: _ratio(_index(sample.block.fields.get(name), reference.fields[name], rows), errors) for name in names
    }


def _ratio(index: Rows | None, errors: Floats) -> float:
    """Return the correlation ratio (eta), 0 to 1, corrected for chance: Kelley's epsilon."""
    if index is None:
        return 0.0
    n = np.bincount(index)
    used = n > 0
    means = np.bincount(index, weights=errors)[used] / n[used]
    between = float((n[used] * (means - errors.mean()) ** 2).sum())
    total = float(((errors - errors.mean()) ** 2).sum())
    df = len(errors) - int(used.sum())
    if df <= 0 or not total > 0:
        return 0.0
    explained = 1 - (total - between) / df * (len(errors) - 1) / total
    return float(np.sqrt(max(explained, 0.0)))


def _drift(sample: WindowSample, reference: Reference, segment: str, name: str, weight: float) -> FeatureDrift | None:
    field, expected = reference.fields[name], expected_profile(reference, segment, name)
    index = _index(sample.block.fields.get(name), field, sample.rows)
    if expected is None or index is None:
        return None
    then = expected_cells(field, expected)
    now = np.bincount(index, minlength=len(then)).astype(np.int64)
    if not then.sum() or not now.sum():
        return None
    merged = _merged(field, then)
    distance = DRIFT_METHODS["jensen_shannon"](Distribution(merged(then)), Distribution(merged(now))).value
    cells = sample.block.fields.get(name)
    return FeatureDrift(
        name, distance, weight, distance * weight, _change(field, expected, cells, sample.rows, then, now)
    )


def surprise(cells: FieldCells | None, field: FieldReference, rows: Rows) -> Floats:
    """Return by row how many times more frequent its value has become."""
    index = _index(cells, field, rows)
    if index is None:
        return np.ones(len(rows))
    then = expected_cells(field, field.profile)
    now = np.bincount(index, minlength=len(then))
    growth: Floats = ((now + 0.5) / (now.sum() + 0.5) / ((then + 0.5) / (then.sum() + 0.5)))[index]
    return growth


def expected_cells(field: FieldReference, profile: FieldProfile) -> Counts:
    """Return counts per bin, or per category and of all other categories; then of missing values."""
    missing = profile.absent + profile.null + profile.nan
    if field.kind == "numeric":
        bins = np.zeros(len(field.edges) + 1, np.int64) if profile.bins is None else profile.bins
        return np.append(bins, missing)
    known = np.zeros(len(field.categories), np.int64) if profile.categories is None else profile.categories
    texts = profile.types.get("string", 0) + profile.types.get("bool", 0)
    return np.concatenate([known, [max(texts - int(known.sum()), 0), missing]]).astype(np.int64)


def _index(cells: FieldCells | None, field: FieldReference, rows: Rows) -> Rows | None:
    """Return the place of each row in `expected_cells`; None if the field has no bins."""
    if field.kind == "numeric" and not field.edges:
        return None
    size = len(field.edges) + 2 if field.kind == "numeric" else len(field.categories) + 2
    index = np.full(len(rows), size - 1, np.int64)
    if cells is None:
        return index
    if field.kind == "numeric" and cells.numbers is not None:
        x = cells.numbers[rows]
        finite = np.isfinite(x)
        index[finite] = bin_index(x[finite], field.edges)
    elif field.kind == "categorical" and cells.texts is not None:
        place = {label: code for code, label in enumerate(field.categories)}
        table = np.array([*(place.get(label, size - 2) for label in cells.texts.labels), size - 1], np.int64)
        index = table[cells.texts.codes[rows]]
    return index


def _merged(field: FieldReference, then: Counts) -> Callable[[Counts], Counts]:
    """Return a function that joins bins to about ten, as the drift method does; categories are not joined."""
    if field.kind != "numeric" or len(then) < 4:
        return lambda counts: counts
    joined = coarse(then[:-1])
    index = np.append(joined, joined.max() + 1)
    return lambda counts: np.bincount(index, weights=counts).astype(np.int64)


def _change(
    field: FieldReference, expected: FieldProfile, cells: FieldCells | None, rows: Rows, then: Counts, now: Counts
) -> str:
    """Describe the largest change: the mean of numbers, the share of a category, or the share of missing values."""
    before, after = then / then.sum(), now / now.sum()
    missing = f"missing {before[-1]:.1%} → {after[-1]:.1%}"
    if field.kind == "categorical":
        most = int(np.abs(after - before).argmax())
        if most == len(then) - 1:
            return missing
        label = "others" if most == len(then) - 2 else field.categories[most]
        return f"{label} {before[most]:.1%} → {after[most]:.1%}"
    if abs(after[-1] - before[-1]) > 0.05 or cells is None or cells.numbers is None:
        return missing
    x = cells.numbers[rows]
    x = x[np.isfinite(x)]
    centre = mean(expected.sum, expected.numbers)
    spread = standard_deviation(expected.sum, expected.sum_squares, expected.numbers)
    if not len(x) or centre != centre:
        return missing
    if abs(x.mean() - centre) < 0.1 * spread and spread > 0:
        return f"standard deviation {_both(spread, float(x.std()))}"
    return f"mean {_both(centre, float(x.mean()))}"


def _both(before: float, after: float) -> str:
    """Write two numbers with enough digits to tell them apart."""
    digits = next((n for n in range(4, 9) if f"{before:.{n}g}" != f"{after:.{n}g}"), 4)
    return f"{before:.{digits}g} → {after:.{digits}g}"
