"""Predictions beside what their shadows say of the same inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.agreement import alike, differ
from otel_mlmon.values import FieldCells, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows that have both, as indices of their block; where the two are apart; and both as numbers, NaN for what is none."""

    block: RowBlock
    rows: npt.NDArray[np.int64]
    apart: npt.NDArray[np.bool_]
    numeric: npt.NDArray[np.bool_]
    predictions: Floats
    shadows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, index: int) -> tuple[Any, Any]:
        """Prediction and shadow of one pair, as values of JSON."""
        row = int(self.rows[index])
        return self.block.fields[FIELD_PREDICTION].value(row), self.block.fields[FIELD_SHADOW].value(row)


def pairs(block: RowBlock, rows: npt.NDArray[np.int64], tolerance: float) -> Pairs:
    """Those of `rows` that have a prediction and a shadow."""
    predicted, shadow = block.fields.get(FIELD_PREDICTION), block.fields.get(FIELD_SHADOW)
    if predicted is None or shadow is None:
        none, no = np.zeros(0), np.zeros(0, bool)
        return Pairs(block, np.zeros(0, np.int64), no, no, none, none)
    rows = rows[~(predicted.absent | predicted.lost | shadow.absent | shadow.lost)[rows]]
    one, other = _numbers(predicted, rows), _numbers(shadow, rows)
    numeric = (predicted.of_type("int", "float") & shadow.of_type("int", "float"))[rows]
    apart = differ(one, other, tolerance) & numeric
    texts = (predicted.of_type("string") & shadow.of_type("string"))[rows]
    if texts.any():
        apart[texts] = _labels(predicted, rows[texts]) != _labels(shadow, rows[texts])
    for index in np.flatnonzero(~numeric & ~texts).tolist():
        row = int(rows[index])
        apart[index] = not alike(predicted.value(row), shadow.value(row), tolerance)
    return Pairs(block, rows, apart, numeric, one, other)


def _numbers(cells: FieldCells, rows: npt.NDArray[np.int64]) -> Floats:
    if cells.numbers is None:
        return np.full(len(rows), np.nan)
    found: Floats = cells.numbers[rows]
    return found


def _labels(cells: FieldCells, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    assert cells.texts is not None
    found: npt.NDArray[np.object_] = np.array(cells.texts.labels, dtype=object)[cells.texts.codes[rows]]
    return found
