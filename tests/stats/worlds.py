"""Predictions of houses in twenty towns, whose features go together: a map, incomes, and some that mean nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.slices.search import Codes

TOWNS = 20
Floats = npt.NDArray[np.float64]

# Losses of mean 1: those of normal errors, and of errors with ever heavier tails.
LOSSES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n) ** 2,
    "t3": lambda rng, n: rng.standard_t(3, size=n) ** 2 / 3,
    "lognormal": lambda rng, n: np.exp(2 * rng.normal(size=n) - 2),
}


@dataclass(frozen=True)
class World:
    columns: dict[str, Codes]
    town: npt.NDArray[np.int64]
    income: Floats

    def __len__(self) -> int:
        return len(self.town)


def bins(x: Floats, count: int = 8) -> Codes:
    edges = np.quantile(x, np.linspace(0, 1, count + 1)[1:-1])
    return Codes(np.searchsorted(edges, x).astype(np.int32), tuple(f"bin {i}" for i in range(count)))


def world(rng: np.random.Generator, n: int = 4000, towns: int = TOWNS) -> World:
    """Towns lie on a grid, and reach into one another; richer ones are next to poorer ones."""
    town = rng.integers(towns, size=n)
    longitude = town % 5 + rng.uniform(-0.6, 0.6, n)
    latitude = town // 5 + rng.uniform(-0.6, 0.6, n)
    income = rng.normal(size=n) + 0.5 * (town % 4)
    columns = {
        "town": Codes(town.astype(np.int32), tuple(f"= {i}" for i in range(towns))),
        "longitude": bins(longitude),
        "latitude": bins(latitude),
        "income": bins(income),
        "rooms": bins(0.5 * income + rng.normal(size=n)),
        "age": bins(rng.normal(size=n)),
        "new": Codes((rng.random(n) < 0.1).astype(np.int32), ("= no", "= yes")),
    }
    return World(columns, town, income)
