"""OTLP/HTTP: protobuf and JSON, plain and gzip, on one port."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from otel_mlmon.errors import RejectedInput, TooLarge
from otel_mlmon.receive.ingest import SIGNALS, Encoding, Ingest, Observe, Signal, ignore
from otel_mlmon.receive.responses import response, serialised
from otel_mlmon.receive.status import Answer, answer

_ENCODINGS: Final[dict[str, Encoding]] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_TYPES: Final = {encoding: content_type for content_type, encoding in _ENCODINGS.items()}


def otlp_app(ingest: Ingest, *, max_body_bytes: int = 64 * 1024 * 1024, observe: Observe = ignore) -> Starlette:
    """POST /v1/logs, /v1/traces and /v1/metrics."""
    return Starlette(
        routes=[
            Route(f"/v1/{signal}", _Endpoint(signal, ingest, max_body_bytes, observe).handle, methods=["POST"])
            for signal in SIGNALS
        ]
    )


class _Endpoint:
    def __init__(self, signal: Signal, ingest: Ingest, max_body_bytes: int, observe: Observe) -> None:
        self._signal = signal
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes
        self._observe = observe

    async def handle(self, request: Request) -> Response:
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        encoding = _ENCODINGS.get(content_type)
        if encoding is None:
            self._observe("http", self._signal, "rejected")
            allowed = ", ".join(_ENCODINGS)
            return Response(
                f"content type {content_type or 'none'!r}; allowed are {allowed}\n", 415, media_type="text/plain"
            )
        try:
            body = await _body(request, self._max_body_bytes)
            receipt = await run_in_threadpool(self._ingest, self._signal, body, encoding)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # HTTP 500 is not retried by senders, so nothing may escape
            found = answer(error)
            self._observe("http", self._signal, found.outcome)
            return _refusal(found, encoding)
        self._observe("http", self._signal, "partial" if receipt.rejected else "ok")
        return Response(serialised(response(self._signal, receipt), encoding), media_type=_TYPES[encoding])


def _refusal(found: Answer, encoding: Encoding) -> Response:
    headers = {} if found.retry_after_s is None else {"Retry-After": str(max(1, round(found.retry_after_s)))}
    return Response(serialised(found.status, encoding), found.http, headers, _TYPES[encoding])


async def _body(request: Request, limit: int) -> bytes:
    """The body, decompressed as it comes, never more than `limit` bytes. Raises TooLarge and RejectedInput."""
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("identity", "gzip"):
        raise RejectedInput(f"content encoding {coding!r}; allowed are gzip and identity", "content_encoding")
    gzip = zlib.decompressobj(wbits=31) if coding == "gzip" else None
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        try:
            # One byte more than allowed is enough to know; a bomb is never unfolded.
            part = gzip.decompress(chunk, limit + 1 - size) if gzip else chunk
        except zlib.error as error:
            raise RejectedInput(f"the body is not gzip: {error}", "content_encoding") from error
        size += len(part)
        if size > limit:
            raise TooLarge(f"the body has more than {limit} bytes" + (" after decompression" if gzip else ""))
        parts.append(part)
    if gzip is not None and size and not gzip.eof:
        raise RejectedInput("the gzip body is truncated", "content_encoding")
    return b"".join(parts)
