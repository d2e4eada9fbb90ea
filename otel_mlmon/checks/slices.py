"""Where the model does worse than expected: the parts of a window that nobody has named before."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from otel_mlmon.checks.context import (
    EvaluationContext,
    Limit,
    ModelView,
    Rows,
    compare,
    no_data,
    too_little_ground_truth,
)
from otel_mlmon.checks.losses import (
    Metric,
    counted_loss,
    expected_losses,
    figure,
    limit_of,
    loss_model,
    row_losses,
    worse_by,
)
from otel_mlmon.rulefile import SliceRule, chosen
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.stats.drift.distribution import bin_index
from otel_mlmon.stats.inference.p_values import t_tail
from otel_mlmon.stats.slices.search import EXACT, Codes, Slice, Trust, search
from otel_mlmon.values import CheckResult, FieldCells, FieldReference, Reference, RowBlock, Texts
from otel_mlmon.values.evidence import SliceEvidence, SliceValue
from otel_mlmon.wire.columns import number_text

if TYPE_CHECKING:
    from otel_mlmon.values import Counts, Floats, Mask

# A boosted model of the losses is off by this much over a part of the rows, even if nothing has changed.
_TOLERANCE: Final = 0.05
_SHOWN: Final = 3  # slices in a message; the evidence has all


@dataclass(frozen=True, slots=True)
class _Search:
    """One slice search: rows with a loss and an expected loss, and the columns that may name a slice.

    `by` says where the expectation is from: model, segments or whole.
    """

    metric: Metric
    columns: Mapping[str, Codes]
    losses: Floats
    expected: Floats
    by: str
    trust: Trust

    def found(self, *, margin: float, min_rows: int, confidence: float, most: int = 10) -> list[Slice]:
        return search(
            self.columns,
            self.losses,
            self.expected,
            margin=margin,
            min_rows=min_rows,
            confidence=confidence,
            most=most,
            trust=self.trust,
            limits=limit_of(self.expected, self.metric, margin),
        )

    def worse(self, part: Slice) -> float:
        return worse_by(part.mean, part.expected, self.metric)

    def shown(self, part: Slice) -> SliceValue:
        return SliceValue(
            where=where(part),
            rows=part.rows,
            value=figure(part.mean, self.metric),
            expected=figure(part.expected, self.metric),
            p_value=part.p_value,
            conditions=tuple(part.conditions),
            worse=self.worse(part),
        )


def where(part: Slice) -> str:
    """A slice's conditions in words."""
    return " and ".join(f"{name} {text}" for name, text in part.conditions)


def slices(rule: SliceRule, view: ModelView) -> CheckResult:
    """The slices that are worse than expected by more than the margin; the worst one is the value.

    Where the reference has no model of the losses, only segments that it knows are compared, each with its own past: a
    feature's ranges always differ, and the reference does not know them one by one.
    """
    whole = view.counts
    if (problem := too_little_ground_truth(rule, whole)) is not None:
        return problem
    if view.reference is None:
        return no_data("no_reference", "there is no reference to say what is expected", rows=whole.with_truth)
    block, rows = _rows(rule, view.context)
    known, losses = (np.zeros(0, np.int64), np.zeros(0)) if block is None else row_losses(block, rows, rule.slices)
    if block is None or len(losses) < max(rule.min_ground_truth, 2):
        unit = "classes" if rule.slices == "accuracy" else "numbers"
        message = f"{len(losses)} predictions and their ground truth are {unit} to compare; the rule asks for "
        return no_data("no_values", message + str(rule.min_ground_truth), rows=len(losses))
    searches = _searches(rule, block, known, losses, view.reference)
    if not searches:
        message = "the reference has no model of the losses, and no segments with ground truth: create it again"
        return no_data("no_loss_model", message, rows=len(losses))
    return _judged(rule, searches, view.reference)


def _rows(rule: SliceRule, context: EvaluationContext) -> tuple[RowBlock | None, Rows]:
    """All rows of this version, with the segment keys that the window or the reference knows, in one block."""
    segments = [*context.windows, *(context.reference.segments if context.reference else ())]
    keys = sorted({*rule.segments, *(key for segment in segments if (key := segment.partition("=")[0]))})
    if not keys:
        return context.rows.select(context.version, "")
    block = context.rows.read(keys)
    if block is None or context.version not in block.versions.labels:
        return None, np.zeros(0, np.int64)
    return block, np.flatnonzero(block.versions.codes == block.versions.labels.index(context.version))


