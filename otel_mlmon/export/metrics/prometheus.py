"""Text for Prometheus. Names are those of its OTLP receiver: dots become `_`, units become suffixes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from otel_mlmon.export.plain import text
from otel_mlmon.values import HistogramValue, Point
from otel_mlmon.wire.semconv import MetricName

TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_UNIT_SUFFIX: Final = {"s": "_seconds", "By": "_bytes"}
_INVALID: Final = re.compile(r"[^a-zA-Z0-9_]")


def media_type(accept: str) -> str:
    """Return the media type that an Accept header prefers; text when it has no preference."""
    wanted = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for part in accept.lower().split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        if kind in wanted:
            wanted[kind] = max(wanted[kind], _quality(parameters))
    return OPENMETRICS if wanted["application/openmetrics-text"] > wanted["text/plain"] else TEXT


def exposition(metrics: Iterable[tuple[MetricName, Sequence[Point]]], media: str = TEXT) -> str:
    """Return a snapshot as text, without NaN values and without metrics that have no points."""
    openmetrics = media == OPENMETRICS
    lines = [line for metric, points in metrics for line in _family(metric, points, openmetrics=openmetrics)]
    return "".join([*lines, "# EOF\n"] if openmetrics else lines)


def metric_name(metric: MetricName) -> str:
    """`mlmon.ingest.lag` in `s` is `mlmon_ingest_lag_seconds`; annotations such as `{row}` leave no trace."""
    name = _family_name(metric)
    return f"{name}_total" if metric.kind == "counter" else name


def label_name(attribute: str) -> str:
    """`mlmon.model.name` is `mlmon_model_name`."""
    return _INVALID.sub("_", attribute)


def _family_name(metric: MetricName) -> str:
    name, suffix = label_name(metric.name), _UNIT_SUFFIX.get(metric.unit, "")
    return name if name.endswith(suffix) else f"{name}{suffix}"


def _family(metric: MetricName, points: Sequence[Point], *, openmetrics: bool) -> Iterator[str]:
    name = metric_name(metric)
    samples = [sample for point in points for sample in _samples(name, point)]
    if samples:
        named = _family_name(metric) if openmetrics else name  # OpenMetrics names a counter without its suffix
        yield f"# HELP {named} {_escape(metric.description, quotes=openmetrics)}\n"
        yield f"# TYPE {named} {metric.kind}\n"
        yield from samples


def _samples(name: str, point: Point) -> Iterator[str]:
    labels = {label_name(key): value for key, value in point.attributes.items()}
    if not isinstance(point.value, HistogramValue):
        if not math.isnan(point.value):
            yield _sample(name, labels, point.value)
        return
    running = 0
    for bound, count in zip((*point.value.bounds, math.inf), point.value.counts, strict=True):
        running += count
        # "1.0" rather than "1": OpenMetrics demands it, and Prometheus 3 rewrites it anyway.
        le = "+Inf" if math.isinf(bound) else repr(float(bound))
        yield _sample(f"{name}_bucket", {**labels, "le": le}, running)
    yield _sample(f"{name}_sum", labels, point.value.sum)
    yield _sample(f"{name}_count", labels, running)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escape(text_, quotes=True)}"' for key, text_ in labels.items())
    return f"{name}{{{inside}}} {_number(value)}\n" if inside else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _escape(value: str, *, quotes: bool) -> str:
    clean = text(value).replace("\\", r"\\").replace("\n", r"\n")
    return clean.replace('"', r"\"") if quotes else clean


def _quality(parameters: Sequence[str]) -> float:
    """The `q` of one entry of an Accept header."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
