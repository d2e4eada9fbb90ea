"""Sums over predictions whose ground truth is known, for many groups of rows at once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.values import FieldCells, FieldReference, PerformanceCounts, Reference, RowBlock, Texts
from otel_mlmon.values.cells import named
from otel_mlmon.values.profiles import SUMS
from otel_mlmon.window.cells import Groups
from otel_mlmon.window.grouping import concat, groupings, keys
from otel_mlmon.wire.columns import number_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION

_COUNTED: Final = ("with_truth", "numeric", "relative_rows")
MAX_CLASSES: Final = 50  # more different whole numbers than this are amounts, not classes
A_CLASS: Final = 0.01  # share of rows from which a whole number may be a class


def outcome_tables(
    events: RowBlock,
    signs: npt.NDArray[np.int64],
    references: Mapping[str, Reference | None],
    reference_name: str,
    segments: Sequence[str],
    pane_ns: int,
) -> tuple[pa.Table, pa.Table]:
    """Return lines for the store, by version, segment, pane and time of knowledge: SUMS, and counts of (truth,
    prediction).

    Each of `events` is a prediction with a ground truth that counts (sign 1) or no longer counts (-1) from its time on.
    """
    sums: list[pa.Table] = []
    classes: list[pa.Table] = []
    known = (events.truth_times // pane_ns + 1) * pane_ns
    for code, version in enumerate(events.versions.labels):
        reference = references.get(version)
        prediction = None if reference is None else reference.fields.get(FIELD_PREDICTION)
        of_version = (events.versions.codes == code) & events.truth_known
        for grouping in groupings(events, version, of_version, segments, pane_ns):
            inside = grouping.groups >= 0
            moments, moment = np.unique(known[inside], return_inverse=True)
            lines, index = np.unique(
                grouping.groups[inside] * max(len(moments), 1) + moment.reshape(-1), return_inverse=True
            )
            of, moment = np.divmod(lines, max(len(moments), 1))
            groups = np.full(len(events), -1, dtype=np.int64)
            groups[inside] = index.reshape(-1)
            if len(lines):
                about = {
                    **keys(events.model, reference_name, version, [grouping.segments[g] for g in of.tolist()]),
                    "pane": pa.array(grouping.panes[of], pa.int64()),
                    "known": pa.array(moments[moment], pa.int64()),
                }
                counted = _sums(events, signs, groups, len(lines))
                sums.append(pa.table({**about, **{n: pa.array(counted[:, i]) for i, n in enumerate(SUMS)}}))
                classes.append(_classes(pa.table(about), events, signs, prediction, groups))
    return concat(sums), concat(classes)


def _sums(rows: RowBlock, signs: npt.NDArray[np.int64], groups: Groups, n_groups: int) -> npt.NDArray[np.float64]:
    """Groups × SUMS."""
    sums = np.zeros((n_groups, len(SUMS)))
    inside = groups >= 0
    sums[:, 0] = np.bincount(groups[inside], weights=signs[inside], minlength=n_groups)
    cells = rows.fields.get(FIELD_PREDICTION)
    if cells is None or cells.numbers is None:
        return sums
    both = inside & np.isfinite(cells.numbers) & np.isfinite(rows.truth_numbers)
    truth, of, sign = rows.truth_numbers[both], groups[both], signs[both]
    nonzero = truth != 0
    with np.errstate(over="ignore"):  # sums of huge numbers are infinite, and then so is the metric
        error = cells.numbers[both] - truth
        relative = np.zeros_like(error)
        np.divide(np.abs(error), np.abs(truth), out=relative, where=nonzero)
        columns = (
            *(np.ones_like(error), error, np.abs(error), error**2, error**4),
            *(truth, truth**2, np.abs(truth), relative, nonzero.astype(float)),
        )
        for index, values in enumerate(columns, start=1):
            sums[:, index] = np.bincount(of, weights=values * sign, minlength=n_groups)
    return sums


def _classes(
    about: pa.Table,
    rows: RowBlock,
    signs: npt.NDArray[np.int64],
    reference: FieldReference | None,
    groups: Groups,
) -> pa.Table:
    cells = rows.fields.get(FIELD_PREDICTION)
    if cells is None or not has_classes(reference, cells.numbers is None):
        return pa.table({})
    predicted = class_codes(cells)
    found = np.flatnonzero((groups >= 0) & (predicted.codes >= 0) & (rows.truth_texts.codes >= 0))
    n_truth, n_predicted = max(len(rows.truth_texts.labels), 1), max(len(predicted.labels), 1)
    cell = (groups[found] * n_truth + rows.truth_texts.codes[found]) * n_predicted + predicted.codes[found]
    keys_, index = np.unique(cell, return_inverse=True)
    counts = np.bincount(index.reshape(-1), weights=signs[found], minlength=len(keys_)).astype(np.int64)
    of, pair = np.divmod(keys_, n_truth * n_predicted)
    return (
        about.take(pa.array(of))
        .append_column("truth", pa.array([rows.truth_texts.labels[i] for i in pair // n_predicted], pa.string()))
        .append_column("prediction", pa.array([predicted.labels[i] for i in pair % n_predicted], pa.string()))
        .append_column("n", pa.array(counts))
    )


def class_codes(cells: FieldCells) -> Texts:
    """Return predictions as names of classes; whole numbers by the names that ground truth uses."""
    if cells.texts is not None:
        return cells.texts
    assert cells.numbers is not None
    return named(cells.numbers, np.isfinite(cells.numbers), number_text)


def has_classes(reference: FieldReference | None, textual: bool) -> bool:
    """Tell whether predictions are classes: text, booleans, or whole numbers of few values in the reference."""
    if reference is None or reference.kind == "categorical":
        return textual or reference is not None
    frequent = [share for share in reference.constants.values() if share >= A_CLASS]
    return reference.type == "int" and len(reference.edges) <= MAX_CLASSES + 1 and len(frequent) > 1


def performance_counts(
    predictions: int, sums: Mapping[str, float], confusion: Mapping[tuple[str, str], int]
) -> PerformanceCounts:
    """Make counts for rules from summed sums and class counts."""
    named = {name: round(sums[name]) if name in _COUNTED else float(sums[name]) for name in SUMS}
    return PerformanceCounts(predictions=predictions, confusion=dict(confusion), **named)  # type: ignore[arg-type]
