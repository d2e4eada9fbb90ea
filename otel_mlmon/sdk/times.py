"""The forms in which callers give a time, as nanoseconds since the epoch."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import Any, Final, SupportsIndex, cast

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**63 - 1


def to_ns(value: Any) -> int:
    """Nanoseconds since the epoch from an int (ns), a float (seconds), a datetime (naive: UTC) or a NumPy datetime64.

    Raises ValueError for anything else and for times before 1970 or after 2262.
    """
    if isinstance(value, bool):
        found = None
    elif isinstance(value, float):
        found = _from_seconds(value)
    elif isinstance(value, datetime):
        found = _from_datetime(value)
    elif getattr(getattr(value, "dtype", None), "kind", "") == "M":
        found = int(value.astype("datetime64[ns]").astype("int64"))
    elif hasattr(value, "__index__"):
        found = operator.index(cast("SupportsIndex", value))
    else:
        found = None
    if found is None or not 0 <= found <= _LAST:
        raise ValueError(
            f"timestamp: found {value!r}; allowed are an int (ns since the epoch), a float (s), a datetime"
        )
    return found


def _from_seconds(value: float) -> int | None:
    if not 0 <= value < _LAST / 1e9:  # NaN and the infinities too
        return None
    whole = int(value)  # apart, because a double does not hold today's nanoseconds
    return whole * 10**9 + round((value - whole) * 1e9)


def _from_datetime(value: datetime) -> int | None:
    if type(value).__name__ == "NaTType":  # pandas' null is a datetime too
        return None
    since = (value.replace(tzinfo=UTC) if value.tzinfo is None else value) - _EPOCH
    nanosecond = int(getattr(value, "nanosecond", 0))  # a pandas Timestamp has them, a datetime does not
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + nanosecond
