"""What fired, since when, and how sure."""

from __future__ import annotations

from otel_mlmon.rulefile import RuleBase
from otel_mlmon.values import Alert
from otel_mlmon.values.explanation import Fired


def fired(alert: Alert, rule: RuleBase | None) -> Fired:
    """Return the figures of the alert's last breach, or of the newest verdict before the first breach."""
    newest, state, result = alert.verdict.result, alert.state, alert.decisive.result
    return Fired(
        phase=alert.phase,
        status=newest.status,
        reason=newest.reason,
        message=result.message,
        finding=result.finding,
        since=state.since,
        fired_at=state.fired_at,
        resolved_at=state.resolved_at,
        start=alert.decisive.start,
        end=alert.decisive.end,
        value=result.value,
        low=result.low,
        high=result.high,
        threshold=result.threshold,
        p_value=result.p_value,
        q_value=result.q_value,
        confidence=None if rule is None or rule.false_alarms is not None else rule.confidence,
        rows=result.rows,
        reference_rows=result.reference_rows,
        coverage=result.coverage,
        maturity=result.maturity,
    )
