"""All metrics as of now, from the table of verdicts and the counters; one snapshot feeds every exporter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from otel_mlmon import semconv
from otel_mlmon.evaluate.engine import Engine
from otel_mlmon.processor.counters import Counters
from otel_mlmon.semconv import MetricName
from otel_mlmon.values import PHASE_CODE, STATUS_CODE, Alert, Point

Gauges = Callable[[], Iterable[tuple[MetricName, Sequence[Point]]]]


class Snapshot:
    """Implements the exporters' MetricSource."""

    def __init__(self, engine: Engine, counters: Counters, gauges: Gauges) -> None:
        """`gauges` yields what the service itself knows: queue, store size, lag."""
        self._engine = engine
        self._counters = counters
        self._gauges = gauges

    def metrics(self) -> list[tuple[MetricName, Sequence[Point]]]:
        """Every metric with its points."""
        return [*_of_rules(self._engine.alerts()), *self._of_windows(), *self._counters.snapshot(), *self._gauges()]

    def _of_windows(self) -> list[tuple[MetricName, list[Point]]]:
        rows, lost, ends, coverage = [], [], [], []
        for (group, model), status in sorted(self._engine.groups.items()):
            about = {semconv.MODEL_NAME: model, semconv.RULE_GROUP: group}
            ends.append(Point(about, status.end / 1e9))
            for (version, segment), n in status.rows.items():
                rows.append(Point({**about, semconv.MODEL_VERSION: version, semconv.SEGMENT: segment}, n))
            lost += [Point({**about, semconv.MODEL_VERSION: v}, n) for v, n in status.lost.items()]
            coverage += [Point({**about, semconv.MODEL_VERSION: v}, n) for v, n in status.coverage.items()]
        return [
            (semconv.WINDOW_ROWS, rows),
            (semconv.WINDOW_LOST, lost),
            (semconv.WINDOW_END, ends),
            (semconv.GROUND_TRUTH_COVERAGE, coverage),
        ]


def _of_rules(alerts: Iterable[Alert]) -> list[tuple[MetricName, list[Point]]]:
    points: dict[MetricName, list[Point]] = {
        metric: []
        for metric in (
            semconv.RULE_VALUE, semconv.RULE_THRESHOLD, semconv.RULE_P_VALUE, semconv.RULE_STATUS, semconv.RULE_ROWS,
            semconv.ALERT_STATE,
        )
    }  # fmt: skip
    for alert in alerts:
        about, verdict = attributes(alert), alert.verdict
        measured = (
            (semconv.RULE_VALUE, verdict.value),
            (semconv.RULE_THRESHOLD, verdict.threshold),
            (semconv.RULE_P_VALUE, verdict.p_value),
            (semconv.RULE_STATUS, STATUS_CODE[verdict.status]),
            (semconv.RULE_ROWS, verdict.rows),
            (semconv.ALERT_STATE, PHASE_CODE[alert.phase]),
        )
        for metric, value in measured:
            # A value that is not there is told by the status, never by a NaN.
            if value is not None and math.isfinite(value):
                points[metric].append(Point(about, float(value)))
    return list(points.items())


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
