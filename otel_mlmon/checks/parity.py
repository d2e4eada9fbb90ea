"""Parity: is the model in production the intended one? Its predictions against a shadow's, on the same inputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from otel_mlmon.checks.context import Limit, ModelView, Rows, compare, no_data
from otel_mlmon.checks.slices import slice_columns, where
from otel_mlmon.rulefile import ParityRule
from otel_mlmon.stats.inference.proportion import exceeds, wilson
from otel_mlmon.stats.metrics.agreement import Size, alike, differ, relation, relative_size
from otel_mlmon.stats.slices.search import Slice, search
from otel_mlmon.values import CheckResult, FieldCells, Reference, RowBlock
from otel_mlmon.values.evidence import Line, ParityEvidence, ParityExample, SliceValue
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

if TYPE_CHECKING:
    from otel_mlmon.values import Floats, Mask

EXAMPLES: Final = 10
_WORTH_A_SEARCH: Final = 0.05  # p-value above which no slices are searched
_SLICE_MARGIN: Final = 0.2  # by which a slice's disagreement must exceed that of all rows
_LEAST_SLICE: Final = 5
_SHOWN_SLICES: Final = 3
_MOST_CLASSES: Final = 20
_ROUNDING: Final = 1e-6


def parity(rule: ParityRule, view: ModelView) -> CheckResult:
    """Share of predictions that are not the shadow's, or their mean distance from it, in one window."""
    version, shadowed = view.context.version, view.context.shadowed
    block, rows = shadowed.select(version, view.segment) if shadowed else (None, np.zeros(0, np.int64))
    if shadowed is None or block is None or not view.n:
        return no_data("no_rows", "no predictions")
    whole = shadowed.whole or shadowed
    return judge_pairs(rule, block, rows, view.reference, view.n, lambda: whole.select(version, view.segment))


def judge_pairs(
    rule: ParityRule,
    block: RowBlock,
    rows: Rows,
    reference: Reference | None = None,
    predictions: int | None = None,
    whole: Callable[[], tuple[RowBlock | None, Rows]] | None = None,
) -> CheckResult:
    """Judge any rows, of so many `predictions` (None: these are all). `reference` gives slices the ranges that
    they are named by; `whole` reads the rows with their features, where the block has none.
    """
    compared = pairs(block, rows, rule.tolerance)
    n, predictions = len(compared), len(rows) if predictions is None else predictions
    if n < max(rule.min_rows, 1):
        message = f"{n} of {predictions} predictions have a shadow, the rule asks for at least {rule.min_rows}"
        return no_data("too_few_rows" if n else "no_shadow", message, rows=n)
    confidence = max(2 * rule.confidence - 1, 0.01)  # a limit outside of the interval is one that the rule is sure of
    a, b = compared.predictions[compared.numeric], compared.shadows[compared.numeric]
    size = relative_size(a, b, above=rule.above, confidence=confidence)
    if rule.method == "size":
        if size.rows < max(rule.min_rows, 2):
            message = f"{size.rows} of {n} predictions and their shadows are numbers: there is no size"
            return no_data("no_values", message, rows=n)
        value, low, high, p_value = size.value, size.low, size.high, size.p_value
    else:
        k = int(compared.apart.sum())
        value, (low, high), p_value = k / n, wilson(k, n, confidence), exceeds(k, n, rule.above)
    slices: list[Slice] = []
    if value > rule.above and p_value <= _WORTH_A_SEARCH:
        wide, of = (block, rows) if whole is None else whole()
        slices = _where(compared if wide is None else pairs(wide, of, rule.tolerance), reference, rule.confidence)
    how = _how(compared)
    result = compare(
        value,
        Limit(rule.above),
        p_value,
        rows=n,
        reference_rows=n,
        message=_message(compared, size, how, slices),
        finding="disagreement",
        evidence=lambda: _evidence(compared, size, how, slices, (low, high)),
    )
    return result if result.status == "no_data" else replace(result, low=low, high=high)


def _message(found: Pairs, size: Size, how: str, slices: list[Slice]) -> str:
    n, k = len(found), int(found.apart.sum())
    if not k:
        return f"all {n} as the shadow says"
    parts = (*_typical(found, size), how, _places(slices))
    return f"{k} of {n} predictions ({k / n:.1%}) are not what the shadow says" + "".join(f"; {p}" for p in parts if p)


def _distances(found: Pairs) -> Floats:
    """Relative to the larger of prediction and shadow; 1 where one is no finite number and they differ."""
    a, b = found.predictions, found.shadows
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = np.abs(a - b) / np.maximum(np.abs(a), np.abs(b))
    other: Floats = np.where(np.isfinite(distances), distances, found.apart.astype(float))
    return other


def _typical(found: Pairs, size: Size) -> list[str]:
    numbers = found.apart & found.numeric
    if not numbers.any() or _classes(found):
        return []
    parts = [f"where they differ, by {float(np.median(_distances(found)[numbers])):.2g} of the larger (median)"]
    if size.value == size.value:
        parts.append(f"over all by {size.value:.2g} of the shadow's standard deviation")
    return parts


def _classes(found: Pairs) -> bool:
    """Whether the numbers are names: whole ones, and few."""
    both = np.unique(np.concatenate([found.predictions[found.numeric], found.shadows[found.numeric]]))
    both = both[np.isfinite(both)]
    return len(both) <= _MOST_CLASSES and bool((both % 1 == 0).all())


