"""Measure the normal values of a field, which faults are scaled by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import FieldCells, State


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal values of a field.

    A numeric field has its standard deviation, median, extremes, and the `known` different values with their shares.
    A text field has its `labels`, the most frequent first, with their shares.
    """

    deviation: float
    median: float
    minimum: float
    maximum: float
    known: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    labels: list[str]
    integer: bool

    @property
    def state(self) -> State:
        """State of a number of this field."""
        return State.INT if self.integer else State.FLOAT

    @classmethod
    def of(cls, cells: FieldCells) -> Normal:
        """Measure a field."""
        if cells.numbers is None:
            assert cells.texts is not None
            codes = cells.texts.codes[cells.texts.codes >= 0]
            counts = np.bincount(codes, minlength=len(cells.texts.labels))
            order = np.argsort(-counts, kind="stable")
            labels = [cells.texts.labels[code] for code in order.tolist() if counts[code]]
            shares = counts[order][: len(labels)] / max(len(codes), 1)
            return cls(0.0, 0.0, 0.0, 0.0, np.zeros(0), shares, labels, False)
        x = cells.numbers[np.isfinite(cells.numbers)]
        if not len(x):
            return cls(0.0, 0.0, 0.0, 0.0, np.zeros(0), np.zeros(0), [], False)
        known, counts = np.unique(x, return_counts=True)
        return cls(
            deviation=float(x.std()),
            median=float(known[np.searchsorted(counts.cumsum(), len(x) / 2)]),
            minimum=float(known[0]),
            maximum=float(known[-1]),
            known=known,
            shares=counts / len(x),
            labels=[],
            integer=not cells.of_type("float").any(),
        )
