"""Bytes of a request as a protobuf message, from protobuf or from OTLP's own kind of JSON."""

from __future__ import annotations

import base64
import json
from typing import Any, Final, Literal, TypeVar

from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError, Message

from otel_mlmon.errors import RejectedInput

_Request = TypeVar("_Request", bound=Message)
_HEX_KEYS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_DEEPEST: Final = 80


def parse(kind: type[_Request], body: bytes, encoding: Literal["protobuf", "json"]) -> _Request:
    """The message. Raises RejectedInput when the bytes are none."""
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
    except Exception as error:  # ParseDict lets out anything, SystemError too, for JSON of the wrong shape
        raise RejectedInput(f"not an OTLP request in JSON: {error}") from error


def _ids_as_base64(value: Any, depth: int) -> Any:
    """OTLP writes trace and span ids in hex, where protobuf's JSON has base64."""
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
