"""Rows as the matrix that a classifier takes: every input and output of the model, and the segment keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.checks.losses import Rows
from otel_mlmon.values import RowBlock, Texts
from otel_mlmon.wire.semconv import FIELD_PREDICTION

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

LABELS: Final = 200  # of a column that are told apart, the most frequent; the others are one
_LARGEST: Final = 1e300


@dataclass(frozen=True, slots=True)
class Matrix:
    """`values` is rows × names, NaN where there is none; `labels` of a categorical column name its codes, of others it is ()."""

    names: tuple[str, ...]
    values: Floats
    labels: tuple[tuple[str, ...], ...]


def matrix(block: RowBlock, rows: Rows) -> Matrix:
    """All fields of these rows but their ground truth, and the segment keys of the block."""
    names: list[str] = []
    columns: list[Floats] = []
    labels: list[tuple[str, ...]] = []
    for name, cells in block.fields.items():
        names.append("prediction" if name == FIELD_PREDICTION else name)
        if cells.numbers is not None:
            x = cells.numbers[rows]
            columns.append(np.clip(x, -_LARGEST, _LARGEST))
            labels.append(())
        else:
            assert cells.texts is not None
            codes, named = _coded(cells.texts, rows)
            columns.append(codes)
            labels.append(named)
    for key, texts in block.segments.items():
        if key not in block.fields:
            codes, named = _coded(texts, rows)
            names.append(key)
            columns.append(codes)
            labels.append(named)
    values = np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))
    return Matrix(tuple(names), values, tuple(labels))


def _coded(texts: Texts, rows: Rows) -> tuple[Floats, tuple[str, ...]]:
    codes = texts.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(texts.labels))
    kept = [code for code in np.argsort(-counts, kind="stable")[:LABELS].tolist() if counts[code]]
    table = np.full(len(texts.labels) + 1, float(len(kept)))
    table[kept] = np.arange(len(kept))
    table[-1] = np.nan
    more = int((counts > 0).sum()) > len(kept)
    named = tuple(texts.labels[code] for code in kept)
    return table[codes], (*named, "(others)") if more or not named else named
