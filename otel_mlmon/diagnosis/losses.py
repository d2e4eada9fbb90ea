"""What is wrong with single predictions, as one number per row: what slices are searched by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from otel_mlmon.checks.losses import Metric, row_losses
from otel_mlmon.diagnosis.subject import Evidence, Rows, Subject
from otel_mlmon.stats.inference.proportion import wilson
from otel_mlmon.stats.inference.student import t_quantile
from otel_mlmon.values import RowBlock
from otel_mlmon.values.explanation import Part
from otel_mlmon.window.outcome_rows import outcomes

if TYPE_CHECKING:
    import numpy.typing as npt

    from otel_mlmon.values import Floats

SURE: Final = 0.95  # of the interval of a slice's value


Conditions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Losses:
    """One loss per row, not negative, of `rows` of a block. `measure` names what `value` makes of a mean loss."""

    measure: str
    rows: Rows
    losses: Floats
    value: Callable[[float], float] = float

    @property
    def binary(self) -> bool:
        """Whether each row is either right or wrong."""
        return bool(((self.losses == 0) | (self.losses == 1)).all())

    def part(
        self, conditions: Conditions, mask: npt.NDArray[np.bool_], expected: float | None, p: float | None
    ) -> Part:
        """A slice with its figure: the mean loss of its rows with an interval (Wilson's, or Student's of the mean)."""
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
            return wilson(round(float(inside.sum())), n, SURE)
        middle, reach = float(inside.mean()), t_quantile(SURE, n - 1) * float(inside.std(ddof=1)) / n**0.5
        return max(middle - reach, 0.0), middle + reach


def share_part(conditions: Conditions, rows: int, share: float, expected: float | None, p: float | None) -> Part:
    """A slice whose figure is the share of its rows that have something."""
    low, high = wilson(round(share * rows), rows, SURE)
    return Part(name_of(conditions), conditions, rows, share, expected, low, high, p)


def name_of(conditions: Conditions) -> str:
    """A slice in words."""
    return " and ".join(f"{field} {text}" for field, text in conditions)


def absolute_errors(block: RowBlock, rows: Rows) -> Floats:
    """|prediction - ground truth| row by row of those with ground truth; of classes 1 where they differ, else 0. NaN where neither."""
    found = outcomes(block, rows)
    errors: Floats = np.abs(found.prediction - found.truth)
    if not found.classes:
        return errors
    both = (found.true_class >= 0) & (found.predicted_class >= 0)
    return np.where(both, (found.true_class != found.predicted_class).astype(np.float64), errors)


def metric_of(subject: Subject, evidence: Evidence) -> Metric:
    """What errors are measured by: what the rule does, or what is nearest to it."""
    method, reference = subject.alert.method, subject.reference
    if method in ("rmse", "r2"):
        return "rmse"
    known, _ = row_losses(evidence.block, evidence.known, "accuracy")
    classes = len(known) > 0 or (
        reference is not None and reference.performance is not None and reference.performance.confusion
    )
    return "mae" if method in ("mae", "bias", "mape", "wape", "quantile_loss") or not classes else "accuracy"
