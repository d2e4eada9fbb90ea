"""OTLP's responses: the response of a success, and the status of an error, permanent or to be retried."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from otel_mlmon.errors import RejectedInput, Retryable, TooLarge
from otel_mlmon.ingest.receive.receipt import Encoding, Receipt, Signal

_log = logging.getLogger(__name__)
_NANOS: Final = 10**9
_CODES: Final = {HTTPStatus.NOT_FOUND: code_pb2.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED: code_pb2.UNIMPLEMENTED}
# gRPC sends a status twice in the headers (percent-encoded, three bytes for one; and as base64). 8 KiB are safe there.
# A longer status reaches the sender as RESOURCE_EXHAUSTED, and the sender drops the data.
_LONGEST_BYTES: Final = 1000
_RESPONSES: Final[dict[Signal, tuple[type[ExportLogsServiceResponse | ExportTraceServiceResponse], str]]] = {
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
}


def response(signal: Signal, receipt: Receipt) -> Message:
    """Make the response of a signal's Export; `partial_success` is set only for rejected records or a message."""
    if signal == "metrics":
        return ExportMetricsServiceResponse()
    kind, rejected = _RESPONSES[signal]
    answer = kind()
    if receipt.rejected or receipt.message:
        setattr(answer.partial_success, rejected, receipt.rejected)
        answer.partial_success.error_message = _shortened(receipt.message)
    return answer


def serialised(message: Message, encoding: Encoding) -> bytes:
    """Serialise a message in the encoding of the request."""
    return MessageToJson(message).encode() if encoding == "json" else message.SerializeToString()


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The response of both transports to an error."""

    outcome: str  # rejected or retry
    http: int
    grpc: grpc.StatusCode
    status: status_pb2.Status
    retry_after_s: float | None = None

    @property
    def retry_info(self) -> bytes:
        """`google.rpc.RetryInfo`, serialised."""
        info: bytes = _retry_info(self.retry_after_s or 0.0).SerializeToString()
        return info

    @property
    def retry_header(self) -> dict[str, str]:
        """The HTTP header Retry-After, if the sender may try again."""
        return {} if self.retry_after_s is None else {"Retry-After": str(max(1, round(self.retry_after_s)))}


def error_response(error: Exception) -> ErrorResponse:
    """Make the response to an error.

    An unexpected error counts as temporary: for HTTP 500 and gRPC UNKNOWN, the sender would drop the data.
    """
    if isinstance(error, TooLarge):
        return _permanent(error, 413, grpc.StatusCode.RESOURCE_EXHAUSTED, code_pb2.RESOURCE_EXHAUSTED)
    if isinstance(error, RejectedInput):
        return _permanent(error, 400, grpc.StatusCode.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT)
    if isinstance(error, Retryable):
        return _temporary(str(error), error.retry_after_s)
    _log.error("unexpected error while receiving", exc_info=error)
    return _temporary(f"internal error: {type(error).__name__}", 5.0)


def unsupported(http: HTTPStatus, message: str) -> ErrorResponse:
    """Make the response to an HTTP request that is refused before its body is read."""
    code = _CODES.get(http, code_pb2.INVALID_ARGUMENT)
    return ErrorResponse("rejected", http, grpc.StatusCode.INVALID_ARGUMENT, _status(code, message))


def _permanent(error: Exception, http: int, grpc_code: grpc.StatusCode, code: int) -> ErrorResponse:
    return ErrorResponse("rejected", http, grpc_code, _status(code, str(error)))


def _temporary(message: str, retry_after_s: float) -> ErrorResponse:
    detail = any_pb2.Any()
    detail.Pack(_retry_info(retry_after_s))
    status = _status(code_pb2.UNAVAILABLE, message)
    status.details.append(detail)
    return ErrorResponse("retry", 503, grpc.StatusCode.UNAVAILABLE, status, retry_after_s)


def _status(code: int, message: str) -> status_pb2.Status:
    return status_pb2.Status(code=code, message=_shortened(message))


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    nanos = int(seconds * _NANOS)
    delay = duration_pb2.Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)
    return error_details_pb2.RetryInfo(retry_delay=delay)


def _shortened(message: str) -> str:
    """Cut a message to valid UTF-8 of a length that both transports carry."""
    text = message.encode(errors="replace")
    cut = text[:_LONGEST_BYTES].decode(errors="ignore")
    return cut if len(text) <= _LONGEST_BYTES else f"{cut} …"
