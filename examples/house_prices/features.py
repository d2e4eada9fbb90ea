"""What the model takes, and a tolerant way to read it: real services are sloppy, and that is what gets monitored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NUMBERS = (
    "longitude", "latitude", "housing_median_age", "total_rooms", "total_bedrooms", "population", "households",
    "median_income",
)  # fmt: skip
REGIONS = ("<1H OCEAN", "INLAND", "ISLAND", "NEAR BAY", "NEAR OCEAN")
TARGET = "median_house_value"
MODEL_NAME = "house-prices"


def row(features: Mapping[str, Any]) -> list[float]:
    """Numbers for the model. What is missing or no number becomes NaN, which the model takes without a word."""
    region = features.get("ocean_proximity")
    return [*(_number(features.get(name)) for name in NUMBERS), *(float(region == name) for name in REGIONS)]


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
