"""All metrics as of now, from verdicts, counters and gauges; one snapshot feeds every exporter."""

from __future__ import annotations

import math
from collections import defaultdict
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
        points: dict[MetricName, list[Point]] = defaultdict(list)
        for (group, model), status in sorted(self.engine.groups.items()):
            about = {semconv.MODEL_NAME: model, semconv.RULE_GROUP: group}
            for (version, segment), n in status.rows.items():
                window = {**about, semconv.MODEL_VERSION: version, semconv.SEGMENT: segment}
                points[semconv.WINDOW_ROWS].append(Point(window, n))
            points[semconv.WINDOW_END].append(Point(about, status.end / 1e9))
            for metric, by_version in (
                (semconv.WINDOW_LOST, status.lost),
                (semconv.GROUND_TRUTH_COVERAGE, status.coverage),
                (semconv.GROUND_TRUTH_SELECTION, status.biased),
            ):
                points[metric] += [Point({**about, semconv.MODEL_VERSION: v}, float(n)) for v, n in by_version.items()]
            points[semconv.GROUND_TRUTH_DELAY] += [
                Point({**about, semconv.MODEL_VERSION: v, semconv.QUANTILE: quantile}, seconds)
                for v, by in status.delays.items()
                for quantile, seconds in by.items()
                if math.isfinite(seconds)
            ]
        return list(points.items())


def _of_rules(alerts: Iterable[Alert]) -> list[tuple[MetricName, list[Point]]]:
    points: dict[MetricName, list[Point]] = {}
    for alert in alerts:
        about, verdict = attributes(alert), alert.verdict
        evidence = verdict.result.evidence
        measured = (
            (semconv.RULE_VALUE, verdict.result.value),
            (semconv.RULE_VALUE_LOW, verdict.result.low),
            (semconv.RULE_VALUE_HIGH, verdict.result.high),
            (semconv.RULE_MATURE, _MATURE.get(verdict.result.maturity)),
            (semconv.RULE_THRESHOLD, verdict.result.threshold),
            (semconv.RULE_P_VALUE, verdict.result.p_value),
            (semconv.RULE_STATUS, STATUS_CODE[verdict.result.status]),
            (semconv.RULE_ROWS, verdict.result.rows),
            (semconv.BUDGET_REMAINING, evidence.left if isinstance(evidence, BudgetEvidence) else None),
            *_of_ledger(alert),
            (semconv.ALERT_STATE, PHASE_CODE[alert.phase]),
        )
        for metric, value in measured:
            family = points.setdefault(metric, [])
            # The status says that a value is missing; NaN never does.
            if value is not None and math.isfinite(value):
                family.append(Point(about, float(value)))
    return list(points.items())


def _of_ledger(alert: Alert) -> list[tuple[MetricName, float | None]]:
    """Estimate and ground truth of the newest window that has both."""
    evidence = alert.verdict.result.evidence
    ledger = evidence.ledger if isinstance(evidence, EstimateEvidence) else ()
    scored = next((window for window in reversed(ledger) if window.realised is not None), None)
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
