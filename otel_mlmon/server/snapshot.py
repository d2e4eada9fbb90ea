"""All metrics as of now, from verdicts, counters and gauges; one snapshot feeds every exporter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from otel_mlmon.engine.tick import Engine
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.values import PHASE_CODE, STATUS_CODE, Alert, Point
from otel_mlmon.values.evidence import BudgetEvidence, EstimateEvidence
from otel_mlmon.wire import semconv
from otel_mlmon.wire.semconv import MetricName

_MATURE: Final = {"provisional": 0.0, "final": 1.0}
Gauges = Callable[[], Iterable[tuple[MetricName, Sequence[Point]]]]


@dataclass(eq=False)
class Snapshot:
    """Implements the exporters' MetricSource. `gauges` returns the service's own gauges: queue, store size, lag."""

    engine: Engine
    counters: Counters
    gauges: Gauges

    def metrics(self) -> list[tuple[MetricName, Sequence[Point]]]:
        """Every metric with its points."""
        return [*_of_rules(self.engine.alerts()), *self._of_windows(), *self.counters.snapshot(), *self.gauges()]

    def _of_windows(self) -> list[tuple[MetricName, list[Point]]]:
        rows, lost, ends, coverage, delays, selected = [], [], [], [], [], []
        for (group, model), status in sorted(self.engine.groups.items()):
            about = {semconv.MODEL_NAME: model, semconv.RULE_GROUP: group}
            ends.append(Point(about, status.end / 1e9))
            for (version, segment), n in status.rows.items():
                rows.append(Point({**about, semconv.MODEL_VERSION: version, semconv.SEGMENT: segment}, n))
            lost += [Point({**about, semconv.MODEL_VERSION: v}, n) for v, n in status.lost.items()]
            coverage += [Point({**about, semconv.MODEL_VERSION: v}, n) for v, n in status.coverage.items()]
            delays += [
                Point({**about, semconv.MODEL_VERSION: v, semconv.QUANTILE: quantile}, seconds)
                for v, by in status.delays.items()
                for quantile, seconds in by.items()
                if math.isfinite(seconds)
            ]
            selected += [Point({**about, semconv.MODEL_VERSION: v}, float(b)) for v, b in status.biased.items()]
        return [
            (semconv.WINDOW_ROWS, rows),
            (semconv.WINDOW_LOST, lost),
            (semconv.WINDOW_END, ends),
            (semconv.GROUND_TRUTH_COVERAGE, coverage),
            (semconv.GROUND_TRUTH_DELAY, delays),
            (semconv.GROUND_TRUTH_SELECTION, selected),
        ]


def _of_rules(alerts: Iterable[Alert]) -> list[tuple[MetricName, list[Point]]]:
    points: dict[MetricName, list[Point]] = {
        metric: []
        for metric in (
            semconv.RULE_VALUE,
            semconv.RULE_VALUE_LOW,
            semconv.RULE_VALUE_HIGH,
            semconv.RULE_MATURE,
            semconv.RULE_THRESHOLD,
            semconv.RULE_P_VALUE,
            semconv.RULE_STATUS,
            semconv.RULE_ROWS,
            semconv.BUDGET_REMAINING,
            semconv.ESTIMATE_CHECKED,
            semconv.ESTIMATE_REALISED,
            semconv.ESTIMATE_TRUSTED,
            semconv.ALERT_STATE,
        )
    }
    for alert in alerts:
        about, verdict = attributes(alert), alert.verdict
        evidence = verdict.result.evidence
        measured = (
            (semconv.RULE_VALUE, verdict.result.value),
            (semconv.RULE_VALUE_LOW, verdict.result.low),
            (semconv.RULE_VALUE_HIGH, verdict.result.high),
            (semconv.RULE_MATURE, _MATURE.get(verdict.result.maturity)),
            (semconv.BUDGET_REMAINING, evidence.left if isinstance(evidence, BudgetEvidence) else None),
            *_of_ledger(alert),
            (semconv.RULE_THRESHOLD, verdict.result.threshold),
            (semconv.RULE_P_VALUE, verdict.result.p_value),
            (semconv.RULE_STATUS, STATUS_CODE[verdict.result.status]),
            (semconv.RULE_ROWS, verdict.result.rows),
            (semconv.ALERT_STATE, PHASE_CODE[alert.phase]),
        )
        for metric, value in measured:
            # The status says that a value is missing; NaN never does.
            if value is not None and math.isfinite(value):
                points[metric].append(Point(about, float(value)))
    return list(points.items())


def _of_ledger(alert: Alert) -> list[tuple[MetricName, float | None]]:
    """Estimate and ground truth of the newest window that has both."""
    evidence = alert.verdict.result.evidence
    if not isinstance(evidence, EstimateEvidence):
        return []
    scored = next((window for window in reversed(evidence.ledger) if window.realised is not None), None)
    return [
        (semconv.ESTIMATE_CHECKED, scored.estimate if scored else None),
        (semconv.ESTIMATE_REALISED, scored.realised if scored else None),
        (semconv.ESTIMATE_TRUSTED, float(alert.verdict.result.reason != "estimator_unreliable") if scored else None),
    ]


def attributes(alert: Alert) -> dict[str, str]:
    """Metric attributes of an alert's series."""
    target = alert.target
    return {
        semconv.MODEL_NAME: target.model,
        semconv.MODEL_VERSION: target.version,
        semconv.RULE_GROUP: alert.group,
        semconv.RULE_NAME: alert.rule,
        semconv.RULE_CHECK: alert.check,
        semconv.RULE_METHOD: alert.method,
        semconv.FEATURE_NAME: target.field,
        semconv.SEGMENT: target.segment,
    }
