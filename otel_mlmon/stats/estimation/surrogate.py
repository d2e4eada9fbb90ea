"""What a model used to answer to inputs like these: to see when it has become another model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.stats.estimation.dle import Loss, LossModel, loss_model
from otel_mlmon.stats.estimation.held_out import Rows, cross_fitted
from otel_mlmon.stats.estimation.trees import SMALLEST_LEAF, Trees, boosted
from otel_mlmon.stats.metrics.outcomes import losses_of

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

MOST_CLASSES: Final = 5  # each but the first costs as much as a model of numbers


@dataclass(frozen=True, slots=True)
class Answers:
    """Says what the model answers to the fields `inputs`, as long as it is the reference's.

    `classes` are the names of the two or more predicted classes, () where predictions are numbers; `trees` has one sum of trees for
    numbers, or one for the probability of each class but the first. `difference` expects how far a prediction is from what is
    said of it: squared, or 1 where it is another class. `excess` has by loss how much larger that of the predictions is than
    that of what is said of them: mean and standard error. Both were measured on held-out reference rows.
    `low` and `high` are the least and the largest of each input there, `gaps` whether it was missing often enough to know.
    """

    inputs: tuple[str, ...]
    classes: tuple[str, ...]
    trees: tuple[Trees, ...]
    difference: LossModel
    excess: Mapping[Loss, tuple[float, float]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    gaps: tuple[bool, ...]

    def __post_init__(self) -> None:
        n = len(self.inputs)
        if {n} != {len(self.low), len(self.high), len(self.gaps), *(trees.features for trees in self.trees)}:
            raise ValueError("the trees of the answers do not fit their inputs")
        if not np.isfinite(list(self.excess.values())).all() or not np.isfinite([self.low, self.high]).all():
            raise ValueError("the answers have a limit or an excess that is no number")
        if not self.trees or len(self.trees) != (len(self.classes) - 1 if self.classes else 1):
            raise ValueError("the trees of the answers do not fit the classes")

    def say(self, rows: Floats) -> Floats:
        """The answer to each row (rows × inputs): a number, or a code into `classes`."""
        return _said([trees.predict(rows) for trees in self.trees], bool(self.classes))

    def known(self, rows: Floats) -> npt.NDArray[np.bool_]:
        """Which rows are inside of what the answers were learnt from: elsewhere they mean nothing."""
        with np.errstate(invalid="ignore"):
            inside = (rows >= np.array(self.low)) & (rows <= np.array(self.high))
        found: npt.NDArray[np.bool_] = (inside | (np.isnan(rows) & np.array(self.gaps))).all(axis=1)
        return found


def answers(
    inputs: Sequence[str],
    rows: Floats,
    given: Floats,
    classes: Sequence[str],
    losses: Callable[[Floats], Mapping[Loss, Floats]],
    *,
    in_order: bool,
) -> Answers:
    """Fitted to what the model has `given`, numbers or codes into `classes`, for reference rows (rows × inputs).

    `losses` has the losses of all rows if other answers than those had been given.

    >>> x = np.random.default_rng(0).uniform(size=(2000, 1))
    >>> price = 10 * x[:, 0]
    >>> found = answers(["x"], x, price, (), lambda said: {"squared_error": (said - price - 1) ** 2}, in_order=False)
    >>> found.say(np.array([[0.5]])).round(1).tolist(), found.known(np.array([[0.5], [7.0]])).tolist()
    ([5.0], [True, False])
    """
    targets = [(given == code).astype(np.float64) for code in range(1, len(classes))] if classes else [given]

    def held_out(target: Floats) -> Floats:
        def fit(fitted: Rows, held: Rows) -> Floats:
            return boosted(rows[fitted], target[fitted]).predict(rows[held])

        return cross_fitted(len(rows), fit, in_order=in_order)

    said = _said([held_out(target) for target in targets], bool(classes))
    own, others = losses(given), losses(said)
    worth = {loss: own[loss] - others[loss] for loss in own}
    missing = np.isnan(rows)
    none = missing.all(axis=0)  # nothing is inside of an empty range
    return Answers(
        tuple(inputs),
        tuple(classes),
        tuple(boosted(rows, target) for target in targets),
        loss_model(inputs, rows, difference(given, said, bool(classes)), in_order=in_order),
        {
            loss: (float(excess.mean()), float(excess.std(ddof=1)) / math.sqrt(len(rows)))
            for loss, excess in worth.items()
        },
        tuple(np.where(none, 1.0, np.where(missing, np.inf, rows).min(axis=0)).tolist()),
        tuple(np.where(none, -1.0, np.where(missing, -np.inf, rows).max(axis=0)).tolist()),
        tuple((missing.sum(axis=0) >= SMALLEST_LEAF).tolist()),
    )


def difference(given: npt.NDArray[Any], said: npt.NDArray[Any], classes: bool) -> Floats:
    """How far apart they are: squared, or 1 for another class.

    >>> difference(np.array([1.0, 3.0]), np.array([1.0, 5.0]), False).tolist()
    [0.0, 4.0]
    """
    return losses_of("zero_one" if classes else "squared_error", said, given)


def _said(found: Sequence[Floats], classes: bool) -> Floats:
    if not classes:
        return found[0]
    likely = np.stack([1 - np.sum(found, axis=0), *found])
    codes: Floats = likely.argmax(axis=0).astype(np.float64)
    return codes
