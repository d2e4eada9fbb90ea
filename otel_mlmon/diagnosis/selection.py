"""Selection bias: whether predictions with ground truth are like the others, and the corrected metric."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from otel_mlmon.checks.context import Rows
from otel_mlmon.checks.losses import Metric, expected_losses
from otel_mlmon.stats.drift.selection import Corrected, compare, corrected_mean, standardised_difference
from otel_mlmon.stats.estimation.trees import available
from otel_mlmon.stats.inference.p_values import t_quantile
from otel_mlmon.values import Reference, RowBlock, Texts
from otel_mlmon.values.evidence import SelectedField, Selection
from otel_mlmon.window.outcome_rows import outcomes
from otel_mlmon.wire.semconv import FIELD_PREDICTION

if TYPE_CHECKING:
    from otel_mlmon.values import Floats

Corrigible = Literal["rmse", "mae", "bias", "mape", "accuracy"]
_FEWEST_ROWS: Final = 100  # with ground truth, and as many without, to compare
_MOST_ROWS: Final = 20_000  # to compare; of more, some are drawn
_LEAST_AUC: Final = 0.53  # of the classifier that tells the rows apart; below, they do not differ enough to matter
_SHOWN_FIELDS: Final = 3
_MOST_LABELS: Final = 200  # per column, the most frequent; all others share a code
_LARGEST: Final = 1e300
_WORTH_SHOWING: Final = 0.1  # standard deviations, or share of rows
_MODELLED: Final[dict[Corrigible, Metric]] = {"rmse": "rmse", "mae": "mae", "accuracy": "accuracy"}


def selection(
    block: RowBlock | None,
    rows: Rows,
    reference: Reference | None,
    metric: Corrigible,
    *,
    confidence: float = 0.99,
    interval: float = 0.95,
    seed: int = 0,
) -> Selection:
    """Compare the `rows` with ground truth with the rows without.

    Rows whose ground truth is still to come are no bias, as long as they are like older ones.
    """
    if block is None:
        return Selection(False, reason="no predictions")
    if not available():
        return Selection(False, reason="scikit-learn is not installed")
    rng = np.random.default_rng(seed)
    if len(rows) > _MOST_ROWS:
        rows = np.sort(rng.choice(rows, _MOST_ROWS, replace=False))
    with_truth = block.truth_known[rows]
    counts = int(with_truth.sum()), int((~with_truth).sum())
    if min(counts) < _FEWEST_ROWS:
        return Selection(
            False,
            reason=f"{counts[0]} rows with and {counts[1]} without ground truth; {_FEWEST_ROWS} of each are needed",
        )
    inputs = matrix(block, rows)
    comparison = compare(inputs.values, [bool(labels) for labels in inputs.labels], with_truth, rng)
    if not (comparison.p_value <= 1 - confidence and comparison.auc >= _LEAST_AUC):
        return Selection(False, comparison.auc, comparison.p_value)
    losses = _losses(block, rows, with_truth, metric)
    modelled = _MODELLED.get(metric)
    expected = None if modelled is None else expected_losses(block, rows, reference, modelled)
    mean = corrected_mean(losses, with_truth, comparison.shares, expected)
    plain = _figure(float(np.nanmean(losses)) if np.isfinite(losses).any() else math.nan, metric)
    fields = tuple(_fields(inputs, with_truth))
    biased = Selection(True, comparison.auc, comparison.p_value, fields, None if math.isnan(plain) else plain)
    corrected, low, high = _interval(mean, metric, interval)
    biased = replace(biased, corrected=corrected, low=low, high=high, effective_rows=mean.effective_rows)
    return replace(biased, message=_message(biased, counts, metric, plain))


def _message(biased: Selection, counts: tuple[int, int], metric: Corrigible, plain: float) -> str:
    shown = "; ".join(field.text for field in biased.fields[:_SHOWN_FIELDS])
    estimate = (
        f"{metric} {plain:.4g} with ground truth; corrected for that {biased.corrected:.4g} ({biased.low:.4g} to "
        f"{biased.high:.4g}), but not for reasons that no feature shows"
        if biased.corrected is not None
        else f"{metric} cannot be corrected for that"
    )
    return (
        f"the {counts[0]} predictions with ground truth are not like the {counts[1]} without (told apart with an "
        f"AUC of {biased.auc:.2f}{': ' + shown if shown else ''}): {estimate}"
    )


def _losses(block: RowBlock, rows: Rows, with_truth: Any, metric: Corrigible) -> Floats:
    """Return the loss per row, NaN without one."""
    known = outcomes(block, rows)
    losses = np.full(len(rows), np.nan)
    with np.errstate(all="ignore"):
        error = known.prediction - known.truth
        if metric == "accuracy":
            both = (known.true_class >= 0) & (known.predicted_class >= 0)
            row_losses = np.where(both, known.true_class != known.predicted_class, np.nan)
        elif metric == "mape":
            row_losses = np.where(known.truth != 0, np.abs(error / known.truth), np.nan)
        else:
            row_losses = {"rmse": error * error, "mae": np.abs(error), "bias": error}[metric]
    losses[with_truth] = np.where(np.isfinite(row_losses), row_losses, np.nan)
    return losses


def _figure(mean: float, metric: Corrigible) -> float:
    if metric == "rmse":
        return math.sqrt(max(mean, 0.0))
    if metric == "bias":
        return abs(mean)
    return 1 - mean if metric == "accuracy" else mean


def _interval(
    estimate: Corrected, metric: Corrigible, interval: float
) -> tuple[float | None, float | None, float | None]:
    if math.isnan(estimate.mean) or math.isnan(estimate.standard_error):
        return None, None, None
    reach = t_quantile(interval, max(estimate.effective_rows - 1, 1.0)) * estimate.standard_error
    ends = estimate.mean - reach, estimate.mean + reach
    if metric != "bias":
        ends = max(ends[0], 0.0), max(ends[1], 0.0)
    if metric == "accuracy":
        ends = min(ends[0], 1.0), min(ends[1], 1.0)
    low, high = sorted(_figure(end, metric) for end in ends)
    if metric == "bias" and ends[0] < 0 < ends[1]:  # the size of the bias, which may be 0
        low = 0.0
    mean = estimate.mean if metric == "bias" else max(estimate.mean, 0.0)
    return _figure(min(mean, 1.0) if metric == "accuracy" else mean, metric), low, high


def _fields(inputs: Matrix, with_truth: Any) -> list[SelectedField]:
    """Fields that differ most between rows with and without ground truth, the largest difference first."""
    fields = []
    for name, column, labels in zip(inputs.names, inputs.values.T, inputs.labels, strict=True):
        present = np.isfinite(column)
        missing = float((~present[with_truth]).mean()), float((~present[~with_truth]).mean())
        sides = [(missing, "is missing")]
        if labels:
            sides += [
                (
                    (float((column[with_truth] == code).mean()), float((column[~with_truth] == code).mean())),
                    f"= {label}",
                )
                for code, label in enumerate(labels)
            ]
        shares, text = max(sides, key=lambda side: abs(side[0][0] - side[0][1]))
        difference = shares[0] - shares[1]
        shift = 0.0 if labels else standardised_difference(column, with_truth)
        if abs(shift) > abs(difference):
            means = float(np.median(column[with_truth & present])), float(np.median(column[~with_truth & present]))
            described = f"{name} {means[0]:.4g} in the middle of those with, {means[1]:.4g} of those without"
            fields.append(SelectedField(name, "numbers", shift, means[0], means[1], described))
        else:
            described = f"{name} {text} in {shares[0]:.0%} of those with, {shares[1]:.0%} of those without"
            fields.append(SelectedField(name, "share", difference, shares[0], shares[1], described))
    fields.sort(key=lambda field: -abs(field.difference))
    return [field for field in fields if abs(field.difference) >= _WORTH_SHOWING]


@dataclass(frozen=True, slots=True)
class Matrix:
    """`values` is rows × names, NaN for no value; `labels` name the codes of a categorical column, else ()."""

    names: tuple[str, ...]
    values: Floats
    labels: tuple[tuple[str, ...], ...]


def matrix(block: RowBlock, rows: Rows) -> Matrix:
    """Return all fields of these rows except the ground truth, and the segment keys of the block."""
    names: list[str] = []
    columns: list[Floats] = []
    labels: list[tuple[str, ...]] = []
    for name, cells in block.fields.items():
        names.append("prediction" if name == FIELD_PREDICTION else name)
        if cells.numbers is not None:
            x = cells.numbers[rows]
            columns.append(np.clip(x, -_LARGEST, _LARGEST))
            labels.append(())
        else:
            assert cells.texts is not None
            codes, named = _coded(cells.texts, rows)
            columns.append(codes)
            labels.append(named)
    for key, texts in block.segments.items():
        if key not in block.fields:
            codes, named = _coded(texts, rows)
            names.append(key)
            columns.append(codes)
            labels.append(named)
    values = np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))
    return Matrix(tuple(names), values, tuple(labels))


def _coded(texts: Texts, rows: Rows) -> tuple[Floats, tuple[str, ...]]:
    codes = texts.codes[rows]
    counts = np.bincount(codes[codes >= 0], minlength=len(texts.labels))
    kept = [code for code in np.argsort(-counts, kind="stable")[:_MOST_LABELS].tolist() if counts[code]]
    table = np.full(len(texts.labels) + 1, float(len(kept)))
    table[kept] = np.arange(len(kept))
    table[-1] = np.nan
    more = int((counts > 0).sum()) > len(kept)
    named = tuple(texts.labels[code] for code in kept)
    return table[codes], (*named, "(others)") if more or not named else named
