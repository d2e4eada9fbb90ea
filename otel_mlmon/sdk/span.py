"""The optional span of one prediction. The application's own sampler decides about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace import INVALID_SPAN, Span, SpanKind, Status, StatusCode, TracerProvider

from otel_mlmon.sdk.measure import package_version
from otel_mlmon.wire import semconv
from otel_mlmon.wire.columns import json_text


def active_context() -> tuple[int, int] | None:
    """Return the trace id and span id of the active span."""
    span = trace.get_current_span()
    if span is INVALID_SPAN:
        return None
    context = span.get_span_context()
    return (context.trace_id, context.span_id) if context.is_valid else None


class Spans:
    """Start the spans of one model. `reveal` selects the features that a span shows; None: no features."""

    def __init__(
        self,
        provider: TracerProvider | None,
        model: str,
        version: str,
        reveal: Callable[[Mapping[Any, Any]], Mapping[str, Any]] | None,
    ) -> None:
        self._provider = provider
        self._tracer = trace.get_tracer(semconv.SCOPE_NAME, package_version(), provider, semconv.SCHEMA_URL)
        self._name = f"{semconv.SPAN_OPERATION} {model}"
        self._attributes = {semconv.MODEL_NAME: model, semconv.MODEL_VERSION: version}
        self._reveal = reveal

    def start(self, prediction_id: str | None, features: Mapping[Any, Any] | None) -> OpenSpan | None:
        """Start a span and make it active. Return None, at almost no cost, if the application does not trace."""
        if self._provider is None and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            return None
        attributes = dict(self._attributes)
        if prediction_id is not None:  # None: a table of predictions, each with an id of its own
            attributes[semconv.PREDICTION_ID] = prediction_id
        span = self._tracer.start_span(self._name, kind=SpanKind.INTERNAL, attributes=attributes)
        if self._reveal is not None and features is not None and span.is_recording():
            for name, value in self._reveal(features).items():
                plain = value if isinstance(value, (str, bool, int, float)) else json_text(value)
                span.set_attribute(semconv.FEATURE_PREFIX + name, plain)
        return OpenSpan(span)


class OpenSpan:
    """A span that is active until `end`."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span
        self._token = attach(trace.set_span_in_context(span, None))

    def end(self, error_type: str | None) -> None:
        """End the span, with an error status if there is an error type."""
        detach(self._token)
        if error_type is not None:
            self._span.set_attribute(semconv.ERROR_TYPE, error_type)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()
