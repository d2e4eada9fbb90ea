"""Estimators of performance, fitted to the reference's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from otel_mlmon.rulefile import EstimateRule, Rule, SliceRule
from otel_mlmon.stats.estimation.calibration import FEWEST_ROWS as FEWEST_CALIBRATED
from otel_mlmon.stats.estimation.calibration import fit_calibration
from otel_mlmon.stats.estimation.dle import FEWEST_ROWS, FITTED_ROWS, fit_loss_model
from otel_mlmon.stats.estimation.inputs import input_rows
from otel_mlmon.stats.estimation.surrogate import MOST_CLASSES, fit_surrogate
from otel_mlmon.stats.estimation.trees import available
from otel_mlmon.stats.metrics.outcomes import Outcomes, losses_of
from otel_mlmon.values import FieldReference, Reference, RowBlock
from otel_mlmon.values.estimators import Calibration, Estimators, Loss, LossModel, SurrogateModel
from otel_mlmon.window.outcome_rows import outcomes
from otel_mlmon.window.performance import has_classes
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW, score_field


def with_estimators(reference: Reference, rows: RowBlock) -> tuple[Reference, str]:
    """Return the reference of `rows` with its estimators, and the reasons why some are absent, or "".

    Takes a few seconds. Rows with times are in their order, as in `create_reference`.
    """
    prediction = reference.fields.get(FIELD_PREDICTION)
    known = np.flatnonzero(rows.truth_known)
    if prediction is None or not len(known):
        return reference, "performance cannot be estimated: that needs predictions and their ground truth"
    classes = has_classes(prediction, rows.fields[FIELD_PREDICTION].numbers is None)
    in_order = bool((rows.times != rows.times[0]).any())
    paired = outcomes(rows, known)
    calibration, reasons = _calibration(paired, in_order) if classes else (None, "")
    compared = _Compared(rows, known, paired, reference.fields, classes, in_order)
    losses, reason = compared.losses()
    surrogate = compared.surrogate() if losses else None
    estimators = Estimators(losses, calibration, surrogate) if losses or calibration else None
    return replace(reference, estimators=estimators), "; ".join(filter(None, (reasons, reason)))


def need_estimators(rules: Iterable[Rule]) -> bool:
    """Return whether any of the rules needs estimators, which take seconds to fit."""
    return any(isinstance(rule, (EstimateRule, SliceRule)) for rule in rules)


def _calibration(paired: Outcomes, in_order: bool) -> tuple[Calibration | None, str]:
    scored = {name for name, column in paired.scores.items() if np.isfinite(column).any()}
    seen = {paired.classes[code] for code in np.unique(paired.true_class[paired.true_class >= 0]).tolist()}
    classes = tuple(sorted(seen | scored))
    if not scored:
        return None, "accuracy, precision, recall, f1 and roc_auc need the model's scores: --score-column"
    if len(classes) < 2:
        return None, f"there is only one class, {', '.join(map(repr, classes))}"
    missing = set(classes) - scored
    if missing and len(classes) > 2:
        return None, f"there are no scores of {', '.join(map(repr, sorted(missing)))}: --score-column"
    scores = {name: paired.scores[name] for name in sorted(scored)}
    usable = (paired.true_class >= 0) & np.isfinite(np.stack(list(scores.values()))).all(axis=0)
    if int(usable.sum()) < FEWEST_CALIBRATED:
        return None, f"{int(usable.sum())} rows have a truth and all scores; at least {FEWEST_CALIBRATED} are needed"
    place = np.array([classes.index(name) if name in seen else -1 for name in paired.classes], np.int32)
    truth = place[paired.true_class[usable]]
    return fit_calibration(classes, {name: s[usable] for name, s in scores.items()}, truth, in_order=in_order), ""


@dataclass(frozen=True, slots=True)
class _Compared:
    """The rows at the places `known`, `paired` with their ground truth, as estimators are fitted to them."""

    rows: RowBlock
    known: npt.NDArray[np.int64]
    paired: Outcomes
    fields: Mapping[str, FieldReference]
    classes: bool
    in_order: bool

    def losses(self) -> tuple[dict[Loss, LossModel], str]:
        both = self._comparable()
        targets = {loss: losses_of(loss, *self._pairs(both)) for loss in self._losses()}
        if int(both.sum()) < FEWEST_ROWS:
            found = f"{int(both.sum())} rows have a prediction and a truth to compare"
            return {}, f"{found}; at least {FEWEST_ROWS} are needed"
        if not all(np.isfinite(target.sum()) for target in targets.values()):
            return {}, "errors are too large to be squared"
        if not available():
            return {}, "models of the losses need scikit-learn: pip install 'otel-mlmon[processor]'"
        names = [name for name in self.fields if name != FIELD_SHADOW]
        inputs = input_rows(self.rows.fields, self.fields, names, self.known[both])
        fitted = {n: fit_loss_model(names, inputs, target, in_order=self.in_order) for n, target in targets.items()}
        return fitted, ""

    def surrogate(self) -> SurrogateModel | None:
        """Fit a surrogate; None for one class, for more than MOST_CLASSES, and without inputs."""
        outputs = {FIELD_PREDICTION, FIELD_SHADOW, *(score_field(name) for name in self.paired.scores)}
        names = [name for name in self.fields if name not in outputs]
        chosen = np.flatnonzero(self._comparable())
        if len(chosen) > FITTED_ROWS:
            spread = np.linspace(0, len(chosen) - 1, FITTED_ROWS).astype(int)
            chosen = chosen[-FITTED_ROWS:] if self.in_order else chosen[spread]
        given, truth = self._pairs(chosen)
        predicted_classes: list[int] = np.unique(given).tolist() if self.classes else []
        if not names or (self.classes and not 1 < len(predicted_classes) <= MOST_CLASSES):
            return None
        codes = np.array(predicted_classes)
        return fit_surrogate(
            names,
            input_rows(self.rows.fields, self.fields, names, self.known[chosen]),
            np.searchsorted(codes, given).astype(np.float64) if self.classes else given,
            [self.paired.classes[code] for code in predicted_classes],
            lambda predicted: {
                loss: losses_of(loss, codes[predicted.astype(np.int64)] if self.classes else predicted, truth)
                for loss in self._losses()
            },
            in_order=self.in_order,
        )

    def _losses(self) -> tuple[Loss, ...]:
        return ("zero_one",) if self.classes else ("squared_error", "absolute_error")

    def _comparable(self) -> npt.NDArray[np.bool_]:
        """Mark the rows with a prediction and a truth of the same kind."""
        if self.classes:
            return (self.paired.true_class >= 0) & (self.paired.predicted_class >= 0)
        return np.isfinite(self.paired.truth) & np.isfinite(self.paired.prediction)

    def _pairs(self, rows: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if self.classes:
            return self.paired.predicted_class[rows], self.paired.true_class[rows]
        return self.paired.prediction[rows], self.paired.truth[rows]
