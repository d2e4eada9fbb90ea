"""What came of the window's predictions: how long their truth took, what was said against what was true, what estimates came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import product
from typing import Final

import numpy as np

from otel_mlmon.diagnosis.subject import Evidence, Rows, Subject
from otel_mlmon.values import RowBlock
from otel_mlmon.values.evidence import EstimatedWindow, EstimateEvidence
from otel_mlmon.values.evidence import Evidence as CheckEvidence
from otel_mlmon.values.explanation import Arrived, ConfusionCell, GroundTruthFigures
from otel_mlmon.window.outcome_rows import outcomes as outcomes_of

CHECKS: Final = frozenset({"performance", "fairness", "slices", "budget", "estimate"})
MOST_CLASSES: Final = 12
OTHERS: Final = "(others)"
_POINTS: Final = 60

Confusion = Mapping[tuple[str, str], int]


def outcomes(subject: Subject, evidence: Evidence | None) -> GroundTruthFigures | None:
    """None for rules that are not about outcomes, and where there is nothing to say."""
    if subject.alert.check not in CHECKS or subject.alert.method == "integrity":
        return None
    arrived: tuple[Arrived, ...] = ()
    cells: tuple[ConfusionCell, ...] = ()
    old_enough = 0
    if evidence is not None and len(evidence.known):
        arrived, cells = arrivals(evidence.block, evidence.rows), _cells(subject, evidence)
        last = subject.known_by or int(evidence.block.truth_times.max())
        old_enough = max(0, last - int(evidence.block.times[evidence.rows].max()))
    found = GroundTruthFigures(arrived, old_enough, cells, _ledger(subject.alert.verdict.result.evidence))
    return found if found.arrived or found.confusion or found.ledger else None


def _cells(subject: Subject, evidence: Evidence) -> tuple[ConfusionCell, ...]:
    reference = subject.reference
    normal = reference and reference.segments.get(subject.alert.target.segment, reference)
    usual = normal.performance.confusion if normal and normal.performance else {}
    worth = getattr(subject.rule, "values", None) if subject.alert.method == "business_value" else None
    return confusion(_pairs(evidence.block, evidence.known), usual, worth)


def arrivals(block: RowBlock, rows: Rows) -> tuple[Arrived, ...]:
    """The share of `rows` whose truth had come so long after them: a curve that begins at (0, 0) and never falls."""
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
    """Every pair of truth and prediction of the most frequent classes, by truth; rare classes are taken together.

    >>> [(c.truth, c.prediction, c.rows, c.share, c.usual) for c in confusion({("a", "a"): 3, ("a", "b"): 1}, {("a", "a"): 9})]
    [('a', 'a', 3, 0.75, 1.0), ('a', 'b', 1, 0.25, 0.0), ('b', 'a', 0, None, None), ('b', 'b', 0, None, None)]
    """
    sizes: Counter[str] = Counter()
    for (truth, said), rows in counts.items():
        sizes[truth] += rows
        sizes[said] += rows
    if len(sizes) < 2:
        return ()
    kept = {name for name, _ in sizes.most_common(MOST_CLASSES)}
    # What a class is worth does not hold for several of them taken together.
    rare = len(sizes) > len(kept)
    now, then = _merged(counts, kept), _merged(reference, kept)
    names = [*sorted(kept), *([OTHERS] if rare else [])]
    whole, usual = _by_truth(now), _by_truth(then)
    return tuple(
        ConfusionCell(
            truth,
            said,
            now[truth, said],
            now[truth, said] / whole[truth] if whole[truth] else None,
            then[truth, said] / usual[truth] if usual[truth] else None,
            None if worth is None or rare else worth.get(truth, {}).get(said, 0.0),
        )
        for truth, said in product(names, names)
    )


def _pairs(block: RowBlock, rows: Rows) -> Confusion:
    found = outcomes_of(block, rows)
    both = (found.true_class >= 0) & (found.predicted_class >= 0)
    if not both.any():
        return {}
    pairs, counts = np.unique(
        np.stack([found.true_class[both], found.predicted_class[both]]), axis=1, return_counts=True
    )
    return {
        (found.classes[truth], found.classes[said]): int(n)
        for truth, said, n in zip(*pairs.tolist(), counts.tolist(), strict=True)
    }


def _merged(counts: Confusion, kept: set[str]) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for (truth, said), rows in counts.items():
        found[truth if truth in kept else OTHERS, said if said in kept else OTHERS] += rows
    return found


def _by_truth(counts: Confusion) -> Counter[str]:
    found: Counter[str] = Counter()
    for (truth, _), rows in counts.items():
        found[truth] += rows
    return found


def _ledger(evidence: CheckEvidence | None) -> tuple[EstimatedWindow, ...]:
    return evidence.ledger if isinstance(evidence, EstimateEvidence) else ()
