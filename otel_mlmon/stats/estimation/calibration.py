"""Scores as probabilities: calibrated on the reference where that makes them better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from otel_mlmon.stats.estimation.held_out import OwnError, Rows, cross_fitted, mean_design_effects, own_error
from otel_mlmon.stats.metrics.outcomes import Codes, Mask

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

FEWEST_ROWS: Final = 200
_SPLITS: Final = 10
_HELD: Final = 0.1
_BINS: Final = 10
_SEPARATED: Final = 0.999  # area under the curve from which there is nothing to calibrate


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

    def __call__(self, scores: Floats) -> Floats:
        if not self.scores:
            return np.clip(scores, 0.0, 1.0)
        found: Floats = np.interp(scores, self.scores, self.probabilities)
        return found


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probabilities of `classes` (in order of name) from the scores of those that have a curve: all, or one of two.

    `own` is the error of the probabilities of each such class, `design_effects` say how alike the surprises of consecutive
    predictions are; both were measured on held-out reference rows, of which there were `rows`.
    """

    classes: tuple[str, ...]
    curves: Mapping[str, Curve]
    own: Mapping[str, OwnError]
    rows: int
    design_effects: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = set(self.curves)
        if list(self.classes) != sorted(set(self.classes)) or len(self.classes) < 2 or given != set(self.own):
            raise ValueError("the classes of a calibration do not fit together")
        if given != set(self.classes) and not (
            len(self.classes) == 2 and len(given) == 1 and given <= set(self.classes)
        ):
            raise ValueError("a calibration needs scores of every class, or of one of two")

    def probabilities(self, scores: Mapping[str, Floats]) -> Floats:
        """Rows × classes; NaN for a row that lacks a score."""
        return _complete(self.classes, {name: curve(scores[name]) for name, curve in self.curves.items()})

    def shifted(self, probabilities: Floats, rng: np.random.Generator) -> Floats:
        """The probabilities as they may as well be, given their own error."""
        drawn = {}
        for name, own in self.own.items():
            column = probabilities[:, self.classes.index(name)]
            off = np.asarray(own.errors) * rng.standard_normal(len(own.errors))
            drawn[name] = np.clip(column + off[own.groups(column)], 0.0, 1.0)
        return _complete(self.classes, drawn)


def _complete(classes: tuple[str, ...], given: Mapping[str, Floats]) -> Floats:
    """Sums of 1: what is left for the other of two classes, else shares of the sum; uniform where all are 0."""
    if len(given) == 1:
        ((name, column),) = given.items()
        return np.stack([column if name == other else 1 - column for other in classes], axis=1)
    columns = np.stack([given[name] for name in classes], axis=1)
    total = columns.sum(axis=1, keepdims=True)
    found: Floats = np.divide(columns, total, out=np.full_like(columns, 1 / len(classes)), where=~(total == 0))
    return found


