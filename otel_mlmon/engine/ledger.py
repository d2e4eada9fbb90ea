"""Estimates against what they turned out to be: which are kept, how they are scored, and whether the estimator is to be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Final, NamedTuple

from otel_mlmon.checks.estimate import CONFIDENCE
from otel_mlmon.stats.inference.estimate import Estimate
from otel_mlmon.stats.inference.proportion import exceeds
from otel_mlmon.values import CheckResult, Target
from otel_mlmon.values.history import LedgerEntry

LOOKED_AT: Final = 20  # of the newest scored estimates
FEWEST: Final = 5
_LEVEL: Final = 0.01  # of so many misses, if the band were right, from which it is not trusted
_IN_A_ROW: Final = 3  # misses to the same side
_GOOD_AGAIN: Final = 5  # in a row that hit


class Trust(NamedTuple):
    """Whether an estimator's bands hold what they promise: of `scored` estimates, `outside` missed."""

    ok: bool
    scored: int
    outside: int
    message: str


def due(kept_until: int, start: int) -> bool:
    """Whether the estimate of a window from `start` is to be kept, when the last one kept ended at `kept_until` (0: none)."""
    return start >= kept_until


def entry(
    alert: str, target: Target, metric: str, start: int, end: int, made: int, result: CheckResult
) -> LedgerEntry | None:
    """The estimate of a window, to be kept; None where there is none, or no band to score it by."""
    if result.value is None or result.low is None or result.high is None:
        return None
    return LedgerEntry(
        alert, target.model, target.version, target.segment, metric, start, end, made, result.value, result.low, result.high
    )  # fmt: skip


def score(kept: LedgerEntry, realised: Estimate, predictions: int, time: int) -> LedgerEntry:
    """The estimate with what it turned out to be: the figure of the window's known outcomes, of so many predictions."""
    return kept._replace(
        realised=realised.value,
        realised_low=realised.low,
        realised_high=realised.high,
        with_truth=realised.rows,
        coverage=min(1.0, realised.rows / predictions) if predictions else 0.0,
        scored=time,
    )


def trusted(entries: Sequence[LedgerEntry]) -> Trust:
    """Whether the estimator that made these estimates (of one alert, oldest first) is to be believed.

    It is not when the newest misses are too many for chance, were the band right, or in a row to the same side; until it has
    hit a few times in a row again.
    """
    scored = [e for e in entries if e.scored and e.realised == e.realised][-LOOKED_AT:]
    sides = [e.side() for e in scored]
    outside = sum(side != 0 for side in sides)
    newest_first = sides[::-1]
    streak = len(list(takewhile(lambda side: side != 0 and side == newest_first[0], newest_first)))
    hits = len(list(takewhile(lambda side: side == 0, newest_first)))
    chance = exceeds(outside, len(scored), 1 - CONFIDENCE)
    too_many = len(scored) >= FEWEST and chance < _LEVEL and hits < _GOOD_AGAIN
    if not too_many and streak < _IN_A_ROW:
        return Trust(True, len(scored), outside, "")
    last = scored[-1]
    direction = (
        "" if streak < _IN_A_ROW else f", the last {streak} all {'above' if newest_first[0] > 0 else 'below'} it"
    )
    return Trust(
        False,
        len(scored),
        outside,
        f"the estimator has been wrong: of {len(scored)} estimates of {last.metric}, {outside} turned out beyond their "
        f"{CONFIDENCE:.0%} band{direction}; the last one said {last.estimate:.4g} ({last.low:.4g} to {last.high:.4g}), it was "
        f"{last.realised:.4g}",
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
