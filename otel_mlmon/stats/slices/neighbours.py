"""Design effect of a slice, some of whose rows are neighbours in time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Counts, Floats

_SHORT: Final = (3, 10, 32)  # adjacent rows; references measure blocks of 100 and more


class Neighbours:
    """Rows in order of time, with the design effects of their residuals, `measured` by number of consecutive rows.

    If the reference's neighbours are alike at all, the design effect of the nearest rows is taken from their `values`,
    but is at most that of the reference's shortest blocks.
    """

    def __init__(self, times: Counts, measured: Mapping[int, float], values: Floats | None = None) -> None:
        order = np.argsort(times, kind="stable")
        place = np.empty(len(times), np.int64)
        place[order] = np.arange(len(times))
        effects = dict(measured)
        if values is not None and max(measured.values(), default=1.0) > 1:
            most = measured[min(measured)]
            effects |= {size: min(_seen(values[order], size), most) for size in _SHORT if size < min(measured)}
        # (block of each row, correlation of two rows of a block); a block of all rows separates nothing
        self._blocks = [
            (place // size, (effect - 1) / (size - 1))
            for size, effect in effects.items()
            if effect > 1 and 1 < size < len(times)
        ]

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def effect(self, rows: npt.NDArray[np.bool_]) -> float:
        """Return the design effect of the mean of these rows, at least 1.

        1 + correlation × (mean number of rows in a row's block - 1), at the length of blocks with the largest effect
        (Kish, Survey Sampling, 1965, for clusters of unequal size). An hour of the day has few rows in each block, a
        week of rain all of them.

        >>> days = Neighbours(np.arange(2000), {100: 100.0})
        >>> hour, week = np.arange(2000) % 100 == 8, np.arange(2000) < 700
        >>> days.effect(hour), days.effect(week), Neighbours(np.arange(2000), {}).effect(week)
        (1.0, 100.0, 1.0)
        """
        n, largest = int(rows.sum()), 1.0
        for block, alike in self._blocks:
            counts = np.bincount(block[rows]).astype(np.float64)
            largest = max(largest, 1 + alike * (float(counts @ counts) / max(n, 1) - 1))
        return largest


def _seen(values: Floats, size: int) -> float:
    """Return the design effect of blocks of `size` values, plus a standard error, as `held_out.mean_design_effects`."""
    count, variance = len(values) // size, float(values.var())
    if count < 2 or not variance > 0:
        return 1.0
    effect = float(values[: count * size].reshape(count, size).mean(axis=1).var(ddof=1)) * size / variance
    error = (2 / (count - 1)) ** 0.5
    return effect * (1 + error) if effect > 1 + 2 * error else 1.0
