"""The rows behind a window, read only when a check needs more than counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from otel_mlmon.values import FieldCells, RowBlock

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats

ReadRows = Callable[[Sequence[str]], RowBlock | None]  # segment keys → all rows of the window


@dataclass(slots=True)
class WindowRows:
    """Rows of one window of one model, read at most once per segment key, for all checks of a tick together; at once for those
    of `keys`. `whole`: the same rows with all of their columns, where these have some only.
    """

    read: ReadRows
    keys: Sequence[str] = ()
    whole: WindowRows | None = None
    _blocks: dict[str, RowBlock | None] = field(default_factory=dict)

    def select(self, version: str, segment: str) -> tuple[RowBlock | None, npt.NDArray[np.int64]]:
        """The window's rows, and which of them are of this version and segment ("" for the whole)."""
        key, _, value = segment.partition("=")
        block = self._block(key)
        if block is None or version not in block.versions.labels:
            return block, np.zeros(0, np.int64)
        mask = block.versions.codes == block.versions.labels.index(version)
        if key:
            texts = block.segments[key]
            mask = mask & (texts.codes == texts.labels.index(value)) if value in texts.labels else mask & False
        return block, np.flatnonzero(mask)

    def _block(self, key: str) -> RowBlock | None:
        """All rows, with the values of one segment key: checks take what they find there for a column to look at."""
        if key not in self._blocks:
            together = [*self.keys] if not key or key in self.keys else [key]
            found = self.read(together)
            for name in ("", *together):
                held = {name} & set(together)
                of = None if found is None else replace(found, segments={k: found.segments[k] for k in held})
                self._blocks.setdefault(name, of)
        return self._blocks[key]

    def numbers(self, version: str, segment: str, name: str) -> Floats:
        """Finite numbers of a field."""
        block, rows = self.select(version, segment)
        cells = block.fields.get(name) if block is not None else None
        return np.zeros(0) if cells is None else finite_numbers(cells, rows)


def finite_numbers(cells: FieldCells, rows: npt.NDArray[np.int64]) -> Floats:
    """The numbers in these rows that are numbers, whatever column they are stored in."""
    if cells.numbers is None:
        return np.zeros(0)
    found: Floats = cells.numbers[rows]
    return found[np.isfinite(found)]
