"""POST /v1/ground-truth: a table of true outcomes, from whoever has no OpenTelemetry at hand. Answers in JSON."""

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
from otel_mlmon.ingest.receive.receipt import Form, IngestTable, Observe
from otel_mlmon.ingest.receive.status import Answer, answer, unsupported
from otel_mlmon.values import GroundTruthLayout

PATH: Final = "/v1/ground-truth"
_FORMS: Final[dict[str, Form]] = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/vnd.apache.arrow.stream": "arrow",
    "application/vnd.apache.parquet": "parquet",
}
_ONCE: Final = ("model", "id", "value", "time", "known_at", "first_row")
_SIGNAL: Final = "ground_truth"


class GroundTruthEndpoint:
    """Answered only once everything is committed, as OTLP is."""

    def __init__(self, ingest: IngestTable, max_body_bytes: int, observe: Observe) -> None:
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes
        self._observe = observe

    async def handle(self, request: Request) -> Response:
        """One request."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        form = _FORMS.get(content_type)
        if form is None:
            said = f"content type {content_type or 'none'!r}; allowed are {', '.join(_FORMS)}"
            return self.refusal(unsupported(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, said))
        coding = request.headers.get("content-encoding", "identity").strip().lower()
        try:
            layout = layout_of(request.query_params.multi_items())
            body = await read_body(request.stream(), coding, self._max_body_bytes)
            receipt = await run_in_threadpool(self._ingest, form, body, layout)
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # whatever it is: what may pass later is told so
            return self.refusal(answer(error))
        self._observe("http", _SIGNAL, "partial" if receipt.rejected else "ok")
        return JSONResponse(asdict(receipt))

    def refusal(self, found: Answer, headers: Mapping[str, str] | None = None) -> Response:
        """The answer to a request of which nothing was stored."""
        self._observe("http", _SIGNAL, found.outcome)
        retry = {} if found.retry_after_s is None else {"Retry-After": str(max(1, round(found.retry_after_s)))}
        return JSONResponse({"error": found.status.message}, found.http, {**(headers or {}), **retry})


def layout_of(parameters: Sequence[tuple[str, str]]) -> GroundTruthLayout:
    """What the query of the URL says about the columns. Raises RejectedInput with what is allowed.

    `key=FEATURE` or `key=FEATURE:COLUMN`, once per feature. `known_at`: ns since the epoch.
    """
    given: dict[str, str] = {}
    keys: dict[str, str] = {}
    for name, value in parameters:
        if name not in (*_ONCE, "key"):
            raise RejectedInput(f"parameter {name!r}; allowed are {', '.join(_ONCE)} and key")
        if not value:
            raise RejectedInput(f"parameter {name!r} is empty")
        if name in given:
            raise RejectedInput(f"parameter {name!r} comes twice; only key may")
        if name == "key":
            feature, _, column = value.partition(":")
            if feature in keys:
                raise RejectedInput(f"parameter 'key' names the feature {feature!r} twice")
            keys[feature] = column or feature
        else:
            given[name] = value
    if "id" in given and keys:
        raise RejectedInput("parameters 'id' and 'key' are both there; allowed is one way to name predictions")
    known_at = _number(given, "known_at")
    return GroundTruthLayout(
        model=given.get("model", ""),
        id=given.get("id", "prediction_id"),
        value=given.get("value", "ground_truth"),
        time=given.get("time", ""),
        keys=tuple(keys.items()),
        known_at=known_at,
        first_row=_number(given, "first_row") or 1,
    )


def _number(given: Mapping[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text[:20]) < 2**63):
        raise RejectedInput(f"parameter {name!r} is {text!r}; allowed is a positive whole number")
    return int(text)
