"""Predictions with broken inputs, as integrity objectives count them. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import FieldCells, FieldProfile, FieldReference, Reference, RowBlock
from otel_mlmon.values.cells import ValueType

RARE: Final = 0.01  # a lower share of the reference is not normal
SLACK: Final = 0.25  # of the reference's range, beyond its ends: a new extreme alone is no fault
MOST_CATEGORIES: Final = 200  # a reference keeps no more by name, so that a new one is not known to be new
_ALIKE: Final[tuple[tuple[ValueType, ...], ...]] = (("int", "float"), ("string",), ("bool",))


def broken_rows(rows: RowBlock, reference: Reference | None) -> npt.NDArray[np.bool_]:
    """Mark rows with a feature that is missing, of another type, far out of range or of an unknown category.

    A fault counts only where the reference hardly ever has it. Without a reference, no row is broken.
    """
    broken = np.zeros(len(rows), dtype=bool)
    for name, expected in reference.fields.items() if reference else ():
        cells = rows.fields.get(name)
        if output_name(name) is None:
            broken |= (
                np.full(len(rows), _is_rare(expected.profile.unset, expected.profile))
                if cells is None
                else _broken(cells, expected)
            )
    return broken & ~rows.lost  # a row that was cut off may have been whole


def _broken(cells: FieldCells, expected: FieldReference) -> npt.NDArray[np.bool_]:
    wrong = cells.other
    profile = expected.profile
    # Each on its own: a reference with empty texts says nothing about nulls.
    if _is_rare(profile.unset, profile):
        wrong |= cells.unset()
    if _is_rare(profile.empty, profile):
        wrong |= cells.empty
    for types in _ALIKE:
        if sum(profile.types.get(type_, 0) for type_ in types) < RARE * max(profile.values, 1):
            wrong |= cells.of_type(*types)
    if expected.kind == "numeric" and expected.edges and cells.numbers is not None:
        slack = SLACK * (expected.edges[-1] - expected.edges[0])
        with np.errstate(invalid="ignore"):
            wrong |= (cells.numbers < expected.edges[0] - slack) | (cells.numbers > expected.edges[-1] + slack)
    if expected.kind == "categorical" and cells.texts is not None and len(expected.categories) < MOST_CATEGORIES:
        known = np.array([label in set(expected.categories) for label in cells.texts.labels] + [True], dtype=bool)
        wrong |= ~known[cells.texts.codes]
    return wrong


def _is_rare(count: int, profile: FieldProfile) -> bool:
    return count < RARE * max(profile.rows, 1)