def _how(found: Pairs) -> str:
    """The relation of prediction and shadow, or the most frequent pair, in words."""
    numbers = found.apart & found.numeric
    if not _classes(found) and numbers.sum() >= found.apart.sum() / 2:
        return relation(found.predictions[numbers], found.shadows[numbers])
    swaps = Counter(tuple(map(_shown, found.values(i))) for i in np.flatnonzero(found.apart).tolist())
    if not swaps:
        return ""
    ((one, other), count), *_ = swaps.most_common(1)
    return f"most often {one} in place of {other} ({count} times)"


def _where(found: Pairs, reference: Reference | None, confidence: float) -> list[Slice]:
    """On which inputs they are apart; where they are apart on nearly all, on which they are further apart."""
    losses = found.apart.astype(float)
    if losses.mean() * (1 + _SLICE_MARGIN) > 1:
        losses = _distances(found)
    if losses.max() - losses.min() <= _ROUNDING * losses.max():
        return []
    return search(
        slice_columns(found.block, found.rows, reference),
        losses,
        np.full(len(found), float(losses.mean())),
        margin=_SLICE_MARGIN,
        min_rows=max(_LEAST_SLICE, len(found) // 50),
        confidence=confidence,
    )


def _places(slices: list[Slice]) -> str:
    return "most of all where " + ", or ".join(map(where, slices[:_SHOWN_SLICES])) if slices else ""


def _evidence(found: Pairs, size: Size, how: str, slices: list[Slice], interval: tuple[float, float]) -> ParityEvidence:
    a, b = found.predictions[found.numeric], found.shadows[found.numeric]
    numbers = [Line("predictions with a shadow", len(found), len(found))]
    numbers.append(Line("not what the shadow says", 0, int(found.apart.sum())))
    if len(a):
        numbers += [Line(name, _finite(of, b), _finite(of, a)) for name, of in _SUMMARY.items()]
    return ParityEvidence(
        numbers=tuple(numbers),
        interval=interval,
        size=float(found.apart.mean()) if size.value != size.value else size.value,
        relation=how,
        slices=tuple(SliceValue(where(s), s.rows, s.mean, s.expected, s.p_value) for s in slices),
        examples=_examples(found),
    )


_SUMMARY: Final = {"mean": np.mean, "standard deviation": np.std, "minimum": np.min, "maximum": np.max}


def _finite(of: Any, values: Floats) -> float | None:
    known = values[np.isfinite(values)]
    return float(of(known)) if len(known) else None


def _examples(found: Pairs) -> tuple[ParityExample, ...]:
    """Those that are furthest apart."""
    apart = np.flatnonzero(found.apart)
    order = apart[np.argsort(-_distances(found)[apart], kind="stable")][:EXAMPLES]
    examples = []
    for index in order.tolist():
        row = int(found.rows[index])
        id_ = "" if found.block.ids is None else found.block.ids[row].as_py()
        examples.append(ParityExample(id_, int(found.block.times[row]), *map(_shown, found.values(index))))
    return tuple(examples)


def _shown(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else repr(value)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows with prediction and shadow, as indices of their block; where they differ; both as numbers or NaN."""

    block: RowBlock
    rows: Rows
    apart: Mask
    numeric: Mask
    predictions: Floats
    shadows: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def values(self, index: int) -> tuple[Any, Any]:
        """Prediction and shadow of one pair, as values of JSON."""
        row = int(self.rows[index])
        return self.block.fields[FIELD_PREDICTION].value(row), self.block.fields[FIELD_SHADOW].value(row)


def pairs(block: RowBlock, rows: Rows, tolerance: float) -> Pairs:
    """Those of `rows` that have a prediction and a shadow."""
    predicted, shadow = block.fields.get(FIELD_PREDICTION), block.fields.get(FIELD_SHADOW)
    if predicted is None or shadow is None:
        none, no = np.zeros(0), np.zeros(0, bool)
        return Pairs(block, np.zeros(0, np.int64), no, no, none, none)
    rows = rows[~(predicted.absent | predicted.lost | shadow.absent | shadow.lost)[rows]]
    one, other = _numbers(predicted, rows), _numbers(shadow, rows)
    numeric = (predicted.of_type("int", "float") & shadow.of_type("int", "float"))[rows]
    apart = differ(one, other, tolerance) & numeric
    texts = (predicted.of_type("string") & shadow.of_type("string"))[rows]
    if texts.any():
        apart[texts] = np.not_equal(_labels(predicted, rows[texts]), _labels(shadow, rows[texts]))
    for index in np.flatnonzero(~numeric & ~texts).tolist():
        row = int(rows[index])
        apart[index] = not alike(predicted.value(row), shadow.value(row), tolerance)
    return Pairs(block, rows, apart, numeric, one, other)


def _numbers(cells: FieldCells, rows: Rows) -> Floats:
    return np.full(len(rows), np.nan) if cells.numbers is None else cells.numbers[rows]


def _labels(cells: FieldCells, rows: Rows) -> list[str]:
    assert cells.texts is not None
    return [cells.texts.labels[code] for code in cells.texts.codes[rows]]
