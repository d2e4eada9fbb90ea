"""How much of the reference stands behind what is expected of other rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

GROUPS: Final = 20  # of an input, by its values; one more is for missing values
RAREST: Final = 0.01  # share as which a group counts at least: some knowledge comes from its neighbours


@dataclass(frozen=True, slots=True)
class Support:
    """Where the rows of the reference are, input by input: `edges` between groups (inputs × GROUPS - 1) and the `shares` of the
    rows in each (inputs × GROUPS + 1, the last for missing values).
    """

    edges: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        inputs = len(self.edges)
        if self.edges.shape != (inputs, GROUPS - 1) or self.shares.shape != (inputs, GROUPS + 1):
            raise ValueError("the groups of an estimator's support do not fit together")
        if not np.isfinite(self.edges).all() or (np.diff(self.edges) < 0).any():
            raise ValueError("the groups of an estimator's support are out of order")
        if not ((self.shares >= 0) & (self.shares <= 1)).all():
            raise ValueError("the shares of an estimator's support are out of range")

    def leaning(self, rows: Floats) -> float:
        """How many times fewer rows of the reference than all stand behind the mean of these (rows × inputs): 1 or more.

        The mean over a part of the reference is known as well as its rows let it be, whatever the others are. Of the inputs, the
        one by which the rows differ most from the reference counts. This is Kish's design effect of weighting the
        reference's rows like these (Survey Sampling, 1965), with groups of one input for the weights.

        >>> reference = np.arange(1000.0)[:, None]
        >>> made = support(reference)
        >>> round(made.leaning(reference), 2), round(made.leaning(reference[:500]), 2), round(made.leaning(reference[:1]), 2)
        (1.0, 2.0, 20.0)
        """
        most = 1.0
        for column, edges, shares in zip(rows.T, self.edges, self.shares, strict=True):
            now = _counts(column, edges) / max(len(column), 1)
            most = max(most, float((now**2 / np.maximum(shares, RAREST)).sum()))
        return most


def support(rows: Floats) -> Support:
    """Of the reference's rows (rows × inputs, NaN for a missing value).

    >>> support(np.array([[1.0], [2.0], [np.nan], [np.nan]])).shares[:, -1].tolist()
    [0.5]
    """
    edges = np.zeros((rows.shape[1], GROUPS - 1))
    for i, column in enumerate(rows.T):
        there = column[~np.isnan(column)]
        if len(there):
            edges[i] = np.quantile(there, np.arange(1, GROUPS) / GROUPS, method="inverted_cdf")
    counts = [_counts(column, of_input) for column, of_input in zip(rows.T, edges, strict=True)]
    return Support(edges, np.array(counts).reshape(len(edges), GROUPS + 1) / max(len(rows), 1))


def _counts(column: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    groups = np.where(np.isnan(column), GROUPS, np.searchsorted(edges, column))
    return np.bincount(groups, minlength=GROUPS + 1)
