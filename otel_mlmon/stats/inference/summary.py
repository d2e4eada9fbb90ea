"""Mean and standard deviation from the sums that a profile keeps."""

from __future__ import annotations

import math
import sys


def mean(total: float, count: int) -> float:
    """Return total over count, in the unit of the values; NaN for a count of 0.

    Raises ValueError for a negative count.

    >>> mean(6.0, 3)
    2.0
    """
    if count < 0:
        raise ValueError(f"count must not be negative, found {count}")
    return total / count if count else math.nan


def standard_deviation(total: float, total_squares: float, count: int) -> float:
    """Return the sample standard deviation, sqrt((sum of squares - sum² / n) / (n - 1)), in the unit of the values.

    NaN for fewer than two values. The difference loses digits when the values are far from 0 compared with their
    deviation (Chan, Golub and LeVeque, Algorithms for computing the sample variance, The American Statistician 37,
    1983); a difference below the rounding of the sums counts as 0.

    Raises ValueError for a negative count.

    >>> round(standard_deviation(2.0 + 4 + 9, 4.0 + 16 + 81, 3), 6)
    3.605551
    >>> standard_deviation(3e8, 3e16, 3)
    0.0
    """
    if count < 0:
        raise ValueError(f"count must not be negative, found {count}")
    if count < 2:
        return math.nan
    squares = total_squares - total * total / count
    if math.isnan(squares):  # sums that overflowed, or held a NaN
        return math.nan
    if squares <= _rounding(total_squares, count):
        return 0.0
    return math.sqrt(squares / (count - 1))


def _rounding(total: float, count: int) -> float:
    # Typical, not worst case (which grows with n): errors of a running sum have both signs.
    return 4 * sys.float_info.epsilon * math.sqrt(count) * abs(total)
