"""Where: the slices of the window in which errors, drift or faults are concentrated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from glob import escape
from typing import Final

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.losses import counted_loss, expected_losses, figure, row_losses
from otel_mlmon.checks.parity import pairs
from otel_mlmon.checks.slices import concentrated, slice_columns
from otel_mlmon.checks.slices import where as text_of
from otel_mlmon.diagnosis.faults import fault
from otel_mlmon.diagnosis.features import surprise
from otel_mlmon.diagnosis.losses import Losses, metric_of, share_part
from otel_mlmon.diagnosis.subject import Rows, Subject, WindowSample
from otel_mlmon.rulefile import ParityRule
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.slices.search import Codes, search
from otel_mlmon.values import FieldCells, FieldReference, Floats, Reference, RowBlock
from otel_mlmon.values.evidence import SliceValue
from otel_mlmon.values.explanation import Part, Where

MIN_ROWS: Final = 30
CONFIDENCE: Final = 0.99
MARGIN: Final = 0.15  # relative excess over the expected loss, from which on a slice counts as worse
_LEAST_PART: Final = 0.1  # of the divergence, for a cell to count as one with new values
_NOWHERE: Final = "No slice stands out: all parts are equally affected, or there are too few predictions to tell."
_NOT_KNOWN_BEFORE: Final = (
    "The reference has no model of the losses. Slices are compared with all rows, and may have been as bad before."
)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Located:
    """The answer, the loss of each row, and the rows (places in the block) of each slice of `where.slices`."""

    where: Where
    losses: Losses | None = None
    slices: tuple[tuple[str, Rows], ...] = ()


def where(subject: Subject, sample: WindowSample) -> Located:
    """Search slices, by the kind of the alert's check."""
    check, method = subject.alert.check, subject.alert.method
    if check == "parity":
        return _disagreement(subject, sample)
    if check == "integrity" or (check, method) == ("budget", "integrity"):
        return _fault(subject, sample)
    if check == "drift":
        return _drift(subject, sample)
    if check in ("performance", "fairness", "slices", "budget"):
        return _errors(subject, sample)
    if check == "estimate":
        return _estimated(subject, sample)
    return _nothing("This check is not about single predictions.", len(sample.rows))


def _nothing(note: str, rows: int = 0) -> Located:
    return Located(Where("", rows, None, None, (), note))


def _columns(subject: Subject, block: RowBlock, rows: Rows, without: Sequence[str] = ()) -> dict[str, Codes]:
    """Return the columns that may name a slice; the key of the alert's own segment has one value only."""
    key = subject.segment_key
    return slice_columns(block, rows, subject.reference, ("*",), {*without, *([key] if key else [])})


def _errors(subject: Subject, sample: WindowSample) -> Located:
    """Return slices with more loss than the reference expects of their rows."""
    if not len(sample.known):
        return _nothing("No prediction of the window has ground truth.")
    reference, metric, key = subject.reference, metric_of(subject, sample), subject.segment_key
    rows, values = row_losses(sample.block, sample.known, metric)
    losses = Losses(f"{metric} by slice", rows, values, partial(figure, metric=metric))
    worse = concentrated(
        sample.block,
        rows,
        reference,
        metric,
        margin=MARGIN,
        min_rows=MIN_ROWS,
        confidence=CONFIDENCE,
        features=("*", f"!{escape(key)}") if key else ("*",),
    )
    expected = expected_losses(sample.block, rows, reference, metric) if reference else None
    if expected is not None and len(expected):
        usual = figure(float(expected.mean()), metric)
    else:
        usual = figure(counted_loss(reference.performance if reference else None, metric)[0], metric)
    columns = _columns(subject, sample.block, rows)
    parts = []
    for value in worse.slices:
        mask = _mask(value.conditions, columns, len(rows))
        parts.append((losses.part(value.conditions, mask, value.expected, value.p_value), rows[mask]))
    note = _NOT_KNOWN_BEFORE if worse.slices and worse.expected_by == "whole" else ""
    return _located(losses, usual, parts, note)


