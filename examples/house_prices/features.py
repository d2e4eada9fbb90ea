"""The features of the model, and a tolerant way to read them: real services send broken features, too."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NUMBERS = (
    "longitude",
    "latitude",
    "housing_median_age",
    "total_rooms",
    "total_bedrooms",
    "population",
    "households",
    "median_income",
)
REGIONS = ("<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN")
TARGET = "median_house_value"
MODEL_NAME = "house-prices"


def row(features: Mapping[str, Any]) -> list[float]:
    """Return the numbers for the model. A missing value or a text becomes NaN, which the model accepts."""
    region = features.get("ocean_proximity")
    return [*(_number(features.get(name)) for name in NUMBERS), *(float(region == name) for name in REGIONS)]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
