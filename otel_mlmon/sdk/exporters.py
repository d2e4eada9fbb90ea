"""Which exporters the OTEL_* variables ask for, by signal."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, Literal

from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk.session import Answer, new_session

Signal = Literal["traces", "metrics", "logs"]
_HTTP: Final = "http/protobuf"
_GRPC: Final = "grpc"


@dataclass(frozen=True, slots=True)
class Destination:
    """What `configure` was given; where None, the variables say."""

    endpoint: str | None
    headers: Mapping[str, str] | None


def variable(name: str) -> str:
    """An environment variable, stripped; unset is the same as empty, as OpenTelemetry has it."""
    return os.environ.get(name, "").strip()


def exporters(signal: Signal, to: Destination, answer: Answer | None = None) -> list[Any]:
    """Exporters (for metrics perhaps readers) of `signal`; none if OTEL_<SIGNAL>_EXPORTER=none.

    Raises ConfigError for a name or a protocol that there is no exporter for.
    """
    names = [name.strip().lower() for name in (variable(f"OTEL_{signal.upper()}_EXPORTER") or "otlp").split(",")]
    return [_exporter(name, signal, to, answer) for name in names if name and name != "none"]


def _exporter(name: str, signal: Signal, to: Destination, answer: Answer | None) -> Any:
    if name == "otlp":
        protocol = (
            variable(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
            or variable("OTEL_EXPORTER_OTLP_PROTOCOL")
            or _HTTP
        )
        if protocol == _HTTP:
            return _http_exporter(signal, to, answer)
        if protocol == _GRPC:
            arguments = {"endpoint": to.endpoint, "headers": to.headers and tuple(to.headers.items())}
            return _load("otlp_proto_grpc", signal)(**{key: value for key, value in arguments.items() if value})
        raise ConfigError(f"OTEL_EXPORTER_OTLP_PROTOCOL: found {protocol!r}; allowed are {_HTTP!r} and {_GRPC!r}")
    return _load(name, signal)()


def _http_exporter(signal: Signal, to: Destination, answer: Answer | None) -> Any:
    endpoint = None if to.endpoint is None else f"{to.endpoint.rstrip('/')}/v1/{signal}"
    arguments: dict[str, Any] = {"endpoint": endpoint, "headers": dict(to.headers) if to.headers else None}
    if not variable("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"):  # which brings a session of its own
        arguments["session"] = new_session(answer)
    if signal == "logs":
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

        return OTLPLogExporter(**arguments)
    if signal == "metrics":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(**arguments)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(**arguments)


def _load(name: str, signal: Signal) -> Any:
    group = f"opentelemetry_{signal}_exporter"
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        allowed = ", ".join(sorted({"otlp", "none", *(point.name for point in entry_points(group=group))}))
        raise ConfigError(f"exporter of {signal}: found {name!r}, which is not installed; allowed here are {allowed}")
    return found[0].load()
