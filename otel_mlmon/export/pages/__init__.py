"""Pages, JSON and metrics over HTTP."""

from otel_mlmon.export.pages.app import web_app

__all__ = ["web_app"]
