"""The same metrics as `/metrics`, pushed as OTLP.

Built from the snapshot, not by the SDK's meters: a gauge may have more series than the SDK allows, and a series that
ends needs a last point that says so.
"""

from __future__ import annotations

import gzip
import math
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2

from otel_mlmon.export.notifications.destination import Destination
from otel_mlmon.export.notifications.notifier import Notifier
from otel_mlmon.export.plain import text
from otel_mlmon.export.source import MetricSource, ObserveDelivery
from otel_mlmon.values import HistogramValue, Point
from otel_mlmon.wire.semconv import SCHEMA_URL, SCHEMA_VERSION, SCOPE_NAME, MetricName

_CUMULATIVE: Final = metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
_GONE: Final = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_LONGEST_WAIT_S: Final = 300.0
_TICK_NS: Final = 1_000_000  # Prometheus counts milliseconds
_Series = tuple[MetricName, tuple[tuple[str, str], ...]]
Metrics = Sequence[tuple[MetricName, Sequence[Point]]]


class OtlpMetrics(Notifier):
    """Pushes a snapshot to a full URL every `interval_s`. A failed push loses nothing: all metrics are cumulative."""

    def __init__(
        self,
        source: MetricSource,
        endpoint: str,
        *,
        interval_s: float,
        observe: ObserveDelivery,
        clock: Callable[[], int] = time.time_ns,
        instance: str = "",
    ) -> None:
        """`instance` distinguishes processors that push to the same place; by default the name of the host."""
        destination, longest_s = Destination("otlp", endpoint, observe), max(interval_s, _LONGEST_WAIT_S)
        super().__init__(destination, interval_s=interval_s, first_wait_s=interval_s, longest_wait_s=longest_s)
        self._source = source
        self._clock = clock
        self._start = self._last = clock()
        self._resource = {"service.name": SCOPE_NAME, "service.instance.id": instance or socket.gethostname()}
        self._known: set[_Series] = set()

    def deliver(self) -> float | None:
        """Send one snapshot. Return None when it was taken, else the seconds to wait, as the receiver asks."""
        metrics = [(metric, [p for p in points if _is_number(p)]) for metric, points in self._source.metrics()]
        present = {(metric, tuple(sorted(p.attributes.items()))) for metric, points in metrics for p in points}
        # Prometheus refuses the whole request for one sample that is not newer than the last.
        self._last = max(self._clock(), self._last + _TICK_NS)
        body = request(metrics, self._known - present, self._start, self._last, self._resource).SerializeToString()
        answer = self._destination.post(gzip.compress(body, 5), "application/x-protobuf", "gzip")
        if answer.outcome != "sent":
            self._known |= present  # an attempt that timed out may have been taken
            return answer.wait_s
        self._known = present
        self._heed(answer.body)
        return None

    def _heed(self, body: bytes) -> None:
        """Count single points that an answer of 200 refused."""
        try:
            refused = ExportMetricsServiceResponse.FromString(body).partial_success
        except DecodeError:
            return  # some receivers answer 200 with text or JSON
        if refused.rejected_data_points:
            message = f"refused {refused.rejected_data_points} points: {refused.error_message}"
            self._destination.dropped(1, message)


def request(
    metrics: Metrics, gone: Iterable[_Series], start: int, now: int, resource: Mapping[str, str]
) -> ExportMetricsServiceRequest:
    """Return a snapshot as an OTLP request. `gone`: series of the last one that have no value any more."""
    made = ExportMetricsServiceRequest()
    of_resource = made.resource_metrics.add()
    of_resource.resource.attributes.extend(_attributes(resource))
    scope = of_resource.scope_metrics.add()
    scope.schema_url = SCHEMA_URL
    scope.scope.name, scope.scope.version = SCOPE_NAME, SCHEMA_VERSION
    ended: dict[MetricName, list[Mapping[str, str]]] = {}
    for metric, attributes in gone:
        ended.setdefault(metric, []).append(dict(attributes))
    still = {metric for metric, _ in metrics}
    for metric, points in [*metrics, *((metric, ()) for metric in ended if metric not in still)]:
        if points or metric in ended:
            _metric(scope.metrics.add(), metric, points, ended.get(metric, ()), start, now)
    return made


def _metric(
    to: metrics_pb2.Metric,
    metric: MetricName,
    points: Sequence[Point],
    gone: Iterable[Mapping[str, str]],
    start: int,
    now: int,
) -> None:
    to.name, to.unit, to.description = metric.name, metric.unit, metric.description
    if metric.kind == "histogram":  # ours never vanish while the process lives
        to.histogram.aggregation_temporality = _CUMULATIVE
        to.histogram.data_points.extend(_histogram(point, start, now) for point in points)
        return
    began = 0
    if metric.kind == "counter":
        to.sum.aggregation_temporality, to.sum.is_monotonic, began = _CUMULATIVE, True, start
    data_points = to.sum.data_points if metric.kind == "counter" else to.gauge.data_points
    for point in points:
        assert not isinstance(point.value, HistogramValue)
        made = data_points.add(time_unix_nano=now, start_time_unix_nano=began, as_double=point.value)
        made.attributes.extend(_attributes(point.attributes))
    for attributes in gone:
        last = data_points.add(time_unix_nano=now, start_time_unix_nano=began, flags=_GONE)
        last.attributes.extend(_attributes(attributes))


def _histogram(point: Point, start: int, now: int) -> metrics_pb2.HistogramDataPoint:
    value = point.value
    assert isinstance(value, HistogramValue)
    return metrics_pb2.HistogramDataPoint(
        start_time_unix_nano=start,
        time_unix_nano=now,
        attributes=_attributes(point.attributes),
        explicit_bounds=value.bounds,
        bucket_counts=value.counts,
        count=sum(value.counts),
        sum=value.sum,
    )


def _is_number(point: Point) -> bool:
    return isinstance(point.value, HistogramValue) or not math.isnan(point.value)


def _attributes(attributes: Mapping[str, str]) -> list[KeyValue]:
    return [KeyValue(key=key, value=AnyValue(string_value=text(value))) for key, value in attributes.items()]
