"""Questions to the store and to the windows, and stored rows as the answer. Frozen.

Times are ns since the epoch; ranges are half-open. `known_by` limits the ground truth in the answer: None counts all of
it, 0 none, any other time only the ground truth that became known before that time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from otel_mlmon.values.cells import Counts, FieldCells, Floats, Mask, Texts

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class RowQuery:
    """Predictions of one model whose time lies in one of `ranges`, with their ground truth.

    `segments` are the segment keys to read values for. `fields` names the fields to read (None: all). `with_ids` adds
    prediction ids. `having` keeps only predictions that have a value in that field.
    """

    model: str
    ranges: Sequence[tuple[int, int]]
    segments: Sequence[str] = ()
    known_by: int | None = None
    fields: Collection[str] | None = None
    with_ids: bool = False
    having: str | None = None


@dataclass(frozen=True, slots=True)
class WindowQuery:
    """Profiles of one model's predictions in [start, end), on the bins of the reference named `reference`.

    `segments` are the segment keys to split by. `fields` False leaves out all field profiles; `selects` chooses fields
    by name (None: all).
    """

    model: str
    reference: str
    start: int
    end: int
    segments: Sequence[str] = ()
    known_by: int | None = None
    fields: bool = True
    selects: Callable[[str], bool] | None = None

    @property
    def width(self) -> int:
        """Length of the window."""
        return self.end - self.start

    def at(self, start: int) -> WindowQuery:
        """The same question about a window of the same width that begins at `start`.

        >>> WindowQuery("m", "training", 0, 60).at(120).end
        180
        """
        return replace(self, start=start, end=start + self.width)


@dataclass(frozen=True, slots=True)
class RowBlock:
    """Stored predictions of one model with their ground truth, columns of equal length. `ids` only on request."""

    model: str
    times: Counts
    versions: Texts
    lost: Mask
    durations: Floats
    fields: Mapping[str, FieldCells]
    segments: Mapping[str, Texts]
    truth_known: Mask
    truth_times: Counts  # when it became known; 0 where it is not
    truth_numbers: Floats
    truth_texts: Texts
    ids: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.times)
