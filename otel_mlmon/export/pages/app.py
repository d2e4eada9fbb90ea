"""The routes: metrics for Prometheus, pages for people, JSON for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from otel_mlmon.export.metrics.prometheus import exposition, media_type
from otel_mlmon.export.pages.pages import alerts_page, missing_page, overview_page
from otel_mlmon.export.pages.report import report_page
from otel_mlmon.export.plain import plain, text
from otel_mlmon.export.source import AlertSource, HistoryPoint, MetricSource
from otel_mlmon.values.alert_documents import alert_to_json

_log = logging.getLogger(__name__)
PATIENCE_S = 1.5  # how long a page waits for the explanation; then it opens without, and looks again
_HEADERS = {
    # Pages show text from the wire. It is escaped; should that ever fail, nothing in it may run or load.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_T = TypeVar("_T")


def web_app(  # noqa: C901 - one small handler per route
    metrics: MetricSource,
    alerts: AlertSource,
    *,
    routes: Sequence[BaseRoute] = (),
    ready: Callable[[], bool] = lambda: True,
) -> Starlette:
    """The app; `routes` are further ones that others bring. Handlers run in a thread pool.

    `ready` says whether predictions can be taken now.
    """

    def scrape(request: Request) -> Response:
        """Return all metrics, in the text format of Prometheus or OpenMetrics, as `Accept` asks."""
        media = media_type(request.headers.get("accept", ""))
        return Response(
            exposition(metrics.metrics(), media).encode(), headers={"Content-Type": media, "Vary": "Accept"}
        )

    def overview(_request: Request) -> Response:
        """Show the page with the processor's status, its models, its rules and the firing alerts."""
        return _page(overview_page(alerts.status(), alerts.alerts()))

    def listed(_request: Request) -> Response:
        """Show the page with all alerts."""
        return _page(alerts_page(alerts.alerts()))

    def report(request: Request) -> Response:
        """Show the report of one alert: distributions, history, explanation, example predictions. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        alert = alerts.alert(request.path_params["id"])
        if alert is None:
            return _page(missing_page(request.path_params["id"]), 404)
        missing: list[str] = []
        history: Sequence[HistoryPoint] = ()
        examples: Sequence[Mapping[str, Any]] = ()
        why = _read("explanation", lambda: alerts.explanation(alert.id, PATIENCE_S), missing, None)
        waiting = why is None and not missing
        if why is None or not why.get("history"):
            history = _read("history", lambda: alerts.history(alert.id), missing, ())
        if not waiting and (why is None or not why.get("examples")):
            examples = _read("sample predictions", lambda: alerts.examples(alert.id), missing, ())
        cause = alerts.alert(alert.cause) if alert.cause else None
        follow = [one for one in alerts.alerts() if one.cause == alert.id]
        return _page(
            report_page(alert, history, examples, missing, explanation=why, waiting=waiting, cause=cause, follow=follow)
        )

    def explanation_json(request: Request) -> Response:
        """Return the explanation of one alert, as `mlmon explain --json` prints it. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        alert = alerts.alert(request.path_params["id"])
        why = None if alert is None else alerts.explanation(alert.id)
        return _json({"error": f"no alert {request.path_params['id']!r}"}, 404) if why is None else _json(why)

    def status(_request: Request) -> Response:
        """Return models, rules, counts of received rows, and notes, as `mlmon status --json` prints them."""
        return _json(alerts.status())

    def alerts_json(_request: Request) -> Response:
        """Return all alerts as a list, each with its target, state and last verdict."""
        return _json([alert_to_json(alert) for alert in alerts.alerts()])

    def alert_json(request: Request) -> Response:
        """Return one alert, with the history of its verdicts and example predictions. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        alert = alerts.alert(request.path_params["id"])
        if alert is None:
            return _json({"error": f"no alert {request.path_params['id']!r}"}, 404)
        return _json(
            {**alert_to_json(alert), "history": alerts.history(alert.id), "examples": alerts.examples(alert.id)}
        )

    def healthy(_request: Request) -> Response:
        """Answer `ok` as long as the process lives."""
        return PlainTextResponse("ok\n")

    def readiness(_request: Request) -> Response:
        """Answer `ready`, or 503 when the evaluation has ended."""
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    pages: dict[str, Callable[[Request], Response]] = {
        "/": overview,
        "/alerts": listed,
        "/alerts/{id}": report,
        "/metrics": scrape,
        "/healthz": healthy,
        "/readyz": readiness,
        "/api/v1/status": status,
        "/api/v1/alerts": alerts_json,
        "/api/v1/alerts/{id}": alert_json,
        "/api/v1/alerts/{id}/explanation": explanation_json,
    }
    return Starlette(
        routes=[*(Route(path, handler) for path, handler in pages.items()), *routes],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)],
    )


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(text(html), status, headers=_HEADERS)


def _json(value: Any, status: int = 200) -> Response:
    return JSONResponse(plain(value), status)


def _read(what: str, read: Callable[[], _T], missing: list[str], otherwise: _T) -> _T:
    """A part of the report that the page can do without: it says that it is missing."""
    try:
        return read()
    except Exception:  # whatever the store has; the rest of the page is needed all the more
        _log.exception("%s cannot be read", what)
        missing.append(what)
        return otherwise
