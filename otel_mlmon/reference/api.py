"""References over HTTP, for `mlmon reference`: only the processor owns the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otel_mlmon.errors import BadReference, Retryable
from otel_mlmon.reference.artefact import from_document, to_document
from otel_mlmon.reference.book import ReferenceBook
from otel_mlmon.values import Reference

PATH: Final = "/api/v1/references"
_LARGEST = 64 * 1024 * 1024


def reference_routes(book: ReferenceBook) -> list[Route]:
    """Return the routes that list, show, add, replace and forget references."""

    async def show(request: Request) -> Response:
        """List the references; with `model` and `name`, return that one as JSON. 400: no such reference.

        `model`: the model's name.
        `name`: the reference's name.
        `version`: the model's version; without it, the reference for every version.
        """
        query = request.query_params
        if "model" not in query or "name" not in query:
            return JSONResponse([_summary(reference) for reference in book.all()])
        reference = book.find(query["model"], query.get("version", ""), query["name"])
        if reference is None:
            raise BadReference(
                f"no reference {query['name']!r} of model {query['model']!r}; known: {book.names() or 'none'}"
            )
        return JSONResponse(_without_nan(to_document(reference)))

    async def put(request: Request) -> Response:
        """Add or replace a reference. The body is the artefact as JSON, at most 64 MiB. 400: a mistake in it."""
        body = await request.body()
        if len(body) > _LARGEST:
            raise BadReference(f"a reference of {len(body)} bytes; the limit is {_LARGEST}")
        try:
            document = await request.json()
        except ValueError as error:
            raise BadReference(f"the body is not JSON: {error}") from error
        reference = from_document(document, "the reference in the request")
        changed = await run_in_threadpool(book.put, reference)
        return JSONResponse({**_summary(reference), "changed": changed})

    async def delete(request: Request) -> Response:
        """Forget a reference. 400: no such reference.

        `model`: the model's name.
        `name`: the reference's name.
        `version`: the model's version; without it, the reference for every version.
        """
        query = request.query_params
        await run_in_threadpool(book.delete, query.get("model", ""), query.get("name", ""), query.get("version", ""))
        return JSONResponse({"deleted": True})

    return [
        Route(PATH, _guarded(show), methods=["GET"]),
        Route(PATH, _guarded(put), methods=["PUT"]),
        Route(PATH, _guarded(delete), methods=["DELETE"]),
    ]


def _summary(reference: Reference) -> dict[str, object]:
    names = ("model", "name", "version", "created", "source", "rows")
    return {**{name: getattr(reference, name) for name in names}, "fields": len(reference.fields)}


def _without_nan(value: object) -> object:
    """Replace NaN, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def _guarded(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    @wraps(handler)
    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except BadReference as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        except Retryable as error:
            return JSONResponse({"error": str(error)}, status_code=503)

    return guarded
