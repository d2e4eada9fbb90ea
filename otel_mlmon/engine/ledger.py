"""The ledger of estimates: kept when made, scored when their ground truth is final, trusted accordingly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final, NamedTuple

from otel_mlmon.checks.context import EvaluationContext, ModelView
from otel_mlmon.checks.estimate import CONFIDENCE
from otel_mlmon.checks.performance import known_outcomes
from otel_mlmon.engine.matured_windows import MaturedWindows
from otel_mlmon.rulefile import EstimateRule
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.stats.metrics.outcomes import MetricOptions
from otel_mlmon.stats.metrics.table import METRICS, ROW_METRICS
from otel_mlmon.values import CheckResult, Target, Verdict
from otel_mlmon.values.evidence import EstimatedWindow, EstimateEvidence
from otel_mlmon.values.history import LedgerEntry
from otel_mlmon.values.storage import TickStorage

_KEPT: Final = 200  # of the newest estimates of an alert, in memory
_SHOWN: Final = 60  # newest ones, in reports
_LOOKED_AT: Final = 20  # of the newest scored estimates, for trust
_FEWEST_SCORED: Final = 5  # below which misses are not counted
_MISSES_BY_CHANCE: Final = 0.01  # p-value of the misses, below which the estimator is not trusted
_MISSES_IN_A_ROW: Final = 3  # to the same side
_HITS_IN_A_ROW: Final = 5  # after which it is trusted again


class Ledger:
    """The newest estimates of every alert."""

    def __init__(self, store: TickStorage) -> None:
        self._store = store
        self._known: dict[str, list[LedgerEntry]] = {}

    def of(self, alert: str) -> list[LedgerEntry]:
        """Return the estimates of an alert, oldest first."""
        if alert not in self._known:
            self._known[alert] = self._store.estimates(alert, _KEPT)
        return self._known[alert]

    def judge(self, alert: str, rule: EstimateRule, verdict: Verdict, matured: MaturedWindows) -> Verdict:
        """Score the estimates whose ground truth is final, keep the new one; return the verdict, if trusted."""
        self._score(alert, rule, matured, verdict.end)
        entries = self.of(alert)
        fresh = entry(alert, verdict.target, rule.estimate, verdict.start, verdict.end, verdict.end, verdict.result)
        if fresh is not None and due(entries[-1].end if entries else 0, verdict.start):
            self._store.append_estimates([fresh])
            self._known[alert] = [*entries, fresh][-_KEPT:]
        result = judged(verdict.result, trusted(self.of(alert)))
        numbers = result.evidence.numbers if isinstance(result.evidence, EstimateEvidence) else ()
        evidence = EstimateEvidence(numbers, _shown(self.of(alert)))
        return replace(verdict, result=replace(result, evidence=evidence))

    def _score(self, alert: str, rule: EstimateRule, matured: MaturedWindows, time: int) -> None:
        changed = []
        for kept in self.of(alert):
            if kept.scored:
                continue
            predictions, with_truth = matured.known_in(kept.version, kept.start, kept.end)
            if not with_truth or matured.maturity(kept.version).stage(kept.end, predictions, with_truth) != "final":
                continue
            key = kept.segment.partition("=")[0]
            windows = matured.between(kept.version, kept.start, kept.end, [key] if key else [])
            window = windows.get(kept.segment)
            if window is None or not window.performance.with_truth:
                continue
            context = EvaluationContext(
                kept.model, kept.version, kept.start, kept.end, time, None, windows, matured.rows(kept.start, kept.end)
            )
            changed.append(score(kept, _realised(rule, context.view(kept.segment)), window.rows, time))
        if changed:
            self._store.score_estimates(changed)
            scored = {one.end: one for one in changed}
            self._known[alert] = [scored.get(kept.end, kept) for kept in self.of(alert)]


def _realised(rule: EstimateRule, view: ModelView) -> Estimate:
    if rule.estimate in ROW_METRICS:
        options = MetricOptions(positive=rule.positive)
        return ROW_METRICS[rule.estimate].estimate(known_outcomes(view), options, CONFIDENCE)
    return METRICS[rule.estimate].estimate(view.counts, rule.positive, CONFIDENCE)


def _realised_known(kept: LedgerEntry) -> bool:
    return bool(kept.scored) and kept.realised == kept.realised


def _shown(entries: Sequence[LedgerEntry]) -> tuple[EstimatedWindow, ...]:
    """Return the newest estimates with their realised metric, for reports and metrics."""
    return tuple(
        EstimatedWindow(
            kept.start, kept.end, kept.estimate, kept.low, kept.high, kept.realised if _realised_known(kept) else None
        )
        for kept in entries[-_SHOWN:]
    )


class Trust(NamedTuple):
    """Whether an estimator is trusted: of `scored` estimates, `outside` missed their confidence interval."""

    ok: bool
    scored: int
    outside: int
    message: str


def due(kept_until: int, start: int) -> bool:
    """Return whether to keep the estimate of a window from `start`; the last one kept ended at `kept_until`."""
    return start >= kept_until


def entry(
    alert: str, target: Target, metric: str, start: int, end: int, made: int, result: CheckResult
) -> LedgerEntry | None:
    """Return the estimate of a window as an entry; None without an estimate or its confidence interval."""
    if result.value is None or result.low is None or result.high is None:
        return None
    return LedgerEntry(
        alert=alert,
        model=target.model,
        version=target.version,
        segment=target.segment,
        metric=metric,
        start=start,
        end=end,
        made=made,
        estimate=result.value,
        low=result.low,
        high=result.high,
    )


def score(kept: LedgerEntry, realised: Estimate, predictions: int, time: int) -> LedgerEntry:
    """Return the entry with the realised metric over the window's ground truth, of so many predictions."""
    return kept._replace(
        realised=realised.value,
        realised_low=realised.low,
        realised_high=realised.high,
        with_truth=realised.rows,
        coverage=min(1.0, realised.rows / predictions) if predictions else 0.0,
        scored=time,
    )


