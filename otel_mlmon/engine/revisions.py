"""What was known when: the figures of past windows, each time that more of their ground truth has come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from otel_mlmon.engine.matured_windows import RipeWindows
from otel_mlmon.rulefile import Group
from otel_mlmon.values.history import LastRevision

GROWN: Final = 0.02  # of a window's predictions: how much more must be known before it is looked at again

Key = tuple[str, str, str, str]  # group, rule, model, version


@dataclass(frozen=True, slots=True)
class Due:
    """A past window of which more is known than when it was last looked at; also one that was final: delays may grow."""

    start: int
    end: int


class Revisions:
    """Which windows of a rule are due. They stand one after the other, whatever the rule's interval."""

    def __init__(self) -> None:
        self._seen: dict[Key, dict[int, tuple[int, str]]] = {}

    def remember(self, key: Key, rows: Iterable[LastRevision]) -> None:
        """Take up what was recorded before a restart."""
        self._seen[key] = {row.end: (row.with_truth, row.maturity) for row in rows}

    def knows(self, key: Key) -> bool:
        """Whether it has been told what was recorded before."""
        return key in self._seen

    def due(self, key: Key, group: Group, ripe: RipeWindows, time: int, horizon_ns: int) -> Iterator[Due]:
        """Windows with ground truth, newest last, that have grown or whose maturity has changed since they were last looked at."""
        seen, version, width = self._seen.setdefault(key, {}), key[3], group.window
        maturity = ripe.maturity(version)
        for end in ripe.windows_with_ground_truth(version):
            known_then, stage_then = seen.get(end, (0, ""))
            predictions, with_truth = ripe.known_in(version, end - width, end)
            if not with_truth:
                continue
            stage = maturity.stage(end, predictions, with_truth)
            if stage != stage_then or with_truth - known_then >= max(GROWN * predictions, 1):
                seen[end] = (with_truth, stage)
                yield Due(end - width, end)
        for end in [end for end in seen if end < time - 2 * horizon_ns]:
            del seen[end]
