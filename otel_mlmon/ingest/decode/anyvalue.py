"""OTLP's AnyValue as Python values: null, int, double, string and bool stay what they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes by key; of a key that comes twice the last wins."""
    return {pair.key: python_value(pair.value) for pair in pairs}


def python_value(value: AnyValue) -> Any:
    """The plain value; an AnyValue without a value is null."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [python_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)
