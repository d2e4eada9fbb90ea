"""One estimate as it is kept until its truth is known, and after."""

from __future__ import annotations

import math
from typing import NamedTuple


class LedgerEntry(NamedTuple):
    """An estimate of the window [start, end), made at `made` and scored at `scored` (ns; 0: not yet).

    `realised` is the figure that it turned out to be, with its confidence interval, over `with_truth` predictions, `coverage` of
    the window's; NaN until then. The order of the fields is that of the store's columns.
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
        """0 where the realised figure lies within the band, else 1 above and -1 below it; 0 too where it is not known.

        Where not all of the truth is known, the rest may still move the figure: its own interval widens the band, by the share
        of the variance that the rest has.

        >>> entry = LedgerEntry("a", "m", "1", "", "mae", 0, 1, 2, 5.0, 4.0, 6.0)
        >>> [entry._replace(realised=x, realised_low=x - 1, realised_high=x + 1, coverage=1.0).side() for x in (3.5, 5.5, 6.5)]
        [-1, 0, 1]
        >>> entry._replace(realised=6.2, realised_low=5.2, realised_high=7.2, coverage=0.5).side()
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
