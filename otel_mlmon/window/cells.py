"""Counts of one field for many groups of rows at once. Pure.

Every row belongs to one group (a pane of one model version, whole or one segment) or to none; all groups are
counted in the same pass, so that ten thousand panes of one row cost no more than one pane of ten thousand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.values import FREQUENT_VALUES, FieldCells, FieldReference, Texts
from otel_mlmon.values.cells import STATE_OF
from otel_mlmon.window.formats import FORMATS, count_formats
from otel_mlmon.wire.columns import json_text, json_type, number_text

# The scalar counts of a profile, in the order in which they are stored.
COUNTS: Final = (
    *("absent", "null", "nan", "infinite", "empty", "lost"),
    *("int", "float", "string", "bool", "array", "map"),
    *FORMATS,
)
_AT: Final = {name: index for index, name in enumerate(COUNTS)}
_NO_VALUE: Final = ("null", "absent", "lost")  # names of counts and of masks
# Values that people write for "not known", kept at any count. Among many different values in a pane, one of them would
# otherwise get lost.
SENTINELS: Final = frozenset(
    (*(0.0, 1.0, -1.0), *(sign * float("9" * digits) for digits in range(2, 7) for sign in (1, -1)))
)

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
    top_values: Maps


def count_cells(cells: FieldCells, reference: FieldReference | None, groups: Groups, n_groups: int) -> FieldCounts:
    """Count one field's cells per group, on the bins or categories of its reference."""
    inside = groups >= 0
    counts = np.zeros((n_groups, len(COUNTS)), dtype=np.int64)
    for name in _NO_VALUE:
        counts[:, _AT[name]] = _count(groups, inside & getattr(cells, name), n_groups)
    for type_ in STATE_OF:
        counts[:, _AT[type_]] = _count(groups, inside & cells.of_type(type_), n_groups)
    numbers = _numbers(cells)
    for row, text in zip(cells.other_rows, cells.other_texts, strict=True):
        if groups[row] >= 0:
            counts[groups[row], _AT[json_type(text)]] += 1
    counts[:, _AT["nan"]] = _count(groups, inside & cells.nan, n_groups)
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
    texts, names = _texts(cells)
    counts[:, _AT["empty"]] = _count(groups, inside & cells.empty, n_groups)
    if reference is not None and reference.kind == "categorical":
        bins, new = _categories(texts, reference.categories, groups, n_groups)
    counts[:, len(COUNTS) - len(FORMATS) :] = count_formats(of, x, texts, groups, n_groups)
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
        _top_values(of, x, texts, names, groups, n_groups, reference.constants if reference else ()),
    )


def _bins(of: Groups, x: npt.NDArray[np.float64], edges: tuple[float, ...], n_groups: int) -> npt.NDArray[np.int64]:
    if not edges:
        return np.zeros((n_groups, 0), dtype=np.int64)
    width = len(edges) + 1
    flat = np.bincount(of * width + bin_index(x, edges), minlength=n_groups * width)
    return flat.reshape(n_groups, width).astype(np.int64)


def _numbers(cells: FieldCells) -> npt.NDArray[np.float64]:
    """Numbers wherever they are stored; NaN where there is none."""
    numbers = np.full(len(cells), np.nan) if cells.numbers is None else cells.numbers.copy()
    for row, text in zip(cells.other_rows, cells.other_texts, strict=True):
        if json_type(text) in ("int", "float"):
            numbers[row] = float(text)
    return numbers


def _texts(cells: FieldCells) -> tuple[Texts, list[str]]:
    """Return texts and truth values wherever they are stored, and the JSON text of each label.

    Counts then do not depend on the type that came first.
    """
    own = cells.texts or Texts(np.full(len(cells), -1, np.int32), [])
    names = list(own.labels) if cells.of_type("bool").any() else [json_text(label) for label in own.labels]
    labels, codes, place = list(own.labels), own.codes.copy(), {name: code for code, name in enumerate(names)}
    for row, text in zip(cells.other_rows, cells.other_texts, strict=True):
        kind = json_type(text)
        if kind in ("string", "bool"):
            codes[row] = place.setdefault(text, len(place))
            if len(place) > len(labels):
                labels.append(json.loads(text) if kind == "string" else text)
    return Texts(codes, labels), list(place)


def _count(groups: Groups, mask: npt.NDArray[np.bool_], n_groups: int) -> npt.NDArray[np.int64]:
    return np.bincount(groups[mask], minlength=n_groups).astype(np.int64)


def _categories(
    texts: Texts, categories: tuple[str, ...], groups: Groups, n_groups: int
) -> tuple[npt.NDArray[np.int64], Maps]:
    first: dict[str, int] = {}  # a text "true" and a truth value are one category
    same = np.array([first.setdefault(label, code) for code, label in enumerate(texts.labels)] + [-1], dtype=np.int64)
    texts = Texts(same[texts.codes].astype(np.int32), texts.labels)
    known = {name: index for index, name in enumerate(categories)}
    place = np.array([known.get(label, -1) for label in texts.labels] + [-1], dtype=np.int64)[texts.codes]
    present = (groups >= 0) & (texts.codes >= 0)
    old, width = present & (place >= 0), len(categories)
    flat = np.bincount(groups[old] * width + place[old], minlength=n_groups * width)
    fresh = present & (place < 0)
    none = np.zeros(len(texts.labels), dtype=bool)
    new = _top(groups[fresh], texts.codes[fresh], texts.labels.__getitem__, n_groups, none)
    return flat.reshape(n_groups, width).astype(np.int64), new


def _top_values(
    of: Groups,
    x: npt.NDArray[np.float64],
    texts: Texts,
    names: list[str],
    groups: Groups,
    n_groups: int,
    constants: Collection[str],
) -> Maps:
    """The most frequent single values of each group as JSON text, and always the reference's `constants`."""
    values, codes = np.unique(x, return_inverse=True)
    held = (groups >= 0) & (texts.codes >= 0)
    always = [*SENTINELS, *(float(text) for text in constants if json_type(text) in ("int", "float"))]
    first = np.concatenate([np.isin(values, always), np.array([name in constants for name in names], dtype=bool)])
    return _top(
        np.concatenate([of, groups[held]]),
        np.concatenate([codes.reshape(-1), texts.codes[held] + len(values)]),
        lambda code: number_text(values[code]) if code < len(values) else names[code - len(values)],
        n_groups,
        first,
    )


def _top(
    of: Groups, codes: npt.NDArray[Any], label: Callable[[int], str], n_groups: int, first: npt.NDArray[np.bool_]
) -> Maps:
    """Per group, the FREQUENT_VALUES most frequent codes and all that are marked in `first`; ties go to the smaller
    code.
    """
    width = max(len(first), 1)
    pairs, counts = np.unique(of.astype(np.int64) * width + codes, return_counts=True)
    group, code = np.divmod(pairs, width)
    marked = first[code] if len(first) else np.zeros(0, bool)
    order = np.lexsort((code, -counts, marked, group))
    group, code, counts, marked = group[order], code[order], counts[order], marked[order]
    starts = np.searchsorted(group, np.arange(n_groups))
    kept = (np.arange(len(group)) - starts[group] < FREQUENT_VALUES) | marked if len(group) else np.zeros(0, bool)
    group, code, counts = group[kept], code[kept], counts[kept]
    offsets = np.searchsorted(group, np.arange(n_groups + 1)).astype(np.int64)
    return offsets, [label(c) for c in code.tolist()], counts.astype(np.int64)
