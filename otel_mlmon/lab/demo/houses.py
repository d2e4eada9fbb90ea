"""The data of the demo: houses, their prices, and a model fitted to them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

NEIGHBOURHOODS: Final = ("Harbour", "Old Town", "Hillside", "Riverside", "Station", "Meadows")
_SHARES: Final = (0.06, 0.19, 0.17, 0.22, 0.2, 0.16)
_LEVEL: Final = {"Harbour": 1.35, "Old Town": 1.25, "Hillside": 1.15, "Riverside": 1.0, "Station": 0.85, "Meadows": 0.8}
UNKNOWN_GARAGES: Final = -1  # the application's value for unknown

House = dict[str, Any]


def houses(rng: np.random.Generator, n: int) -> list[House]:
    """Draw houses with the features that the application sends to the model."""
    where = rng.choice(len(NEIGHBOURHOODS), n, p=_SHARES)
    area = np.clip(rng.lognormal(4.55, 0.35, n), 25, 420)
    rooms = np.clip(np.round(area / 24 + rng.normal(0, 0.7, n)), 1, 14)
    age = np.clip(np.round(rng.gamma(2.2, 16, n)), 0, 140)
    income = np.clip(rng.normal(52, 14, n), 12, 130)
    distance = rng.gamma(2.0, 0.9, n)
    garages = np.where(rng.random(n) < 0.12, UNKNOWN_GARAGES, rng.choice([0, 1, 2], n, p=[0.35, 0.45, 0.2]))
    return [
        {
            "neighbourhood": NEIGHBOURHOODS[where[i]],
            "floor_area": round(float(area[i]), 1),
            "rooms": int(rooms[i]),
            "house_age": int(age[i]),
            "median_income": round(float(income[i]), 1),
            "station_distance": round(float(distance[i]), 2),
            "garages": int(garages[i]),
        }
        for i in range(n)
    ]


def sale_prices(rng: np.random.Generator, sold: list[House]) -> npt.NDArray[np.float64]:
    """Draw the sale prices in thousands; the model does not know all of their causes."""
    fair = np.array(
        [
            (
                30
                + 2.3 * h["floor_area"]
                + 6 * h["rooms"]
                - 0.5 * h["house_age"]
                + 1.6 * h["median_income"]
                - 9 * h["station_distance"]
                + 8 * max(h["garages"], 0)
            )
            * _LEVEL[h["neighbourhood"]]
            for h in sold
        ]
    )
    return np.asarray(fair * rng.lognormal(0, 0.08, len(sold)))


class PriceModel:
    """Least squares per neighbourhood. It accepts texts and missing values without an error."""

    _NUMBERS = ("floor_area", "rooms", "house_age", "median_income", "station_distance", "garages")

    def __init__(self, sold: list[House], prices: npt.NDArray[np.float64]) -> None:
        matrix = self._matrix(sold)
        self._means = np.nanmean(matrix[:, 1:], axis=0)
        names = np.array([h["neighbourhood"] for h in sold])
        self._weights = {
            name: np.linalg.lstsq(matrix[names == name], prices[names == name], rcond=None)[0]
            for name in NEIGHBOURHOODS
        }

    def predict(self, house: House) -> float:
        """Predict the price in thousands."""
        row = self._matrix([house])[0]
        row[1:] = np.where(np.isnan(row[1:]), self._means, row[1:])
        return float(row @ self._weights[house["neighbourhood"]])

    def _matrix(self, described: list[House]) -> npt.NDArray[np.float64]:
        rows = [[1.0, *(float(h.get(name, "nan")) for name in self._NUMBERS)] for h in described]
        return np.array(rows, dtype=np.float64)
