"""What pages and API show of alerts and of the processor as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from otel_mlmon.engine.alerts import as_shown
from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.matured_windows import WindowSource
from otel_mlmon.engine.tick import Engine
from otel_mlmon.export.source import HistoryPoint
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.rulefile import Group, format_duration
from otel_mlmon.server.explanations import Explanations
from otel_mlmon.values import Alert, Reference
from otel_mlmon.values.storage import Storage
from otel_mlmon.wire import semconv

EXAMPLES = 10


class Reports:
    """Implements the pages' AlertSource."""

    def __init__(
        self,
        store: Storage,
        engine: Engine,
        clocks: ModelClocks,
        counters: Counters,
        groups: Callable[[], Sequence[Group]],
        wall: Callable[[], int],
        version: str,
        notes: Callable[[], list[str]],
        references: Callable[[str, str, str], Reference | None] | None = None,
        windows: WindowSource | None = None,
        sources: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        """`references` and `windows` as `Explanations` wants them. `sources`: how those of ground truth are getting on."""
        self._store = store
        self._engine = engine
        self._clocks = clocks
        self._counters = counters
        self._groups = groups
        self._wall = wall
        self._version = version
        self._notes = notes
        self._sources = sources
        self._started = wall()
        self._explanations = Explanations(store, engine, groups, references, windows)

    def alerts(self) -> list[Alert]:
        """Firing first, then pending, then resolved ones; the newest first."""
        order = {"firing": 0, "pending": 1, "suppressed": 2, "inactive": 3}
        shown = [as_shown(a) for a in self._engine.alerts() if a.phase != "inactive" or a.state.resolved_at]
        return sorted(shown, key=lambda a: (order[a.phase], -a.state.since, a.rule, a.target.field, a.target.segment))

    def alert(self, alert_id: str) -> Alert | None:
        """Any target's alert, inactive ones too: links outlive the incident."""
        alert = self._engine.alert(alert_id)
        return None if alert is None else as_shown(alert)

    def history(self, alert_id: str) -> list[HistoryPoint]:
        """Verdicts, oldest first."""
        rows = self._store.documents.verdicts(alert_id)
        return [HistoryPoint(row.end, row.value, row.threshold, row.status) for row in rows]

    def examples(self, alert_id: str) -> list[Mapping[str, Any]]:
        """Predictions of the alert's window that show best what is wrong."""
        alert = self._engine.alert(alert_id)
        if alert is None:
            return []
        target, verdict = alert.target, alert.decisive
        start, end = verdict.start, verdict.end
        found = self._store.rows.examples(target, start, end, EXAMPLES)
        return list(found)

    def explanation(self, alert_id: str, wait: float | None = None) -> Mapping[str, Any] | None:
        """Why it fires, as plain data. None for an unknown alert, or where that takes longer than `wait` seconds to find out."""
        alert = self._engine.alert(alert_id)
        return None if alert is None else self._explanations.find(alert, wait)

    def status(self) -> dict[str, Any]:
        """Everything at a glance, JSON-able."""
        wall = self._wall()
        truths = self._store.ground_truth.results()
        return {
            "version": self._version,
            "uptime_s": (wall - self._started) / 1e9,
            "models": [
                {**self._model(model, wall), "ground_truth": truths.get(model, {})}
                for model in self._store.rows.models()
            ],
            "rules": self._rules(),
            "ingest": self._ingest(),
            "ground_truth_sources": self._sources(),
            "store_bytes": self._store.size_bytes(),
            "notes": self._notes(),
        }

    def _model(self, model: str, wall: int) -> dict[str, Any]:
        oldest, newest, rows = self._store.rows.span(model) or (0, 0, 0)
        mine = [a for a in self._engine.alerts() if a.target.model == model]
        return {
            "model": model,
            "versions": sorted({a.target.version for a in mine}),
            "rows": rows,
            "oldest": oldest,
            "newest": newest,
            "clock": self._clocks.now(model, wall) or 0,
            "verdicts": dict(Counter(a.verdict.result.status for a in mine)),
            "firing": sum(a.phase == "firing" for a in mine),
        }

    def _rules(self) -> list[dict[str, Any]]:
        verdicts: dict[tuple[str, str], Counter[str]] = {}
        firing: Counter[tuple[str, str]] = Counter()
        for alert in self._engine.alerts():
            key = (alert.group, alert.rule)
            verdicts.setdefault(key, Counter())[alert.verdict.result.status] += 1
            firing[key] += alert.phase == "firing"
        return [
            {
                "group": group.name,
                "rule": rule.alert,
                "check": rule.family,
                "method": rule.method,
                "model": group.model,
                "window": format_duration(group.window),
                "verdicts": dict(verdicts.get((group.name, rule.alert), {})),
                "firing": firing[group.name, rule.alert],
            }
            for group in self._groups()
            for rule in group.rules
        ]

    def _ingest(self) -> dict[str, Any]:
        def rows(outcome: str) -> int:
            return int(self._counters.value(semconv.INGEST_ROWS, **{semconv.OUTCOME: outcome}))

        return {
            "received": int(self._counters.value(semconv.INGEST_RECEIVED)),
            "stored": rows("stored"),
            "duplicates": rows("duplicate"),
            "rejected": rows("rejected"),
        }
