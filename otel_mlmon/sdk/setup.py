"""Set up OpenTelemetry in one call, with the exporters that the OTEL_* variables name."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, Literal

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_mlmon.errors import ConfigError
from otel_mlmon.sdk import emit
from otel_mlmon.sdk.deliver import DeliveringLogRecordProcessor
from otel_mlmon.sdk.flush import FLUSHER
from otel_mlmon.sdk.session import Answer, new_session

_logger: Final = logging.getLogger("otel_mlmon")
Signal = Literal["traces", "metrics", "logs"]
_HTTP: Final = "http/protobuf"
_GRPC: Final = "grpc"
Step = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Destination:
    """Arguments of `configure`; for None the variables decide."""

    endpoint: str | None
    headers: Mapping[str, str] | None


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    resource_attributes: Mapping[str, str | int | float | bool] | None = None,
    max_queue_bytes: int = 64 * 1024 * 1024,
) -> None:
    """Set the global tracer, meter and logger providers from the OTEL_* variables; an argument wins over its variable.

    `service_name`: the resource attribute `service.name`.
    `endpoint`: base URL of an OTLP receiver; default http://localhost:4318. The protocol is HTTP/protobuf unless
    OTEL_EXPORTER_OTLP_PROTOCOL names another.
    `headers`: headers of each OTLP request, such as those that authenticate it.
    `resource_attributes`: further attributes of the resource.
    `max_queue_bytes`: limit of the log records that wait while the receiver is away.

    A provider that is already set is kept, and a log line says so. With OTEL_SDK_DISABLED=true nothing is set.
    In a server that forks its workers, call it in each worker, so that their metrics stay apart.
    Raises ConfigError for an unknown exporter or protocol in the variables.
    """
    if _variable("OTEL_SDK_DISABLED").lower() == "true":
        _logger.info("OTEL_SDK_DISABLED is true: nothing is set up and no prediction leaves the process")
        return
    attributes = dict(resource_attributes or {})
    if service_name is not None:
        attributes[SERVICE_NAME] = service_name
    resource = Resource.create(attributes)
    to = Destination(endpoint, headers)
    # All providers are made before any is set: a mistake in the variables sets none.
    steps = [
        step
        for present, make in (
            (trace.get_tracer_provider(), lambda: _traces(resource, to)),
            (metrics.get_meter_provider(), lambda: _metrics(resource, to)),
            (emit.get_logger_provider(), lambda: _logs(resource, to, max_queue_bytes)),
        )
        if (step := _unless_present(present, make)) is not None
    ]
    for step in steps:
        step()
    FLUSHER.go_first_at_exit()


def _unless_present(present: Any, make: Callable[[], Step | None]) -> Step | None:
    # Until a provider is set, the API returns a proxy. Its class is public for traces only.
    if "Proxy" in type(present).__name__:
        return make()
    _logger.info("configure: a %s is already set and is left as it is", type(present).__name__)
    return None


def _traces(resource: Resource, to: Destination) -> Step | None:
    if not (exporters := make_exporters("traces", to)):
        return None
    provider = TracerProvider(resource=resource)  # the sampler comes from OTEL_TRACES_SAMPLER
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return lambda: trace.set_tracer_provider(provider)


def _metrics(resource: Resource, to: Destination) -> Step | None:
    if not (exporters := make_exporters("metrics", to)):
        return None
    readers = [each if isinstance(each, MetricReader) else PeriodicExportingMetricReader(each) for each in exporters]
    provider = MeterProvider(readers, resource)
    return lambda: metrics.set_meter_provider(provider)


def _logs(resource: Resource, to: Destination, max_queue_bytes: int) -> Step | None:
    answer = Answer()
    if not (exporters := make_exporters("logs", to, answer)):
        return None
    provider = LoggerProvider(resource)
    for exporter in exporters:
        over_http = type(exporter).__module__.startswith("opentelemetry.exporter.otlp.proto.http")
        provider.add_log_record_processor(
            DeliveringLogRecordProcessor(exporter, answer=answer if over_http else None, max_bytes=max_queue_bytes)
        )
    emit.size_aware.add(provider)
    return lambda: emit.set_logger_provider(provider)


def _variable(name: str) -> str:
    """Read an environment variable, stripped; unset is the same as empty, as in OpenTelemetry."""
    return os.environ.get(name, "").strip()


def make_exporters(signal: Signal, to: Destination, answer: Answer | None = None) -> list[Any]:
    """Make the exporters (for metrics perhaps readers) of `signal`; none if OTEL_<SIGNAL>_EXPORTER=none.

    Raises ConfigError for a name or a protocol without an exporter.
    """
    names = [name.strip().lower() for name in (_variable(f"OTEL_{signal.upper()}_EXPORTER") or "otlp").split(",")]
    return [_exporter(name, signal, to, answer) for name in names if name and name != "none"]


def _exporter(name: str, signal: Signal, to: Destination, answer: Answer | None) -> Any:
    if name == "otlp":
        protocol = (
            _variable(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL")
            or _variable("OTEL_EXPORTER_OTLP_PROTOCOL")
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
    if not _variable("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER"):  # it brings its own session
        arguments["session"] = new_session(answer)
    return _load("otlp_proto_http", signal)(**arguments)


def _load(name: str, signal: Signal) -> Any:
    group = f"opentelemetry_{signal}_exporter"
    points = [point for point in entry_points(group=group) if point.name == name]
    if not points:
        allowed = ", ".join(sorted({"otlp", "none", *(point.name for point in entry_points(group=group))}))
        raise ConfigError(f"exporter of {signal}: found {name!r}, which is not installed; allowed here are {allowed}")
    return points[0].load()
