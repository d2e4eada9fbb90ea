"""The ground truth of a window: its delay, the confusion matrix, and estimates with their realised values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Final

import numpy as np

from otel_mlmon.diagnosis.subject import Rows, Subject, WindowSample
from otel_mlmon.values import RowBlock
from otel_mlmon.values.evidence import EstimatedWindow, EstimateEvidence, Evidence
from otel_mlmon.values.explanation import Arrived, ConfusionCell, GroundTruthFigures
from otel_mlmon.window.outcome_rows import outcomes as outcomes_of

CHECKS: Final = frozenset({"performance", "fairness", "slices", "budget", "estimate"})
MOST_CLASSES: Final = 12
OTHERS: Final = "(others)"
_POINTS: Final = 60

Confusion = Mapping[tuple[str, str], int]


def ground_truth(subject: Subject, sample: WindowSample | None) -> GroundTruthFigures | None:
    """Return the figures; None for rules that need no ground truth, and if there is none."""
    if subject.alert.check not in CHECKS or subject.alert.method == "integrity":
        return None
    arrived: tuple[Arrived, ...] = ()
    cells: tuple[ConfusionCell, ...] = ()
    old_enough = 0
    if sample is not None and len(sample.known):
        arrived, cells = arrivals(sample.block, sample.rows), _cells(subject, sample)
        last = subject.known_by or int(sample.block.truth_times.max())
        old_enough = max(0, last - int(sample.block.times[sample.rows].max()))
    ledger = _ledger(subject.alert.verdict.result.evidence)
    return GroundTruthFigures(arrived, old_enough, cells, ledger) if arrived or cells or ledger else None


def _cells(subject: Subject, sample: WindowSample) -> tuple[ConfusionCell, ...]:
    reference = subject.reference
    normal = reference and reference.segments.get(subject.alert.target.segment, reference)
    usual = normal.performance.confusion if normal and normal.performance else {}
    worth = getattr(subject.rule, "values", None) if subject.alert.method == "business_value" else None
    return confusion(_pairs(sample.block, sample.known), usual, worth)


def arrivals(block: RowBlock, rows: Rows) -> tuple[Arrived, ...]:
    """Return the share of `rows` with ground truth by its delay: a curve that begins at (0, 0) and never falls."""
    known = rows[block.truth_known[rows]]
    delays = np.sort(np.maximum(block.truth_times[known] - block.times[known], 0))
    places = np.unique(np.linspace(0, len(delays), _POINTS + 1).astype(np.int64)[1:])
    return (
        Arrived(0, 0.0),
        *(Arrived(int(delays[place - 1]), place / len(rows)) for place in places.tolist() if place),
    )


def confusion(
    counts: Confusion, reference: Confusion, worth: Mapping[str, Mapping[str, float]] | None = None
) -> tuple[ConfusionCell, ...]:
    """Return every pair of truth and prediction of the most frequent classes, by truth; rare classes are merged.

    >>> cells = confusion({("a", "a"): 3, ("a", "b"): 1}, {("a", "a"): 9})
    >>> [(cell.truth, cell.prediction, cell.rows, cell.share, cell.usual) for cell in cells]
    [('a', 'a', 3, 0.75, 1.0), ('a', 'b', 1, 0.25, 0.0), ('b', 'a', 0, None, None), ('b', 'b', 0, None, None)]
    """
    sizes: Counter[str] = Counter()
    for (truth, prediction), rows in counts.items():
        sizes[truth] += rows
        sizes[prediction] += rows
    if len(sizes) < 2:
        return ()
    kept = {name for name, _ in sizes.most_common(MOST_CLASSES)}
    # Merged classes have no common business value.
    rare = len(sizes) > len(kept)
    now, then = _merged(counts, kept), _merged(reference, kept)
    names = [*sorted(kept), *([OTHERS] if rare else [])]
    whole, usual = _by_truth(now), _by_truth(then)
    return tuple(
        ConfusionCell(
            truth,
            prediction,
            now[truth, prediction],
            now[truth, prediction] / whole[truth] if whole[truth] else None,
            then[truth, prediction] / usual[truth] if usual[truth] else None,
            None if worth is None or rare else worth.get(truth, {}).get(prediction, 0.0),
        )
        for truth, prediction in product(names, names)
    )


def _pairs(block: RowBlock, rows: Rows) -> Confusion:
    known = outcomes_of(block, rows)
    both = (known.true_class >= 0) & (known.predicted_class >= 0)
    if not both.any():
        return {}
    pairs, counts = np.unique(
        np.stack([known.true_class[both], known.predicted_class[both]]), axis=1, return_counts=True
    )
    return {
        (known.classes[truth], known.classes[prediction]): int(n)
        for truth, prediction, n in zip(*pairs.tolist(), counts.tolist(), strict=True)
    }


def _merged(counts: Confusion, kept: set[str]) -> Counter[tuple[str, str]]:
    merged: Counter[tuple[str, str]] = Counter()
    for (truth, prediction), rows in counts.items():
        merged[truth if truth in kept else OTHERS, prediction if prediction in kept else OTHERS] += rows
    return merged


def _by_truth(counts: Confusion) -> Counter[str]:
    totals: Counter[str] = Counter()
    for (truth, _), rows in counts.items():
        totals[truth] += rows
    return totals


def _ledger(evidence: Evidence | None) -> tuple[EstimatedWindow, ...]:
    return evidence.ledger if isinstance(evidence, EstimateEvidence) else ()
