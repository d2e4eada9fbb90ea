"""Errors as OTLP answers: which are worth another try, and when."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from otel_mlmon.errors import RejectedInput, Retryable, TooLarge
from otel_mlmon.ingest.receive.responses import sayable

_log = logging.getLogger(__name__)
_NANOS: Final = 10**9
_CODES: Final = {HTTPStatus.NOT_FOUND: code_pb2.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED: code_pb2.UNIMPLEMENTED}


@dataclass(frozen=True, slots=True)
class Answer:
    """An error as both transports answer it."""

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


def answer(error: Exception) -> Answer:
    """The answer to an error.

    An error that nobody foresaw is answered as temporary: HTTP 500 and gRPC UNKNOWN would make the sender throw the
    data away.
    """
    if isinstance(error, TooLarge):
        return _permanent(error, 413, grpc.StatusCode.RESOURCE_EXHAUSTED, code_pb2.RESOURCE_EXHAUSTED)
    if isinstance(error, RejectedInput):
        return _permanent(error, 400, grpc.StatusCode.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT)
    if isinstance(error, Retryable):
        return _temporary(str(error), error.retry_after_s)
    _log.error("unexpected error while receiving", exc_info=error)
    return _temporary(f"internal error: {type(error).__name__}", 5.0)


def unsupported(http: HTTPStatus, message: str) -> Answer:
    """The answer to an HTTP request that is refused before its body is looked at."""
    code = _CODES.get(http, code_pb2.INVALID_ARGUMENT)
    return Answer("rejected", http, grpc.StatusCode.INVALID_ARGUMENT, _status(code, message))


def _permanent(error: Exception, http: int, grpc_code: grpc.StatusCode, code: int) -> Answer:
    return Answer("rejected", http, grpc_code, _status(code, str(error)))


def _temporary(message: str, retry_after_s: float) -> Answer:
    detail = any_pb2.Any()
    detail.Pack(_retry_info(retry_after_s))
    status = _status(code_pb2.UNAVAILABLE, message)
    status.details.append(detail)
    return Answer("retry", 503, grpc.StatusCode.UNAVAILABLE, status, retry_after_s)


def _status(code: int, message: str) -> status_pb2.Status:
    return status_pb2.Status(code=code, message=sayable(message))


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    nanos = int(seconds * _NANOS)
    delay = duration_pb2.Duration(seconds=nanos // _NANOS, nanos=nanos % _NANOS)
    return error_details_pb2.RetryInfo(retry_delay=delay)
