"""Convert values for export: JSON without NaN, text without lone surrogates, times in ISO 8601."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any


def plain(value: Any) -> Any:
    """Return the value fit for JSON: None for numbers that are not finite, the text of values of unknown types."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Mapping):
        return {text(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    return text(str(value))


def text(value: str) -> str:
    """Return the text fit for UTF-8: a lone surrogate from the wire must not spoil a whole response."""
    return value.encode("utf-8", "replace").decode()


def iso(ns: int) -> str | None:
    """Return a time in RFC 3339, UTC; None for 0 and for times outside the calendar."""
    moment = utc(ns)
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def utc(ns: Any) -> datetime | None:
    """Return a time in ns since the epoch, perhaps from the wire; None for 0 and for other types of values."""
    if not isinstance(ns, (int, float)) or not ns:
        return None
    try:
        return datetime.fromtimestamp(ns / 1e9, UTC)
    except (OverflowError, ValueError, OSError):  # NaN, infinities, years beyond 9999
        return None
