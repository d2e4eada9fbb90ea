"""Generate rows from a description, for unit tests of rules: features, predictions and ground truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, model_validator

from otel_mlmon.rulefile.quantities import Count, Duration, Number, PositiveDuration, Share

TIMESTAMP: Final = "(time)"
PREDICTION: Final = "(prediction)"
GROUND_TRUTH: Final = "(ground truth)"
_DAY: Final = 86_400_000_000_000
_KINDS: Final = ("normal", "uniform", "lognormal", "integers", "values")

Pair = Annotated[tuple[Number, Number], Field(strict=False)]
Scalar = bool | int | float | str | None


class Described(BaseModel):
    """Part of a file of unit tests: other keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureSpec(Described):
    """A column of values. Exactly one of normal, uniform, lognormal, integers, values is set."""

    normal: Pair | None = Field(None, description="Mean and standard deviation.")
    uniform: Pair | None = Field(None, description="Lowest and highest value.")
    lognormal: Pair | None = Field(None, description="Mean and standard deviation of the logarithm.")
    integers: Pair | None = Field(None, description="Lowest and highest integer, both included.")
    values: tuple[Scalar, ...] | None = Field(None, description="The values, drawn at random.")
    shares: tuple[Share, ...] | None = Field(None, description="With values: the share of each.")
    missing: Share = Field(0.0, description="Share of rows without a value (null).")
    daily: Number = Field(0.0, description="Amplitude of an added daily cycle with its maximum at 06:00 UTC.")

    @model_validator(mode="after")
    def _one_kind(self) -> FeatureSpec:
        kinds = [name for name in _KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            raise ValueError(f"found {' and '.join(kinds) or 'nothing'}, allowed is one of {', '.join(_KINDS)}")
        if self.shares is not None and len(self.shares) != len(self.values or ()):
            raise ValueError(
                f"found {len(self.shares)} shares for {len(self.values or ())} values, allowed is one for each"
            )
        if self.shares is not None and abs(sum(self.shares) - 1) > 1e-6:
            raise ValueError(f"the shares add up to {sum(self.shares):g}, allowed is 1")
        return self

    def draw(self, times: npt.NDArray[np.int64], rng: np.random.Generator) -> pa.Array:
        """Draw one value for each time."""
        n = len(times)
        absent = rng.random(n) < self.missing
        if self.values is not None:
            index = rng.choice(len(self.values), n, p=self.shares)
            return pa.array(self.values).take(pa.array(np.where(absent, 0, index), mask=absent))
        if self.integers is not None:
            low, high = map(round, self.integers)
            return pa.array(rng.integers(low, high, n, endpoint=True), mask=absent)
        kind = next(name for name in ("normal", "uniform", "lognormal") if getattr(self, name) is not None)
        x = getattr(rng, kind)(*getattr(self, kind), n)
        return pa.array(x + self.daily * np.sin(2 * np.pi * (times % _DAY) / _DAY), mask=absent)


class PredictionSpec(Described):
    """A linear model of the numeric features; a missing value counts as 0."""

    linear: dict[str, Number] = Field(default_factory=dict, description="Weight of each feature.")
    intercept: Number = Field(0.0, description="Prediction if all features are 0.")
    noise: Number = Field(0.0, description="Standard deviation of the random part.")


class TruthSpec(Described):
    """The prediction plus an error."""

    noise: Number = Field(0.0, description="Standard deviation of the model's error.")
    delay: Duration = Field(0, description="Time from a prediction to its ground truth.")


class Generator(Described):
    """The predictions of a model, evenly spread over event time."""

    every: PositiveDuration = Field(description="Time from one prediction to the next.")
    length: PositiveDuration = Field(description="Length of the history.")
    features: dict[str, FeatureSpec] = Field(description="The columns, by name.")
    prediction: PredictionSpec | None = Field(None, description="The predictions.")
    ground_truth: TruthSpec | None = Field(None, description="The ground truths.")
    segments: tuple[str, ...] = Field((), description="Features that are segment keys.")
    reference_rows: Count = Field(5000, description="Rows of the reference, drawn in the same way.")

    def table(self, times: npt.NDArray[np.int64], rng: np.random.Generator) -> pa.Table:
        """Generate a row for each time (ns)."""
        columns: dict[str, Any] = {TIMESTAMP: pa.array(times, pa.timestamp("ns"))}
        columns |= {name: spec.draw(times, rng) for name, spec in self.features.items()}
        if self.prediction is not None:
            y = self.prediction.intercept + rng.normal(0, self.prediction.noise, len(times))
            for name, weight in self.prediction.linear.items():
                y += weight * _numbers(columns[name])
            columns[PREDICTION] = pa.array(y)
            if self.ground_truth is not None:
                columns[GROUND_TRUTH] = pa.array(y + rng.normal(0, self.ground_truth.noise, len(times)))
        return pa.table(columns)


def _numbers(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.nan_to_num(np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64))


def linear_features(spec: Generator) -> Mapping[str, str]:
    """Return a message for each weight without a numeric feature, by name."""
    wrong: dict[str, str] = {}
    for name in spec.prediction.linear if spec.prediction else ():
        feature = spec.features.get(name)
        if feature is None:
            wrong[name] = f'unknown feature "{name}"; there are {", ".join(spec.features)}'
        elif feature.values is not None and not all(isinstance(v, (int, float, type(None))) for v in feature.values):
            wrong[name] = f'feature "{name}" is no number'
    return wrong