def _estimated(subject: Subject, sample: WindowSample) -> Located:
    """Return slices with a higher expected loss than the reference's own rows."""
    metric, reference = metric_of(subject, sample), subject.reference
    expected = expected_losses(sample.block, sample.rows, reference, metric) if reference else None
    usual = counted_loss(reference.performance if reference else None, metric)[0]
    if expected is None or not usual > 0:
        return _nothing("The reference has no model of the losses: create it again, with ground truth.")
    losses = Losses(f"estimated {metric} by slice", sample.rows, expected, partial(figure, metric=metric))
    return _searched(subject, sample, losses, np.full(len(expected), usual), figure(usual, metric))


def _fault(subject: Subject, sample: WindowSample) -> Located:
    faulty = fault(subject, sample)
    if faulty is None:
        note = "This rule is about the window as a whole: no single prediction is faulty."
        return _nothing(note, len(sample.rows))
    losses = Losses(faulty.measure, sample.rows, faulty.mask.astype(np.float64))
    return _more_than_usual(subject, sample, losses, faulty.usual, [subject.alert.target.field])


def _disagreement(subject: Subject, sample: WindowSample) -> Located:
    """Return slices of the rows whose prediction differs from the shadow's."""
    tolerance = subject.rule.tolerance if isinstance(subject.rule, ParityRule) else 1e-6
    both = pairs(sample.block, sample.rows, tolerance)
    if not len(both):
        return _nothing("The window has no prediction of the shadow.")
    losses = Losses("share of predictions that differ from the shadow's", both.rows, both.apart.astype(np.float64))
    return _more_than_usual(subject, sample, losses, 0.0)


def _more_than_usual(
    subject: Subject, sample: WindowSample, losses: Losses, usual: float, without: Sequence[str] = ()
) -> Located:
    """Return slices with a larger share of bad rows than the reference and than the other rows."""
    n = len(losses.rows)
    expected = np.full(n, max(usual, 1 / (n + 1)))  # a fault that the reference never had may have been rare in it
    return _searched(subject, sample, losses, expected, usual, without)


def _searched(
    subject: Subject,
    sample: WindowSample,
    losses: Losses,
    expected: Floats,
    usual: float,
    without: Sequence[str] = (),
) -> Located:
    columns = _columns(subject, sample.block, losses.rows, without)
    worse = search(columns, losses.losses, expected, margin=MARGIN, min_rows=MIN_ROWS, confidence=CONFIDENCE)
    parts = [(losses.part(part.conditions, part.mask, usual, part.p_value), losses.rows[part.mask]) for part in worse]
    return _located(losses, usual, parts)


def _located(losses: Losses, expected: float | None, parts: Sequence[tuple[Part, Rows]], note: str = "") -> Located:
    value = losses.value(float(losses.losses.mean())) if len(losses.losses) else None
    slices = tuple(part for part, _ in parts)
    whole = Where(losses.measure, len(losses.rows), value, expected, slices, note or ("" if parts else _NOWHERE))
    return Located(whole, losses, tuple((part.name, rows) for part, rows in parts))


def _mask(conditions: Sequence[tuple[str, str]], columns: Mapping[str, Codes], rows: int) -> Mask:
    mask = np.ones(rows, bool)
    for field, text in conditions:
        column = columns[field]
        mask &= column.codes == column.labels.index(text)
    return mask


def _drift(subject: Subject, sample: WindowSample) -> Located:
    """Return slices with more of the field's new values than the other rows."""
    name, reference, n = subject.alert.target.field, subject.reference, len(sample.rows)
    if not name or reference is None or name not in reference.fields:
        return _nothing("The drift is that of the window as a whole; the features that drifted are below.", n)
    if subject.alert.decisive.result.status != "breach":
        return _nothing(f"{name} has not drifted, so no slice was searched.", n)
    slices = drifted(sample.block, sample.rows, reference, name, min_rows=MIN_ROWS, confidence=CONFIDENCE)
    slices = [part for part in slices if subject.segment_key not in dict(part.value.conditions)]
    new_values = surprise(sample.block.fields.get(name), reference.fields[name], sample.rows)
    losses = Losses(f"share of rows with values of {name} that have become more frequent", sample.rows, new_values)
    if not slices:
        return Located(Where(losses.measure, n, None, None, (), _NOWHERE), losses)
    columns = _columns(subject, sample.block, sample.rows)
    parts, rows = [], []
    for slice_ in slices:
        value = slice_.value
        part = share_part(value.conditions, value.rows, value.value, value.expected, value.p_value)
        parts.append(part)
        rows.append((part.name, sample.rows[_mask(part.conditions, columns, n)]))
    first = slices[0]
    whole = (first.value.value * first.value.rows + first.elsewhere * (n - first.value.rows)) / n
    return Located(Where(losses.measure, n, whole, first.value.expected, tuple(parts)), losses, tuple(rows))


