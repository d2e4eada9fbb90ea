"""Rules about drift: distributions differ from the reference's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from otel_mlmon.rulefile.patterns import Globs
from otel_mlmon.rulefile.quantities import Count, Size
from otel_mlmon.rulefile.rule import Family, FieldRule, RuleBase, problem

DriftMethod = Literal[
    "psi",
    "kolmogorov_smirnov",
    "wasserstein",
    "jensen_shannon",
    "hellinger",
    "anderson_darling",
    "cramer_von_mises",
    "chi_squared",
    "g_test",
    "l_infinity",
    "mean_shift",
    "standard_deviation_shift",
    "quantile_shift",
]

DRIFT_THRESHOLDS: Final[Mapping[DriftMethod, float]] = {
    method: 0.2 if method == "psi" else 0.25 if method.endswith("_shift") else 0.1 for method in get_args(DriftMethod)
}


class _Drift(RuleBase):
    """The keys of all drift rules."""

    family: ClassVar[Family] = "drift"

    critical: Size | None = Field(None, description="Beyond this distance the alert's label severity is critical.")
    min_rows: Count = Field(200, description="With fewer rows the verdict is no_data.")


class DriftRule(_Drift, FieldRule):
    """The distribution of a field differs from the reference's."""

    drift: DriftMethod = Field(description="The distance between two distributions.")
    kind: Literal["continuous", "discrete"] | None = Field(
        None,
        description="Only fields of this kind. continuous: numbers with many values; discrete: categories, and numbers "
        "with few values. Default: all fields that the method applies to.",
    )
    above: Size | None = Field(
        None,
        description="Largest allowed distance. Default: "
        + ", ".join(f"{method} {threshold}" for method, threshold in DRIFT_THRESHOLDS.items())
        + "; with false_alarms a small distance, below which differences do not matter.",
    )
    min_rows: Count = Field(200, description="With fewer rows the verdict is no_data.")

    @model_validator(mode="after")
    def _levels_in_order(self) -> Self:
        limit = DRIFT_THRESHOLDS[self.drift] if self.above is None else self.above
        if self.critical is not None and self.critical <= limit:
            raise problem(f"critical {self.critical:g} is not beyond {limit:g}", "critical")
        return self


class GradualDrift(_Drift, FieldRule):
    """The mean moves away from the reference's slowly, over many windows."""

    drift: Literal["cusum"]
    allowance: Size = Field(
        0.5, description="Part of each window's deviation that does not count, in standard errors of its mean."
    )
    min_rows: Count = Field(30, description="Windows with fewer rows are left out.")


class MultivariateDrift(_Drift):
    """The features depend on one another in another way than in the reference."""

    drift: Literal["reconstruction_error"]
    above: Size | None = Field(
        None, description="Largest allowed change of the mean error, relative to the reference's. Default: 10%."
    )


class FeatureSetDrift(_Drift):
    """The drift of all features together: their distances, weighted by the features' importances."""

    drift: Literal["weighted"]
    method_of: DriftMethod = Field("jensen_shannon", alias="method", description="The distance of each feature.")
    features: Globs = Field(("*",), min_length=1, description="Globs of features; '!glob' leaves some out.")
    above: Size = Field(0.1, description="Largest allowed weighted distance: (sum of w d³)^(1/3), sum of w = 1.")


DriftModel = DriftRule | GradualDrift | MultivariateDrift | FeatureSetDrift
