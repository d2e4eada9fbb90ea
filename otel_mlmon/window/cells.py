"""Counts of one field for many groups of rows at once. Pure.

Every row belongs to one group (a pane of one model version, whole or one segment) or to none; all groups are
counted in the same pass, so that ten thousand panes of one row cost no more than one pane of ten thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.columns import json_text, json_type
from otel_mlmon.values import FieldCells, FieldReference, Texts

# The scalar counts of a profile, in the order in which they are stored.
COUNTS: Final = (
    "absent", "null", "nan", "infinite", "empty", "lost", "int", "float", "string", "bool", "array", "map",
)  # fmt: skip
_AT: Final = {name: index for index, name in enumerate(COUNTS)}
_LETTER_COUNT: Final = {"n": "null", ".": "absent", "x": "lost", "i": "int", "f": "float", "s": "string", "b": "bool"}
HEAVY: Final = 32  # single values kept by name per pane and field

Groups = npt.NDArray[np.int64]  # group of each row, -1 for none
Maps = tuple[npt.NDArray[np.int64], list[str], npt.NDArray[np.int64]]  # offsets per group, keys, counts


@dataclass(frozen=True, slots=True)
class FieldCounts:
    """Counts of one field, one line per group. `bins` are reference bins or categories, or empty."""

    counts: npt.NDArray[np.int64]  # groups × COUNTS
    bins: npt.NDArray[np.int64]  # groups × bins
    total: npt.NDArray[np.float64]
    squares: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float64]  # NaN without a finite number
    maximum: npt.NDArray[np.float64]
    new: Maps
    heavy: Maps


def count_cells(cells: FieldCells, reference: FieldReference | None, groups: Groups, n_groups: int) -> FieldCounts:
    """Count one field's cells per group, on the bins or categories of its reference."""
    inside = groups >= 0
    counts = np.zeros((n_groups, len(COUNTS)), dtype=np.int64)
    for letter, name in _LETTER_COUNT.items():
        counts[:, _AT[name]] = _count(groups, inside & (cells.states == ord(letter)), n_groups)
    numbers = _numbers(cells)
    for row, text in zip(cells.other_rows, cells.other_texts, strict=True):
        if groups[row] >= 0:
            counts[groups[row], _AT[json_type(text)]] += 1
    held = inside & ((cells.states == ord("i")) | (cells.states == ord("f")))
    counts[:, _AT["nan"]] = _count(groups, held & np.isnan(numbers), n_groups)
    counts[:, _AT["infinite"]] = _count(groups, inside & np.isinf(numbers), n_groups)
    finite = np.flatnonzero(inside & np.isfinite(numbers))
    of, x = groups[finite], numbers[finite]
    minimum, maximum = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
    np.minimum.at(minimum, of, x)
    np.maximum.at(maximum, of, x)
    none = ~np.isfinite(minimum)
    minimum[none] = maximum[none] = np.nan
    new: Maps = (np.zeros(n_groups + 1, np.int64), [], np.zeros(0, np.int64))
    bins = np.zeros((n_groups, 0), dtype=np.int64)
    if reference is not None and reference.kind == "numeric":
        bins = _bins(of, x, reference.edges, n_groups)
    texts = cells.texts
    if texts is not None:
        counts[:, _AT["empty"]] = _count(groups, inside & _is_label(texts, ""), n_groups)
        if reference is not None and reference.kind == "categorical":
            bins, new = _categories(texts, reference.categories, groups, n_groups)
    elif reference is not None and reference.kind == "categorical":
        bins = np.zeros((n_groups, len(reference.categories)), dtype=np.int64)
    with np.errstate(over="ignore"):  # sums of huge numbers are infinite, and then so is the deviation
        total = np.bincount(of, weights=x, minlength=n_groups).astype(np.float64)
        squares = np.bincount(of, weights=x * x, minlength=n_groups).astype(np.float64)
    return FieldCounts(
        counts,
        bins,
        total,
        squares,
        minimum,
        maximum,
        new,
        _heavy(cells, of, x, groups, n_groups, reference.constants if reference else ()),
    )


def absent_cells(rows: int) -> FieldCells:
    """Cells of a field that none of the rows has."""
    return FieldCells(np.full(rows, ord("."), np.uint8), np.full(rows, np.nan), None, np.zeros(0, np.int64), [])


