"""What fired, since when, and how sure."""

from __future__ import annotations

from otel_mlmon.rulefile import RuleBase
from otel_mlmon.values import Alert
from otel_mlmon.values.explanation import Fired


def fired(alert: Alert, rule: RuleBase | None) -> Fired:
    """Return the figures of the alert's last breach, or of the newest verdict before the first breach."""
    newest, state, decisive = alert.verdict.result, alert.state, alert.decisive
    return Fired(
        phase=alert.phase,
        status=newest.status,
        reason=newest.reason,
        since=state.since,
        fired_at=state.fired_at,
        resolved_at=state.resolved_at,
        start=decisive.start,
        end=decisive.end,
        result=decisive.result,
        confidence=None if rule is None or rule.false_alarms is not None else rule.confidence,
    )
