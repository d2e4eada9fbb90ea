"""Store → window: stored predictions of a stretch of time. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from otel_mlmon.values.arrays import Floats


@dataclass(frozen=True, slots=True)
class Texts:
    """A column of text, dictionary-encoded: `labels[codes[i]]`, -1 where there is none."""

    codes: npt.NDArray[np.int32]
    labels: list[str]


@dataclass(frozen=True, slots=True)
class FieldCells:
    """Cells of one field as stored. `states` holds a letter per row (see `store.states`).

    Exactly one of `numbers` (NaN where there is none) and `texts` is set, by the stored column's type.
    `other_texts[i]` is the JSON text of the value in row `other_rows[i]`, which is of another type.
    """

    states: npt.NDArray[np.uint8]
    numbers: Floats | None
    texts: Texts | None
    other_rows: npt.NDArray[np.int64]
    other_texts: list[str]


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Stored predictions of one model with their ground truth so far, columns of equal length. `ids`: only where asked for."""

    model: str
    times: npt.NDArray[np.int64]
    versions: Texts
    lost: npt.NDArray[np.bool_]
    durations: Floats
    fields: Mapping[str, FieldCells]
    segments: Mapping[str, Texts]
    truth_known: npt.NDArray[np.bool_]
    truth_times: npt.NDArray[np.int64]  # when it became known; 0 where it is not
    truth_numbers: Floats
    truth_texts: Texts
    ids: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.times)
