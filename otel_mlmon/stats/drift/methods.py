"""The drift methods by name. A new method is a function in this package and a line here."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from otel_mlmon.stats.drift.distances import cramers_v, hellinger, jensen_shannon, l_infinity, psi, psi_p_value
from otel_mlmon.stats.drift.distribution import UNDEFINED, Distribution, TestResult, coarse, occupied
from otel_mlmon.stats.drift.homogeneity import homogeneity_p_value, pearson_p_value
from otel_mlmon.stats.drift.moments import mean_shift, quantile_shift, standard_deviation_shift, wasserstein
from otel_mlmon.stats.drift.ordered import anderson_darling, cramer_von_mises, kolmogorov_smirnov
from otel_mlmon.values import Counts, Floats

OnOccupied = Callable[[Floats, Floats], float]
OnCounts = Callable[[Counts, Counts], TestResult]
DriftMethod = Callable[[Distribution, Distribution], TestResult]
"""(reference, window) to TestResult. The value is the distance without the part of chance; the p-value uses the
effective rows."""


def _of_occupied(value: OnOccupied, p_value: OnOccupied = homogeneity_p_value) -> OnCounts:
    """Return a method on counts, for two functions of the cells that are occupied on at least one side."""

    def measure(reference: Counts, window: Counts) -> TestResult:
        pair = occupied(reference, window)
        return UNDEFINED if pair is None else TestResult(value(*pair), p_value(*pair))

    return measure


def _of_cells(method: OnCounts, unbiased: Callable[[float, float], float]) -> DriftMethod:
    """Return a method on unordered cells. It is weak and biased on many cells, so ordered bins are merged to about ten.

    `unbiased` subtracts the part of chance: (value, (cells - 1) (1/n + 1/m)) to value.
    """

    def measure(reference: Distribution, window: Distribution) -> TestResult:
        if reference.edges:
            index = coarse(reference.counts)
            reference, window = reference.merged(index), window.merged(index)
        raw, effective = method(reference.counts, window.counts), method(reference.independent, window.independent)
        occupied = int(((reference.counts + window.counts) > 0).sum())
        n, m = window.rows / window.design_effect, reference.rows / reference.design_effect
        chance = (occupied - 1) * (1 / n + 1 / m) if n and m else math.nan
        return TestResult(unbiased(raw.value, chance), effective.p_value)

    return measure


def _of_bins(method: OnCounts) -> DriftMethod:
    """Return a method on all ordered bins."""

    def measure(reference: Distribution, window: Distribution) -> TestResult:
        return TestResult(
            method(reference.counts, window.counts).value, method(reference.independent, window.independent).p_value
        )

    return measure


def _root_of_difference(scale: float) -> Callable[[float, float], float]:
    """Return the correction of a distance whose square has the mean chance / scale (Taylor's expansion)."""
    return lambda value, chance: math.sqrt(max(value * value - chance / scale, 0.0)) if value == value else value


COUNT_METHODS: dict[str, OnCounts] = {
    "psi": _of_occupied(psi, psi_p_value),
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "jensen_shannon": _of_occupied(jensen_shannon),
    "hellinger": _of_occupied(hellinger),
    "anderson_darling": anderson_darling,
    "cramer_von_mises": cramer_von_mises,
    "chi_squared": _of_occupied(cramers_v, pearson_p_value),
    "g_test": _of_occupied(cramers_v),  # Sokal and Rohlf, Biometry, 1981
    "l_infinity": _of_occupied(l_infinity),
}
"""Methods on counts alone, as in the literature.

They raise ValueError on misaligned or negative counts, and return NaN when a side is empty. Without another p-value, it
is that of the likelihood ratio test.
"""

_WITHOUT_CHANCE: dict[str, Callable[[float, float], float]] = {
    "psi": lambda value, chance: float(np.maximum(value - chance, 0.0)),
    "jensen_shannon": _root_of_difference(8 * math.log(2)),
    "hellinger": _root_of_difference(8.0),
    **dict.fromkeys(("chi_squared", "g_test", "l_infinity"), lambda value, _: value),
}

DRIFT_METHODS: dict[str, DriftMethod] = {
    **{name: _of_bins(method) for name, method in COUNT_METHODS.items() if name not in _WITHOUT_CHANCE},
    **{name: _of_cells(COUNT_METHODS[name], unbiased) for name, unbiased in _WITHOUT_CHANCE.items()},
    "wasserstein": wasserstein,
    "mean_shift": mean_shift,
    "standard_deviation_shift": standard_deviation_shift,
    "quantile_shift": quantile_shift,
}

NEEDS_ORDERED_BINS: frozenset[str] = frozenset(DRIFT_METHODS.keys() - _WITHOUT_CHANCE.keys())
"""Methods without a meaning for categories."""
