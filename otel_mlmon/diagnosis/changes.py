"""What changed just before: new versions, services, sets of features, clients, and what somebody says was deployed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from otel_mlmon.values import ChangeEvent
from otel_mlmon.values.explanation import Change, Changes

_DAY: Final = 86_400 * 10**9
_MOST: Final = 50


def span(first_breach: int, window: int) -> tuple[int, int]:
    """Where to look: two windows back from the end of the first one that was in breach, and a day at least."""
    return first_breach - max(2 * window, _DAY), first_breach


def changes(events: Iterable[ChangeEvent], start: int, end: int) -> Changes:
    """Those in [start, end], the newest first: the nearer to the breach, the more it may have to do with it."""
    inside = sorted((event for event in events if start <= event.time <= end), key=lambda event: -event.time)
    found = [Change(one.time, end - one.time, one.kind, one.value, one.text) for one in inside[:_MOST]]
    return Changes(start, end, tuple(found))
