"""Create a reference from rows: types, bins, categories, frequent values, and the performance of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from otel_mlmon.reference.outcome_metrics import metric_values, outcome_effects
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.principal_components import fit_principal_components
from otel_mlmon.stats.inference.design_effect import design_effects, of_categories, of_numbers, of_tails
from otel_mlmon.values import (
    FREQUENT_VALUES,
    FieldCells,
    FieldProfile,
    FieldReference,
    PerformanceCounts,
    Reference,
    RowBlock,
    SegmentReference,
    Texts,
)
from otel_mlmon.values.estimators import PrincipalComponents
from otel_mlmon.window.measure import measure_pane, single_values
from otel_mlmon.window.sums import sum_profiles

# Quantiles for the bin edges of a numeric field: every 2.5 %, and finer in the tails, where faults of few rows show.
QUANTILES = (0, 0.001, 0.005, 0.01, *(i / 40 for i in range(1, 40)), 0.99, 0.995, 0.999, 1)
FEW_VALUES = 20  # a numeric field with at most this many different values gets a bin for each
CATEGORIES = 200  # categories kept by name; the others count as new, in the reference and in windows
_EMPTY = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, float("nan"), float("nan"))


def create_reference(
    rows: RowBlock, *, name: str, version: str, segments: Sequence[str], source: str, created: str
) -> Reference:
    """Measure `rows` and freeze the result as a reference. `segments` must be among the block's segment keys.

    Rows with times must be sorted by time. The similarity of neighbours (design effects) is then measured too.
    """
    in_order = len(rows) > 0 and bool((rows.times != rows.times[0]).any())
    rows = replace(rows, times=np.zeros(len(rows), np.int64))  # a single pane
    fields = {field: _expectation(field, cells) for field, cells in rows.fields.items()}
    bare = Reference(rows.model, name, version, created, source, len(rows), fields)
    profiles, performance = _measure(rows, bare, segments)
    whole = profiles.get("", {})
    frozen = {
        field: replace(
            expected,
            profile=_frozen(whole[field]),
            constants=_constants(whole[field]),
            design_effects=_design_effects(rows.fields[field]) if in_order else {},
        )
        for field, expected in fields.items()
    }
    if int(rows.truth_known.sum()):
        # A second pass: the constants of the first pass show whether predictions are classes.
        profiles, performance = _measure(rows, replace(bare, fields=frozen), segments)
    return replace(
        bare,
        fields=frozen,
        components=_components(rows),
        metric_values=metric_values(rows, np.arange(len(rows))),
        performance=_known(performance.get("", (0, PerformanceCounts()))[1]),
        outcome_effects=outcome_effects(rows, np.arange(len(rows))) if in_order else {},
        segments={
            segment: SegmentReference(
                performance[segment][0],
                {f: _frozen(profile, frozen[f].constants) for f, profile in profiles[segment].items()},
                _known(performance[segment][1]),
                metric_values(rows, _of_segment(rows, segment)),
                outcome_effects(rows, _of_segment(rows, segment)) if in_order else {},
            )
            for segment in sorted(profiles)
            if segment
        },
    )


def _design_effects(cells: FieldCells) -> dict[str, dict[int, float]]:
    """Measure the design effects of values, missing values, tails and frequent single values of a field."""
    measured = {"missing": design_effects(cells.missing()[:, None])}
    if cells.numbers is not None:
        measured["values"] = design_effects(of_numbers(cells.numbers))
        measured["tails"] = design_effects(of_tails(cells.numbers))
        finite = cells.numbers[np.isfinite(cells.numbers)]
        measured["single"] = design_effects(of_categories(np.unique(finite, return_inverse=True)[1].astype(np.int32)))
    elif cells.texts is not None:
        measured["values"] = measured["single"] = design_effects(of_categories(cells.texts.codes))
    return {of: effects for of, effects in measured.items() if any(size > 1 for size in effects.values())}


def _components(rows: RowBlock) -> PrincipalComponents | None:
    numeric = {n: c.numbers for n, c in rows.fields.items() if c.numbers is not None and output_name(n) is None}
    return (
        fit_principal_components(list(numeric), np.stack(list(numeric.values()), axis=1)) if len(numeric) > 1 else None
    )


def _of_segment(rows: RowBlock, segment: str) -> npt.NDArray[np.int64]:
    key, _, value = segment.partition("=")
    return np.flatnonzero(rows.segments[key].codes == rows.segments[key].labels.index(value))


def _known(counts: PerformanceCounts) -> PerformanceCounts | None:
    return counts if counts.with_truth else None


def _measure(
    rows: RowBlock, reference: Reference, segments: Sequence[str]
) -> tuple[dict[str, dict[str, FieldProfile]], dict[str, tuple[int, PerformanceCounts]]]:
    """Measure profiles and performance by segment, with the code that measures windows."""
    version = rows.versions.labels[0]
    fields, counted, performance = measure_pane(rows, {version: reference}, segments, 1)
    profiles = sum_profiles(fields, single_values(fields), {version: reference.fields})
    return (
        {segment: named for (_, segment), named in profiles.items()},
        {segment: (n, performance[key, segment]) for (key, segment), (n, _, _) in counted.items()},
    )


def _expectation(name: str, cells: FieldCells) -> FieldReference:
    if cells.numbers is not None:
        type_ = "int" if cells.of_type("int").any() and not cells.of_type("float").any() else "float"
        return FieldReference(name, type_, "numeric", _EMPTY, edges=bin_edges(cells.numbers))
    assert cells.texts is not None
    type_ = "bool" if cells.of_type("bool").any() else "string"
    return FieldReference(name, type_, "categorical", _EMPTY, categories=_categories(cells.texts))


def bin_edges(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, ...]:
    """Return the QUANTILES as edges, or a bin for each of a few values; () without a number."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ()
    distinct = np.unique(finite)
    if len(distinct) <= FEW_VALUES:
        return (*distinct.tolist(), float(distinct[-1]))  # the last bin holds the last value only
    edges = np.unique(np.quantile(finite, QUANTILES))
    return tuple(float(edge) for edge in edges)


def _categories(texts: Texts) -> tuple[str, ...]:
    counts = np.bincount(texts.codes[texts.codes >= 0], minlength=len(texts.labels))
    order = sorted(range(len(texts.labels)), key=lambda code: (-counts[code], texts.labels[code]))
    return tuple(texts.labels[code] for code in order[:CATEGORIES] if counts[code])


def _constants(profile: FieldProfile) -> dict[str, float]:
    rows = max(profile.rows, 1)
    top = sorted(profile.top_values.items(), key=lambda item: (-item[1], item[0]))[:FREQUENT_VALUES]
    return {value: n / rows for value, n in top if n > 1}


def _frozen(profile: FieldProfile, constants: Mapping[str, float] | None = None) -> FieldProfile:
    """Drop the single values of a profile except the constants."""
    return replace(profile, top_values={value: profile.top_values.get(value, 0) for value in constants or ()}, new={})
