"""The same metrics as `/metrics`, pushed as OTLP. Built from the snapshot, not through the SDK's meters: a gauge of ours
may have more series than the SDK allows, and a series that is gone must be said to be gone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import requests
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2

from otel_mlmon.export.delivery import TIMEOUT_S, Periodic
from otel_mlmon.export.source import MetricSource, ObserveDelivery
from otel_mlmon.semconv import SCHEMA_URL, SCHEMA_VERSION, SCOPE_NAME, MetricName
from otel_mlmon.values import HistogramValue, Point

_log = logging.getLogger(__name__)
_CUMULATIVE: Final = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
_GONE: Final = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_Series = tuple[MetricName, tuple[tuple[str, str], ...]]


class OtlpMetrics:
    """Pushes a snapshot each `interval_s` to a full URL. What could not be sent is sent with the next: all is cumulative."""

    def __init__(
        self,
        source: MetricSource,
        endpoint: str,
        *,
        interval_s: float,
        observe: ObserveDelivery,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._source = source
        self._endpoint = endpoint
        self._observe = observe
        self._clock = clock
        self._start = clock()
        self._known: set[_Series] = set()
        self._complained = False
        self._session = requests.Session()
        self._timer = Periodic("mlmon-otlp-metrics", interval_s, self.push)

    def start(self) -> None:
        """Begin to push."""
        self._timer.start()

    def stop(self) -> None:
        """Push a last time and end."""
        self._timer.stop()
        self._session.close()

    def push(self) -> None:
        """Send one snapshot."""
        metrics = [(metric, list(points)) for metric, points in self._source.metrics()]
        present = {(m, tuple(sorted(p.attributes.items()))) for m, points in metrics for p in points}
        body = request(metrics, self._known - present, self._start, self._clock()).SerializeToString()
        try:
            answer = self._session.post(
                self._endpoint, data=body, headers={"Content-Type": "application/x-protobuf"}, timeout=TIMEOUT_S
            )
            answer.raise_for_status()
        except requests.RequestException as error:
            self._observe("otlp", "failed")
            if not self._complained:
                _log.warning("%s does not take metrics: %s", self._endpoint, error)
            self._complained = True
            return
        self._complained = False
        self._known = present
        self._observe("otlp", "sent")


def request(
    metrics: Iterable[tuple[MetricName, Sequence[Point]]], gone: Iterable[_Series], start: int, now: int
) -> ExportMetricsServiceRequest:
    """A snapshot as an OTLP request. `gone`: gauges that were in the last one and have no value any more."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add()
    resource.resource.attributes.append(_attribute("service.name", SCOPE_NAME))
    scope = resource.scope_metrics.add()
    scope.schema_url = SCHEMA_URL
    scope.scope.name, scope.scope.version = SCOPE_NAME, SCHEMA_VERSION
    vanished: dict[MetricName, list[Mapping[str, str]]] = {}
    for metric, attributes in gone:
        if metric.kind == "gauge":
            vanished.setdefault(metric, []).append(dict(attributes))
    for metric, points in [*metrics, *((m, ()) for m in vanished)]:
        ended = vanished.pop(metric, [])
        if points or ended:
            _metric(scope.metrics.add(), metric, points, ended, start, now)
    return made


def _metric(
    to: metrics_pb2.Metric,
    metric: MetricName,
    points: Sequence[Point],
    gone: Sequence[Mapping[str, str]],
    start: int,
    now: int,
) -> None:
    to.name, to.unit, to.description = metric.name, metric.unit, metric.description
    if metric.kind == "histogram":
        to.histogram.aggregation_temporality = _CUMULATIVE
        for point in points:
            _histogram(to.histogram.data_points.add(), point, start, now)
        return
    if metric.kind == "counter":
        to.sum.aggregation_temporality, to.sum.is_monotonic = _CUMULATIVE, True
    data_points = to.sum.data_points if metric.kind == "counter" else to.gauge.data_points
    for point in points:
        made = data_points.add(time_unix_nano=now, as_double=float(point.value))  # type: ignore[arg-type]
        made.attributes.extend(_attribute(key, value) for key, value in point.attributes.items())
        if metric.kind == "counter":
            made.start_time_unix_nano = start
    for attributes in gone:
        ended = data_points.add(time_unix_nano=now, flags=_GONE)
        ended.attributes.extend(_attribute(key, value) for key, value in attributes.items())


def _histogram(to: metrics_pb2.HistogramDataPoint, point: Point, start: int, now: int) -> None:
    value = point.value
    assert isinstance(value, HistogramValue)
    to.start_time_unix_nano, to.time_unix_nano = start, now
    to.attributes.extend(_attribute(key, text) for key, text in point.attributes.items())
    to.explicit_bounds.extend(value.bounds)
    to.bucket_counts.extend(value.counts)
    to.count, to.sum = sum(value.counts), value.sum


def _attribute(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value.encode("utf-8", "replace").decode()))