def isotonic(scores: Floats, positive: Mask) -> Curve:
    """The increasing curve nearest to the outcomes (least squares), by its corners.

    Source: Zadrozny and Elkan, KDD 2002; pool adjacent violators as in scipy.optimize.isotonic_regression.

    >>> isotonic(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, True, False, True])).probabilities
    (0.0, 0.5, 0.5, 1.0)
    """
    x, place = np.unique(scores, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=positive) / weights
    y = np.clip(isotonic_regression(means, weights=weights).x, 0.0, 1.0)
    corner = np.ones(len(y), np.bool_)
    corner[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    return Curve(tuple(x[corner].tolist()), tuple(y[corner].tolist()))


def cautious(scores: Floats, positive: Mask) -> Curve:
    """The isotonic curve of these rows and of two more: a positive one at the lowest score, another one at the highest.

    By itself the curve is 0 below the lowest positive and 1 above the highest other row, however few rows are there: as if what was not
    seen could not be. Of a model that is nearly always right these few are most of the errors to come. With the two, n
    rows without a positive have a probability of 1 / (n + 1) (the rule of succession, but for the row that it adds to both).

    >>> cautious(np.array([0.1, 0.2, 0.3, 0.4]), np.array([False, False, True, True])).probabilities
    (0.3333333333333333, 0.3333333333333333, 0.6666666666666666, 0.6666666666666666)
    """
    ends = np.array([scores.min(), scores.max()])
    return isotonic(np.append(scores, ends), np.append(positive, [True, False]))


def needs_calibration(scores: Floats, positive: Mask) -> bool:
    """Whether an isotonic curve, fitted to nine tenths, makes scores of the other tenth better calibrated.

    Source: NannyML's `needs_calibration`: the expected calibration error over ten stratified splits together.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=3000)
    >>> happens = rng.uniform(size=3000) < p
    >>> needs_calibration(p**3, happens), needs_calibration(p, np.ones(3000, bool))
    (True, False)
    """
    if positive.all() or not positive.any() or _area(scores, positive) > _SEPARATED:
        return False
    rng = np.random.default_rng(42)
    parts = []
    for _ in range(_SPLITS):
        held = np.zeros(len(scores), np.bool_)
        for of_class in (np.flatnonzero(positive), np.flatnonzero(~positive)):
            held[rng.permutation(of_class)[: max(1, round(_HELD * len(of_class)))]] = True
        if positive[~held].all() or not positive[~held].any():
            return False
        curve = isotonic(scores[~held], positive[~held])
        parts.append(np.stack([scores[held], curve(scores[held]), positive[held]]))
    before, after, outcome = np.concatenate(parts, axis=1)
    return calibration_error(before, outcome) > calibration_error(after, outcome)


def calibration_error(probabilities: Floats, outcomes: Floats) -> float:
    """Expected calibration error over ten bins of equally many rows (Naeini et al., AAAI 2015).

    >>> calibration_error(np.full(20, 0.25), np.repeat([0.0, 1.0], 10)).__round__(6)
    0.5
    """
    order = np.argsort(probabilities, kind="stable")
    bins = np.array_split(order, _BINS)
    off = [len(rows) * abs(probabilities[rows].mean() - outcomes[rows].mean()) for rows in bins if len(rows)]
    return float(sum(off)) / len(order)


def calibration(classes: tuple[str, ...], scores: Mapping[str, Floats], truth: Codes, *, in_order: bool) -> Calibration:
    """Fitted to reference rows whose scores are all there and whose true class (a code into `classes`) is known.

    One against the rest, each class by itself, as NannyML does (but for the two rows of `cautious`). Raises ValueError for fewer than FEWEST_ROWS rows.

    >>> rng = np.random.default_rng(0)
    >>> p = rng.uniform(size=3000)
    >>> truth = (rng.uniform(size=3000) < p).astype(np.int32)
    >>> made = calibration(("no", "yes"), {"yes": p**3}, truth, in_order=False)
    >>> made.probabilities({"yes": np.array([0.5**3])}).round(1).tolist()
    [[0.5, 0.5]]
    """
    if len(truth) < FEWEST_ROWS:
        raise ValueError(f"a calibration needs at least {FEWEST_ROWS} rows, found {len(truth)}")
    if len(classes) == 2 and len(scores) == 2:
        scores = {classes[1]: scores[classes[1]]}
    curves: dict[str, Curve] = {}
    held: dict[str, npt.NDArray[np.float64]] = {}
    for name, column in scores.items():
        positive: Mask = truth == classes.index(name)
        needed = needs_calibration(column, positive)
        curves[name] = cautious(column, positive) if needed else Curve()

        def fit(
            fitted: Rows, rows: Rows, column: Floats = column, positive: Mask = positive, needed: bool = needed
        ) -> Floats:
            return (cautious(column[fitted], positive[fitted]) if needed else Curve())(column[rows])

        held[name] = cross_fitted(len(truth), fit, in_order=in_order)
    expected = _complete(classes, held)
    own = {}
    surprise = 1 - expected[np.arange(len(truth)), truth]  # of the class that came true
    effects = mean_design_effects(surprise - surprise.mean()) if in_order else {}
    grouped = max(effects.values(), default=1.0)
    for name in scores:
        p = expected[:, classes.index(name)]
        own[name] = own_error(p, p * (1 - p) * grouped, (truth == classes.index(name)) - p)
    return Calibration(classes, curves, own, len(truth), effects)


def _area(scores: Floats, positive: Mask) -> float:
    from otel_mlmon.stats.metrics.ranking import midranks

    n = int(positive.sum())
    return float((midranks(scores)[positive].sum() - n * (n + 1) / 2) / (n * (len(scores) - n)))
