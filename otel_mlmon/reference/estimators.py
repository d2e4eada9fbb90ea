"""What estimates performance, made of the reference's rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from otel_mlmon.outcome_rows import outcomes
from otel_mlmon.rulefile import EstimateRule, Rule, SliceRule
from otel_mlmon.semconv import FIELD_PREDICTION, FIELD_SHADOW
from otel_mlmon.stats.estimation.boosting import available
from otel_mlmon.stats.estimation.calibration import FEWEST_ROWS as FEWEST_CALIBRATED
from otel_mlmon.stats.estimation.calibration import Calibration, calibration
from otel_mlmon.stats.estimation.estimators import Estimators
from otel_mlmon.stats.estimation.inputs import input_rows
from otel_mlmon.stats.estimation.loss import FEWEST_ROWS, Loss, LossModel, loss_model
from otel_mlmon.stats.outcomes import Outcomes
from otel_mlmon.values import FieldReference, Reference, RowBlock
from otel_mlmon.window.performance import has_classes


def with_estimators(reference: Reference, rows: RowBlock) -> tuple[Reference, str]:
    """The reference, which was made of `rows`, with what estimates performance; and why some of it is not there, or "".

    Takes a few seconds. Rows with times are in the order of them, as in `create_reference`.
    """
    prediction = reference.fields.get(FIELD_PREDICTION)
    known = np.flatnonzero(rows.truth_known)
    if prediction is None or not len(known):
        return reference, "performance cannot be estimated: that needs predictions and their ground truth"
    classes = has_classes(prediction, rows.fields[FIELD_PREDICTION].numbers is None)
    in_order = bool((rows.times != rows.times[0]).any())
    found = outcomes(rows, known)
    made, reasons = _calibration(found, in_order) if classes else (None, "")
    losses, reason = _losses(rows, known, found, reference.fields, classes, in_order)
    estimators = Estimators(losses, made) if losses or made else None
    return replace(reference, estimators=estimators), "; ".join(filter(None, (reasons, reason)))


def need_estimators(rules: Iterable[Rule]) -> bool:
    """Whether any of the rules needs estimators, which take their time to make."""
    return any(isinstance(rule, (EstimateRule, SliceRule)) for rule in rules)


def _calibration(found: Outcomes, in_order: bool) -> tuple[Calibration | None, str]:
    scored = {name for name, column in found.scores.items() if np.isfinite(column).any()}
    seen = {found.classes[code] for code in np.unique(found.true_class[found.true_class >= 0]).tolist()}
    classes = tuple(sorted(seen | scored))
    if not scored:
        return None, "accuracy, precision, recall, f1 and roc_auc need the model's scores: --score-column"
    if len(classes) < 2:
        return None, f"there is only one class, {', '.join(map(repr, classes))}"
    missing = set(classes) - scored
    if missing and len(classes) > 2:
        return None, f"there are no scores of {', '.join(map(repr, sorted(missing)))}: --score-column"
    scores = {name: found.scores[name] for name in sorted(scored)}
    usable = (found.true_class >= 0) & np.isfinite(np.stack(list(scores.values()))).all(axis=0)
    if int(usable.sum()) < FEWEST_CALIBRATED:
        return None, f"{int(usable.sum())} rows have a truth and all scores; at least {FEWEST_CALIBRATED} are needed"
    place = np.array([classes.index(name) if name in seen else -1 for name in found.classes], np.int32)
    truth = place[found.true_class[usable]]
    return calibration(classes, {name: s[usable] for name, s in scores.items()}, truth, in_order=in_order), ""


def _losses(
    rows: RowBlock,
    known: npt.NDArray[np.int64],
    found: Outcomes,
    fields: Mapping[str, FieldReference],
    classes: bool,
    in_order: bool,
) -> tuple[dict[Loss, LossModel], str]:
    targets: dict[Loss, npt.NDArray[np.float64]] = {}
    if classes:
        both = (found.true_class >= 0) & (found.predicted_class >= 0)
        targets["zero_one"] = (found.true_class != found.predicted_class)[both].astype(np.float64)
    else:
        both = np.isfinite(found.truth) & np.isfinite(found.prediction)
        error = (found.prediction - found.truth)[both]
        with np.errstate(over="ignore"):
            targets = {"squared_error": error**2, "absolute_error": np.abs(error)}
    if int(both.sum()) < FEWEST_ROWS:
        return {}, f"{int(both.sum())} rows have a prediction and a truth to compare; at least {FEWEST_ROWS} are needed"
    if not all(np.isfinite(target.sum()) for target in targets.values()):
        return {}, "errors are too large to be squared"
    if not available():
        return {}, "models of the losses need scikit-learn: pip install 'otel-mlmon[processor]'"
    names = [name for name in fields if name != FIELD_SHADOW]
    inputs = input_rows(rows.fields, fields, names, known[both])
    return {loss: loss_model(names, inputs, target, in_order=in_order) for loss, target in targets.items()}, ""
