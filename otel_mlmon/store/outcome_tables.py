"""The store's side of sums over ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from otel_mlmon.store import outcomes as pane_outcomes
from otel_mlmon.store.connected import Connected
from otel_mlmon.store.rows import read_events
from otel_mlmon.store.window_sums import read_window_sums
from otel_mlmon.values import RowBlock
from otel_mlmon.values.profiles import WindowSums
from otel_mlmon.values.query import WindowQuery

_EVER: Final = 2**62  # ns, further apart than any two times


class OutcomeTables(Connected):
    """What was known when: see `store.outcomes`."""

    def outcome_progress(self, model: str, reference: str) -> int:
        """Number of the commit up to which ground truth is in the sums."""
        with self._cursor() as cursor:
            return pane_outcomes.outcome_progress(cursor, model, reference)

    def outcome_events(
        self, model: str, segments: Sequence[str], since: int, upto: int, reach: int | None, most: int
    ) -> tuple[RowBlock, npt.NDArray[np.int64], int] | None:
        """What the commits after `since` made known, with signs, about `most` of it, and the last commit of it.

        Of predictions whose time is at most `reach` ns from that of what was told of them (None: of all).
        """
        table = self._catalog.table(model)
        if table is None:
            return None
        with self._cursor() as cursor:
            last = pane_outcomes.next_commit(cursor, model, table, since, upto, most)
            oldest = 0 if reach is None else pane_outcomes.oldest_concerned(cursor, model, table, since, last, reach)
            fields = self._catalog.fields(model)
            within = _EVER if reach is None else reach
            return *read_events(cursor, model, table, fields, segments, since, last, oldest, within), last

    def append_outcomes(self, model: str, reference: str, sums: pa.Table, classes: pa.Table, seq: int) -> None:
        """Add to the sums; commits up to `seq` are in them."""
        with self._database.transaction() as cursor:
            pane_outcomes.append_outcomes(cursor, model, reference, sums, classes, seq)

    def forget_outcomes(self, model: str) -> None:
        """Sums of a model will be made anew."""
        with self._database.transaction() as cursor:
            pane_outcomes.forget_outcomes(cursor, model)

    def window_sums(self, query: WindowQuery, starts: Sequence[int]) -> WindowSums:
        """Sums over the query's window moved to each of `starts`, any number of widths apart."""
        with self._cursor() as cursor:
            return read_window_sums(cursor, query, starts)

    def known(self, query: WindowQuery, step: int) -> pa.Table:
        """When the ground truth of the window's predictions became known, in steps of `step` ns."""
        with self._cursor() as cursor:
            return pane_outcomes.read_known(cursor, query, step)
