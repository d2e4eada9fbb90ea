"""A whole request: which of its records are ours, and what they hold."""

from __future__ import annotations

from typing import Any, Final, Literal

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_mlmon.ingest.decode.anyvalue import attributes, python_value
from otel_mlmon.ingest.decode.assemble import ground_truth_batches, prediction_batches
from otel_mlmon.ingest.decode.batch import ground_truth_batch, prediction_batch
from otel_mlmon.ingest.decode.parse import parse
from otel_mlmon.ingest.decode.reject import RejectedRecord, Rejections
from otel_mlmon.ingest.decode.single import (
    GroundTruthRow,
    PredictionRow,
    deployment,
    ground_truth_row,
    is_prediction,
    prediction_row,
)
from otel_mlmon.values import Batch, ChangeBatch, ChangeEvent, Decoded
from otel_mlmon.wire import semconv

Signal = Literal["logs", "traces", "metrics"]
_OLD_EVENT_NAME: Final = "event.name"  # where the name was before LogRecord had a field for it
_NEWEST_TIME: Final = 2**63 - 1
_MOST_LOST: Final = 2**31 - 1  # fits the column; the wire allows more


class _Found:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.predictions: list[PredictionRow] = []
        self.truths: list[GroundTruthRow] = []
        self.changes: list[ChangeEvent] = []
        self.resource: dict[str, Any] = {}  # attributes of the one that is being looked at
        self.rejections = Rejections()
        self.ignored = 0

    def decoded(self) -> Decoded:
        batches = [*self.batches, *prediction_batches(self.predictions), *ground_truth_batches(self.truths)]
        if self.changes:
            batches.append(ChangeBatch(tuple(self.changes)))
        return Decoded(tuple(batches), dict(self.rejections.counts), self.rejections.message, self.ignored)


def decode(signal: Signal, body: bytes, encoding: Literal["protobuf", "json"], *, received_ns: int) -> Decoded:
    """Predictions, ground truths and deployments of one OTLP request; records that are none of ours are ignored.

    Raises RejectedInput when the body is no OTLP request. A bad record among good ones is rejected by itself.
    """
    found = _Found()
    if signal == "logs":
        for logs in parse(ExportLogsServiceRequest, body, encoding).resource_logs:
            found.resource = attributes(logs.resource.attributes)
            for scope in logs.scope_logs:
                for record in scope.log_records:
                    _log(found, record, received_ns)
    elif signal == "traces":
        for spans in parse(ExportTraceServiceRequest, body, encoding).resource_spans:
            found.resource = attributes(spans.resource.attributes)
            for scope_spans in spans.scope_spans:
                for span in scope_spans.spans:
                    _span(found, span, received_ns)
    else:
        # An SDK with one endpoint sends its metrics here as well; they are somebody else's to keep.
        parse(ExportMetricsServiceRequest, body, encoding)
    return found.decoded()


def _log(found: _Found, record: LogRecord, received_ns: int) -> None:
    given = attributes(record.attributes)
    event = record.event_name or given.get(_OLD_EVENT_NAME)
    if event not in semconv.EVENTS:
        found.ignored += 1
        return
    time = _time(record.time_unix_nano, record.observed_time_unix_nano, received_ns)
    try:
        if event == semconv.EVENT_PREDICTION_BATCH:
            found.batches.append(prediction_batch(given, _body(record), dict(_origin(found))))
        elif event == semconv.EVENT_GROUND_TRUTH_BATCH:
            found.batches.append(ground_truth_batch(given, _body(record)))
        elif event == semconv.EVENT_GROUND_TRUTH:
            found.truths.append(ground_truth_row(given, time=time))
        elif event == semconv.EVENT_DEPLOYMENT:
            found.changes.append(deployment(given, found.resource, _body(record), time=time))
        else:
            found.predictions.append(
                prediction_row(
                    given,
                    time=time,
                    observed=record.observed_time_unix_nano,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    lost=min(record.dropped_attributes_count, _MOST_LOST),
                    origin=_origin(found),
                )
            )
    except RejectedRecord as error:
        found.rejections.add(error)


def _span(found: _Found, span: Span, received_ns: int) -> None:
    """A span that carries a prediction; its time is the span's start. Our SDK's own spans only name theirs."""
    given = attributes(span.attributes)
    if not is_prediction(given):
        found.ignored += 1
        return
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    try:
        found.predictions.append(
            prediction_row(
                given,
                time=_time(start, end, received_ns),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                lost=min(span.dropped_attributes_count, _MOST_LOST),
                duration=(end - start) / 1e9 if end >= start > 0 else None,
                origin=_origin(found),
            )
        )
    except RejectedRecord as error:
        found.rejections.add(error)


def _origin(found: _Found) -> tuple[tuple[str, str], ...]:
    given = ((key, found.resource.get(key)) for key in semconv.ORIGIN)
    return tuple((key, value) for key, value in given if isinstance(value, str) and value)


def _time(*candidates: int) -> int:
    """The first time that is set and fits; the last one, our own, stands in for all."""
    return next((time for time in candidates if 0 < time <= _NEWEST_TIME), candidates[-1])


def _body(record: LogRecord) -> Any:
    return python_value(record.body)
