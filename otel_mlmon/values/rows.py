"""Store → window: stored predictions of a stretch of time. Frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_mlmon.values.cells import FieldCells, Texts

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from otel_mlmon.values.cells import Floats


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Stored predictions of one model with their ground truth, columns of equal length. `ids` only on request."""

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
