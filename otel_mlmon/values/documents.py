"""Read dataclasses from JSON-able data, as `dataclasses.asdict` spells them.

A missing part takes its default. A malformed part counts as empty: it never stops the processor from starting.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

_T = TypeVar("_T")
_ALLOWED: Final[Mapping[Any, Any]] = {str: str, bool: bool, int: (int, float), float: (int, float), NoneType: NoneType}
_EMPTY: Final[Mapping[Any, Any]] = {str: "", bool: False, int: 0, float: math.nan}
_hints = cache(get_type_hints)


def from_document(kind: type[_T], document: Any) -> _T:
    """Return `document` as a `kind`. Required parts that are missing are empty: "", 0, NaN, False, () or {}.

    Parts that are dataclasses already stay. The last option of a Literal stands for an unknown one.
    """
    value: _T = _read(kind, document)
    return value


def _read(hint: Any, value: Any) -> Any:
    options, origin = get_args(hint), get_origin(hint)
    if NoneType in options:
        return _read(next((option for option in options if _fits(option, value)), NoneType), value)
    if origin is Literal:
        return value if value in options else options[-1]
    if isinstance(hint, type) and is_dataclass(hint):
        return value if isinstance(value, hint) else _dataclass(hint, value if isinstance(value, Mapping) else {})
    if options[-1:] == (...,):
        items = value if _fits(hint, value) else ()
        return tuple(_read(options[0], item) for item in items if _fits(options[0], item))
    if (parts := _parts(hint)) is not None:
        items = value if _fits(hint, value) else [None] * len(parts)
        read = [_read(part, item) for part, item in zip(parts, items, strict=True)]
        return tuple(read) if origin is tuple else hint(*read)
    if origin is Mapping:
        return value if isinstance(value, Mapping) else {}
    return value if _fits(hint, value) else _EMPTY.get(hint)


def _dataclass(hint: Any, document: Mapping[str, Any]) -> Any:
    given = [f.name for f in fields(hint) if f.name in document or (f.default, f.default_factory) == (MISSING, MISSING)]
    return hint(**{name: _read(_hints(hint)[name], document.get(name)) for name in given})


def _parts(hint: Any) -> tuple[Any, ...] | None:
    """Return the types of a tuple of fixed length; None for other types."""
    if get_origin(hint) is tuple:
        return get_args(hint)
    return tuple(_hints(hint).values()) if isinstance(hint, type) and issubclass(hint, tuple) else None


def _fits(hint: Any, value: Any) -> bool:
    if get_args(hint)[-1:] == (...,):
        return isinstance(value, (list, tuple))
    if (parts := _parts(hint)) is not None:
        return isinstance(value, (list, tuple)) and len(value) == len(parts)
    if isinstance(hint, type) and is_dataclass(hint):
        return isinstance(value, (Mapping, hint))
    if get_origin(hint) is Mapping:
        return isinstance(value, Mapping)
    return hint not in _ALLOWED or (isinstance(value, _ALLOWED[hint]) and isinstance(value, bool) == (hint is bool))
