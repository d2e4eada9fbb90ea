"""The store's side of what rules said: documents, verdicts, revisions, estimates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from otel_mlmon.store import ledger
from otel_mlmon.store.connected import Connected
from otel_mlmon.store.documents import (
    append_revisions,
    append_verdicts,
    delete_revisions,
    delete_verdicts,
    last_revisions,
    put_documents,
    read_documents,
    read_revisions,
    read_verdicts,
)
from otel_mlmon.values.history import LastRevision, LedgerEntry, RevisionRow, VerdictRow


class History(Connected):
    """Small things kept as JSON, and what was said of each window."""

    def put(self, kind: str, bodies: Mapping[str, Any], *, gone: Sequence[str] = ()) -> None:
        """Create or replace documents and delete those that are `gone`, in one transaction."""
        if not bodies and not gone:
            return
        with self._database.transaction() as cursor:
            put_documents(cursor, kind, bodies, gone)

    def documents(self, kind: str) -> dict[str, Any]:
        """All documents of a kind."""
        with self._cursor() as cursor:
            return read_documents(cursor, kind)

    def verdicts(self, alert: str, limit: int = 500) -> list[VerdictRow]:
        """History of one alert's verdicts, in the order in which they were given."""
        with self._cursor() as cursor:
            return read_verdicts(cursor, alert, limit)

    def judged(
        self,
        alerts: Mapping[str, Any],
        gone: Sequence[str],
        verdicts: Sequence[VerdictRow],
        revisions: Sequence[RevisionRow],
    ) -> None:
        """What a tick came to, in one transaction: alerts to be kept and to be forgotten, and what was said of windows."""
        with self._database.transaction() as cursor:
            put_documents(cursor, "alert", alerts, gone)
            append_verdicts(cursor, verdicts)
            append_revisions(cursor, revisions)

    def revisions(self, alert: str, limit: int = 500) -> list[RevisionRow]:
        """What was known when of an alert's past windows, oldest first."""
        with self._cursor() as cursor:
            return read_revisions(cursor, alert, limit)

    def last_revisions(self, alert: str) -> list[LastRevision]:
        """The last look at each of an alert's windows."""
        with self._cursor() as cursor:
            return last_revisions(cursor, alert)

    def append_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        """Keep estimates; one whose alert and window are there already is left out."""
        with self._database.transaction() as cursor:
            ledger.append_estimates(cursor, rows)

    def score_estimates(self, rows: Iterable[LedgerEntry]) -> None:
        """Keep what estimates turned out to be."""
        with self._database.transaction() as cursor:
            ledger.score_estimates(cursor, rows)

    def estimates(self, alert: str, limit: int = 200) -> list[LedgerEntry]:
        """The newest estimates of one alert, oldest first, scored or not."""
        with self._cursor() as cursor:
            return ledger.read_estimates(cursor, alert, limit)

    def forget_verdicts(self, alerts: Sequence[str], before: int) -> None:
        """Retention: delete what these alerts said of windows that ended before `before` (ns)."""
        with self._database.transaction() as cursor:
            delete_verdicts(cursor, alerts, before)
            delete_revisions(cursor, alerts, before)
            ledger.delete_estimates(cursor, alerts, before)
