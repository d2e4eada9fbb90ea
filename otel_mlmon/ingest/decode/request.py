"""Decode a whole OTLP request: select otel_mlmon's records and read them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from otel_mlmon.errors import RejectedInput
from otel_mlmon.ingest.decode.assemble import ground_truth_batches, prediction_batches
from otel_mlmon.ingest.decode.batch import ground_truth_batch, prediction_batch
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
_OLD_EVENT_NAME: Final = "event.name"  # attribute of older SDKs, before LogRecord had a field for the name
_NEWEST_TIME: Final = 2**63 - 1
_MOST_LOST: Final = 2**31 - 1  # fits the column; the wire allows more
_Request = TypeVar("_Request", bound=Message)
_HEX_KEYS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_DEEPEST: Final = 80


class _Collected:
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.predictions: list[PredictionRow] = []
        self.truths: list[GroundTruthRow] = []
        self.changes: list[ChangeEvent] = []
        self.resource: dict[str, Any] = {}  # attributes of the current resource
        self.rejections = Rejections()
        self.ignored = 0

    def decoded(self) -> Decoded:
        batches = [*self.batches, *prediction_batches(self.predictions), *ground_truth_batches(self.truths)]
        if self.changes:
            batches.append(ChangeBatch(tuple(self.changes)))
        return Decoded(tuple(batches), dict(self.rejections.counts), self.rejections.message, self.ignored)


def decode(signal: Signal, body: bytes, encoding: Literal["protobuf", "json"], received_ns: int) -> Decoded:
    """Return the predictions, ground truths and deployments of one OTLP request; other records are ignored.

    A bad record is rejected alone, not with the request. Raises RejectedInput if the body is no OTLP request.
    """
    collected = _Collected()
    if signal == "logs":
        for logs in _parse(ExportLogsServiceRequest, body, encoding).resource_logs:
            collected.resource = _attributes(logs.resource.attributes)
            for record in (record for scope in logs.scope_logs for record in scope.log_records):
                _log(collected, record, received_ns)
    elif signal == "traces":
        for spans in _parse(ExportTraceServiceRequest, body, encoding).resource_spans:
            collected.resource = _attributes(spans.resource.attributes)
            for span in (span for scope in spans.scope_spans for span in scope.spans):
                _span(collected, span, received_ns)
    else:
        # An SDK with a single endpoint sends its metrics here too. They are checked, and not kept.
        _parse(ExportMetricsServiceRequest, body, encoding)
    return collected.decoded()


def _log(collected: _Collected, record: LogRecord, received_ns: int) -> None:
    fields = _attributes(record.attributes)
    event = record.event_name or fields.get(_OLD_EVENT_NAME)
    if event not in semconv.EVENTS:
        collected.ignored += 1
        return
    time = _time(record.time_unix_nano, record.observed_time_unix_nano, received_ns)
    try:
        if event == semconv.EVENT_PREDICTION_BATCH:
            collected.batches.append(prediction_batch(fields, _body(record), dict(_origin(collected))))
        elif event == semconv.EVENT_GROUND_TRUTH_BATCH:
            collected.batches.append(ground_truth_batch(fields, _body(record)))
        elif event == semconv.EVENT_GROUND_TRUTH:
            collected.truths.append(ground_truth_row(fields, time=time))
        elif event == semconv.EVENT_DEPLOYMENT:
            collected.changes.append(deployment(fields, collected.resource, _body(record), time=time))
        else:
            collected.predictions.append(
                prediction_row(
                    fields,
                    time=time,
                    observed=record.observed_time_unix_nano,
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    lost=min(record.dropped_attributes_count, _MOST_LOST),
                    origin=_origin(collected),
                )
            )
    except RejectedRecord as error:
        collected.rejections.add(error)


def _span(collected: _Collected, span: Span, received_ns: int) -> None:
    """Read a span that holds a prediction; its time is the span's start. Spans of our SDK hold only the id."""
    fields = _attributes(span.attributes)
    if not is_prediction(fields):
        collected.ignored += 1
        return
    start, end = span.start_time_unix_nano, span.end_time_unix_nano
    try:
        collected.predictions.append(
            prediction_row(
                fields,
                time=_time(start, end, received_ns),
                trace_id=span.trace_id.hex(),
                span_id=span.span_id.hex(),
                lost=min(span.dropped_attributes_count, _MOST_LOST),
                duration=(end - start) / 1e9 if end >= start > 0 else None,
                origin=_origin(collected),
            )
        )
    except RejectedRecord as error:
        collected.rejections.add(error)


def _origin(collected: _Collected) -> tuple[tuple[str, str], ...]:
    pairs = ((key, collected.resource.get(key)) for key in semconv.ORIGIN)
    return tuple((key, value) for key, value in pairs if isinstance(value, str) and value)


def _time(*candidates: int) -> int:
    """Return the first time that is set and in range, or else the last time, which is our own."""
    return next((time for time in candidates if 0 < time <= _NEWEST_TIME), candidates[-1])


def _body(record: LogRecord) -> Any:
    return _python_value(record.body)


def _parse(kind: type[_Request], body: bytes, encoding: Literal["protobuf", "json"]) -> _Request:
    """Parse the bytes of a request. Raises RejectedInput if they are no OTLP request."""
    request = kind()
    if encoding == "protobuf":
        try:
            request.ParseFromString(body)
        except DecodeError as error:
            raise RejectedInput(f"not an OTLP request in protobuf: {error}") from error
        return request
    try:
        content = json.loads(body or b"{}")
        if not isinstance(content, dict):
            raise RejectedInput(f"not an OTLP request in JSON: found {type(content).__name__}, allowed is an object")
        return ParseDict(_ids_as_base64(content, 0), request, ignore_unknown_fields=True, max_recursion_depth=_DEEPEST)
    except RejectedInput:
        raise
    except Exception as error:  # for JSON of the wrong shape, ParseDict raises anything, even SystemError
        raise RejectedInput(f"not an OTLP request in JSON: {error}") from error


def _ids_as_base64(value: Any, depth: int) -> Any:
    """Convert trace and span ids from OTLP's hex to protobuf's base64."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in _HEX_KEYS and isinstance(item, str)
            else _ids_as_base64(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_ids_as_base64(item, depth + 1) for item in value]
    return value


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes by key; if a key is repeated, the last value wins."""
    return {pair.key: _python_value(pair.value) for pair in pairs}


def _python_value(value: AnyValue) -> Any:
    """Return the plain value; an AnyValue without a value is None."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_python_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
