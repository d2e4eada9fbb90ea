"""OTLP/HTTP, and tables of ground truth on the same port. Protobuf and JSON, plain and gzip."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otel_mlmon.ingest.receive.body import read_body
from otel_mlmon.ingest.receive.ground_truth import PATH, GroundTruthEndpoint
from otel_mlmon.ingest.receive.receipt import SIGNALS, Encoding, Ingest, IngestTable, Observe, Signal, ignore
from otel_mlmon.ingest.receive.responses import ErrorResponse, error_response, response, serialised, unsupported

_ENCODINGS: Final[dict[str, Encoding]] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_TYPES: Final = {encoding: content_type for content_type, encoding in _ENCODINGS.items()}


def otlp_app(
    ingest: Ingest,
    *,
    ground_truth: IngestTable | None = None,
    max_body_bytes: int = 64 * 1024 * 1024,
    observe: Observe = ignore,
) -> Starlette:
    """Make the app: POST /v1/logs, /v1/traces, /v1/metrics; with `ground_truth` also POST /v1/ground-truth."""
    tables = None if ground_truth is None else GroundTruthEndpoint(ground_truth, max_body_bytes, observe)
    paths = [*(f"/v1/{signal}" for signal in SIGNALS), *([] if tables is None else [PATH])]

    async def refuse_path(request: Request, error: Exception) -> Response:
        """Respond to an unknown path, or to a method other than POST."""
        assert isinstance(error, HTTPException)
        signal = request.url.path.removeprefix("/v1/")
        if signal in SIGNALS:
            observe("http", signal, "rejected")
        allowed = ", ".join(f"POST {path}" for path in paths)
        refusal = unsupported(
            HTTPStatus(error.status_code), f"{request.method} {request.url.path}; allowed are {allowed}"
        )
        if tables is not None and request.url.path == PATH:
            return tables.refusal(refusal, dict(error.headers or {}))
        return _refusal(refusal, _ENCODINGS.get(_content_type(request), "protobuf"), dict(error.headers or {}))

    routes = [
        Route(f"/v1/{signal}", _Endpoint(signal, ingest, max_body_bytes, observe).handle, methods=["POST"])
        for signal in SIGNALS
    ]
    if tables is not None:
        routes.append(Route(PATH, tables.handle, methods=["POST"]))
    return Starlette(routes=routes, exception_handlers={HTTPException: refuse_path})


class _Endpoint:
    def __init__(self, signal: Signal, ingest: Ingest, max_body_bytes: int, observe: Observe) -> None:
        self._signal = signal
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes
        self._observe = observe

    async def handle(self, request: Request) -> Response:
        """Take one OTLP request, protobuf or JSON, plain or gzip. Metrics are accepted and ignored.

        Answers with OTLP's own response. 200: the rows are committed, and the partial success counts rejected records.
        503 with `Retry-After`: send it again. 400, 413, 415: the request can never be stored.
        """
        content_type = _content_type(request)
        encoding = _ENCODINGS.get(content_type)
        if encoding is None:
            self._observe("http", self._signal, "rejected")
            message = f"content type {content_type or 'none'!r}; allowed are {', '.join(_ENCODINGS)}"
            return _refusal(unsupported(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message), "protobuf")
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        try:
            body = await read_body(request.stream(), coding, self._max_body_bytes)
            receipt = await run_in_threadpool(self._ingest, self._signal, body, encoding)
            content = serialised(response(self._signal, receipt), encoding)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # it would become HTTP 500, which senders do not retry
            refusal = error_response(error)
            self._observe("http", self._signal, refusal.outcome)
            return _refusal(refusal, encoding)
        self._observe("http", self._signal, "partial" if receipt.rejected else "ok")
        return Response(content, media_type=_TYPES[encoding])


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _refusal(error: ErrorResponse, encoding: Encoding, headers: dict[str, str] | None = None) -> Response:
    headers = {**(headers or {}), **error.retry_header}
    return Response(serialised(error.status, encoding), error.http, headers, _TYPES[encoding])
