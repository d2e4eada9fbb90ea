"""Which predictions break what the reference knows of their inputs: what an integrity objective counts. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import FieldCells, FieldReference, Reference, RowBlock

RARE: Final = 0.01  # what less of the reference has than this is no part of normal
SLACK: Final = 0.25  # of the reference's range, by which a number may be outside of it: a new extreme alone is no fault
MOST_CATEGORIES: Final = 200  # as many as a reference keeps by name; of more, nothing can be told of a new one


def broken_rows(rows: RowBlock, reference: Reference | None) -> npt.NDArray[np.bool_]:
    """Rows with a feature that is missing, of another type, far out of range or of an unknown category, where the reference hardly
    ever has that. None of them without a reference.
    """
    broken = np.zeros(len(rows), dtype=bool)
    for name, expected in reference.fields.items() if reference else ():
        cells = rows.fields.get(name)
        if output_name(name) is None:
            broken |= np.full(len(rows), _never_missing(expected)) if cells is None else _broken(cells, expected)
    return broken & ~rows.lost  # of what was cut off on the way nothing is known


def _broken(cells: FieldCells, expected: FieldReference) -> npt.NDArray[np.bool_]:
    wrong = np.zeros(len(cells.states), dtype=bool)
    profile = expected.profile
    total = max(profile.values, 1)
    if _never_missing(expected):
        wrong |= np.isin(cells.states, [ord("n"), ord(".")])
        if cells.numbers is not None:
            wrong |= (cells.states == ord("f")) & np.isnan(cells.numbers)
    number_is_usual = (profile.types.get("int", 0) + profile.types.get("float", 0)) / total >= RARE
    for letters, usual in (
        ("if", number_is_usual),
        ("s", profile.types.get("string", 0) / total >= RARE),
        ("b", profile.types.get("bool", 0) / total >= RARE),
    ):
        if not usual:
            wrong |= np.isin(cells.states, [ord(letter) for letter in letters])
    if cells.other_rows.size:
        wrong[cells.other_rows] = True
    if expected.kind == "numeric" and expected.edges and cells.numbers is not None:
        slack = SLACK * (expected.edges[-1] - expected.edges[0])
        with np.errstate(invalid="ignore"):
            wrong |= (cells.numbers < expected.edges[0] - slack) | (cells.numbers > expected.edges[-1] + slack)
    if expected.kind == "categorical" and cells.texts is not None and len(expected.categories) < MOST_CATEGORIES:
        known = np.array([label in set(expected.categories) for label in cells.texts.labels] + [True], dtype=bool)
        wrong |= ~known[cells.texts.codes]
    return wrong


def _never_missing(expected: FieldReference) -> bool:
    profile = expected.profile
    return (profile.absent + profile.null + profile.nan) < RARE * max(profile.rows, 1)