@dataclass(frozen=True, slots=True)
class DriftedSlice:
    """The share of new values in a slice, and `elsewhere`: in all other rows."""

    value: SliceValue
    elsewhere: float


def drifted(
    block: RowBlock,
    rows: Rows,
    reference: Reference,
    field: str,
    *,
    margin: float = 0.5,
    min_rows: int = 50,
    confidence: float = 0.99,
    most: int = 5,
) -> list[DriftedSlice]:
    """Return slices by other features in which `field` has its new values more often than elsewhere.

    New values are those whose share has grown most (the largest terms of the Kullback-Leibler divergence from the
    reference). Features that always went together with the field are named, too: a reference does not know of pairs.
    """
    known = reference.fields.get(field)
    cells = block.fields.get(field)
    if known is None or len(rows) < 2 * min_rows:
        return []
    gained, expected = _gained(cells, known, rows)
    if not gained.any() or gained.all():
        return []
    columns = slice_columns(block, rows, reference, without=(field,))
    hits, n = float(gained.sum()), len(rows)
    parts = search(
        columns,
        gained.astype(np.float64),
        np.full(n, max(expected, 1 / n)),
        margin=margin,
        min_rows=min_rows,
        confidence=confidence,
        most=most,
    )
    return [
        DriftedSlice(
            SliceValue(text_of(part), part.rows, part.mean, expected, part.p_value, conditions=part.conditions),
            (hits - part.mean * part.rows) / (n - part.rows),
        )
        for part in parts
    ]


def _gained(cells: FieldCells | None, known: FieldReference, rows: Rows) -> tuple[Mask, float]:
    """Return the rows with a value whose share has grown, and the share of these values in the reference."""
    code, before = _cells(cells, known, rows)
    now = np.bincount(code, minlength=len(before)).astype(np.float64)
    share_before = (before + 0.5) / (before.sum() + 0.5 * len(before))
    share_now = (now + 0.5) / (now.sum() + 0.5 * len(now))
    terms = np.where(share_now > share_before, (share_now - share_before) * np.log(share_now / share_before), 0.0)
    gained = terms >= _LEAST_PART * terms.sum() if terms.sum() > 0 else np.zeros(len(terms), bool)
    return gained[code], float(before[gained].sum() / max(before.sum(), 1.0))


def _cells(
    cells: FieldCells | None, known: FieldReference, rows: Rows
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the code of each row and the reference's counts by code: bins or categories, any other value, no value."""
    profile = known.profile
    counted = profile.bins if known.kind == "numeric" else profile.categories
    own = np.zeros(0) if counted is None else counted.astype(np.float64)
    nothing = profile.absent + profile.null + profile.nan
    before = np.array([*own, max(0.0, profile.rows - nothing - own.sum()), nothing])
    other, none = len(own), len(own) + 1
    code = np.full(len(rows), other, np.int64)
    if cells is None:
        return np.full(len(rows), none, np.int64), before
    code[cells.unset()[rows]] = none
    if cells.numbers is not None:
        x = cells.numbers[rows]
        finite = np.isfinite(x)
        if known.kind == "numeric" and known.edges and profile.bins is not None:
            code[finite] = bin_index(x[finite], known.edges)
    elif cells.texts is not None and known.kind == "categorical":
        place = {name: index for index, name in enumerate(known.categories)}
        table = np.array([*(place.get(label, other) for label in cells.texts.labels), other], np.int64)
        held = cells.texts.codes[rows] >= 0
        code[held] = table[cells.texts.codes[rows][held]]
    return code, before
