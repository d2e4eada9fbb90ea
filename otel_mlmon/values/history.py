"""Lines that the engine keeps in the store about its verdicts. Frozen.

The order of the fields is the order of the store's columns. Times are ns since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from otel_mlmon.values.verdicts import Status


class VerdictRow(NamedTuple):
    """One verdict of an alert on the window that ends at `end`, given at the tick `time`."""

    alert: str
    end: int
    status: Status
    value: float | None
    threshold: float | None
    time: int


class RevisionRow(NamedTuple):
    """One look at a past window [start, end), made at `known`, when `with_truth` of its `predictions` had ground truth.

    `low` and `high` are the confidence interval of `value`; `maturity` is "provisional" or "final".
    """

    alert: str
    start: int
    end: int
    known: int
    predictions: int
    with_truth: int
    maturity: str
    status: Status
    value: float | None
    low: float | None
    high: float | None

    @property
    def coverage(self) -> float | None:
        """Share of the window's predictions with ground truth; None for an empty window."""
        return self.with_truth / self.predictions if self.predictions else None


class TickRecord(NamedTuple):
    """Lines of one tick: documents of alerts by id, ids of alerts that are `gone`, verdicts and revisions."""

    alerts: Mapping[str, Any]
    gone: Sequence[str]
    verdicts: Sequence[VerdictRow]
    revisions: Sequence[RevisionRow]


class LastRevision(NamedTuple):
    """The last look at the window that ends at `end`."""

    end: int
    with_truth: int
    maturity: str


class LedgerEntry(NamedTuple):
    """An estimate of a metric in the window [start, end), made at `made` and scored at `scored` (0: not yet).

    `realised` is the metric once ground truth is known, with its confidence interval, over `with_truth` predictions.
    `coverage` is their share of the window. NaN and 0 before that.
    """

    alert: str
    model: str
    version: str
    segment: str
    metric: str
    start: int
    end: int
    made: int
    estimate: float
    low: float
    high: float
    realised: float = math.nan
    realised_low: float = math.nan
    realised_high: float = math.nan
    with_truth: int = 0
    coverage: float = 0.0
    scored: int = 0

    def side(self) -> int:
        """Return 1 when the realised metric lies above the estimate's interval, -1 below, 0 inside or when not known.

        The predictions without ground truth may still move the metric. The realised metric's own interval therefore
        widens the estimate's, by their share of the variance.

        >>> entry = LedgerEntry("a", "m", "1", "", "mae", 0, 1, 2, 5.0, 4.0, 6.0)
        >>> def scored(x, coverage):
        ...     return entry._replace(realised=x, realised_low=x - 1, realised_high=x + 1, coverage=coverage)
        >>> [scored(x, 1.0).side() for x in (3.5, 5.5, 6.5)]
        [-1, 0, 1]
        >>> scored(6.2, 0.5).side()
        0
        """
        if math.isnan(self.realised) or math.isnan(self.low) or math.isnan(self.high):
            return 0
        off = self.realised - self.estimate
        own, other = (
            (self.high - self.estimate, self.realised - self.realised_low)
            if off > 0
            else (self.estimate - self.low, self.realised_high - self.realised)
        )
        open_share = max(0.0, 1.0 - self.coverage)
        reach = math.hypot(own, math.sqrt(open_share) * other) if open_share and math.isfinite(other) else own
        return 0 if abs(off) <= reach else int(math.copysign(1, off))
