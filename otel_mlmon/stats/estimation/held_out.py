"""Properties of a fitted model on held-out rows: cross-fitting, design effects of residuals, uncertainty, support."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.inference.design_effect import BLOCKS
from otel_mlmon.values import Floats
from otel_mlmon.values.estimators import SUPPORT_GROUPS, ModelUncertainty, Support

FOLDS: Final = 5
_GROUPS: Final = 10
_STEP: Final = 10**0.5
_SMALLEST: Final = 100.0
_CLEARLY: Final = 3  # errors above 1: several sizes are tested, and a false finding costs effective rows
_RAREST: Final = 0.01  # a group's share counts as at least this: neighbouring groups inform the model too

Rows = npt.NDArray[np.int64]


def cross_fitted(rows: int, fit: Callable[[Rows, Rows], Floats], *, in_order: bool) -> Floats:
    """Return a held-out prediction for each row, by FOLDS-fold cross-fitting.

    `fit` takes (rows to fit to, rows to predict) and returns the predictions. Rows in order are held out in
    stretches, since their neighbours are too much like them.

    >>> cross_fitted(10, lambda fitted, held: np.full(len(held), float(len(fitted))), in_order=True).tolist()
    [8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
    """
    order = np.arange(rows) if in_order else np.random.default_rng(0).permutation(rows)
    predictions = np.full(rows, np.nan)
    for held in np.array_split(order, FOLDS):
        fitted = np.ones(rows, np.bool_)
        fitted[held] = False
        predicted = np.sort(held) if in_order else held
        predictions[held] = fit(np.flatnonzero(fitted), predicted)
    return predictions


def mean_design_effects(residuals: Floats) -> dict[int, float]:
    """Return design effects of the mean of consecutive residuals, by number of rows.

    As `design_effects`, of numbers; {} when there are too few rows, or when neighbours are not clearly alike.

    >>> mean_design_effects(np.random.default_rng(0).normal(size=5000))
    {}
    >>> mean_design_effects(np.repeat([1.0, -1.0] * 20, 100))[100]
    100
    """
    effects: dict[int, float] = {}
    block, variance, shorter = _SMALLEST, float(residuals.var()), True
    while round(block) * BLOCKS <= len(residuals) and variance > 0:
        size, count = round(block), len(residuals) // round(block)
        means = residuals[: count * size].reshape(count, size).mean(axis=1)
        effect, error = float(means.var(ddof=1)) * size / variance, (2 / (count - 1)) ** 0.5
        # Rows that are alike in long stretches are alike in shorter ones too; otherwise chance made them so.
        alike = shorter and effect > 1 + _CLEARLY * error
        effects[size] = round(max(1.0, min(size, effect * (1 + error) if alike else 1.0)), 2)
        shorter = effect > 1 + error
        block *= _STEP
    return effects if any(effect > 1 for effect in effects.values()) else {}


def uncertainty_groups(uncertainty: ModelUncertainty, expected: Floats) -> Rows:
    """Return the group of each expectation.

    >>> uncertainty_groups(ModelUncertainty((1.0,), (0.3, 0.4)), np.array([0.5, 2.0])).tolist()
    [0, 1]
    """
    return np.searchsorted(np.asarray(uncertainty.edges), expected).astype(np.int64)


def uncertainty_of_mean(uncertainty: ModelUncertainty, expected: Floats) -> float:
    """Return the standard error of the mean of these expectations: 0 only when no group has an error.

    >>> uncertainty = ModelUncertainty((1.0,), (0.3, 0.4))
    >>> uncertainty_of_mean(uncertainty, np.array([0.5, 2.0])), uncertainty_of_mean(uncertainty, np.array([2.0, 3.0]))
    (0.25, 0.4)
    """
    counts = np.bincount(uncertainty_groups(uncertainty, expected), minlength=len(uncertainty.errors))
    return float(np.hypot.reduce(counts / max(len(expected), 1) * np.asarray(uncertainty.errors)))


def fit_uncertainty(expected: Floats, variance: Floats, residuals: Floats | float = 0.0) -> ModelUncertainty:
    """Measure the uncertainty of a model's `expected` values on held-out rows.

    `variance` is that of each row's outcome by chance. `residuals` are outcomes less expectations, where their mean
    by group shall count as bias.

    >>> expected = np.repeat([0.2, 0.8], 5000)
    >>> uncertainty = fit_uncertainty(expected, np.full(10_000, 0.16), np.repeat([0.0, 0.1], 5000))
    >>> [round(error, 3) for error in (uncertainty.errors[0], uncertainty.errors[-1])]
    [0.006, 0.1]
    """
    edges = np.unique(np.quantile(expected, np.arange(1, _GROUPS) / _GROUPS))
    edges = edges[edges < expected.max()]
    group = np.searchsorted(edges, expected)
    count = np.bincount(group, minlength=len(edges) + 1)
    bias = np.bincount(group, np.broadcast_to(residuals, expected.shape), len(count)) / np.maximum(count, 1)
    chance = np.sqrt(np.bincount(group, variance, len(count))) / np.maximum(count, 1)
    errors = np.maximum(np.abs(bias), chance)
    return ModelUncertainty(tuple(edges.tolist()), tuple(errors.tolist()))


def fit_support(rows: Floats) -> Support:
    """Measure where the reference's rows lie (rows × inputs, NaN for a missing value).

    >>> fit_support(np.array([[1.0], [2.0], [np.nan], [np.nan]])).shares[:, -1].tolist()
    [0.5]
    """
    edges = np.zeros((rows.shape[1], SUPPORT_GROUPS - 1))
    for i, column in enumerate(rows.T):
        present = column[~np.isnan(column)]
        if len(present):
            edges[i] = np.quantile(present, np.arange(1, SUPPORT_GROUPS) / SUPPORT_GROUPS, method="inverted_cdf")
    counts = [_support_counts(column, of_input) for column, of_input in zip(rows.T, edges, strict=True)]
    return Support(edges, np.array(counts).reshape(len(edges), SUPPORT_GROUPS + 1) / max(len(rows), 1))


def weighting_effect(support: Support, rows: Floats) -> float:
    """Return Kish's design effect of weighting the reference's rows like these (rows × inputs): 1 or more.

    So many times fewer reference rows stand behind a mean over these rows. Weights are those of groups of one input;
    the input with the largest effect counts. Source: Kish, Survey Sampling, 1965.

    >>> reference = np.arange(1000.0)[:, None]
    >>> support = fit_support(reference)
    >>> [round(weighting_effect(support, rows), 2) for rows in (reference, reference[:500], reference[:1])]
    [1.0, 2.0, 20.0]
    """
    largest = 1.0
    for column, edges, shares in zip(rows.T, support.edges, support.shares, strict=True):
        now = _support_counts(column, edges) / max(len(column), 1)
        largest = max(largest, float((now**2 / np.maximum(shares, _RAREST)).sum()))
    return largest


def _support_counts(column: Floats, edges: Floats) -> Rows:
    groups = np.where(np.isnan(column), SUPPORT_GROUPS, np.searchsorted(edges, column))
    return np.bincount(groups, minlength=SUPPORT_GROUPS + 1)
