"""Where the drift of a field is concentrated: slices with more of the values that have become more frequent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from otel_mlmon.checks.losses import Rows
from otel_mlmon.checks.slices import slice_columns, where
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.slices.search import search
from otel_mlmon.values import FieldCells, FieldReference, Reference, RowBlock

if TYPE_CHECKING:
    import numpy.typing as npt

_LEAST_PART: Final = 0.1  # of the divergence, for a cell to count as one with new values


def drifted(
    block: RowBlock,
    rows: Rows,
    reference: Reference,
    field: str,
    *,
    margin: float = 0.5,
    min_rows: int = 50,
    confidence: float = 0.99,
    most: int = 5,
) -> list[dict[str, Any]]:
    """Return slices by other features in which `field` has its new values more often than elsewhere.

    New values are those whose share has grown most (the largest terms of the Kullback-Leibler divergence from the
    reference). `value` is their share in the slice, `elsewhere` that in all other rows, `expected` that in the
    reference as a whole. Features that always went together with the field are named, too: a reference does not know of
    pairs.
    """
    known = reference.fields.get(field)
    cells = block.fields.get(field)
    if known is None or len(rows) < 2 * min_rows:
        return []
    gained, expected = _gained(cells, known, rows)
    if not gained.any() or gained.all():
        return []
    columns = slice_columns(block, rows, reference, without=(field,))
    hits, n = float(gained.sum()), len(rows)
    found = search(
        columns,
        gained.astype(np.float64),
        np.full(n, max(expected, 1 / n)),
        margin=margin,
        min_rows=min_rows,
        confidence=confidence,
        most=most,
    )
    return [
        {
            "where": where(part),
            "conditions": [list(condition) for condition in part.conditions],
            "rows": part.rows,
            "value": part.mean,
            "elsewhere": (hits - part.mean * part.rows) / (n - part.rows),
            "expected": expected,
            "p_value": part.p_value,
        }
        for part in found
    ]


def _gained(cells: FieldCells | None, known: FieldReference, rows: Rows) -> tuple[npt.NDArray[np.bool_], float]:
    """Which rows have a value whose share has grown, and the share of these values in the reference."""
    code, before = _cells(cells, known, rows)
    now = np.bincount(code, minlength=len(before)).astype(np.float64)
    share_before = (before + 0.5) / (before.sum() + 0.5 * len(before))
    share_now = (now + 0.5) / (now.sum() + 0.5 * len(now))
    terms = np.where(share_now > share_before, (share_now - share_before) * np.log(share_now / share_before), 0.0)
    gained = terms >= _LEAST_PART * terms.sum() if terms.sum() > 0 else np.zeros(len(terms), bool)
    return gained[code], float(before[gained].sum() / max(before.sum(), 1.0))


def _cells(
    cells: FieldCells | None, known: FieldReference, rows: Rows
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Code of each row and the reference's count by code: bins or categories, any other value, no value."""
    profile = known.profile
    counted = profile.bins if known.kind == "numeric" else profile.categories
    own = np.zeros(0) if counted is None else counted.astype(np.float64)
    nothing = profile.absent + profile.null + profile.nan
    before = np.array([*own, max(0.0, profile.rows - nothing - own.sum()), nothing])
    other, none = len(own), len(own) + 1
    code = np.full(len(rows), other, np.int64)
    if cells is None:
        return np.full(len(rows), none, np.int64), before
    code[cells.unset()[rows]] = none
    if cells.numbers is not None:
        x = cells.numbers[rows]
        finite = np.isfinite(x)
        if known.kind == "numeric" and known.edges and profile.bins is not None:
            code[finite] = bin_index(x[finite], known.edges)
    elif cells.texts is not None and known.kind == "categorical":
        place = {name: index for index, name in enumerate(known.categories)}
        table = np.array([*(place.get(label, other) for label in cells.texts.labels), other], np.int64)
        held = cells.texts.codes[rows] >= 0
        code[held] = table[cells.texts.codes[rows][held]]
    return code, before
