"""Predictions beside what their shadows say of the same inputs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.agreement import alike, differ
from otel_mlmon.values import FieldCells, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

_NOTHING: Final = [ord(letter) for letter in ".x"]  # absent, or cut off by a limit on the way
_NUMBER: Final = [ord(letter) for letter in "if"]
_TEXT: Final = ord("s")


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
        return value(self.block.fields[FIELD_PREDICTION], row), value(self.block.fields[FIELD_SHADOW], row)


def pairs(block: RowBlock, rows: npt.NDArray[np.int64], tolerance: float) -> Pairs:
    """Those of `rows` that have a prediction and a shadow."""
    predicted, shadow = block.fields.get(FIELD_PREDICTION), block.fields.get(FIELD_SHADOW)
    if predicted is None or shadow is None:
        none, no = np.zeros(0), np.zeros(0, bool)
        return Pairs(block, np.zeros(0, np.int64), no, no, none, none)
    rows = rows[~np.isin(predicted.states[rows], _NOTHING) & ~np.isin(shadow.states[rows], _NOTHING)]
    one, other = _numbers(predicted, rows), _numbers(shadow, rows)
    numeric = np.isin(predicted.states[rows], _NUMBER) & np.isin(shadow.states[rows], _NUMBER)
    apart = differ(one, other, tolerance) & numeric
    texts = (predicted.states[rows] == _TEXT) & (shadow.states[rows] == _TEXT)
    if texts.any():
        apart[texts] = _labels(predicted, rows[texts]) != _labels(shadow, rows[texts])
    for index in np.flatnonzero(~numeric & ~texts).tolist():
        row = int(rows[index])
        apart[index] = not alike(value(predicted, row), value(shadow, row), tolerance)
    return Pairs(block, rows, apart, numeric, one, other)


def value(cells: FieldCells, row: int) -> Any:
    """What a cell holds, as a value of JSON; None for null."""
    letter = chr(cells.states[row])
    if letter == "o":
        return json.loads(cells.other_texts[int(np.searchsorted(cells.other_rows, row))])
    if letter in "if":
        assert cells.numbers is not None
        number = float(cells.numbers[row])
        return int(number) if letter == "i" else number
    if letter in "sb":
        assert cells.texts is not None
        text = cells.texts.labels[cells.texts.codes[row]]
        return text if letter == "s" else text == "true"
    return None


def _numbers(cells: FieldCells, rows: npt.NDArray[np.int64]) -> Floats:
    if cells.numbers is None:
        return np.full(len(rows), np.nan)
    found: Floats = cells.numbers[rows]
    return found


def _labels(cells: FieldCells, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.object_]:
    assert cells.texts is not None
    found: npt.NDArray[np.object_] = np.array(cells.texts.labels, dtype=object)[cells.texts.codes[rows]]
    return found
