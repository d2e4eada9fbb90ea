"""Read OTLP's messages: a request's bytes as protobuf, an AnyValue as a Python value."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_mlmon.errors import RejectedInput

_Request = TypeVar("_Request", bound=Message)
_HEX_KEYS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_DEEPEST: Final = 80


def parse(kind: type[_Request], body: bytes, encoding: Literal["protobuf", "json"]) -> _Request:
    """Parse the bytes of a request. Raises RejectedInput if they are no OTLP request."""
    request = kind()
    if encoding == "protobuf":
        try:
            request.ParseFromString(body)
        except DecodeError as error:
            raise RejectedInput(f"not an OTLP request in protobuf: {error}") from error
        return request
    try:
        content = json.loads(body or b"{}")
        if not isinstance(content, dict):
            raise RejectedInput(f"not an OTLP request in JSON: found {type(content).__name__}, allowed is an object")
        return ParseDict(_ids_as_base64(content, 0), request, ignore_unknown_fields=True, max_recursion_depth=_DEEPEST)
    except RejectedInput:
        raise
    except Exception as error:  # for JSON of the wrong shape, ParseDict raises anything, even SystemError
        raise RejectedInput(f"not an OTLP request in JSON: {error}") from error


def _ids_as_base64(value: Any, depth: int) -> Any:
    """Convert trace and span ids from OTLP's hex to protobuf's base64."""
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode()
            if key in _HEX_KEYS and isinstance(item, str)
            else _ids_as_base64(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_ids_as_base64(item, depth + 1) for item in value]
    return value


def attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    """Return attributes by key; if a key is repeated, the last value wins."""
    return {pair.key: python_value(pair.value) for pair in pairs}


def python_value(value: AnyValue) -> Any:
    """Return the plain value; an AnyValue without a value is None."""
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [python_value(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return attributes(value.kvlist_value.values)
    return getattr(value, kind)
