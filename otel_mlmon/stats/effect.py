"""What a statistical comparison answers: how much, and how sure. Never the one without the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Effect:
    """A difference between reference and window.

    `value` is its size, in the unit of the method. `p_value` is the probability, if nothing had changed, of a
    difference at least as large. Both are NaN when a side is empty.

    >>> Effect(value=0.25, p_value=0.001)
    Effect(value=0.25, p_value=0.001)
    """

    value: float
    p_value: float


UNDEFINED: Final = Effect(math.nan, math.nan)
