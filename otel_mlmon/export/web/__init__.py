"""Pages, JSON and metrics over HTTP."""

from otel_mlmon.export.web.app import web_app

__all__ = ["web_app"]