def _searches(rule: SliceRule, block: RowBlock, rows: Rows, losses: Floats, reference: Reference) -> list[_Search]:
    times = block.times[rows]
    expected = _of_model(block, rows, reference, rule.slices)
    if expected is not None:
        columns = slice_columns(block, rows, reference, rule.features)
        return [_Search(rule.slices, columns, losses, expected, "model", _trust(reference, rule.slices, times))]
    texts = slice_columns(replace(block, fields={}), rows, reference, rule.features)
    searches = []
    for key, column in texts.items():
        known = {
            label: loss
            for label in column.labels
            if (segment := reference.segments.get(f"{key}={label.removeprefix('= ')}")) is not None
            and (of := counted_loss(segment.performance, rule.slices))[2] >= rule.min_slice
            and (loss := of[0]) > 0
        }
        if known:
            by_code = np.array([*(known.get(label, math.nan) for label in column.labels), math.nan])[column.codes]
            judged = np.isfinite(by_code)
            kept = {key: Codes(column.codes[judged], column.labels)}
            trust = _trust(reference, rule.slices, times[judged])
            searches.append(_Search(rule.slices, kept, losses[judged], by_code[judged], "segments", trust))
    return searches


def _of_model(block: RowBlock, rows: Rows, reference: Reference, metric: Metric) -> Floats | None:
    expected = expected_losses(block, rows, reference, metric)
    if expected is None or not expected.mean() > 0:
        return None
    return expected


def _trust(reference: Reference | None, metric: Metric, times: Counts) -> Trust:
    rows = reference.performance.with_truth if reference is not None and reference.performance is not None else 0
    model = loss_model(reference, metric)
    return Trust(_TOLERANCE, max(rows, 1), noisy=True, alike=model.design_effects if model else {}, times=times)


def _judged(rule: SliceRule, searches: Sequence[_Search], reference: Reference) -> CheckResult:
    margin, rows = rule.worse_than_reference, max(len(search.losses) for search in searches)
    confidence = 1 - (1 - rule.confidence) / len(searches)

    def parts(confidence: float, most: int) -> list[tuple[_Search, Slice]]:
        least = rule.min_slice
        return [
            (search, part)
            for search in searches
            for part in search.found(margin=margin, min_rows=least, confidence=confidence, most=most)
        ]

    found, doubt = parts(confidence, 10), ""
    if not found and (everywhere := _everywhere(rule, searches)) is not None:
        return everywhere
    if not found:  # the most striking one
        found, doubt = parts(0, 1), ", which chance explains"
    known = reference.performance.with_truth if reference.performance else 0
    if not found:
        worse = max(0.0, *(_worse_as_a_whole(search) for search in searches))
        message = f"{rule.slices} is as expected in every part of {rows} predictions with known outcome"
        return compare(worse, Limit(margin), 1.0, rows=rows, reference_rows=known, message=message)
    found.sort(key=lambda item: -item[1].rows * (item[1].mean - item[1].expected))
    named = [
        f"{s.worse(part):.0%} worse than expected where {where(part)} ({part.rows} predictions)" for s, part in found
    ]
    more = f" and in {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    search, worst = max(found, key=lambda item: item[0].worse(item[1]))
    return compare(
        search.worse(worst),
        Limit(margin),
        min(1.0, worst.p_value * len(searches)),
        rows=rows,
        reference_rows=known,
        message=f"{rule.slices} is {', '.join(named[:_SHOWN])}{more}{doubt}",
        finding="slice",
        evidence=lambda: SliceEvidence(tuple(search.shown(part) for search, part in found)),
    )


def _worse_as_a_whole(search: _Search) -> float:
    return worse_by(float(search.losses.mean()), float(search.expected.mean()), search.metric)


def _everywhere(rule: SliceRule, searches: Sequence[_Search]) -> CheckResult | None:
    """The result where all rows are worse, so that no slice stands out; None elsewhere."""
    search = max(searches, key=lambda search: len(search.losses))
    worse, n = _worse_as_a_whole(search), len(search.losses)
    difference = search.losses - (1 + _TOLERANCE) * search.expected
    p_value = t_tail(float(difference.mean()), float(difference.std(ddof=1)) / math.sqrt(n), n - 1)
    if not (worse > rule.worse_than_reference and p_value <= 1 - rule.confidence):
        return None
    message = f"{rule.slices} is {worse:.0%} worse than expected over all {n} predictions with known outcome; "
    message += "no part of them stands out"
    return compare(worse, Limit(rule.worse_than_reference), p_value, rows=n, finding="worse", message=message)


@dataclass(frozen=True, slots=True)
class Concentration:
    """Slices in which errors are concentrated, the largest excess first.

    `expected_by` is "model" where the reference's model of the losses gives the expected loss of each row; else
    "whole": errors are compared with those of all rows, and a slice may have been as bad before.
    """

    expected_by: Literal["model", "whole"]
    slices: tuple[SliceValue, ...]


