"""What fired, since when, and how sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otel_mlmon.diagnosis.explanation import Fired
from otel_mlmon.rulefile import RuleBase
from otel_mlmon.values import Alert


def fired(alert: Alert, rule: RuleBase | None) -> Fired:
    """The breach that the alert is about: the newest verdict, or where that is none, the last one that was."""
    verdict, state, breach = alert.verdict, alert.state, last_breach(alert)

    def of(name: str) -> Any:
        return breach[name] if name in breach else getattr(verdict.result, name)

    same = not breach or (breach.get("start"), breach.get("end")) == (verdict.start, verdict.end)
    return Fired(
        phase=alert.phase,
        status=verdict.result.status,
        reason=verdict.result.reason,
        message=of("message"),
        finding=of("finding"),
        since=state.since,
        fired_at=state.fired_at,
        resolved_at=state.resolved_at,
        start=breach.get("start", verdict.start),
        end=breach.get("end", verdict.end),
        value=of("value"),
        low=of("low") if same else breach.get("low"),
        high=of("high") if same else breach.get("high"),
        threshold=of("threshold"),
        p_value=of("p_value"),
        q_value=of("q_value"),
        confidence=None if rule is None or rule.false_alarms is not None else rule.confidence,
        rows=of("rows"),
        reference_rows=of("reference_rows"),
        coverage=of("coverage") if same else breach.get("coverage"),
        maturity=of("maturity") if same else breach.get("maturity", ""),
    )


def last_breach(alert: Alert) -> Mapping[str, Any]:
    """What the alert keeps of its last breach; {} where the verdict is one itself, or there was none."""
    if alert.verdict.result.status == "breach":
        return {}
    found = alert.verdict.result.evidence.get("breach")
    return found if isinstance(found, Mapping) else {}
