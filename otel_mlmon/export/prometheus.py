"""The text that Prometheus scrapes; names as its OTLP receiver would make them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from otel_mlmon.semconv import MetricName
from otel_mlmon.values import HistogramValue, Point

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_UNIT_SUFFIX: Final = {"s": "_seconds", "By": "_bytes"}
_INVALID: Final = re.compile(r"[^a-zA-Z0-9_]")


def metric_name(metric: MetricName) -> str:
    """`mlmon.ingest.lag` in `s` is `mlmon_ingest_lag_seconds`; annotations such as `{row}` leave no trace."""
    name = label_name(metric.name)
    suffix = _UNIT_SUFFIX.get(metric.unit, "")
    name = name if name.endswith(suffix) else f"{name}{suffix}"
    return f"{name}_total" if metric.kind == "counter" else name


def label_name(attribute: str) -> str:
    """`mlmon.model.name` is `mlmon_model_name`."""
    return _INVALID.sub("_", attribute)


def exposition(metrics: Iterable[tuple[MetricName, Sequence[Point]]]) -> str:
    """Text format 0.0.4. A metric without points is left out; so is a value that is no number."""
    return "".join(line for metric, points in metrics for line in _family(metric, points))


def _family(metric: MetricName, points: Sequence[Point]) -> Iterator[str]:
    name = metric_name(metric)
    samples = [sample for point in points for sample in _samples(name, point)]
    if samples:
        yield f"# HELP {name} {_escape_help(metric.description)}\n"
        yield f"# TYPE {name} {metric.kind}\n"
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
        yield _sample(f"{name}_bucket", {**labels, "le": _number(bound)}, running)
    yield _sample(f"{name}_sum", labels, point.value.sum)
    yield _sample(f"{name}_count", labels, running)


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inside = ",".join(f'{key}="{_escape(text)}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {_number(value)}\n" if inside else f"{name} {_number(value)}\n"


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def _escape(text: str) -> str:
    clean = text.encode("utf-8", "replace").decode()  # a lone surrogate from the wire must not spoil the whole scrape
    return clean.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
