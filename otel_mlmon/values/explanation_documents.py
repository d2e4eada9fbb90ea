"""Read an explanation from the JSON of the HTTP API."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType
from typing import Any, Final, cast, get_args, get_origin, get_type_hints

from otel_mlmon.values.explanation import Explanation

_EMPTY: Final[Mapping[Any, Any]] = {str: "", int: 0, float: math.nan}


def explanation_from_json(document: Mapping[str, Any]) -> Explanation:
    """Return the explanation; a missing key takes its default, or the empty value of its type."""
    explanation: Explanation = _read(Explanation, document)
    return explanation


def _read(hint: Any, value: Any) -> Any:
    options = get_args(hint)
    if NoneType in options:
        return None if value is None else _read(next(one for one in options if one is not NoneType), value)
    if is_dataclass(hint):
        hints, make = get_type_hints(hint), cast("Callable[..., Any]", hint)
        return make(**{one.name: _field(one, hints[one.name], value) for one in fields(hint)})
    if get_origin(hint) is tuple:
        return tuple(_read(options[0], item) for item in value or ())
    return _EMPTY.get(hint) if value is None else value


def _field(field: Field[Any], hint: Any, document: Mapping[str, Any]) -> Any:
    if field.name not in document and field.default is not MISSING:
        return field.default
    if field.name not in document and field.default_factory is not MISSING:
        return field.default_factory()
    return _read(hint, document.get(field.name))
