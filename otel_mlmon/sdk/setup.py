"""`configure`: OpenTelemetry set up in one call, for an application that has none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otel_mlmon.sdk import emit
from otel_mlmon.sdk.deliver import DeliveringLogRecordProcessor
from otel_mlmon.sdk.exporters import Destination, exporters, variable
from otel_mlmon.sdk.flush import FLUSHER
from otel_mlmon.sdk.session import Answer

_logger: Final = logging.getLogger("otel_mlmon")


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    resource_attributes: Mapping[str, str | int | float | bool] | None = None,
    max_queue_bytes: int = 64 * 1024 * 1024,
) -> None:
    """Set the global tracer, meter and logger providers from the OTEL_* variables; an argument wins over its variable.

    `endpoint` is the base URL of an OTLP receiver, such as http://localhost:4318 (the default); the protocol is
    HTTP/protobuf unless OTEL_EXPORTER_OTLP_PROTOCOL says otherwise. Providers that are already set stay, which is
    logged. `max_queue_bytes` bounds what waits for a receiver that is away. With OTEL_SDK_DISABLED=true it does
    nothing. Raises ConfigError for variables that cannot be followed. In a server that forks its workers, call it in
    each worker, so that their metrics stay apart.
    """
    if variable("OTEL_SDK_DISABLED").lower() == "true":
        _logger.info("OTEL_SDK_DISABLED is true: nothing is set up and no prediction leaves the process")
        return
    given = dict(resource_attributes or {})
    if service_name is not None:
        given[SERVICE_NAME] = service_name
    resource = Resource.create(given)
    to = Destination(endpoint, headers)
    # Each is made completely before any is set, so that a mistake in the variables leaves nothing half done.
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


Step = Callable[[], None]


def _unless_present(present: Any, make: Callable[[], Step | None]) -> Step | None:
    # While none is set, the API hands out a proxy. Its class is public for traces only.
    if "Proxy" in type(present).__name__:
        return make()
    _logger.info("configure: a %s is already set and is left as it is", type(present).__name__)
    return None


def _traces(resource: Resource, to: Destination) -> Step | None:
    if not (found := exporters("traces", to)):
        return None
    provider = TracerProvider(resource=resource)  # the sampler comes from OTEL_TRACES_SAMPLER
    for exporter in found:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return lambda: trace.set_tracer_provider(provider)


def _metrics(resource: Resource, to: Destination) -> Step | None:
    if not (found := exporters("metrics", to)):
        return None
    readers = [each if isinstance(each, MetricReader) else PeriodicExportingMetricReader(each) for each in found]
    provider = MeterProvider(readers, resource)
    return lambda: metrics.set_meter_provider(provider)


def _logs(resource: Resource, to: Destination, max_queue_bytes: int) -> Step | None:
    answer = Answer()
    if not (found := exporters("logs", to, answer)):
        return None
    provider = LoggerProvider(resource)
    for exporter in found:
        tells = type(exporter).__module__.startswith("opentelemetry.exporter.otlp.proto.http")
        processor = DeliveringLogRecordProcessor(exporter, answer=answer if tells else None, max_bytes=max_queue_bytes)
        provider.add_log_record_processor(processor)
    emit.size_aware.add(provider)
    return lambda: emit.set_logger_provider(provider)
