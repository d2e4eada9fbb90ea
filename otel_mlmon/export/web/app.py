"""The routes: metrics for Prometheus, pages for people, JSON for programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from otel_mlmon.export.prometheus import CONTENT_TYPE, exposition
from otel_mlmon.export.source import AlertSource, MetricSource
from otel_mlmon.export.web.pages import alerts_page, missing_page, overview_page, report_page
from otel_mlmon.values import Alert


def web_app(metrics: MetricSource, alerts: AlertSource, *, routes: Sequence[BaseRoute] = ()) -> Starlette:
    """The app; `routes` are further ones that others bring. Handlers run in a thread pool."""

    def scrape(_request: Request) -> Response:
        return Response(exposition(metrics.metrics()), media_type=CONTENT_TYPE)

    def overview(_request: Request) -> Response:
        return HTMLResponse(overview_page(alerts.status(), alerts.alerts()))

    def listed(_request: Request) -> Response:
        return HTMLResponse(alerts_page(alerts.alerts()))

    def report(request: Request) -> Response:
        alert = alerts.alert(request.path_params["id"])
        if alert is None:
            return HTMLResponse(missing_page(request.path_params["id"]), 404)
        return HTMLResponse(report_page(alert, alerts.history(alert.id), alerts.examples(alert.id)))

    def status(_request: Request) -> Response:
        return JSONResponse(plain(alerts.status()))

    def alerts_json(_request: Request) -> Response:
        return JSONResponse([plain(_document(alert)) for alert in alerts.alerts()])

    def alert_json(request: Request) -> Response:
        alert = alerts.alert(request.path_params["id"])
        if alert is None:
            return JSONResponse({"error": f"no alert {request.path_params['id']!r}"}, 404)
        body = {
            **_document(alert),
            "history": [point._asdict() for point in alerts.history(alert.id)],
            "examples": list(alerts.examples(alert.id)),
        }
        return JSONResponse(plain(body))

    def healthy(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    pages: dict[str, Callable[[Request], Response]] = {
        "/": overview,
        "/alerts": listed,
        "/alerts/{id}": report,
        "/metrics": scrape,
        "/healthz": healthy,
        "/readyz": healthy,
        "/api/v1/status": status,
        "/api/v1/alerts": alerts_json,
        "/api/v1/alerts/{id}": alert_json,
    }
    return Starlette(routes=[*(Route(path, handler) for path, handler in pages.items()), *routes])


def _document(alert: Alert) -> dict[str, Any]:
    return asdict(alert)


def plain(value: Any) -> Any:
    """The same value, fit for JSON: it has no NaN and no infinities."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
