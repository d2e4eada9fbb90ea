"""POST /v1/ground-truth: a table of ground truth from a sender without OpenTelemetry. The response is JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from otel_mlmon.errors import RejectedInput
from otel_mlmon.ingest.receive.body import read_body
from otel_mlmon.ingest.receive.receipt import Format, IngestTable, Observe
from otel_mlmon.ingest.receive.responses import ErrorResponse, error_response, unsupported
from otel_mlmon.values import GroundTruthLayout

PATH: Final = "/v1/ground-truth"
_FORMATS: Final[dict[str, Format]] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
}
_ONCE: Final = ("model", "id", "value", "time", "known_at", "first_row")
_SIGNAL: Final = "ground_truth"


class GroundTruthEndpoint:
    """Receive a table and respond after the commit, as for OTLP."""

    def __init__(self, ingest: IngestTable, max_body_bytes: int, observe: Observe) -> None:
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes
        self._observe = observe

    async def handle(self, request: Request) -> Response:
        """Take one table of ground truth: JSON lines, CSV, Arrow stream or Parquet, named by `Content-Type`.

        Answers with the numbers of stored, duplicate and rejected rows once everything is committed. 503 with
        `Retry-After`: send it again. 400, 413, 415: nothing of the request can be stored.

        `model`: the model; without it, the column `model` names it.
        `id`: column of the prediction ids, by default `prediction_id`.
        `key`: `FEATURE` or `FEATURE:COLUMN`, once per feature; these features name predictions in place of an id.
        `value`: column of the true values, by default `ground_truth`.
        `time`: column of the times at which the values became known.
        `known_at`: that time for all rows, in ns since the epoch; by default, now.
        `first_row`: number of the first row, for messages.
        """
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        format_ = _FORMATS.get(content_type)
        if format_ is None:
            message = f"content type {content_type or 'none'!r}; allowed are {', '.join(_FORMATS)}"
            return self.refusal(unsupported(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message))
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        try:
            layout = layout_of(request.query_params.multi_items())
            body = await read_body(request.stream(), coding, self._max_body_bytes)
            receipt = await run_in_threadpool(self._ingest, format_, body, layout)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # the sender must learn whether it may try again
            return self.refusal(error_response(error))
        self._observe("http", _SIGNAL, "partial" if receipt.rejected else "ok")
        return JSONResponse(asdict(receipt))

    def refusal(self, error: ErrorResponse, headers: Mapping[str, str] | None = None) -> Response:
        """Respond to a request that stored nothing."""
        self._observe("http", _SIGNAL, error.outcome)
        return JSONResponse({"error": error.status.message}, error.http, {**(headers or {}), **error.retry_header})


def layout_of(parameters: Sequence[tuple[str, str]]) -> GroundTruthLayout:
    """Read the layout of the table from the query of the URL. Raises RejectedInput with the allowed parameters.

    `key=FEATURE` or `key=FEATURE:COLUMN`, once per feature. `known_at`: ns since the epoch.
    """
    single: dict[str, str] = {}
    keys: dict[str, str] = {}
    for name, value in parameters:
        if name not in (*_ONCE, "key"):
            raise RejectedInput(f"parameter {name!r}; allowed are {', '.join(_ONCE)} and key")
        if not value:
            raise RejectedInput(f"parameter {name!r} is empty")
        if name in single:
            raise RejectedInput(f"parameter {name!r} comes twice; only key may")
        if name == "key":
            feature, _, column = value.partition(":")
            if feature in keys:
                raise RejectedInput(f"parameter 'key' names the feature {feature!r} twice")
            keys[feature] = column or feature
        else:
            single[name] = value
    if "id" in single and keys:
        raise RejectedInput("parameters 'id' and 'key' are both there; allowed is one way to name predictions")
    known_at = _number(single, "known_at")
    return GroundTruthLayout(
        model=single.get("model", ""),
        id=single.get("id", "prediction_id"),
        value=single.get("value", "ground_truth"),
        time=single.get("time", ""),
        keys=tuple(keys.items()),
        known_at=known_at,
        first_row=_number(single, "first_row") or 1,
    )


def _number(parameters: Mapping[str, str], name: str) -> int | None:
    text = parameters.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise RejectedInput(f"parameter {name!r} is {text!r}; allowed is a positive whole number")
    return int(text)