def concentrated(
    block: RowBlock,
    rows: Rows,
    reference: Reference | None,
    metric: Metric,
    *,
    margin: float = 0.15,
    min_rows: int = 50,
    confidence: float = 0.99,
    features: Sequence[str] = ("*",),
    most: int = 10,
) -> Concentration:
    """Return the slices in which the errors of `rows` are concentrated; none with too few rows."""
    known, losses = row_losses(block, rows, metric)
    if len(losses) < 2 * min_rows:
        return Concentration("whole", ())
    expected = None if reference is None else _of_model(block, known, reference, metric)
    by: Literal["model", "whole"] = "whole" if expected is None else "model"
    if expected is None:
        expected = np.full(len(losses), losses.mean())
    trust = EXACT if by == "whole" else _trust(reference, metric, block.times[known])
    columns = slice_columns(block, known, reference, features)
    one = _Search(metric, columns, losses, expected, by, trust)
    found = one.found(margin=margin, min_rows=min_rows, confidence=confidence, most=most)
    return Concentration(by, tuple(one.shown(part) for part in found))


_RANGES: Final = 8  # of a number, each with about as many rows of the reference
_VALUES: Final = 30  # of a number that are labels of their own


def slice_columns(
    block: RowBlock,
    rows: Rows,
    reference: Reference | None,
    features: Sequence[str] = ("*",),
    without: Collection[str] = (),
) -> dict[str, Codes]:
    """Columns of these rows by feature and segment key, those that the model uses most first.

    `features` are globs; `without` are names that are left out.
    """
    weight = reference.importances if reference else {}
    known = reference.fields if reference else {}

    def wanted(name: str) -> bool:
        return output_name(name) is None and name not in without and chosen(name, features)

    names = sorted(filter(wanted, block.fields), key=lambda name: (-weight.get(name, 0.0), name))
    columns = {name: _of_cells(block.fields[name], rows, known.get(name)) for name in names}
    for key, texts in block.segments.items():
        if key not in columns and key not in without and chosen(key, features):
            columns[key] = _of_texts(texts, rows)
    return columns


def _of_texts(texts: Texts, rows: Rows) -> Codes:
    labels = tuple(f"= {label}" if label else "is empty" for label in texts.labels)
    return Codes(texts.codes[rows].astype(np.int32), labels)


def _of_cells(cells: FieldCells, rows: Rows, reference: FieldReference | None) -> Codes:
    other = cells.other
    if cells.numbers is not None:
        values = _of_numbers(cells.numbers[rows], reference)
        other &= ~cells.is_number()  # an integer that is too large for the column is a number all the same
    else:
        assert cells.texts is not None
        values = _of_texts(cells.texts, rows)
    return _joined(values, cells.unset()[rows], other[rows])


def _joined(values: Codes, missing: Mask, other: Mask) -> Codes:
    codes, labels = values.codes.copy(), list(values.labels)
    for mask, label in ((missing, "is missing"), (other, "is of another type")):
        if mask.any():
            codes[mask] = len(labels)
            labels.append(label)
    return Codes(codes, tuple(labels))


def _of_numbers(x: Floats, reference: FieldReference | None) -> Codes:
    finite = np.isfinite(x)
    codes = np.full(len(x), -1, np.int32)
    values, places = np.unique(x[finite], return_inverse=True)
    few = len(values) <= _RANGES if reference is None or not reference.edges else reference.few_values
    if few and len(values) <= _VALUES:
        codes[finite] = places.reshape(-1)
        return Codes(codes, tuple(f"= {number_text(value)}" for value in values.tolist()))
    edges = _edges(x[finite], reference)
    if len(edges) < 2:
        return Codes(codes, ())
    codes[finite] = bin_index(x[finite], edges)
    text = _texts_of(edges)
    between = [f"{low} to {high}" for low, high in zip(text[:-1], text[1:], strict=True)]
    return Codes(codes, (f"below {text[0]}", *between, f"above {text[-1]}"))


def _edges(x: Floats, reference: FieldReference | None) -> list[float]:
    """Ends of about `_RANGES` ranges of the reference's bins; without a reference, of the numbers' own quantiles."""
    wanted = np.arange(1, _RANGES) / _RANGES
    if reference is None or len(reference.edges) < 2 or reference.profile.bins is None:
        return [float(edge) for edge in np.unique(np.quantile(x, [0, *wanted, 1]))] if len(x) else []
    edges = np.array(reference.edges)
    share = np.cumsum(reference.profile.bins[:-1]) / max(int(reference.profile.bins.sum()), 1)  # below each edge
    inner = np.abs(share[None, :] - wanted[:, None]).argmin(axis=1)
    return [float(edge) for edge in np.unique([edges[0], *edges[inner], edges[-1]])]


def _texts_of(edges: Sequence[float]) -> list[str]:
    """As short as they can be told apart."""
    for digits in range(3, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(edges):
            return texts
    return [f"{edge:.17g}" for edge in edges]
