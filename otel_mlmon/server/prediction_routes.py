"""Logged predictions over HTTP, for `mlmon parity`: only the processor may open the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values.storage import RowStorage
from otel_mlmon.wire.columns import json_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

PATH: Final = "/api/v1/predictions"
MEDIA_TYPE: Final = "application/x-ndjson"
MOST: Final = 100_000
_LATEST: Final = 2**63 - 1
_LINES = 1_000  # of one chunk of the answer


def prediction_routes(rows: RowStorage) -> list[Route]:
    """Return the route of logged predictions."""

    def show(request: Request) -> Response:
        """Return logged predictions, one JSON object per line. NaN and the infinities are written as such.

        404: no predictions of this model. 400: an argument is out of range.

        `model`: the model's name; required.
        `version`: the model's version; without it, all versions.
        `start`: first time, in ns since the epoch; without it, the oldest prediction.
        `end`: end of the times (exclusive), in ns since the epoch; by default just after the newest prediction.
        `last`: in place of `start`: the length of the time before `end`, in ns.
        `limit`: of more predictions than this, a sample is returned; 1,000 by default, 100,000 at most.
        """
        query = request.query_params
        model = query.get("model", "")
        if model not in rows.models():
            return _mistake(f"no predictions of model {model!r}; known: {', '.join(rows.models()) or 'none'}", 404)
        try:
            limit = _whole(query, "limit", 1, MOST, 1_000)
            span = rows.span(model)
            end = _whole(query, "end", 0, _LATEST, (span.newest if span else 0) + 1)
            if "start" in query and "last" in query:
                raise ValueError("start and last: found both, allowed is one of them")
            start = _whole(query, "start", 0, _LATEST, max(0, end - _whole(query, "last", 0, _LATEST, end)))
        except ValueError as error:
            return _mistake(str(error), 400)
        logged = rows.logged(model, query.get("version"), start, end, limit)
        return StreamingResponse(_chunks(logged), media_type=MEDIA_TYPE)

    return [Route(PATH, show, methods=["GET"])]


def _chunks(rows: list[dict[str, Any]]) -> Iterator[bytes]:
    for first in range(0, len(rows), _LINES):
        lines = (json_text(_line(row)) + "\n" for row in rows[first : first + _LINES])
        # Half a surrogate pair has no UTF-8; in JSON it has.
        yield "".join(lines).encode("utf-8", "backslashreplace")


def _line(row: Mapping[str, Any]) -> dict[str, Any]:
    fields = row["fields"]
    line = {name: row[name] for name in ("id", "time", "version", "trace_id")}
    line["features"] = {name: value for name, value in fields.items() if output_name(name) is None}
    for name, field in (("prediction", FIELD_PREDICTION), ("shadow", FIELD_SHADOW)):
        if field in fields:
            line[name] = fields[field]
    return line


def _whole(query: Mapping[str, str], name: str, least: int, most: int, default: int) -> int:
    if name not in query:
        return default
    text = query[name]
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{name}: found {text!r}, allowed is a whole number from {least} to {most}")
    return int(text)


def _mistake(message: str, status: int) -> Response:
    return JSONResponse({"error": message}, status)
