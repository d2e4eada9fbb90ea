"""The seam to a storage engine: all that the rooms above ask of a store. DuckDB's is `otel_mlmon.store.Store`.

Methods may be called from any thread. Methods that write raise StoreUnavailable when the engine fails; then nothing was
written. Times are ns since the epoch. Every commit has a number, counted from 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from otel_mlmon.values.batches import Batch, ChangeEvent
    from otel_mlmon.values.history import LastRevision, LedgerEntry, RevisionRow, TickRecord, VerdictRow
    from otel_mlmon.values.profiles import ValueCount, WindowSums
    from otel_mlmon.values.query import RowBlock, RowQuery, WindowQuery
    from otel_mlmon.values.verdicts import Target


class Appended(NamedTuple):
    """Rows of one batch that were stored, and rows that were stored before. `model` is "" for a batch of changes."""

    model: str
    stored: int
    duplicates: int


class Span(NamedTuple):
    """Times of a model's oldest and newest prediction, and how many there are."""

    oldest: int
    newest: int
    rows: int


@dataclass(frozen=True, slots=True)
class GroundTruthEvents:
    """Changes of known ground truth up to commit `seq`: it counts from a row's time on (sign 1), or no longer (-1)."""

    rows: RowBlock
    signs: npt.NDArray[np.int64]
    seq: int


