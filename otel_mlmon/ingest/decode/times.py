"""Parse the times of a ground-truth table."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any, Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**63 - 1
# From 1973 to 5138, seconds, ms, µs and ns since the epoch differ in size from one another and from a date like
# 20260102.
_FIRST: Final = 10**8
_UNITS: Final = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (10**20, 1))
_SUB_MICRO: Final = re.compile(r"(\.\d{6})(\d{1,3})")  # a datetime cannot hold the digits after µs
ALLOWED: Final = "allowed are ISO 8601 (UTC unless it says otherwise) and s, ms, µs or ns since the epoch"


def as_ns(value: Any) -> int:
    """Convert a time to ns since the epoch. Raises ValueError with the allowed formats."""
    nanos = _ns(value)
    if nanos is None or not 0 < nanos <= _LAST:
        raise ValueError(ALLOWED)
    return nanos


def _ns(value: Any) -> int | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        return _from_text(value.strip())
    if isinstance(value, datetime):
        since = (value.replace(tzinfo=UTC) if value.tzinfo is None else value) - _EPOCH
        nanosecond = int(getattr(value, "nanosecond", 0))  # a pandas Timestamp has it
        return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + nanosecond
    if isinstance(value, date):
        return (value - _EPOCH.date()).days * 86_400 * 10**9
    if isinstance(value, int):
        return _scaled(value)
    if isinstance(value, float) and _FIRST <= value < _UNITS[-1][0]:
        whole = int(value)  # separate from the fraction: a double cannot hold today's time in ns
        scale = next(scale for limit, scale in _UNITS if whole < limit)
        return whole * scale + round((value - whole) * scale)
    return None


def _scaled(value: int) -> int | None:
    return next((value * scale for limit, scale in _UNITS if _FIRST <= value < limit), None)


def _from_text(text: str) -> int | None:
    sub_micro = _SUB_MICRO.search(text)
    try:
        nanos = _ns(datetime.fromisoformat(_SUB_MICRO.sub(r"\1", text)))
    except ValueError:
        return None
    return None if nanos is None else nanos + (int(sub_micro[2].ljust(3, "0")) if sub_micro else 0)
