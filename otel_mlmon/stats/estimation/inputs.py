"""Fields of rows as the numeric inputs of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from otel_mlmon.stats.estimation.held_out import Rows
from otel_mlmon.values import FieldCells, FieldReference, Floats
from otel_mlmon.wire.columns import number_text


def input_problem(
    fields: Mapping[str, FieldCells], references: Mapping[str, FieldReference], names: Sequence[str]
) -> str:
    """Say in a sentence why these fields cannot be the inputs; "" when they can.

    >>> input_problem({}, {}, ["rooms"])
    'rooms did not come'
    """
    absent = [name for name in names if name not in fields or name not in references]
    if absent:
        return f"{', '.join(absent)} did not come"
    text = [name for name in names if references[name].kind == "numeric" and fields[name].numbers is None]
    return f"{', '.join(text)} came as text, in the reference it was a number" if text else ""


def input_rows(
    fields: Mapping[str, FieldCells], references: Mapping[str, FieldReference], names: Sequence[str], rows: Rows
) -> Floats:
    """Return rows × `names`: numbers as they are, categories by their place in the reference's order of frequency.

    NaN stands for a missing, null or infinite value, one of another type, and a category unknown to the reference.

    >>> input_rows({}, {}, [], np.arange(3)).shape
    (3, 0)
    """
    columns = [_column(fields[name], references[name], rows) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))


def _column(cells: FieldCells, reference: FieldReference, rows: Rows) -> Floats:
    if reference.kind == "numeric":
        assert cells.numbers is not None
        numbers = cells.numbers[rows]
        return np.where(np.isfinite(numbers), numbers, np.nan)
    place = {name: float(index) for index, name in enumerate(reference.categories)}
    if cells.texts is not None:
        table = np.array([*(place.get(category, np.nan) for category in cells.texts.labels), np.nan])
        return np.asarray(table[cells.texts.codes[rows]], np.float64)
    assert cells.numbers is not None
    numbers = cells.numbers[rows]
    column = np.full(len(rows), np.nan)
    finite = np.isfinite(numbers)
    values, index = np.unique(numbers[finite], return_inverse=True)
    if len(values):
        places = np.array([place.get(number_text(value), np.nan) for value in values.tolist()])
        column[finite] = places[index.reshape(-1)]
    return column
