"""Editable copies of the cells of a field."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import FieldCells, State, Texts
from otel_mlmon.values.cells import STATE_OF


@dataclass(slots=True)
class Editable:
    """A copy of a field's cells as arrays that may be changed; `freeze` makes them a value again."""

    states: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.float64] | None
    codes: npt.NDArray[np.int32]
    labels: list[str] = field(default_factory=list)
    others: dict[int, str] = field(default_factory=dict)  # row → JSON text

    @classmethod
    def of(cls, cells: FieldCells) -> Editable:
        """Copy the cells."""
        texts = cells.texts or Texts(np.zeros(0, np.int32), [])
        return cls(
            cells.states.copy(),
            None if cells.numbers is None else cells.numbers.copy(),
            texts.codes.copy(),
            list(texts.labels),
            dict(zip(cells.other_rows.tolist(), cells.other_texts, strict=True)),
        )

    def freeze(self) -> FieldCells:
        """Return the cells as a frozen value."""
        rows = sorted(self.others)
        return FieldCells(
            self.states,
            self.numbers,
            None if self.numbers is not None else Texts(self.codes, self.labels),
            np.array(rows, np.int64),
            [self.others[row] for row in rows],
        )

    def empty(self, rows: npt.NDArray[np.int64], state: State) -> None:
        """Remove the values of cells and set this state."""
        self.states[rows] = state
        if self.numbers is not None:
            self.numbers[rows] = np.nan
        else:
            self.codes[rows] = -1
        for row in rows.tolist():
            self.others.pop(row, None)

    def put_numbers(self, rows: npt.NDArray[np.int64], values: npt.NDArray[np.float64], state: State) -> None:
        """Write numbers with the state INT or FLOAT."""
        assert self.numbers is not None
        self.empty(rows, state)
        self.numbers[rows] = values

    def put_text(self, rows: npt.NDArray[np.int64], values: list[str], state: State = State.STRING) -> None:
        """Write texts or truth values into a column of texts."""
        self.empty(rows, state)
        place = {label: code for code, label in enumerate(self.labels)}
        for row, value in zip(rows.tolist(), values, strict=True):
            self.codes[row] = place.setdefault(value, len(place))
        self.labels = list(place)

    def put_other(self, rows: npt.NDArray[np.int64], json_texts: list[str]) -> None:
        """Write values of another type than the column's."""
        self.empty(rows, State.OTHER)
        self.others.update(zip(rows.tolist(), json_texts, strict=True))

    def holds_value(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Mark the rows with a value of the column's type."""
        mask: npt.NDArray[np.bool_] = np.isin(self.states[rows], list(STATE_OF.values()))
        return mask

    def text(self, row: int) -> str:
        """Return the text of a row."""
        return str(self.labels[int(self.codes[row])])
