"""What is normal for a field, as far as faults are measured by it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import FieldCells, State


@dataclass(frozen=True, slots=True)
class Normal:
    """Of a numeric field: `known` different values, mean deviation and extremes. Of text: `labels`, most frequent first, and their
    shares.
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
        """Measure."""
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
            float(x.std()), float(known[np.searchsorted(counts.cumsum(), len(x) / 2)]), float(known[0]), float(known[-1]),
            known, counts / len(x), [], not cells.of_type("float").any(),
        )  # fmt: skip
