"""Whether a window's ground truth is all there, as far as delays so far tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.stats.estimation.delay import DelayDistribution, delay_distribution

COMPLETE: Final = 0.995  # of its predictions: nothing more can come that would matter
_MOST_STEPS: Final = 400

Stage = Literal["provisional", "final"]


@dataclass(frozen=True, slots=True)
class Maturity:
    """Delays of one model version as learnt by `time`; `step` is their unit in ns."""

    delays: DelayDistribution
    step: int
    time: int

    def expected(self, start: int, end: int) -> float:
        """Share, of the ground truth that will ever come for predictions in [start, end), that should be there by now."""
        ages = (self.time - np.linspace(start, end, 21)) / self.step
        return float(np.mean(self.delays.share(np.maximum(ages, 0.0))))

    def stage(self, end: int, predictions: int, with_truth: int) -> Stage:
        """Of a window that ends at `end`."""
        age = (self.time - end) / self.step
        complete = predictions > 0 and with_truth >= COMPLETE * predictions
        return "final" if complete or (self.delays.settled(age)) else "provisional"

    def quantile_s(self, share: float) -> float:
        """Delay in seconds by which `share` of the ground truth has come; NaN where none has."""
        return self.delays.quantile(share) * self.step / 1e9


def maturity(known: pa.Table, version: str, time: int, step: int) -> Maturity:
    """From when ground truth became known: columns version, at and known (multiples of `step` ns) and n."""
    mine = known.filter(pc.equal(known["version"], version)) if known.num_rows else known
    if not mine.num_rows:
        return Maturity(DelayDistribution(np.zeros(0), 0), step, time)
    at = mine["at"].to_numpy() // step
    delay = np.maximum(mine["known"].to_numpy() // step - at, 0)
    cohorts, index = np.unique(at, return_inverse=True)
    coarser = max(1, -(-int(delay.max() + 1) // _MOST_STEPS))
    counts = np.zeros((len(cohorts), int(delay.max()) // coarser + 1))
    np.add.at(counts, (index.reshape(-1), delay // coarser), mine["n"].to_numpy())
    ages = (time // step - cohorts) // coarser
    return Maturity(delay_distribution(counts, ages), step * coarser, time)
