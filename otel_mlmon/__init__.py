"""otel_mlmon: an OpenTelemetry-based observability exporter and rules engine for ML models in production.

The application side is `configure` and `Monitor`. They are loaded when first used, so that importing the package costs
an application next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_mlmon.sdk.monitor import Monitor
    from otel_mlmon.sdk.setup import configure

__all__ = ["Monitor", "configure"]


def __getattr__(name: str) -> Any:
    if name == "Monitor":
        from otel_mlmon.sdk.monitor import Monitor

        return Monitor
    if name == "configure":
        from otel_mlmon.sdk.setup import configure

        return configure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