def bin_index(x: npt.NDArray[np.float64], edges: tuple[float, ...]) -> npt.NDArray[np.int64]:
    """Bin of each value: 0 below the first edge, i in [edges[i-1], edges[i]), the last bin closed, len(edges) above."""
    bounds = np.asarray(edges)
    index = np.searchsorted(bounds, x, side="right")
    index[x == bounds[-1]] = len(bounds) - 1
    return index.astype(np.int64)


def _bins(of: Groups, x: npt.NDArray[np.float64], edges: tuple[float, ...], n_groups: int) -> npt.NDArray[np.int64]:
    if not edges:
        return np.zeros((n_groups, 0), dtype=np.int64)
    width = len(edges) + 1
    flat = np.bincount(of * width + bin_index(x, edges), minlength=n_groups * width)
    return flat.reshape(n_groups, width).astype(np.int64)


def _numbers(cells: FieldCells) -> npt.NDArray[np.float64]:
    numbers = cells.numbers if cells.numbers is not None else np.full(len(cells.states), np.nan)
    big = [
        (row, float(text))
        for row, text in zip(cells.other_rows, cells.other_texts, strict=True)
        if json_type(text) in ("int", "float")
    ]
    if big:
        numbers = numbers.copy()
        for row, number in big:
            numbers[row] = number
    return numbers


def _count(groups: Groups, mask: npt.NDArray[np.bool_], n_groups: int) -> npt.NDArray[np.int64]:
    return np.bincount(groups[mask], minlength=n_groups).astype(np.int64)


def _is_label(texts: Texts, label: str) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = texts.codes == (texts.labels.index(label) if label in texts.labels else -2)
    return found


def _categories(
    texts: Texts, categories: tuple[str, ...], groups: Groups, n_groups: int
) -> tuple[npt.NDArray[np.int64], Maps]:
    known = {name: index for index, name in enumerate(categories)}
    place = np.array([known.get(label, -1) for label in texts.labels] + [-1], dtype=np.int64)[texts.codes]
    present = (groups >= 0) & (texts.codes >= 0)
    old, width = present & (place >= 0), len(categories)
    flat = np.bincount(groups[old] * width + place[old], minlength=n_groups * width)
    fresh = present & (place < 0)
    none = np.zeros(len(texts.labels), dtype=bool)
    new = _top(groups[fresh], texts.codes[fresh], texts.labels.__getitem__, n_groups, none)
    return flat.reshape(n_groups, width).astype(np.int64), new


def _heavy(
    cells: FieldCells,
    of: Groups,
    x: npt.NDArray[np.float64],
    groups: Groups,
    n_groups: int,
    constants: Collection[str],
) -> Maps:
    """The most frequent single values of each group, as JSON text, and in any case the reference's `constants`."""
    if cells.texts is None:
        values, codes = np.unique(x, return_inverse=True)
        first = np.isin(values, [float(text) for text in constants if json_type(text) in ("int", "float")])
        return _top(of, codes.reshape(-1), lambda code: number_text(float(values[code])), n_groups, first)
    held = (groups >= 0) & (cells.texts.codes >= 0)
    labels = cells.texts.labels if (cells.states == ord("b")).any() else [json_text(t) for t in cells.texts.labels]
    first = np.array([label in constants for label in labels], dtype=bool)
    return _top(groups[held], cells.texts.codes[held], labels.__getitem__, n_groups, first)


def number_text(value: float) -> str:
    """JSON text of a number; 0, 0.0 and -0.0 are one value."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _top(
    of: Groups, codes: npt.NDArray[Any], label: Callable[[int], str], n_groups: int, first: npt.NDArray[np.bool_]
) -> Maps:
    """Per group, the HEAVY most frequent codes, and all of those marked in `first`; ties go to the smaller code."""
    width = max(len(first), 1)
    pairs, counts = np.unique(of.astype(np.int64) * width + codes, return_counts=True)
    group, code = np.divmod(pairs, width)
    marked = first[code] if len(first) else np.zeros(0, bool)
    order = np.lexsort((code, -counts, ~marked, group))
    group, code, counts, marked = group[order], code[order], counts[order], marked[order]
    starts = np.searchsorted(group, np.arange(n_groups))
    kept = (np.arange(len(group)) - starts[group] < HEAVY) | marked if len(group) else np.zeros(0, bool)
    group, code, counts = group[kept], code[kept], counts[kept]
    offsets = np.searchsorted(group, np.arange(n_groups + 1)).astype(np.int64)
    return offsets, [label(c) for c in code.tolist()], counts.astype(np.int64)
