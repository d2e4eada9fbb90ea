"""Sums over predictions whose ground truth is known, for many groups of rows at once. Pure."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.columns import number_text
from otel_mlmon.semconv import FIELD_PREDICTION
from otel_mlmon.values import FieldReference, PerformanceCounts, RowBlock
from otel_mlmon.window.cells import Groups, Maps

# The sums of a pane's totals, in the order in which they are stored; names as in PerformanceCounts.
SUMS: Final = (
    "with_truth", "numeric", "sum_error", "sum_abs_error", "sum_squared_error", "sum_fourth_error", "sum_truth",
    "sum_squared_truth", "sum_abs_truth", "sum_abs_relative_error", "relative_rows",
)  # fmt: skip
_COUNTED: Final = ("with_truth", "numeric", "relative_rows")
MAX_CLASSES: Final = 50  # more different whole numbers than this are amounts, not classes
A_CLASS: Final = 0.01  # share of rows from which a whole number may be a class


def count_performance(
    rows: RowBlock, reference: FieldReference | None, groups: Groups, n_groups: int
) -> tuple[npt.NDArray[np.float64], Maps]:
    """Sums (groups × SUMS) and confusion counts, keyed by JSON `[truth, prediction]`."""
    inside = (groups >= 0) & rows.truth_known
    sums = np.zeros((n_groups, len(SUMS)))
    sums[:, 0] = np.bincount(groups[inside], minlength=n_groups)
    empty: Maps = (np.zeros(n_groups + 1, np.int64), [], np.zeros(0, np.int64))
    cells = rows.fields.get(FIELD_PREDICTION)
    if cells is None:
        return sums, empty
    if cells.numbers is not None:
        both = inside & np.isfinite(cells.numbers) & np.isfinite(rows.truth_numbers)
        truth, of = rows.truth_numbers[both], groups[both]
        nonzero = truth != 0
        with np.errstate(over="ignore"):  # sums of huge numbers are infinite, and then so is the metric
            error = cells.numbers[both] - truth
            relative = np.zeros_like(error)
            np.divide(np.abs(error), np.abs(truth), out=relative, where=nonzero)
            columns = (
                np.ones_like(error), error, np.abs(error), error**2, error**4, truth, truth**2, np.abs(truth), relative,
                nonzero.astype(float),
            )  # fmt: skip
            for index, values in enumerate(columns, start=1):
                sums[:, index] = np.bincount(of, weights=values, minlength=n_groups)
    if not has_classes(reference, cells.numbers is None):
        return sums, empty
    if cells.texts is not None:
        named = [cells.texts.labels[c] if c >= 0 else None for c in cells.texts.codes]
    else:
        assert cells.numbers is not None
        named = [number_text(v) if np.isfinite(v) else None for v in cells.numbers.tolist()]
    return sums, _confusion(rows, named, inside, groups, n_groups)


def has_classes(reference: FieldReference | None, textual: bool) -> bool:
    """Whether predictions are classes: text or booleans, or whole numbers of few different values in the reference."""
    if reference is None or reference.kind == "categorical":
        return textual or reference is not None
    frequent = [share for share in reference.constants.values() if share >= A_CLASS]
    return reference.type == "int" and len(reference.edges) <= MAX_CLASSES + 1 and len(frequent) > 1


def _confusion(
    rows: RowBlock, named: list[str | None], inside: npt.NDArray[np.bool_], groups: Groups, n_groups: int
) -> Maps:
    counted: dict[tuple[int, str], int] = {}
    for row in np.flatnonzero(inside).tolist():
        prediction, code = named[row], rows.truth_texts.codes[row]
        if prediction is not None and code >= 0:
            key = (int(groups[row]), json.dumps([rows.truth_texts.labels[code], prediction]))
            counted[key] = counted.get(key, 0) + 1
    items = sorted(counted.items())
    offsets = np.searchsorted(np.array([g for (g, _), _ in items], dtype=np.int64), np.arange(n_groups + 1))
    return offsets.astype(np.int64), [k for (_, k), _ in items], np.array([n for _, n in items], dtype=np.int64)


def performance_counts(predictions: int, sums: npt.NDArray[np.float64], confusion: dict[str, int]) -> PerformanceCounts:
    """The value that rules judge, from summed sums and confusion counts."""
    named = {
        name: int(value) if name in _COUNTED else float(value) for name, value in zip(SUMS, sums.tolist(), strict=True)
    }
    pairs: dict[tuple[str, str], int] = {}
    for key, count in confusion.items():
        truth, prediction = json.loads(key)
        pairs[truth, prediction] = count
    return PerformanceCounts(predictions=predictions, confusion=pairs, **named)  # type: ignore[arg-type]
