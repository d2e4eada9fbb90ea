"""How much of a loss's growth follows from other inputs, and how much from another relation of inputs and truth."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """`share` of the growth that other inputs explain, and its standard error; each part has a standard error, too.

    `inputs` is the growth that was to be expected of the window's rows, `concept` what came on top.
    """

    growth: float
    growth_error: float
    inputs: float
    inputs_error: float
    concept: float
    concept_error: float

    share: float
    share_error: float


def split(
    before: tuple[float, float],
    expected: tuple[float, float, float],
    surprise: tuple[float, float],
) -> Split:
    """The growth of a mean loss, in two parts that add up to it.

    `before` is the reference's mean loss and its standard error; `expected` the mean of what is expected of the window's rows, its
    standard error over rows, and the expectation's own error; `surprise` the mean of loss - expected over the window's rows and
    its standard error. The expectation's own error moves growth from one part to the other; the delta method gives the share's.
    Source: Cai, Namkoong and Yadlowsky, Diagnosing Model Performance Under Distribution Shift, 2023 (its X and Y|X terms, by
    regression).

    >>> found = split((1.0, 0.01), (1.9, 0.02, 0.02), (0.1, 0.05))
    >>> round(found.growth, 6), round(found.share, 6), round(found.share_error, 3)
    (1.0, 0.9, 0.049)
    """
    inputs, concept = expected[0] - before[0], surprise[0]
    growth = inputs + concept
    growth_error = math.hypot(before[1], expected[1], surprise[1])
    share = inputs / growth if growth else math.nan
    share_error = (
        math.hypot(expected[2] * growth, concept * before[1], concept * expected[1], inputs * surprise[1]) / growth**2
        if growth
        else math.nan
    )
    return Split(
        growth, growth_error,
        inputs, math.hypot(before[1], expected[1], expected[2]),
        concept, math.hypot(surprise[1], expected[2]),
        share, share_error,
    )  # fmt: skip
