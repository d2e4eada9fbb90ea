"""The drift methods by name. A new one is a module beside this and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otel_mlmon.stats.drift.chi_squared import chi_squared
from otel_mlmon.stats.drift.jensen_shannon import jensen_shannon
from otel_mlmon.stats.drift.kolmogorov_smirnov import kolmogorov_smirnov
from otel_mlmon.stats.drift.psi import psi

if TYPE_CHECKING:
    from otel_mlmon.stats.effect import Effect
    from otel_mlmon.values import Counts

DriftMethod = Callable[["Counts", "Counts"], "Effect"]
"""(reference, window) to Effect."""

DRIFT_METHODS: dict[str, DriftMethod] = {
    "psi": psi,
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "jensen_shannon": jensen_shannon,
    "chi_squared": chi_squared,
}

NEEDS_ORDERED_BINS: frozenset[str] = frozenset({"kolmogorov_smirnov"})
"""Methods that mean nothing for categories."""
