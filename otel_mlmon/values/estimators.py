"""Fitted models that a reference keeps: plain frozen numbers. `stats` fits them and computes with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from otel_mlmon.values.cells import Counts, Floats

Loss = Literal["squared_error", "absolute_error", "zero_one"]
LOSS_OF: Final[Mapping[str, Loss]] = {"rmse": "squared_error", "mae": "absolute_error"}
"""Metrics that are estimated from the expectation of a loss; all others need calibrated scores."""

MAX_LEAVES: Final = 32  # of a tree: one bit each
MAX_TREES: Final = 500
MAX_FEATURES: Final = 2_000
SUPPORT_GROUPS: Final = 20  # of an input, by its values; one more is for missing values


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of regression trees. The leaves of a tree are numbered from left to right.

    Inner nodes have one line each: the index of the `tree`, the `feature` and the `threshold` (a value at most that
    large goes left), whether a missing value goes left, and the leaves of the left part, `first` (included) to `last`
    (not included). `leaves` is the number of leaves of each tree, `values` holds their values, tree by tree; `base` is
    added to the sum. No line points to another line, so no file can cause an endless loop.

    Raises ValueError when the arrays do not fit together.
    """

    features: int
    base: float
    tree: Counts
    feature: Counts
    threshold: Floats
    missing_left: npt.NDArray[np.bool_]
    first: Counts
    last: Counts
    leaves: Counts
    values: Floats

    def __post_init__(self) -> None:
        nodes = len(self.tree)
        lengths = {len(column) for column in (self.feature, self.threshold, self.missing_left, self.first, self.last)}
        if lengths != {nodes} or not 0 < len(self.leaves) <= MAX_TREES or not 0 <= self.features <= MAX_FEATURES:
            raise ValueError("the trees' arrays do not fit together")
        if ((self.leaves < 1) | (self.leaves > MAX_LEAVES)).any() or int(self.leaves.sum()) != len(self.values):
            raise ValueError("the trees' leaves do not fit their values")
        inside = (
            (self.tree >= 0) & (self.tree < len(self.leaves)) & (self.feature >= 0) & (self.feature < self.features)
        )
        if not inside.all() or not ((self.first >= 0) & (self.first < self.last)).all():
            raise ValueError("a tree's node is out of range")
        if nodes and not (self.last < self.leaves[self.tree]).all():  # the last leaf is never in a left part
            raise ValueError("a tree's node is out of range")
        if not np.isfinite(self.values).all() or np.isnan(self.threshold).any() or not np.isfinite(self.base):
            raise ValueError("a tree has a value that is no number")


