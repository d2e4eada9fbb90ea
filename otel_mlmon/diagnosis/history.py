"""The rule's own past: its verdicts, what it would have done with other thresholds, and what was known when of a window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from otel_mlmon.diagnosis.what_if import direction, what_if
from otel_mlmon.rulefile import RuleBase
from otel_mlmon.values.explanation import History, PastVerdict
from otel_mlmon.values.history import RevisionRow, VerdictRow

MOST: Final = 2000  # verdicts that are looked at
_BY_SIZE: Final = (
    "Judged by the stored values: a value that was beyond the threshold and not sure enough stays no breach; of one that was within "
    "it, nobody asked how sure it was, and size alone decides."
)
_LATE: Final = (
    " Ground truth came after the windows: each verdict counts at the tick at which it was given, by what was known then. Times are "
    "those of ticks."
)


def windows_of(rows: Iterable[VerdictRow], revisions: Sequence[RevisionRow] = ()) -> list[PastVerdict]:
    """A verdict for each window, oldest first; of one that was judged again, the newest."""
    latest = {one.end: one for one in revisions}
    found = {}
    for row in rows:
        known = latest.get(row.end) if row.value is not None else None  # no interval of a value that nobody knew then
        low, high = (known.low, known.high) if known else (None, None)
        found[row.end] = PastVerdict(row.end, row.value, row.threshold, row.status, low, high)
    return [found[end] for end in sorted(found)]


def ticks_of(rows: Iterable[VerdictRow]) -> list[PastVerdict]:
    """A verdict for each tick, in their order: what the alert went by, whichever window it was about."""
    return [PastVerdict(row.time, row.value, row.threshold, row.status) for row in rows]


def history(
    verdicts: Iterable[VerdictRow], revisions: Sequence[RevisionRow], rule: RuleBase | None, method: str, end: int
) -> History:
    """`end` is that of the window which the alert is about: its revisions are what is shown, else those of the window that has most."""
    kept = list(verdicts)
    ticks = ticks_of(kept)
    worse = direction(ticks)
    late = any(row.time > row.end for row in kept)
    counts: dict[int, int] = {}
    for one in revisions:
        counts[one.end] = counts.get(one.end, 0) + 1
    shown = end if counts.get(end, 0) > 1 else max(counts, key=lambda at: (counts[at], at), default=end)
    return History(
        ticks=tuple(windows_of(kept, revisions)),
        worse=worse,
        what_if=tuple(what_if(ticks, rule, method, worse)),
        revisions=tuple(one for one in revisions if one.end == shown),
        note=_BY_SIZE + _LATE * late if ticks else "No verdict has been kept yet.",
    )


def first_breach(ticks: Sequence[PastVerdict], since: int, upto: int) -> int:
    """End of the first window of the breach that goes on at `upto`; `since`, where verdicts do not tell.

    A window without data does not end a breach.
    """
    found = 0
    for tick in reversed(ticks):
        if tick.end > upto:
            continue
        if tick.status == "breach":
            found = tick.end
        elif tick.status == "ok" and found:
            break
    return min(found, since) if found and since else found or since
