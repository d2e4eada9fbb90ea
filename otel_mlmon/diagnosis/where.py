"""Which part of the predictions: slices in which the error, the drift or the fault is concentrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import escape
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.losses import counted_loss, expected_losses, figure, row_losses
from otel_mlmon.checks.parity import pairs
from otel_mlmon.checks.slices import concentrated, slice_columns
from otel_mlmon.diagnosis.faults import fault
from otel_mlmon.diagnosis.features import surprise
from otel_mlmon.diagnosis.losses import Losses, metric_of, share_part
from otel_mlmon.diagnosis.slice_drift import drifted
from otel_mlmon.diagnosis.subject import Evidence, Rows, Subject
from otel_mlmon.rulefile import ParityRule
from otel_mlmon.stats.slices.search import Codes, search
from otel_mlmon.values import RowBlock
from otel_mlmon.values.explanation import Part, Where

MIN_ROWS: Final = 30
CONFIDENCE: Final = 0.99
MARGIN: Final = 0.15  # how much worse than expected a slice is at least
_NOWHERE: Final = "No slice stands out: what is wrong is wrong everywhere alike, or in too few predictions to be sure."


Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """The answer, with the loss of each row, and the rows (places in the block) of each slice, in the order of `where.slices`."""

    where: Where
    losses: Losses | None = None
    slices: tuple[tuple[str, Rows], ...] = ()


def where(subject: Subject, evidence: Evidence) -> Found:
    """By what the alert is about."""
    check, method = subject.alert.check, subject.alert.method
    if check == "parity":
        return _disagreement(subject, evidence)
    if check == "integrity" or (check, method) == ("budget", "integrity"):
        return _fault(subject, evidence)
    if check == "drift":
        return _drift(subject, evidence)
    if check in ("performance", "fairness", "slices", "budget"):
        return _errors(subject, evidence)
    if check == "estimate":
        return _estimated(subject, evidence)
    return Found(Where("", len(evidence.rows), None, None, (), "This check says nothing of single predictions."))


def columns_of(subject: Subject, block: RowBlock, rows: Rows, without: Sequence[str] = ()) -> dict[str, Codes]:
    """What a slice may be named by. Of an alert on a segment, that segment's own key would say nothing."""
    own = subject.alert.target.segment.partition("=")[0]
    return slice_columns(block, rows, subject.reference, ("*",), {*without, *([own] if own else [])})


def _errors(subject: Subject, evidence: Evidence) -> Found:
    """Slices that are worse than what the reference expects of their rows."""
    if not len(evidence.known):
        return Found(Where("", 0, None, None, (), "The ground truth of no prediction of the window is known."))
    metric, own = metric_of(subject, evidence), subject.alert.target.segment.partition("=")[0]
    rows, values = row_losses(evidence.block, evidence.known, metric)
    losses = Losses(f"{metric} by slice", rows, values, partial(figure, metric=metric))
    found = concentrated(
        evidence.block, rows, subject.reference, metric,
        margin=MARGIN, min_rows=MIN_ROWS, confidence=CONFIDENCE, features=("*", f"!{escape(own)}") if own else ("*",),
    )  # fmt: skip
    expected = expected_losses(evidence.block, rows, subject.reference, metric) if subject.reference else None
    if expected is not None and len(expected):
        usual = figure(float(expected.mean()), metric)
    else:
        usual = figure(counted_loss(subject.reference.performance if subject.reference else None, metric)[0], metric)
    note = ""
    if any(one["expected_by"] == "whole" for one in found):
        note = "The reference has no model of the losses: slices are compared with all rows, and may have been as bad ever since."
    return _named(subject, evidence, losses, found, usual, note)


def _estimated(subject: Subject, evidence: Evidence) -> Found:
    """Slices of which the reference's model of the losses expects more loss than of the reference's own rows."""
    metric = metric_of(subject, evidence)
    reference = subject.reference
    expected = expected_losses(evidence.block, evidence.rows, reference, metric) if reference else None
    usual = counted_loss(reference.performance if reference else None, metric)[0]
    if expected is None or not usual > 0:
        return Found(
            Where(
                "", 0, None, None, (), "The reference has no model of the losses: create it again, with ground truth."
            )
        )
    losses = Losses(f"estimated {metric} by slice", evidence.rows, expected, partial(figure, metric=metric))
    columns = columns_of(subject, evidence.block, evidence.rows)
    found = search(
        columns, expected, np.full(len(expected), usual), margin=MARGIN, min_rows=MIN_ROWS, confidence=CONFIDENCE
    )
    then = figure(usual, metric)
    parts = [(losses.part(one.conditions, one.mask, then, one.p_value), evidence.rows[one.mask]) for one in found]
    return found_of(losses, then, parts)


