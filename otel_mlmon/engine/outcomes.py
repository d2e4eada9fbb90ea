"""Rules about the model's outcomes on the newest window of which enough ground truth is known: a verdict for every target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from otel_mlmon.checks.case import PerformanceCase
from otel_mlmon.checks.outcome_case import OutcomeCase
from otel_mlmon.checks.performance import performance
from otel_mlmon.checks.registry import OUTCOME_CHECKS
from otel_mlmon.engine.maturity import Maturity
from otel_mlmon.engine.verdicts import Scene, expected_segments, verdict_of
from otel_mlmon.rulefile import GroundTruthRule, PerformanceRule
from otel_mlmon.stats.inference.estimate import Estimate, jackknife
from otel_mlmon.stats.metrics.outcomes import Outcomes
from otel_mlmon.values import CheckResult, Figure, PerformanceCounts, Reference, RowBlock, Target, Verdict
from otel_mlmon.window.outcome_rows import outcomes


class Aggregate(Protocol):
    """An SQL aggregate over rows: of all that are selected, then of all but those of each group."""

    def __call__(
        self, rows: RowBlock, selected: npt.NDArray[np.int64], expression: str, groups: npt.NDArray[np.int64]
    ) -> list[float]: ...


class Pairs(Protocol):
    """Rows of champion and challenger whose prediction ids match, in a segment; None where no two versions are compared."""

    def __call__(self, segment: str) -> tuple[Outcomes, Outcomes] | None: ...


def judge_outcomes(
    rule: GroundTruthRule,
    scene: Scene,
    case: OutcomeCase,
    maturity: Maturity | None,
    aggregate: Aggregate,
    pairs: Pairs = lambda segment: None,
) -> Iterator[Verdict]:
    """Verdicts on the model's predictions against the truth: as a whole, and by segment where the rule is about that."""
    if not isinstance(rule, PerformanceRule):
        target = Target(scene.model, scene.version)
        yield verdict_of(target, scene, lambda: _matured(OUTCOME_CHECKS[rule.family](rule, case), case, "", maturity))
        return
    for segment in expected_segments(rule, scene.reference, scene.windows.values()):
        target = Target(scene.model, scene.version, segment)
        one = performance_case(case, segment, aggregate, pairs)
        yield verdict_of(
            target,
            scene,
            lambda one=one, segment=segment: _matured(performance(rule, one), case, segment, maturity),  # type: ignore[misc]
        )


def performance_case(
    case: OutcomeCase, segment: str, aggregate: Aggregate, pairs: Pairs = lambda segment: None
) -> PerformanceCase:
    """One segment of the window ("" the whole) as performance checks see it."""
    window = case.windows.get(segment)

    def rows() -> tuple[RowBlock | None, npt.NDArray[np.int64]]:
        block, found = case.rows.select(case.version, segment)
        return block, found if block is None else found[block.truth_known[found]]

    def custom(expression: str, confidence: float) -> Estimate:
        block, found = rows()
        return jackknife(
            lambda groups: [] if block is None else aggregate(block, found, expression, groups), len(found), confidence
        )

    return PerformanceCase(
        PerformanceCounts() if window is None else window.performance,
        _expected(case.reference, segment),
        _figures(case.reference, segment),
        lambda query: _outcomes(*rows(), query),
        custom,
        lambda: pairs(segment),
        partial(case.effect, segment),
    )


def _outcomes(block: RowBlock | None, rows: npt.NDArray[np.int64], query: str) -> Outcomes:
    return Outcomes(np.zeros(0), np.zeros(0)) if block is None else outcomes(block, rows, query=query)


def _matured(found: CheckResult, case: OutcomeCase, segment: str, maturity: Maturity | None) -> CheckResult:
    window = case.windows.get(segment)
    if window is None or not window.rows:
        return found
    counts = window.performance
    stage = "" if maturity is None else maturity.stage(case.end, counts.predictions, counts.with_truth)
    return replace(found, coverage=counts.with_truth / window.rows, maturity=stage)


def _expected(reference: Reference | None, segment: str) -> PerformanceCounts | None:
    if reference is None:
        return None
    if segment in reference.segments:
        return reference.segments[segment].performance
    return reference.performance


def _figures(reference: Reference | None, segment: str) -> dict[str, Figure]:
    if reference is None:
        return {}
    return dict(reference.segments[segment].figures if segment in reference.segments else reference.figures)
