"""The messages that OTLP answers a request with."""

from __future__ import annotations

from typing import Final

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_mlmon.ingest.receive.receipt import Encoding, Receipt, Signal

# gRPC sends a status in the headers twice (percent-encoded: three bytes for one; and as base64), where 8 KiB is safe.
# A longer one reaches the sender as RESOURCE_EXHAUSTED, upon which it throws the data away.
_LONGEST_BYTES: Final = 1000


def sayable(message: str) -> str:
    """A message that fits an answer: valid UTF-8, and not longer than transports carry."""
    text = message.encode(errors="replace")
    cut = text[:_LONGEST_BYTES].decode(errors="ignore")
    return cut if len(text) <= _LONGEST_BYTES else f"{cut} …"


def response(signal: Signal, receipt: Receipt) -> Message:
    """The response of a signal's Export; `partial_success` stays unset when all is well."""
    if signal == "logs":
        logs = ExportLogsServiceResponse()
        if receipt.rejected or receipt.message:
            logs.partial_success.rejected_log_records = receipt.rejected
            logs.partial_success.error_message = sayable(receipt.message)
        return logs
    if signal == "traces":
        traces = ExportTraceServiceResponse()
        if receipt.rejected or receipt.message:
            traces.partial_success.rejected_spans = receipt.rejected
            traces.partial_success.error_message = sayable(receipt.message)
        return traces
    return ExportMetricsServiceResponse()


def serialised(message: Message, encoding: Encoding) -> bytes:
    """A message in the encoding of the request."""
    return MessageToJson(message).encode() if encoding == "json" else message.SerializeToString()
