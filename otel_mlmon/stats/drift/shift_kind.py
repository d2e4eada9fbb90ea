"""Which kind of shift: other inputs, another relation of inputs and truth, another mix of segments."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Split:
    """The growth of a mean loss as `inputs` + `concept`, each with its standard error.

    `inputs` is the expected growth for the window's rows, `concept` the rest; `share` is inputs / growth.
    """

    growth: float
    growth_error: float
    inputs: float
    inputs_error: float
    concept: float
    share: float
    share_error: float


def split(
    before: tuple[float, float],
    expected: tuple[float, float, float],
    surprise: tuple[float, float],
) -> Split:
    """Split the growth of a mean loss into the part of other inputs and the part of a changed concept.

    - `before`: the reference's mean loss and its standard error.
    - `expected`: the mean expected loss of the window's rows, its standard error over rows, and the model's own
      standard error. The latter moves growth from one part to the other.
    - `surprise`: the mean of loss - expected over the window's rows, and its standard error.

    The share's standard error is that of the delta method. Source: Cai, Namkoong and Yadlowsky, Diagnosing Model
    Performance Under Distribution Shift, 2023 (its X and Y|X terms, by regression).

    >>> found = split((1.0, 0.01), (1.9, 0.02, 0.02), (0.1, 0.05))
    >>> round(found.growth, 6), round(found.share, 6), round(found.share_error, 3)
    (1.0, 0.9, 0.049)
    """
    inputs, concept = expected[0] - before[0], surprise[0]
    growth = inputs + concept
    growth_error = math.hypot(before[1], expected[1], surprise[1])
    inputs_error = math.hypot(before[1], expected[1], expected[2])
    if not growth:
        return Split(growth, growth_error, inputs, inputs_error, concept, math.nan, math.nan)
    of_share = math.hypot(expected[2] * growth, concept * before[1], concept * expected[1], inputs * surprise[1])
    return Split(growth, growth_error, inputs, inputs_error, concept, inputs / growth, of_share / growth**2)


def mix_share(reference: npt.NDArray[np.int64], window: npt.NDArray[np.int64]) -> float:
    """Return the share of the difference between two distributions that follows from other proportions of segments.

    The rest follows from changes within segments. About 0 to 1; below 0 when the mix works against the change. NaN
    when nothing differs. Rows of the arrays are segments, columns are cells. Each cell's difference is the sum of both
    effects, averaged over their two orders (Kitagawa, JASA 50, 1955; Das Gupta 1993); cells are weighted as in a
    chi-squared statistic. A new or a vanished segment counts as mix.

    >>> then = np.array([[90, 10], [10, 90]])
    >>> mix_share(then, then * [[3], [1]]), mix_share(then, then[:, ::-1] * [[1], [2]]) < 0.3
    (1.0, True)
    """
    shares, inner = _split(reference)
    new_shares, new_inner = _split(window)
    gone, new = shares == 0, new_shares == 0
    inner[gone], new_inner[new] = new_inner[gone], inner[new]
    before, after = shares @ inner, new_shares @ new_inner
    change = after - before
    mix = (new_shares - shares) @ (inner + new_inner) / 2
    weights = np.divide(1.0, before + after, out=np.zeros_like(before), where=before + after > 0)
    size = float((weights * change**2).sum())
    return float((weights * mix * change).sum()) / size if size > 0 else float("nan")


def _split(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the proportions of the segments, and the distribution within each."""
    rows = counts.sum(axis=1)
    return rows / max(int(rows.sum()), 1), counts / np.maximum(rows, 1)[:, None]
