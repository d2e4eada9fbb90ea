"""Predictions with known ground truth, row by row, and their losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_mlmon.values import Floats, PerformanceCounts
from otel_mlmon.values.estimators import Loss

Codes = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Predictions with known ground truth: columns of equal length, NaN or -1 for a value of another kind.

    `truth` and `prediction` are numbers; `true_class` and `predicted_class` are codes into `classes`; `scores` are the
    model's scores by class name; `query` is the group of each row, for a ranking. Raises ValueError for unequal
    lengths.
    """

    truth: Floats
    prediction: Floats
    classes: tuple[str, ...] = ()
    true_class: Codes = field(default_factory=lambda: np.zeros(0, np.int32))
    predicted_class: Codes = field(default_factory=lambda: np.zeros(0, np.int32))
    scores: Mapping[str, Floats] = field(default_factory=dict)
    query: Codes | None = None

    @classmethod
    def of_numbers(
        cls, truth: Sequence[float], prediction: Sequence[float], query: Sequence[int] | None = None
    ) -> Outcomes:
        """Return outcomes of a regression, or with `query` of a ranking.

        >>> len(Outcomes.of_numbers([1, 2, 3], [1, 2, 4]))
        3
        """
        groups = None if query is None else np.asarray(query, np.int32)
        return cls(np.asarray(truth, np.float64), np.asarray(prediction, np.float64), query=groups)

    @classmethod
    def of_classes(
        cls,
        truth: Sequence[str],
        scores: Mapping[str, Sequence[float]] | None = None,
        prediction: Sequence[str] | None = None,
    ) -> Outcomes:
        """Return outcomes of a classifier, from class names.

        >>> Outcomes.of_classes(["b", "a"], {"b": [0.9, 0.2]}).classes
        ('a', 'b')
        """
        predicted = list(prediction) if prediction is not None else []
        classes = tuple(sorted({*truth, *predicted}))
        code = {name: i for i, name in enumerate(classes)}
        nothing = np.full(len(truth), np.nan)
        return cls(
            nothing,
            nothing,
            classes,
            np.array([code[name] for name in truth], np.int32),
            np.array([code[name] for name in predicted] or [-1] * len(truth), np.int32),
            {name: np.asarray(column, np.float64) for name, column in (scores or {}).items()},
        )

    def __post_init__(self) -> None:
        if not self.classes and len(self.truth) and not len(self.true_class):
            none = np.full(len(self.truth), -1, np.int32)
            object.__setattr__(self, "true_class", none)
            object.__setattr__(self, "predicted_class", none)
        columns: dict[str, npt.NDArray[Any]] = {
            "prediction": self.prediction,
            "true_class": self.true_class,
            "predicted_class": self.predicted_class,
            **{f"the score of {name!r}": column for name, column in self.scores.items()},
            **({} if self.query is None else {"query": self.query}),
        }
        for name, column in columns.items():
            if len(column) != len(self.truth):
                raise ValueError(f"{name} has {len(column)} rows, truth {len(self.truth)}")

    def __len__(self) -> int:
        return len(self.truth)

    def take(self, index: npt.NDArray[Any]) -> Outcomes:
        """Return the rows at `index`: positions, or a mask."""
        return replace(
            self,
            truth=self.truth[index],
            prediction=self.prediction[index],
            true_class=self.true_class[index],
            predicted_class=self.predicted_class[index],
            scores={name: column[index] for name, column in self.scores.items()},
            query=None if self.query is None else self.query[index],
        )


@dataclass(frozen=True)
class MetricOptions:
    """The class in question (None: see the metric), the predicted quantile (0 to 1), a ranking's places (None: all)."""

    positive: str | None = None
    quantile: float = 0.5
    k: int | None = None


def both_numbers(outcomes: Outcomes, options: MetricOptions) -> Mask:
    """Return the rows with finite truth and prediction.

    >>> both_numbers(Outcomes.of_numbers([1, float("nan")], [1, 2]), MetricOptions()).tolist()
    [True, False]
    """
    return np.isfinite(outcomes.truth) & np.isfinite(outcomes.prediction)


def performance_counts(outcomes: Outcomes) -> PerformanceCounts:
    """Return the sums of the rows, for all metrics that need no rows.

    >>> performance_counts(Outcomes.of_numbers([1, 2, 4], [1, 3, 2])).sum_abs_error
    3.0
    """
    both = both_numbers(outcomes, MetricOptions())
    truth, prediction = outcomes.truth[both], outcomes.prediction[both]
    relative = truth != 0
    named = (outcomes.true_class >= 0) & (outcomes.predicted_class >= 0)
    n = len(outcomes.classes)
    pairs = np.bincount(
        outcomes.true_class[named].astype(np.int64) * n + outcomes.predicted_class[named], minlength=n * n
    )
    with np.errstate(over="ignore"):  # sums of huge numbers are infinite, and then so is the metric
        error = prediction - truth
        return PerformanceCounts(
            predictions=len(outcomes),
            with_truth=int((both | named).sum()),
            numeric=len(truth),
            sum_error=float(error.sum()),
            sum_abs_error=float(np.abs(error).sum()),
            sum_squared_error=float((error**2).sum()),
            sum_fourth_error=float((error**4).sum()),
            sum_truth=float(truth.sum()),
            sum_squared_truth=float(truth @ truth),
            sum_abs_truth=float(np.abs(truth).sum()),
            sum_abs_relative_error=float(np.abs(error[relative] / truth[relative]).sum()),
            relative_rows=int(relative.sum()),
            confusion={
                (outcomes.classes[cell // n], outcomes.classes[cell % n]): int(pairs[cell])
                for cell in np.flatnonzero(pairs)
            },
        )


def losses_of(loss: Loss, prediction: npt.NDArray[Any], truth: npt.NDArray[Any]) -> Floats:
    """Return the loss of each row, of two numbers or two class codes; infinite or NaN when it overflows.

    >>> losses_of("squared_error", np.array([1.0, 5.0]), np.array([2.0, 2.0])).tolist()
    [1.0, 9.0]
    >>> losses_of("zero_one", np.array([0, 1]), np.array([0, 2])).tolist()
    [0.0, 1.0]
    """
    if loss == "zero_one":
        wrong: Floats = (prediction != truth).astype(np.float64)
        return wrong
    with np.errstate(over="ignore", invalid="ignore"):
        error: Floats = np.abs(prediction - truth)
        return error * error if loss == "squared_error" else error
