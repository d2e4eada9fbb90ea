"""Six failures of a model without an exception, of realistic size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from otel_mlmon.lab.demo.houses import House

DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: `done` describes it, `indicator` should show it, for `days` from `first_day`.

    `request` changes the request of the application, `market` the sale price. `expected`: the alert that should fire;
    `where`: the feature or segment of that alert.
    """

    indicator: str
    done: str
    expected: str
    where: str
    first_day: int
    days: int = 2
    request: Callable[[np.random.Generator, House], None] | None = None
    market: Callable[[House], float] | None = None
    deployed: str = ""

    def active(self, day: int) -> bool:
        """Whether the fault is active on this day of the demo."""
        return self.first_day <= day < self.first_day + self.days


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
    Fault(
        "dropped fields",
        "a new app version omits `rooms` in 30 % of requests",
        expected="FeatureMissing",
        where="rooms",
        first_day=10,
        request=_drop_rooms,
        deployed="app 4.2.0, new search form",
    ),
    Fault(
        "type mismatch",
        "`house_age` arrives as text in 40 % of requests",
        expected="FeatureType",
        where="house_age",
        first_day=15,
        request=_age_as_text,
        deployed="app 4.3.0, new JSON library",
    ),
    Fault(
        "default value change",
        "unknown `garages` become 0 instead of -1",
        expected="DefaultValueChanged",
        where="garages",
        first_day=20,
        request=_other_default,
        deployed="feature store 12",
    ),
    Fault(
        "values out of range",
        "25 % of `floor_area` come in square feet",
        expected="FeatureOutOfRange",
        where="floor_area",
        first_day=25,
        request=_square_feet,
    ),
    Fault(
        "distribution shift",
        "a campaign attracts buyers one sigma richer",
        expected="FeatureDrift",
        where="median_income",
        first_day=30,
        request=_richer,
    ),
    Fault(
        "performance degradation",
        "prices fall by 15 % in Harbour only",
        expected="PricesOff",
        where="neighbourhood=Harbour",
        first_day=35,
        days=4,
        market=_harbour_falls,
    ),
)
