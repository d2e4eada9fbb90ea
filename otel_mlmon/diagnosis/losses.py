"""The loss of each row, by which slices are searched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.checks.losses import Metric, row_losses
from otel_mlmon.diagnosis.subject import Rows, Subject, WindowSample
from otel_mlmon.stats.inference.p_values import t_quantile
from otel_mlmon.stats.inference.proportion import wilson
from otel_mlmon.values import RowBlock
from otel_mlmon.values.explanation import Part
from otel_mlmon.window.outcome_rows import outcomes

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats

CONFIDENCE: Final = 0.95  # of the interval of a slice's value

Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """One loss, not negative, per row of `rows`. `value` turns a mean loss into the metric that `measure` names."""

    measure: str
    rows: Rows
    losses: Floats
    value: Callable[[float], float] = float

    @property
    def binary(self) -> bool:
        """Whether all losses are 0 or 1."""
        return bool(((self.losses == 0) | (self.losses == 1)).all())

    def part(
        self, conditions: Conditions, mask: npt.NDArray[np.bool_], expected: float | None, p: float | None
    ) -> Part:
        """Return a slice with its mean loss as the metric and a confidence interval (Wilson's, or Student's)."""
        inside = self.losses[mask]
        low, high = self._interval(inside)
        ends = sorted((self.value(low), self.value(high))) if low == low else (None, None)
        value = self.value(float(inside.mean())) if len(inside) else None
        return Part(name_of(conditions), conditions, len(inside), value, expected, ends[0], ends[1], p)

    def _interval(self, inside: Floats) -> tuple[float, float]:
        n = len(inside)
        if n < 2:
            return float("nan"), float("nan")
        if self.binary:
            return wilson(round(float(inside.sum())), n, CONFIDENCE)
        middle, reach = float(inside.mean()), t_quantile(CONFIDENCE, n - 1) * float(inside.std(ddof=1)) / n**0.5
        return max(middle - reach, 0.0), middle + reach


def share_part(conditions: Conditions, rows: int, share: float, expected: float | None, p: float | None) -> Part:
    """Return a slice whose value is a share of its rows, with Wilson's interval."""
    low, high = wilson(round(share * rows), rows, CONFIDENCE)
    return Part(name_of(conditions), conditions, rows, share, expected, low, high, p)


def name_of(conditions: Conditions) -> str:
    """Return the conditions in words."""
    return " and ".join(f"{field} {text}" for field, text in conditions)


def absolute_errors(block: RowBlock, rows: Rows) -> Floats:
    """Return |prediction - ground truth| per row; for classes 1 if they differ, else 0. NaN without ground truth."""
    known = outcomes(block, rows)
    errors: Floats = np.abs(known.prediction - known.truth)
    if not known.classes:
        return errors
    both = (known.true_class >= 0) & (known.predicted_class >= 0)
    return np.where(both, (known.true_class != known.predicted_class).astype(np.float64), errors)


def metric_of(subject: Subject, sample: WindowSample) -> Metric:
    """Return the metric of row losses that is nearest to the rule's metric."""
    method, reference = subject.alert.method, subject.reference
    if method in ("rmse", "r2"):
        return "rmse"
    known, _ = row_losses(sample.block, sample.known, "accuracy")
    classes = len(known) > 0 or (
        reference is not None and reference.performance is not None and reference.performance.confusion
    )
    return "mae" if method in ("mae", "bias", "mape", "wape", "quantile_loss") or not classes else "accuracy"
