"""Stored rows as outcomes: predictions with their ground truth, as numbers and as classes, for metrics that need each
row.

The reference and the checks measure with the same functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.metrics.outcomes import Codes, Outcomes
from otel_mlmon.values import FieldCells, RowBlock, Texts
from otel_mlmon.values.cells import named
from otel_mlmon.window.performance import MAX_CLASSES
from otel_mlmon.wire.columns import number_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION, score_field

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


def outcomes(block: RowBlock, rows: npt.NDArray[np.int64], *, query: str = "") -> Outcomes:
    """Select the `rows` whose ground truth is known. `query` is the field that groups rows of a ranking ("" for none).

    Predictions are classes where they are text or booleans. Whole numbers of few different values are classes too, in
    predictions and in ground truth.
    """
    rows = rows[block.truth_known[rows]]
    cells = block.fields.get(FIELD_PREDICTION)
    amounts = cells is not None and cells.numbers is not None and _amounts(block.truth_numbers[rows])
    predicted = None if cells is None or amounts else class_texts(cells, rows)
    truth = Texts(block.truth_texts.codes[rows], block.truth_texts.labels)
    classes: tuple[str, ...] = ()
    true_class = predicted_class = np.full(len(rows), -1, np.int32)
    scores = scores_of(block, rows)
    if predicted is not None or scores:
        found = [truth, *filter(None, [predicted])]
        names = {texts.labels[code] for texts in found for code in np.unique(texts.codes[texts.codes >= 0]).tolist()}
        classes = tuple(sorted(names | set(scores)))
        true_class = coded(truth, classes)
        if predicted is not None:
            predicted_class = coded(predicted, classes)
    return Outcomes(
        truth=block.truth_numbers[rows],
        prediction=np.full(len(rows), np.nan) if cells is None or cells.numbers is None else cells.numbers[rows],
        classes=classes,
        true_class=true_class,
        predicted_class=predicted_class,
        scores=scores,
        query=_groups(block, rows, query) if query else None,
    )


def class_texts(cells: FieldCells, rows: npt.NDArray[np.int64]) -> Texts | None:
    """Return the values in `rows` as names of classes; None where they are amounts."""
    if cells.texts is not None:
        return Texts(cells.texts.codes[rows], cells.texts.labels)
    assert cells.numbers is not None
    found = cells.numbers[rows]
    there = np.isfinite(found)
    return None if not there.any() or _amounts(found) else named(found, there, number_text)


def _amounts(numbers: Floats) -> bool:
    found = np.unique(numbers[np.isfinite(numbers)])
    return len(found) > MAX_CLASSES or bool((found % 1 != 0).any())


def scores_of(block: RowBlock, rows: npt.NDArray[np.int64]) -> dict[str, Floats]:
    """Return the model's scores by class."""
    prefix, _, suffix = score_field("\0").partition("\0")
    return {
        name[len(prefix) : -len(suffix)]: cells.numbers[rows]
        for name, cells in block.fields.items()
        if name.startswith(prefix) and name.endswith(suffix) and cells.numbers is not None
    }


def coded(texts: Texts, classes: tuple[str, ...]) -> Codes:
    """Return codes into `classes`, -1 for any other text."""
    place = {name: code for code, name in enumerate(classes)}
    table = np.array([*(place.get(label, -1) for label in texts.labels), -1], np.int32)
    found: Codes = table[texts.codes]
    return found


def _groups(block: RowBlock, rows: npt.NDArray[np.int64], query: str) -> Codes:
    cells = block.fields.get(query)
    if cells is None:
        return np.full(len(rows), -1, np.int32)
    if cells.texts is not None:
        return cells.texts.codes[rows]
    assert cells.numbers is not None
    found = cells.numbers[rows]
    there = ~np.isnan(found)
    codes = np.full(len(rows), -1, np.int32)
    codes[there] = np.unique(found[there], return_inverse=True)[1].reshape(-1)
    return codes
