"""Cells of one field, and their states. Frozen.

`State` is the only place that knows the letters in which the store writes this down.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Which = slice | npt.NDArray[np.int64]
ValueType = Literal["int", "float", "string", "bool"]


class State(IntEnum):
    """One cell's state, as the letter that the store writes."""

    INT = ord("i")
    FLOAT = ord("f")
    STRING = ord("s")
    BOOL = ord("b")
    NULL = ord("n")
    ABSENT = ord(".")
    OTHER = ord("o")  # a value that the stored column cannot hold
    LOST = ord("x")  # cut off by a size limit on the way


STATE_OF: Final[Mapping[ValueType, State]] = {
    "int": State.INT,
    "float": State.FLOAT,
    "string": State.STRING,
    "bool": State.BOOL,
}


@cache
def _states_of(types: tuple[ValueType, ...]) -> Mask:
    """Return for each of the 256 letters whether it is a state of one of these types: faster than np.isin on panes."""
    table = np.zeros(256, dtype=bool)
    table[[STATE_OF[type_] for type_ in types]] = True
    return table


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text, dictionary-encoded: `labels[codes[i]]`, -1 where there is none."""

    codes: npt.NDArray[np.int32]
    labels: list[str]

    def take(self, which: Which) -> Texts:
        """The texts of these rows."""
        return Texts(self.codes[which], self.labels)


def named(numbers: Floats, known: Mask, spell: Callable[[float], str]) -> Texts:
    """Return numbers as names of classes or segments. Spell each number once; rows that are not `known` get no name.

    >>> named(np.array([2.0, np.nan, 1.0, 2.0]), np.array([True, False, True, True]), "{:g}".format)
    Texts(codes=array([ 1, -1,  0,  1], dtype=int32), labels=['1', '2'])
    """
    values, codes_of_known = np.unique(numbers[known], return_inverse=True)
    codes = np.full(len(numbers), -1, np.int32)
    codes[known] = codes_of_known.reshape(-1)
    return Texts(codes, [spell(value) for value in values.tolist()])


@dataclass(frozen=True, slots=True)
class FieldCells:
    """Cells of one field as stored. `states` holds a `State` per row; masks have one truth value per row.

    Exactly one of `numbers` (NaN where there is none) and `texts` is set, by the stored column's type.
    `other_texts[i]` is the JSON text of the value in row `other_rows[i]`, which is of another type; rows ascend.
    """

    states: npt.NDArray[np.uint8]
    numbers: Floats | None
    texts: Texts | None
    other_rows: npt.NDArray[np.int64]
    other_texts: list[str]

    def __len__(self) -> int:
        return len(self.states)

    @classmethod
    def all_absent(cls, rows: int) -> FieldCells:
        """Cells of a field that none of the rows has."""
        states = np.full(rows, State.ABSENT, np.uint8)
        return cls(states, np.full(rows, np.nan), None, np.zeros(0, np.int64), [])

    @classmethod
    def of_column(cls, type_: ValueType, valid: Mask, numbers: Floats | None, texts: Texts | None) -> FieldCells:
        """Cells of one type, null where `valid` is false."""
        states = np.where(valid, STATE_OF[type_], State.NULL).astype(np.uint8)
        return cls(states, numbers, texts, np.zeros(0, np.int64), [])

    @property
    def absent(self) -> Mask:
        """Cells whose field was not sent."""
        return self._is(State.ABSENT)

    @property
    def null(self) -> Mask:
        """Cells that were sent as null."""
        return self._is(State.NULL)

    @property
    def lost(self) -> Mask:
        """Cells that a size limit cut off."""
        return self._is(State.LOST)

    @property
    def other(self) -> Mask:
        """Cells with a value that the stored column cannot hold."""
        return self._is(State.OTHER)

    @property
    def nan(self) -> Mask:
        """Cells with the number NaN."""
        own = np.zeros(len(self), dtype=bool) if self.numbers is None else np.isnan(self.numbers)
        return self._with_others(own & self._is(State.FLOAT), "NaN")

    @property
    def empty(self) -> Mask:
        """Cells with an empty text."""
        own = np.zeros(len(self), dtype=bool)
        if self.texts is not None and "" in self.texts.labels:
            own = self.texts.codes == self.texts.labels.index("")
        return self._with_others(own, '""')

    def unset(self) -> Mask:
        """Cells that are absent, null or NaN."""
        return self.absent | self.null | self.nan

    def missing(self) -> Mask:
        """Cells that are absent, null, NaN or an empty text, as `integrity: missing` counts them."""
        return self.unset() | self.empty

    def of_type(self, *types: ValueType) -> Mask:
        """Cells in the stored column with a value of one of these types, NaN included."""
        return _states_of(types)[self.states]

    def is_number(self) -> Mask:
        """Cells with a number, NaN, infinities and numbers that the stored column cannot hold included."""
        mask = self.of_type("int", "float")
        if self.other_texts:
            mask[self.other_rows[[text[:1] in "-0123456789NI" for text in self.other_texts]]] = True
        return mask

    def has_value(self) -> Mask:
        """Cells with a value of any type, NaN included."""
        return self.of_type(*STATE_OF) | self.other

    def value(self, row: int) -> Any:
        """One cell as a JSON value; None where it has none."""
        state = self.states[row]
        if state == State.OTHER:
            return json.loads(self.other_texts[int(np.searchsorted(self.other_rows, row))])
        if state in (State.INT, State.FLOAT):
            assert self.numbers is not None
            number = float(self.numbers[row])
            return int(number) if state == State.INT else number
        if state in (State.STRING, State.BOOL):
            assert self.texts is not None
            text = self.texts.labels[self.texts.codes[row]]
            return text if state == State.STRING else text == "true"
        return None

    def take(self, which: Which) -> FieldCells:
        """The cells of these rows, in their order; a row may occur several times."""
        other_rows, other_texts = self.other_rows, self.other_texts
        if len(other_rows):
            text_of = dict(zip(other_rows.tolist(), other_texts, strict=True))
            taken = np.arange(len(self))[which].tolist()
            others = [(place, text_of[row]) for place, row in enumerate(taken) if row in text_of]
            other_rows = np.array([place for place, _ in others], np.int64)
            other_texts = [text for _, text in others]
        return FieldCells(
            self.states[which],
            None if self.numbers is None else self.numbers[which],
            None if self.texts is None else self.texts.take(which),
            other_rows,
            other_texts,
        )

    def _is(self, state: State) -> Mask:
        mask: Mask = self.states == state
        return mask

    def _with_others(self, mask: Mask, json_text: str) -> Mask:
        if self.other_texts:
            mask[self.other_rows[[text == json_text for text in self.other_texts]]] = True
        return mask
