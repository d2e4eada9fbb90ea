"""What a check of the model as a whole looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_mlmon.checks.case import FieldCase, no_data
from otel_mlmon.checks.rows import WindowRows
from otel_mlmon.values import CheckResult, FieldProfile, Reference, RowBlock, WindowProfile

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

NO_CELLS = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, float("nan"), float("nan"))
# (rows, which of them, SQL condition) → (rows where it holds, rows where it does not)
Condition = Callable[[RowBlock, "npt.NDArray[np.int64]", str], tuple[int, int]]
# (start, end) → (pane starts, rows of each pane, length of a pane in ns) of the model version
Traffic = Callable[[int, int], tuple["npt.NDArray[np.int64]", "npt.NDArray[np.int64]", int]]


@dataclass(frozen=True, slots=True)
class ModelCase:
    """One model version in one window, whole or one segment of it; `window` is None when it has no rows."""

    model: str
    version: str
    segment: str
    start: int
    end: int
    window: WindowProfile | None
    reference: Reference | None
    rows: WindowRows
    traffic: Traffic
    condition: Condition

    @property
    def n(self) -> int:
        """Predictions in the window."""
        return self.window.rows if self.window else 0

    def block(self) -> tuple[RowBlock | None, npt.NDArray[np.int64]]:
        """The rows themselves, and which of the block's they are."""
        return self.rows.select(self.version, self.segment)

    def field(self, name: str) -> FieldCase:
        """One field of the window."""
        profile = NO_CELLS if self.window is None else self.window.fields.get(name, NO_CELLS)
        return FieldCase(
            name,
            profile,
            self.reference.fields.get(name) if self.reference else None,
            expected_profile(self.reference, self.segment, name),
            lambda low, high: 0,
            lambda: self.rows.numbers(self.version, self.segment, name),
            self.reference,
        )


def expected_profile(reference: Reference | None, segment: str, name: str) -> FieldProfile | None:
    """What the reference knows of a field in a segment; of the whole, where it does not know the segment."""
    if reference is None or name not in reference.fields:
        return None
    if segment in reference.segments:
        return reference.segments[segment].profiles.get(name)
    return reference.fields[name].profile


def too_few_predictions(found: int, wanted: int) -> CheckResult:
    """The answer to a window with fewer rows than the rule asks for."""
    reason = "no_rows" if not found else "too_few_rows"
    return no_data(reason, f"{found} predictions, the rule asks for at least {wanted}", rows=found)