def _drift(subject: Subject, evidence: Evidence) -> Found:
    """Slices that hold more of the field's new values than the rest."""
    name, reference = subject.alert.target.field, subject.reference
    if not name or reference is None or name not in reference.fields:
        note = "The drift is one of the window as a whole; the features that moved are below."
        return Found(Where("", len(evidence.rows), None, None, (), note))
    if subject.alert.decisive.result.status != "breach":
        return Found(
            Where(
                "", len(evidence.rows), None, None, (), f"{name} has not drifted, so that there is nothing to look for."
            )
        )
    found = drifted(evidence.block, evidence.rows, reference, name, min_rows=MIN_ROWS, confidence=CONFIDENCE)
    own = subject.alert.target.segment.partition("=")[0]
    found = [one for one in found if own not in {field for field, _ in one["conditions"]}]
    order = Losses(f"share of rows with values of {name} that have become more frequent", evidence.rows,
                   surprise(evidence.block.fields.get(name), reference.fields[name], evidence.rows))  # fmt: skip
    if not found:
        return Found(Where(order.measure, len(evidence.rows), None, None, (), _NOWHERE), order)
    columns = columns_of(subject, evidence.block, evidence.rows)
    parts, slices = [], []
    for one in found:
        part = share_part(_conditions(one), one["rows"], one["value"], one["expected"], one["p_value"])
        parts.append(part)
        slices.append((part.name, evidence.rows[_mask(part.conditions, columns, len(evidence.rows))]))
    first, n = found[0], len(evidence.rows)
    whole = (first["value"] * first["rows"] + first["elsewhere"] * (n - first["rows"])) / n
    return Found(Where(order.measure, n, whole, first["expected"], tuple(parts)), order, tuple(slices))


def _conditions(one: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(field), str(text)) for field, text in one["conditions"])


def _named(
    subject: Subject,
    evidence: Evidence,
    losses: Losses,
    found: Sequence[Mapping[str, Any]],
    usual: float,
    note: str = "",
) -> Found:
    """Slices as plain data, with their rows and intervals."""
    columns = columns_of(subject, evidence.block, losses.rows)
    parts = []
    for one in found:
        conditions = _conditions(one)
        mask = _mask(conditions, columns, len(losses.rows))
        part = losses.part(conditions, mask, one["expected"], one["p_value"])
        parts.append((part, losses.rows[mask]))
    return found_of(losses, usual, parts, note)


def _mask(conditions: Sequence[tuple[str, str]], columns: Mapping[str, Codes], rows: int) -> Mask:
    mask = np.ones(rows, bool)
    for field, text in conditions:
        column = columns[field]
        mask &= column.codes == column.labels.index(text)
    return mask


def _fault(subject: Subject, evidence: Evidence) -> Found:
    found = fault(subject, evidence)
    if found is None:
        note = "This rule is about the window as a whole, and no prediction of it is worse than another."
        return Found(Where("", len(evidence.rows), None, None, (), note))
    losses = Losses(found.what, evidence.rows, found.mask.astype(np.float64))
    return search_binary(subject, evidence, losses, found.usual, [subject.alert.target.field])


def _disagreement(subject: Subject, evidence: Evidence) -> Found:
    """Rows whose prediction is not the shadow's, among those that have both."""
    found = pairs(
        evidence.block, evidence.rows, subject.rule.tolerance if isinstance(subject.rule, ParityRule) else 1e-6
    )
    if not len(found):
        return Found(Where("", 0, None, None, (), "No prediction of the shadow is known."))
    losses = Losses("share of predictions that differ from the shadow's", found.rows, found.apart.astype(np.float64))
    return search_binary(subject, evidence, losses, 0.0)


def search_binary(
    subject: Subject, evidence: Evidence, losses: Losses, usual: float, without: Sequence[str] = ()
) -> Found:
    """Slices in which more rows than usual, and more than elsewhere, have what is wrong."""
    n = len(losses.rows)
    columns = columns_of(subject, evidence.block, losses.rows, without)
    expected = np.full(
        n, max(usual, 1 / (n + 1))
    )  # something that was never seen may have been a little too rare for that
    found = search(columns, losses.losses, expected, margin=MARGIN, min_rows=MIN_ROWS, confidence=CONFIDENCE)
    parts = [(losses.part(one.conditions, one.mask, usual, one.p_value), losses.rows[one.mask]) for one in found]
    return found_of(losses, usual, parts)


def found_of(losses: Losses, expected: float | None, parts: Sequence[tuple[Part, Rows]], note: str = "") -> Found:
    """The answer from its slices."""
    value = losses.value(float(losses.losses.mean())) if len(losses.losses) else None
    slices = tuple(part for part, _ in parts)
    whole = Where(losses.measure, len(losses.rows), value, expected, slices, note or ("" if parts else _NOWHERE))
    return Found(whole, losses, tuple((part.name, rows) for part, rows in parts))
