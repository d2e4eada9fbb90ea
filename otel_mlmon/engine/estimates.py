"""Estimates on their way: kept when they are made, scored when their window's ground truth is in, and trusted accordingly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from otel_mlmon.checks.outcome_case import OutcomeCase
from otel_mlmon.engine.ledger import Trust, due, entry, judged, score, trusted
from otel_mlmon.engine.matured_windows import RipeWindows
from otel_mlmon.engine.outcomes import performance_case
from otel_mlmon.rulefile import EstimateRule
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.metrics.outcomes import MetricOptions
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS
from otel_mlmon.values import Verdict
from otel_mlmon.values.history import LedgerEntry
from otel_mlmon.values.storage import TickStorage

KEPT: Final = 200  # of the newest estimates, in memory
SHOWN: Final = 60  # of them, in reports
_CONFIDENCE: Final = 0.95


class Estimates:
    """The ledger as the engine uses it."""

    def __init__(self, store: TickStorage) -> None:
        self._store = store
        self._known: dict[str, list[LedgerEntry]] = {}

    def of(self, alert: str) -> list[LedgerEntry]:
        """Estimates of an alert, oldest first."""
        if alert not in self._known:
            self._known[alert] = self._store.estimates(alert, KEPT)
        return self._known[alert]

    def trust(self, alert: str) -> Trust:
        """Whether an alert's estimates are to be believed."""
        return trusted(self.of(alert))

    def judge(self, alert: str, rule: EstimateRule, verdict: Verdict, ripe: RipeWindows) -> Verdict:
        """Score what can be scored by now, keep the new estimate, and say what it is worth."""
        self._score(alert, rule, ripe, verdict.end)
        entries = self.of(alert)
        fresh = entry(alert, verdict.target, rule.estimate, verdict.start, verdict.end, verdict.end, verdict.result)
        if fresh is not None and due(entries[-1].end if entries else 0, verdict.start):
            self._store.append_estimates([fresh])
            self._known[alert] = [*entries, fresh][-KEPT:]
        result = judged(verdict.result, trusted(self.of(alert)))
        evidence = {**result.evidence, "ledger": _shown(self.of(alert))}
        return replace(verdict, result=replace(result, evidence=evidence))

    def _score(self, alert: str, rule: EstimateRule, ripe: RipeWindows, time: int) -> None:
        changed = []
        for kept in self.of(alert):
            if kept.scored:
                continue
            predictions, with_truth = ripe.known_in(kept.version, kept.start, kept.end)
            if not with_truth or ripe.maturity(kept.version).stage(kept.end, predictions, with_truth) != "final":
                continue
            key = kept.segment.partition("=")[0]
            windows = ripe.between(kept.version, kept.start, kept.end, [key] if key else [])
            window = windows.get(kept.segment)
            if window is None or not window.performance.with_truth:
                continue
            case = OutcomeCase(
                kept.model, kept.version, kept.start, kept.end, time, windows, None, ripe.rows(kept.start, kept.end),
                lambda first, last: {},
            )  # fmt: skip
            changed.append(score(kept, _realised(rule, case, kept.segment), window.rows, time))
        if changed:
            self._store.score_estimates(changed)
            scored = {one.end: one for one in changed}
            self._known[alert] = [scored.get(kept.end, kept) for kept in self.of(alert)]


def _realised(rule: EstimateRule, case: OutcomeCase, segment: str) -> Estimate:
    one = performance_case(case, segment, lambda *_: [])
    if rule.estimate in ROW_METRICS:
        options = MetricOptions(positive=rule.positive)
        return ROW_METRICS[rule.estimate].estimate(one.outcomes(""), options, _CONFIDENCE)
    return METRICS[rule.estimate].estimate(one.counts, rule.positive, _CONFIDENCE)


def _shown(entries: Sequence[LedgerEntry]) -> list[dict[str, float | int | None]]:
    """For reports and metrics: what was estimated of each window, and what came of it."""
    return [
        {
            "start": kept.start, "end": kept.end, "estimate": kept.estimate, "low": kept.low, "high": kept.high,
            "realised": kept.realised if kept.scored and kept.realised == kept.realised else None,
        }
        for kept in entries[-SHOWN:]
    ]  # fmt: skip
