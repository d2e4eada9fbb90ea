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
from otel_mlmon.export.pages.report import Report, report_page
from otel_mlmon.export.plain import plain, text
from otel_mlmon.export.source import AlertSource, MetricSource
from otel_mlmon.values.alert_documents import alert_to_json
from otel_mlmon.values.explanation import PastVerdict
from otel_mlmon.values.explanation_documents import explanation_to_json

_log = logging.getLogger(__name__)
PATIENCE_S = 1.5  # wait of a page for the explanation; after it the page opens without it, and reloads
_HEADERS = {
    # Pages show text from the wire. It is escaped; if that ever fails, nothing in it may run or load.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_T = TypeVar("_T")


def web_app(
    metrics: MetricSource,
    alerts: AlertSource,
    *,
    routes: Sequence[BaseRoute] = (),
    ready: Callable[[], bool] = lambda: True,
) -> Starlette:
    """Return the app with `routes` added to its own. Handlers run in a thread pool.

    `ready` is true while predictions are accepted and evaluated.
    """
    own = _Routes(metrics, alerts, ready)
    return Starlette(
        routes=[*(Route(path, handler) for path, handler in own.handlers().items()), *routes],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=5)],
    )


class _Routes:
    """One method per route."""

    def __init__(self, metrics: MetricSource, alerts: AlertSource, ready: Callable[[], bool]) -> None:
        self._metrics = metrics
        self._alerts = alerts
        self._ready = ready

    def handlers(self) -> dict[str, Callable[[Request], Response]]:
        return {
            "/": self.overview,
            "/alerts": self.listed,
            "/alerts/{id}": self.report,
            "/metrics": self.scrape,
            "/healthz": self.healthy,
            "/readyz": self.readiness,
            "/api/v1/status": self.status,
            "/api/v1/alerts": self.alerts_json,
            "/api/v1/alerts/{id}": self.alert_json,
            "/api/v1/alerts/{id}/explanation": self.explanation_json,
        }

    def scrape(self, request: Request) -> Response:
        """Return all metrics, in the text format of Prometheus or OpenMetrics, as `Accept` asks."""
        media = media_type(request.headers.get("accept", ""))
        text = exposition(self._metrics.metrics(), media)
        return Response(text.encode(), headers={"Content-Type": media, "Vary": "Accept"})

    def overview(self, _request: Request) -> Response:
        """Show the page with the processor's status, its models, its rules and the firing alerts."""
        return _page(overview_page(self._alerts.status(), self._alerts.alerts()))

    def listed(self, _request: Request) -> Response:
        """Show the page with all alerts."""
        return _page(alerts_page(self._alerts.alerts()))

    def report(self, request: Request) -> Response:
        """Show the report of one alert: distributions, history, explanation, example predictions. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        source = self._alerts
        alert = source.alert(request.path_params["id"])
        if alert is None:
            return _page(missing_page(request.path_params["id"]), 404)
        missing: list[str] = []
        history: Sequence[PastVerdict] = ()
        examples: Sequence[Mapping[str, Any]] = ()
        why = _read("explanation", lambda: source.explanation(alert.id, PATIENCE_S), missing, None)
        waiting = why is None and not missing
        if why is None or why.history is None:
            history = _read("history", lambda: source.history(alert.id), missing, ())
        if not waiting and (why is None or why.examples is None):
            examples = _read("sample predictions", lambda: source.examples(alert.id), missing, ())
        cause = source.alert(alert.cause) if alert.cause else None
        follow = [other for other in source.alerts() if other.cause == alert.id]
        return _page(report_page(Report(alert, history, examples, why, waiting, missing, cause, follow)))

    def explanation_json(self, request: Request) -> Response:
        """Return the explanation of one alert, as `mlmon explain --json` prints it. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        alert = self._alerts.alert(request.path_params["id"])
        why = None if alert is None else self._alerts.explanation(alert.id)
        return _no_alert(request) if why is None else _json(explanation_to_json(why))

    def status(self, _request: Request) -> Response:
        """Return models, rules, counts of received rows, and notes, as `mlmon status --json` prints them."""
        return _json(self._alerts.status())

    def alerts_json(self, _request: Request) -> Response:
        """Return all alerts as a list, each with its target, state and last verdict."""
        return _json([alert_to_json(alert) for alert in self._alerts.alerts()])

    def alert_json(self, request: Request) -> Response:
        """Return one alert, with the history of its verdicts and example predictions. 404: no such alert.

        `id`: the alert's id, as part of the path.
        """
        alert = self._alerts.alert(request.path_params["id"])
        if alert is None:
            return _no_alert(request)
        past = {"history": self._alerts.history(alert.id), "examples": self._alerts.examples(alert.id)}
        return _json({**alert_to_json(alert), **past})

    def healthy(self, _request: Request) -> Response:
        """Answer `ok` as long as the process lives."""
        return PlainTextResponse("ok\n")

    def readiness(self, _request: Request) -> Response:
        """Answer `ready`, or 503 when the evaluation has ended."""
        return PlainTextResponse("ready\n") if self._ready() else PlainTextResponse("not ready\n", 503)


def _no_alert(request: Request) -> Response:
    return _json({"error": f"no alert {request.path_params['id']!r}"}, 404)


def _page(html: str, status: int = 200) -> Response:
    return HTMLResponse(text(html), status, headers=_HEADERS)


def _json(value: Any, status: int = 200) -> Response:
    return JSONResponse(plain(value), status)


def _read(part: str, read: Callable[[], _T], missing: list[str], otherwise: _T) -> _T:
    """Read a part of the report; add its name to `missing` if that fails."""
    try:
        return read()
    except Exception:  # the page shows its other parts after any failure
        _log.exception("%s cannot be read", part)
        missing.append(part)
        return otherwise