@dataclass(frozen=True, slots=True)
class ModelUncertainty:
    """Standard error of a fitted model's mean prediction, by the size of the prediction.

    `edges` separate groups of predictions. `errors` has the standard error of the mean of each group, as measured on
    held-out rows: the larger of sampling error and observed bias.
    """

    edges: tuple[float, ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        fits = len(self.errors) == len(self.edges) + 1 and bool(np.isfinite(self.errors).all())
        if not fits or not np.isfinite(self.edges).all() or (np.diff(self.edges) < 0).any() or min(self.errors) < 0:
            raise ValueError("the groups of an estimator's own error do not fit together")


@dataclass(frozen=True, slots=True)
class Support:
    """Where the reference's rows lie, input by input.

    `edges` separate groups of values (inputs × SUPPORT_GROUPS - 1). `shares` are the shares of the rows in each group
    (inputs × SUPPORT_GROUPS + 1, the last for missing values).
    """

    edges: Floats
    shares: Floats

    def __post_init__(self) -> None:
        inputs = len(self.edges)
        if self.edges.shape != (inputs, SUPPORT_GROUPS - 1) or self.shares.shape != (inputs, SUPPORT_GROUPS + 1):
            raise ValueError("the groups of an estimator's support do not fit together")
        if not np.isfinite(self.edges).all() or (np.diff(self.edges) < 0).any():
            raise ValueError("the groups of an estimator's support are out of order")
        if not ((self.shares >= 0) & (self.shares <= 1)).all():
            raise ValueError("the shares of an estimator's support are out of range")


@dataclass(frozen=True, slots=True)
class LossModel:
    """Trees that expect the loss of a row from the fields `inputs`.

    `variation` is the coefficient of variation of a loss around its expectation, `uncertainty` the standard error of
    the expectation, `design_effects` those of the residuals of consecutive rows. All are measured on `rows` held-out
    reference rows; `support` is where these lie.
    """

    inputs: tuple[str, ...]
    trees: Trees
    variation: float
    uncertainty: ModelUncertainty
    rows: int
    design_effects: Mapping[int, float] = field(default_factory=dict)
    support: Support | None = None

    def __post_init__(self) -> None:
        inputs = len(self.inputs)
        if self.trees.features != inputs or not 0 <= self.variation < math.inf or self.rows < 1:
            raise ValueError("the trees of a loss model do not fit its inputs")
        if self.support is not None and len(self.support.edges) != inputs:
            raise ValueError("the support of a loss model does not fit its inputs")


@dataclass(frozen=True, slots=True)
class Curve:
    """Probability by score, linear between points and flat beyond them; without points the score is the probability."""

    scores: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        both = np.asarray(self.scores), np.asarray(self.probabilities)
        fits = len(both[0]) == len(both[1]) and all(np.isfinite(part).all() for part in both)
        if not fits or (np.diff(both[0]) < 0).any() or ((both[1] < 0) | (both[1] > 1)).any():
            raise ValueError("the points of a calibration are out of order or range")


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities of `classes` (in order of name) from the scores of the classes with a curve: all, or one of two.

    `uncertainty` is that of each curve's probabilities, `design_effects` those of the residuals of consecutive rows;
    both are measured on `rows` held-out reference rows.
    """

    classes: tuple[str, ...]
    curves: Mapping[str, Curve]
    uncertainty: Mapping[str, ModelUncertainty]
    rows: int
    design_effects: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = set(self.curves)
        if list(self.classes) != sorted(set(self.classes)) or len(self.classes) < 2 or given != set(self.uncertainty):
            raise ValueError("the classes of a calibration do not fit together")
        one_of_two = len(self.classes) == 2 and len(given) == 1 and given <= set(self.classes)
        if given != set(self.classes) and not one_of_two:
            raise ValueError("a calibration needs scores of every class, or of one of two")


class ExcessLoss(NamedTuple):
    """Mean excess of the model's loss over the surrogate's, and its standard error."""

    mean: float
    standard_error: float


@dataclass(frozen=True, slots=True)
class SurrogateModel:
    """Trees that predict the monitored model's prediction from the fields `inputs`.

    `classes` are the two or more predicted classes, () for numbers. `trees` has one sum of trees for numbers, or one
    for the probability of each class but the first. `difference` expects the distance of a prediction from the
    surrogate's: squared, or 1 for another class. `excess` is the excess loss by loss. Both are measured on held-out
    reference rows. `low` and `high` are the least and the largest value of each input there, `missing` says whether
    the input was missing often enough to learn from.
    """

    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    trees: tuple[Trees, ...]
    difference: LossModel
    excess: Mapping[Loss, ExcessLoss]
    low: tuple[float, ...]
    high: tuple[float, ...]
    missing: tuple[bool, ...]

    def __post_init__(self) -> None:
        n = len(self.inputs)
        if {n} != {len(self.low), len(self.high), len(self.missing), *(trees.features for trees in self.trees)}:
            raise ValueError("the trees of the answers do not fit their inputs")
        if not np.isfinite(list(self.excess.values())).all() or not np.isfinite([self.low, self.high]).all():
            raise ValueError("the answers have a limit or an excess that is no number")
        if not self.trees or len(self.trees) != (len(self.classes) - 1 if self.classes else 1):
            raise ValueError("the trees of the answers do not fit the classes")


@dataclass(frozen=True, slots=True)
class Estimators:
    """Everything that estimates performance without ground truth; a part that the reference could not give is absent.

    `losses` are loss models by loss, `calibration` turns scores into probabilities, `surrogate` predicts the model's
    predictions.
    """

    losses: Mapping[Loss, LossModel] = field(default_factory=dict)
    calibration: Calibration | None = None
    surrogate: SurrogateModel | None = None

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that can be estimated."""
        of_losses = tuple(metric for metric, loss in LOSS_OF.items() if loss in self.losses)
        return (*of_losses, *(("accuracy", "precision", "recall", "f1", "roc_auc") if self.calibration else ()))


@dataclass(frozen=True, slots=True)
class PrincipalComponents:
    """`means` and `scales` standardise the features `names`; `axes` has one line per component.

    `error_mean` and `error_deviation` are mean and standard deviation of the reconstruction error over `rows`
    reference rows.
    """

    names: tuple[str, ...]
    means: Floats
    scales: Floats
    axes: Floats
    error_mean: float
    error_deviation: float
    rows: int
