"""Six ways in which a model fails without an exception, each as small as real ones are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_mlmon.lab.demo.houses import House

DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: which indicator should show it, what was done, and when.

    `request` changes what the application sends; `market` changes what houses are sold for. `expected` names the
    alert that should fire, `where` the feature or segment that it should name.
    """

    indicator: str
    done: str
    expected: str
    where: str
    first_day: int
    last_day: int
    request: Callable[[np.random.Generator, House], None] | None = None
    market: Callable[[House], float] | None = None
    deployed: str = ""

    def active(self, day: int) -> bool:
        """Whether the fault is there on this day of the demo."""
        return self.first_day <= day <= self.last_day


def _drop_rooms(rng: np.random.Generator, house: House) -> None:
    if rng.random() < 0.3:
        del house["rooms"]


def _age_as_text(rng: np.random.Generator, house: House) -> None:
    if rng.random() < 0.4:
        house["house_age"] = str(house["house_age"])


def _other_default(_rng: np.random.Generator, house: House) -> None:
    if house["garages"] == -1:
        house["garages"] = 0


def _square_feet(rng: np.random.Generator, house: House) -> None:
    if rng.random() < 0.25:
        house["floor_area"] = round(house["floor_area"] * 10.764, 1)


def _richer(_rng: np.random.Generator, house: House) -> None:
    house["median_income"] = round(min(house["median_income"] + 14, 130.0), 1)


def _harbour_falls(house: House) -> float:
    return 0.85 if house["neighbourhood"] == "Harbour" else 1.0


FAULTS: Final = (
    Fault("dropped fields", "a new app version omits `rooms` in 30 % of requests", "FeatureMissing", "rooms",
          10, 11, request=_drop_rooms, deployed="app 4.2.0, new search form"),
    Fault("type mismatch", "`house_age` arrives as text in 40 % of requests", "FeatureType", "house_age",
          15, 16, request=_age_as_text, deployed="app 4.3.0, new JSON library"),
    Fault("default value change", "unknown `garages` become 0 instead of -1", "DefaultValueChanged", "garages",
          20, 21, request=_other_default, deployed="feature store 12"),
    Fault("values out of range", "25 % of `floor_area` come in square feet", "FeatureOutOfRange", "floor_area",
          25, 26, request=_square_feet),
    Fault("distribution shift", "a campaign attracts buyers one sigma richer", "FeatureDrift", "median_income",
          30, 31, request=_richer),
    Fault("performance degradation", "prices fall by 15 % in Harbour only", "PricesOff", "neighbourhood=Harbour",
          35, 38, market=_harbour_falls),
)  # fmt: skip
