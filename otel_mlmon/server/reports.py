"""Alerts and status, as pages and API show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from otel_mlmon.engine.alerts import as_shown
from otel_mlmon.engine.tick import Engine
from otel_mlmon.server.explanations import Explanations
from otel_mlmon.server.health import Health
from otel_mlmon.values import Alert
from otel_mlmon.values.explanation import Explanation, PastVerdict
from otel_mlmon.values.storage import Storage

EXAMPLES = 10


@dataclass(eq=False)
class Reports:
    """Implements the pages' AlertSource."""

    store: Storage
    engine: Engine
    explanations: Explanations
    health: Health

    def alerts(self) -> list[Alert]:
        """Return firing alerts, then pending, then resolved ones; the newest first."""
        order = {"firing": 0, "pending": 1, "suppressed": 2, "inactive": 3}
        shown = [as_shown(a) for a in self.engine.alerts() if a.phase != "inactive" or a.state.resolved_at]
        return sorted(shown, key=lambda a: (order[a.phase], -a.state.since, a.rule, a.target.field, a.target.segment))

    def alert(self, alert_id: str) -> Alert | None:
        """Return an alert, inactive or not: links outlive the incident."""
        alert = self.engine.alert(alert_id)
        return None if alert is None else as_shown(alert)

    def history(self, alert_id: str) -> list[PastVerdict]:
        """Return the verdicts of an alert, oldest first."""
        rows = self.store.documents.verdicts(alert_id)
        return [PastVerdict(row.end, row.value, row.threshold, row.status) for row in rows]

    def examples(self, alert_id: str) -> list[Mapping[str, Any]]:
        """Return the most telling predictions of the alert's window."""
        alert = self.engine.alert(alert_id)
        if alert is None:
            return []
        return list(self.store.rows.examples(alert.target, alert.decisive.start, alert.decisive.end, EXAMPLES))

    def explanation(self, alert_id: str, wait: float | None = None) -> Explanation | None:
        """Return why an alert fires; None when it is unknown, or takes longer than `wait` seconds."""
        alert = self.engine.alert(alert_id)
        return None if alert is None else self.explanations.find(alert, wait)

    def status(self) -> dict[str, Any]:
        """Return everything at a glance, JSON-able."""
        return self.health.status()
