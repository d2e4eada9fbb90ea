"""Rows as columns of labels that a slice can be named by: categories, ranges of numbers, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.rulefile import chosen
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.slices.search import Codes
from otel_mlmon.values import FieldCells, FieldReference, Reference, RowBlock, Texts
from otel_mlmon.wire.columns import number_text

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats

_RANGES: Final = 8  # of a number, each with about as many rows of the reference
_VALUES: Final = 30  # of a number that are labels of their own


def slice_columns(
    block: RowBlock,
    rows: npt.NDArray[np.int64],
    reference: Reference | None,
    features: Sequence[str] = ("*",),
    without: Collection[str] = (),
) -> dict[str, Codes]:
    """Columns of these rows by feature and segment key, those that the model uses most first.

    `features` are globs; `without` are names that are left out.
    """
    weight = reference.importances if reference else {}
    known = reference.fields if reference else {}

    def wanted(name: str) -> bool:
        return output_name(name) is None and name not in without and chosen(name, features)

    names = sorted(filter(wanted, block.fields), key=lambda name: (-weight.get(name, 0.0), name))
    found = {name: _of_cells(block.fields[name], rows, known.get(name)) for name in names}
    for key, texts in block.segments.items():
        if key not in found and key not in without and chosen(key, features):
            found[key] = _of_texts(texts, rows)
    return found


def _of_texts(texts: Texts, rows: npt.NDArray[np.int64]) -> Codes:
    return Codes(
        texts.codes[rows].astype(np.int32), tuple(f"= {label}" if label else "is empty" for label in texts.labels)
    )


def _of_cells(cells: FieldCells, rows: npt.NDArray[np.int64], reference: FieldReference | None) -> Codes:
    other = cells.other
    if cells.numbers is not None:
        values = _of_numbers(cells.numbers[rows], reference)
        other &= ~cells.is_number()  # an integer that is too large for the column is a number all the same
    else:
        assert cells.texts is not None
        values = _of_texts(cells.texts, rows)
    return _joined(values, cells.unset()[rows], other[rows])


def _joined(values: Codes, missing: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> Codes:
    codes, labels = values.codes.copy(), list(values.labels)
    for mask, label in ((missing, "is missing"), (other, "is of another type")):
        if mask.any():
            codes[mask] = len(labels)
            labels.append(label)
    return Codes(codes, tuple(labels))


def _of_numbers(x: Floats, reference: FieldReference | None) -> Codes:
    finite = np.isfinite(x)
    codes = np.full(len(x), -1, np.int32)
    values, found = np.unique(x[finite], return_inverse=True)
    few = len(values) <= _RANGES if reference is None or not reference.edges else _few_values(reference.edges)
    if few and len(values) <= _VALUES:
        codes[finite] = found.reshape(-1)
        return Codes(codes, tuple(f"= {number_text(value)}" for value in values.tolist()))
    edges = _edges(x[finite], reference)
    if len(edges) < 2:
        return Codes(codes, ())
    codes[finite] = bin_index(x[finite], edges)
    text = _texts_of(edges)
    between = [f"{low} to {high}" for low, high in zip(text[:-1], text[1:], strict=True)]
    return Codes(codes, (f"below {text[0]}", *between, f"above {text[-1]}"))


def _few_values(edges: Sequence[float]) -> bool:
    """A reference has one bin for each of few values, and the last edge twice, so that the last bin has just the last value."""
    return len(edges) > 1 and edges[-1] == edges[-2]


def _edges(x: Floats, reference: FieldReference | None) -> list[float]:
    """Ends of about `_RANGES` ranges of the reference's bins; without a reference, of the numbers' own quantiles."""
    wanted = np.arange(1, _RANGES) / _RANGES
    if reference is None or len(reference.edges) < 2 or reference.profile.bins is None:
        return [float(edge) for edge in np.unique(np.quantile(x, [0, *wanted, 1]))] if len(x) else []
    edges = np.array(reference.edges)
    share = np.cumsum(reference.profile.bins[:-1]) / max(int(reference.profile.bins.sum()), 1)  # below each edge
    inner = np.abs(share[None, :] - wanted[:, None]).argmin(axis=1)
    return [float(edge) for edge in np.unique([edges[0], *edges[inner], edges[-1]])]


def _texts_of(edges: Sequence[float]) -> list[str]:
    """As short as they can be told apart."""
    write: Callable[[int], list[str]] = lambda digits: [f"{edge:.{digits}g}" for edge in edges]  # noqa: E731
    return next((text for digits in range(3, 17) if len(set(text := write(digits))) == len(edges)), write(17))