def trusted(entries: Sequence[LedgerEntry]) -> Trust:
    """Return whether to trust the estimator that made these estimates of one alert, oldest first.

    It is not trusted when its newest misses are too many for chance, or in a row to the same side; until it has hit a
    few times in a row again.
    """
    scored = [e for e in entries if _realised_known(e)][-_LOOKED_AT:]
    sides = [e.side() for e in scored]
    outside = sum(side != 0 for side in sides)
    newest_first = sides[::-1]
    streak = len(list(takewhile(lambda side: side != 0 and side == newest_first[0], newest_first)))
    hits = len(list(takewhile(lambda side: side == 0, newest_first)))
    chance = exceeds(outside, len(scored), 1 - CONFIDENCE)
    too_many = len(scored) >= _FEWEST_SCORED and chance < _MISSES_BY_CHANCE and hits < _HITS_IN_A_ROW
    if not too_many and streak < _MISSES_IN_A_ROW:
        return Trust(True, len(scored), outside, "")
    last = scored[-1]
    direction = (
        "" if streak < _MISSES_IN_A_ROW else f", the last {streak} all {'above' if newest_first[0] > 0 else 'below'} it"
    )
    return Trust(
        False,
        len(scored),
        outside,
        f"the estimator has been wrong: of {len(scored)} estimates of {last.metric}, {outside} turned out beyond their "
        f"{CONFIDENCE:.0%} band{direction}; the last one said {last.estimate:.4g} ({last.low:.4g} to {last.high:.4g}), "
        f"it was {last.realised:.4g}",
    )


def judged(result: CheckResult, trust: Trust) -> CheckResult:
    """Return the result of an estimator; "no_data" with the same figures where the estimator is not trusted."""
    if trust.ok or result.status not in ("ok", "breach"):
        return result
    return replace(
        result,
        status="no_data",
        reason="estimator_unreliable",
        message=trust.message,
        p_value=None,
        finding="",
        level="",
    )
