"""Sums of every cell of every feature and pair of features; rows can be removed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Counts, Floats

PAIRED: Final = 24  # first columns that are searched in pairs; 276 pairs
PAIRED_LABELS: Final = 30  # first labels of a column that are searched in pairs


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns `places` have the cells `start` to `stop`, row by row of the first column's codes."""

    places: tuple[int, ...]
    start: int
    stop: int


class Tables:
    """`sums` is measures × cells. Code 0 of a column means none of its labels, and names no slice."""

    def __init__(self, codes: Sequence[npt.NDArray[np.int64]], widths: Sequence[int], measures: Floats) -> None:
        """Add up `measures` (measures × rows, the first all ones); `codes` of each column are 0 … width - 1."""
        self._codes, self._widths, self.measures = codes, widths, measures
        self._paired = [np.where(column <= PAIRED_LABELS, column, 0) for column in codes]
        self._tables: list[_Table] = []
        together: list[tuple[int, ...]] = [(place,) for place in range(len(codes))]
        together += combinations(range(min(len(codes), PAIRED)), 2)
        start = 0
        for places in together:
            stop = start + int(np.prod(self._shape(places)))
            self._tables.append(_Table(places, start, stop))
            start = stop
        self.left = np.ones(measures.shape[1], bool)
        self.totals: Floats = measures.sum(axis=1)
        self.sums = np.zeros((len(measures), start))
        self._add(np.arange(measures.shape[1]), 1.0)
        self.double = np.zeros(start, bool)  # cells of two conditions
        self.parents = np.full((start, 2), -1, np.int64)  # of a double cell, the cells of each condition alone
        self.columns = np.full((start, 2), -1, np.int64)  # of each condition of a cell
        self._named = np.zeros(start, bool)
        for table in self._tables:
            self._describe(table)

    def _shape(self, places: tuple[int, ...]) -> list[int]:
        widths = [self._widths[place] for place in places]
        return widths if len(places) == 1 else [min(width, PAIRED_LABELS + 1) for width in widths]

    def _describe(self, table: _Table) -> None:
        where = slice(table.start, table.stop)
        shape = self._shape(table.places)
        at = np.indices(shape).reshape(len(shape), -1)
        self._named[where] = (at > 0).all(axis=0)
        self.columns[where, : len(shape)] = table.places
        if len(shape) == 2:
            self.double[where] = True
            for side, place in enumerate(table.places):
                self.parents[where, side] = self._tables[place].start + at[side]

    def _add(self, rows: Counts, sign: float) -> None:
        every = len(rows) == self.measures.shape[1]
        weights = [measure if every else measure[rows] for measure in self.measures]
        alone, paired = ([c if every else c[rows] for c in codes] for codes in (self._codes, self._paired))
        for table in self._tables:
            first, *second = table.places
            key = alone[first]
            if second:
                key = paired[first] * self._shape(table.places)[1] + paired[second[0]]
            size = table.stop - table.start
            self.sums[0, table.start : table.stop] += sign * np.bincount(key, minlength=size)
            for line, weight in enumerate(weights[1:], start=1):
                self.sums[line, table.start : table.stop] += sign * np.bincount(key, weights=weight, minlength=size)

    def candidates(self, min_rows: int) -> npt.NDArray[np.bool_]:
        """Return the cells that are a slice: enough rows inside and outside, and fewer than either condition alone."""
        rows = self.sums[0]
        slices: npt.NDArray[np.bool_] = self._named & (rows >= min_rows) & (self.totals[0] - rows >= min_rows)
        pair = np.flatnonzero(slices & self.double)
        slices[pair] = (rows[self.parents[pair]] > rows[pair, None]).all(axis=1)
        return slices

    def places(self, cell: int) -> tuple[tuple[int, int], ...]:
        """Return (column, code) of each condition of a cell."""
        table = next(table for table in self._tables if table.start <= cell < table.stop)
        shape = self._shape(table.places)
        return tuple(zip(table.places, (int(i) for i in np.unravel_index(cell - table.start, shape)), strict=True))

    def mask(self, cell: int) -> npt.NDArray[np.bool_]:
        """Return all rows of a cell, removed ones too."""
        rows = np.ones(len(self.left), bool)
        for place, code in self.places(cell):
            rows &= self._codes[place] == code
        return rows

    def leave(self, mask: npt.NDArray[np.bool_]) -> None:
        """Count these rows from now on, and no others."""
        for rows, sign in ((np.flatnonzero(self.left & ~mask), -1.0), (np.flatnonzero(mask & ~self.left), 1.0)):
            if len(rows):
                self._add(rows, sign)
        self.left = mask.copy()
        self.totals = self.measures[:, mask].sum(axis=1)
