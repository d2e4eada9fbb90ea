"""The messages that OTLP answers a request with."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_mlmon.receive.ingest import Encoding, Receipt, Signal


def response(signal: Signal, receipt: Receipt) -> Message:
    """The response of a signal's Export; `partial_success` stays unset when all is well."""
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if receipt.rejected or receipt.message:
            logs.partial_success.rejected_log_records = receipt.rejected
            logs.partial_success.error_message = receipt.message
        return logs
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        if receipt.rejected or receipt.message:
            traces.partial_success.rejected_spans = receipt.rejected
            traces.partial_success.error_message = receipt.message
        return traces
    return ExportMetricsServiceResponse()


def serialised(message: Message, encoding: Encoding) -> bytes:
    """A message in the encoding of the request."""
    return MessageToJson(message).encode() if encoding == "json" else message.SerializeToString()
