"""What a model of errors is worth on rows that it was not fitted to: folds, neighbours that are alike, its own error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.design_effect import BLOCKS

if TYPE_CHECKING:
    from otel_mlmon.values import Floats


FOLDS: Final = 5
_GROUPS: Final = 10
_STEP: Final = 10**0.5
_SMALLEST: Final = 100.0
_CLEARLY: Final = 3  # errors above 1: each is measured at several sizes, and a find by chance costs labels

Rows = npt.NDArray[np.int64]


def cross_fitted(rows: int, fit: Callable[[Rows, Rows], Floats], *, in_order: bool) -> Floats:
    """What `fit`, called with (rows to fit to, rows to predict), says of each row, which it never was fitted to.

    Rows in order are held out in stretches: their neighbours would know too much of them.

    >>> cross_fitted(10, lambda fitted, held: np.full(len(held), float(len(fitted))), in_order=True).tolist()
    [8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
    """
    order = np.arange(rows) if in_order else np.random.default_rng(0).permutation(rows)
    found = np.full(rows, np.nan)
    for held in np.array_split(order, FOLDS):
        fitted = np.ones(rows, np.bool_)
        fitted[held] = False
        found[held] = fit(np.flatnonzero(fitted), np.sort(held)) if in_order else fit(np.flatnonzero(fitted), held)
    return found


def mean_design_effects(residuals: Floats) -> dict[int, float]:
    """By how much the variance of the mean of so many consecutive residuals is larger than that of independent ones.

    As `design_effect.design_effects`, of numbers; {} where there are too few rows, or neighbours are not clearly alike.

    >>> mean_design_effects(np.random.default_rng(0).normal(size=5000))
    {}
    >>> mean_design_effects(np.repeat([1.0, -1.0] * 20, 100))[100]
    100
    """
    found, block, spread, shorter = {}, _SMALLEST, float(residuals.var()), True
    while round(block) * BLOCKS <= len(residuals) and spread > 0:
        size, count = round(block), len(residuals) // round(block)
        means = residuals[: count * size].reshape(count, size).mean(axis=1)
        effect, error = float(means.var(ddof=1)) * size / spread, (2 / (count - 1)) ** 0.5
        # What is alike in long stretches is so in shorter ones, too: else it is chance.
        alike = shorter and effect > 1 + _CLEARLY * error
        found[size] = round(max(1.0, min(size, effect * (1 + error) if alike else 1.0)), 2)
        shorter = effect > 1 + error
        block *= _STEP
    return found if any(effect > 1 for effect in found.values()) else {}


@dataclass(frozen=True, slots=True)
class OwnError:
    """How far the model's expectation itself may be off, by the size of the expectation.

    `edges` are between groups of expectations, `errors` the standard error of the mean of each group, as measured on held-out
    rows: of what chance leaves open, or as much as it was off there.
    """

    edges: tuple[float, ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        fits = len(self.errors) == len(self.edges) + 1 and bool(np.isfinite(self.errors).all())
        if not fits or not np.isfinite(self.edges).all() or (np.diff(self.edges) < 0).any() or min(self.errors) < 0:
            raise ValueError("the groups of an estimator's own error do not fit together")

    def groups(self, expected: Floats) -> Rows:
        """Which group each expectation is in."""
        return np.searchsorted(np.asarray(self.edges), expected).astype(np.int64)

    def of_mean(self, expected: Floats) -> float:
        """Standard error of the mean of these expectations: 0 only where the groups have no error.

        >>> own = OwnError((1.0,), (0.3, 0.4))
        >>> own.of_mean(np.array([0.5, 2.0])), own.of_mean(np.array([2.0, 3.0]))
        (0.25, 0.4)
        """
        share = np.bincount(self.groups(expected), minlength=len(self.errors)) / max(len(expected), 1)
        return float(np.hypot.reduce(share * np.asarray(self.errors)))


def own_error(expected: Floats, variance: Floats, off: Floats | float = 0.0) -> OwnError:
    """Measured on held-out rows: what was `expected` of each, the `variance` that chance has, and by how much the mean was `off`.

    >>> expected = np.repeat([0.2, 0.8], 5000)
    >>> own = own_error(expected, np.full(10_000, 0.16), np.repeat([0.0, 0.1], 5000))
    >>> [round(error, 3) for error in (own.errors[0], own.errors[-1])]
    [0.006, 0.1]
    """
    edges = np.unique(np.quantile(expected, np.arange(1, _GROUPS) / _GROUPS))
    edges = edges[edges < expected.max()]
    group = np.searchsorted(edges, expected)
    count = np.bincount(group, minlength=len(edges) + 1)
    mean_off = np.bincount(group, np.broadcast_to(off, expected.shape), len(count)) / np.maximum(count, 1)
    chance = np.sqrt(np.bincount(group, variance, len(count))) / np.maximum(count, 1)
    errors = np.maximum(np.abs(mean_off), chance)
    return OwnError(tuple(edges.tolist()), tuple(errors.tolist()))


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
