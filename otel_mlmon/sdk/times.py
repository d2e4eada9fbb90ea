"""Convert the times that callers give to nanoseconds since the epoch."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import Any, Final, SupportsIndex, cast

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = 2**63 - 1


def to_ns(value: Any) -> int:
    """Convert an int (ns), a float (seconds), a datetime (naive: UTC) or a NumPy datetime64 to ns since the epoch.

    Raises ValueError for anything else and for times before 1970 or after 2262.
    """
    if isinstance(value, bool):
        ns = None
    elif isinstance(value, float):
        ns = _from_seconds(value)
    elif isinstance(value, datetime):
        ns = _from_datetime(value)
    elif getattr(getattr(value, "dtype", None), "kind", "") == "M":
        ns = int(value.astype("datetime64[ns]").astype("int64"))
    elif hasattr(value, "__index__"):
        ns = operator.index(cast("SupportsIndex", value))
    else:
        ns = None
    if ns is None or not 0 <= ns <= _LAST:
        raise ValueError(
            f"timestamp: found {value!r}; allowed are an int (ns since the epoch), a float (s), a datetime"
        )
    return ns


def _from_seconds(value: float) -> int | None:
    if not 0 <= value < _LAST / 1e9:  # NaN and the infinities too
        return None
    whole = int(value)  # separate from the fraction: a double cannot hold today's time in ns
    return whole * 10**9 + round((value - whole) * 1e9)


def _from_datetime(value: datetime) -> int | None:
    if type(value).__name__ == "NaTType":  # pandas' null is a datetime too
        return None
    since = (value.replace(tzinfo=UTC) if value.tzinfo is None else value) - _EPOCH
    nanosecond = int(getattr(value, "nanosecond", 0))  # a pandas Timestamp has them, a datetime does not
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000 + nanosecond