class RowStorage(Protocol):
    """Stored predictions."""

    def models(self) -> list[str]:
        """Models that ever sent a prediction."""

    def fields(self, model: str) -> list[str]:
        """Fields that a model's predictions ever had."""

    def read(self, query: RowQuery) -> RowBlock | None:
        """Predictions with their ground truth; None for an unknown model."""

    def examples(self, target: Target, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        """Predictions in [start, end) for a person to look at.

        Each has prediction_id, time, trace_id, value (of the target's field), prediction and ground_truth. Cells
        without a value of the right type come first, then extreme values; for the model as a whole, the largest errors.
        """

    def count_outside(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int:
        """Finite numbers of the target's field in [start, end) below `low` or above `high`; None is no bound."""

    def logged(self, model: str, version: str | None, start: int, end: int, limit: int) -> list[dict[str, Any]]:
        """A sample of predictions in [start, end) as they were sent; `version` None: any. [] for an unknown model."""

    def span(self, model: str) -> Span | None:
        """The extent of a model's predictions; None when there are none."""

    def newest_arrival(self, model: str, ahead_ns: int) -> tuple[int, int] | None:
        """(event time, arrival) of the newest row whose time is at most `ahead_ns` after its arrival."""

    def panes_after(self, model: str, seq: int, pane_ns: int) -> set[int]:
        """Panes with predictions of commits after `seq`."""


class ProfileStorage(Protocol):
    """Profiles of panes."""

    def progress(self, model: str) -> int:
        """Number of the commit up to which a model's predictions are in profiles."""

    def set_progress(self, model: str, seq: int) -> None:
        """Say that all predictions up to commit `seq` are in profiles."""

    def replace(self, model: str, reference: str, panes: Sequence[int], profiles: pa.Table, totals: pa.Table) -> None:
        """Replace everything about these panes."""

    def read(self, query: WindowQuery, fields: Sequence[str] | None = None) -> pa.Table:
        """Profiles of the window's panes, whole and by the query's segment keys; `fields` None: all fields."""

    def values(
        self, query: WindowQuery, always: Sequence[str], fields: Sequence[str] | None = None
    ) -> list[ValueCount]:
        """The FREQUENT_VALUES most frequent values of each field (None: all fields), and top values in `always`."""

    def traffic(self, query: WindowQuery) -> pa.Table:
        """Predictions and known ground truths, pane by pane: version, pane, rows, truth."""


class OutcomeStorage(Protocol):
    """Sums over predictions whose ground truth is known."""

    def progress(self, model: str, reference: str) -> int:
        """Number of the commit up to which ground truth is in the sums."""

    def events(
        self, model: str, segments: Sequence[str], since: int, upto: int, reach: int | None, most: int
    ) -> GroundTruthEvents | None:
        """About `most` changes that commits after `since` up to `upto` made; None for an unknown model.

        A ground truth counts for predictions whose time is at most `reach` ns from its own (None: for all).
        """

    def append(self, model: str, reference: str, sums: pa.Table, classes: pa.Table, seq: int) -> None:
        """Add lines to the sums, which then hold all commits up to `seq`."""

    def forget(self, model: str) -> None:
        """Delete all sums of a model, to make them anew from the first commit on."""

    def known(self, query: WindowQuery, step: int) -> pa.Table:
        """When ground truth became known: version, `at` (of predictions) and `known` in steps of `step` ns, n."""

    def window_sums(self, query: WindowQuery, starts: Sequence[int]) -> WindowSums:
        """Sums over the query's window moved to each of `starts`, any number of widths apart."""


class GroundTruthStorage(Protocol):
    """Counts of ground truths by result: joined, waiting for a prediction, a correction, of the wrong type …"""

    def settle(self, upto: int) -> None:
        """Count the ground truths that commits up to `upto` brought. Call it from one thread only."""

    def results(self) -> dict[str, dict[str, int]]:
        """Model → result → rows. "waiting" is as of now, the others count since the store was made."""


class DocumentStorage(Protocol):
    """Small documents, as JSON."""

    def put(self, kind: str, bodies: Mapping[str, Any], *, gone: Sequence[str] = ()) -> None:
        """Create or replace documents by key, and delete those in `gone`, in one transaction."""

    def read(self, kind: str) -> dict[str, Any]:
        """All documents of a kind by key."""


class TickStorage(DocumentStorage, Protocol):
    """Documents and history that the engine keeps across restarts."""

    def record_tick(self, tick: TickRecord) -> None:
        """Put alerts, delete others, and append verdicts and revisions, in one transaction."""

    def last_revisions(self, alert: str) -> list[LastRevision]:
        """The last look at each of an alert's windows."""

    def append_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        """Append estimates, without those whose alert and window are kept already."""

    def score_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        """Add the realised metrics to estimates. Unknown estimates are ignored."""

    def estimates(self, alert: str, limit: int) -> list[LedgerEntry]:
        """The newest estimates of an alert, oldest first, scored or not."""


class HistoryStorage(TickStorage, Protocol):
    """History for people."""

    def verdicts(self, alert: str, limit: int = 500) -> list[VerdictRow]:
        """The newest verdicts of an alert, in the order in which they were given."""

    def revisions(self, alert: str, limit: int = 500) -> list[RevisionRow]:
        """The newest revisions of an alert's windows, oldest first."""

    def forget_history(self, alerts: Sequence[str], before: int) -> None:
        """Retention: delete the history of windows that ended before `before`."""


class Storage(Protocol):
    """A store of predictions, ground truth, profiles and alerts."""

    @property
    def rows(self) -> RowStorage: ...
    @property
    def profiles(self) -> ProfileStorage: ...
    @property
    def outcomes(self) -> OutcomeStorage: ...
    @property
    def ground_truth(self) -> GroundTruthStorage: ...
    @property
    def documents(self) -> HistoryStorage: ...

    def expect_types(self, model: str, types: Mapping[str, str]) -> None:
        """Say which column type (number, string, bool) fields of a model get when they are first stored."""

    def commit(self, batches: Iterable[Batch], received: int) -> list[Appended]:
        """Append all batches in one transaction. Raises StoreUnavailable or RejectedInput; then nothing was stored."""

    def seq(self) -> int:
        """Number of the newest commit."""

    def changes(self, model: str, start: int, end: int, limit: int) -> list[ChangeEvent]:
        """The newest changes of a model in [start, end), oldest first."""

    def delete_before(self, model: str, time: int) -> int:
        """Retention: delete everything about predictions older than `time`; returns how many predictions there were."""

    def checkpoint(self) -> None:
        """Do the engine's own housekeeping."""

    def size_bytes(self) -> int:
        """Size on disk."""

    def close(self) -> None:
        """Close the store; safe to call twice."""
