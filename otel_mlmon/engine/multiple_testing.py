"""Combine each target's p-value with that of its window before; then correct all p-values of a tick together.

A fault of one per cent is seen in a thousand rows half of the time, and in two windows of them nearly always. And fifty
features in twenty-four windows a day at 5 % are sixty false alarms a day: rules that share a budget of false alarms are
corrected as one family; without a budget each rule is one, at its own confidence.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from otel_mlmon.rulefile import GradualDrift, RuleBase
from otel_mlmon.stats.inference.design_effect import correlation_of_neighbours, metric_design_effects
from otel_mlmon.stats.inference.p_values import benjamini_hochberg, combined_p_value
from otel_mlmon.values import Reference, Verdict

_WORTH_COMBINING: Final = 0.05  # p-value above which a window is not combined with the one before
_MOST_WINDOWS: Final = 512  # kept per target: a window of a day that is judged every three minutes


class Judged(NamedTuple):
    """A rule, and its verdict on one target."""

    rule: RuleBase
    verdict: Verdict


class _PastPValue(NamedTuple):
    end: int
    p_value: float


class PastPValues:
    """The p-values of each target's earlier windows."""

    def __init__(self) -> None:
        self._by_target: dict[str, deque[_PastPValue]] = {}

    def combine(self, key: str, verdict: Verdict, reference: Reference | None, method: str) -> Verdict:
        """Return the verdict with the better of two p-values: of this window, and of it and the one before together.

        Of two tests the better one was chosen, so the p-value doubles. The window before is the last one that does not
        overlap with this one. `key` names the target; `method` is the rule's, a metric where the rule is about ground
        truth.
        """
        result = verdict.result
        if result.p_value is None or result.status not in ("ok", "breach"):
            return verdict
        past = self._by_target.setdefault(key, deque(maxlen=_MOST_WINDOWS))
        length = verdict.end - verdict.start
        while past and past[0].end <= verdict.start - length:
            past.popleft()
        before = next((p.p_value for p in reversed(past) if p.end <= verdict.start), None)
        past.append(_PastPValue(verdict.end, result.p_value))
        joint = 1.0
        if before is not None and result.p_value < _WORTH_COMBINING:
            joint = combined_p_value(result.p_value, before, _correlation(verdict, reference, method))
        return replace(verdict, result=replace(result, p_value=min(1.0, 2 * min(result.p_value, joint))))


def _correlation(verdict: Verdict, reference: Reference | None, method: str) -> float:
    """Correlation of two windows: neighbouring rows are alike, and both windows share the error of one reference."""
    measured: Mapping[int, float] = {}
    if reference is not None and not verdict.target.field:
        measured = metric_design_effects(method, reference.outcome_effects)
    elif reference is not None and verdict.target.field in reference.fields:
        measured = reference.fields[verdict.target.field].design_effects.get("values", {})
    alike = correlation_of_neighbours(measured, verdict.result.rows)
    then, now = verdict.result.reference_rows, verdict.result.rows
    return (alike * then + now) / (then + now) if then else alike


def budget_shares(rules: Sequence[RuleBase]) -> int:
    """Return into how many parts rules divide a budget: one for all p-values, one for each sequential test."""
    sequential = sum(isinstance(rule, GradualDrift) for rule in rules)
    return max(1, sequential + (sequential < len(rules)))


def correct(judged: Sequence[Judged], interval: int) -> list[Judged]:
    """Turn breaches that chance explains into ok. `interval` (ns) is the time from one evaluation to the next."""
    families: dict[object, list[int]] = {}
    for index, (rule, _) in enumerate(judged):
        families.setdefault(("budget", rule.false_alarms) if rule.false_alarms else rule.alert, []).append(index)
    corrected = list(judged)
    for members in families.values():
        rule = judged[members[0]].rule
        # If nothing has changed, the probability of any alarm at one evaluation is below this level.
        level = 1 - rule.confidence
        if rule.false_alarms:
            rules = list({judged[i].rule.alert: judged[i].rule for i in members}.values())
            level = min(1.0, interval / rule.false_alarms / budget_shares(rules))
        for index, verdict in zip(members, _family([judged[i].verdict for i in members], level), strict=True):
            corrected[index] = Judged(judged[index].rule, verdict)
    return corrected


def _family(verdicts: Sequence[Verdict], level: float) -> list[Verdict]:
    """Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995)."""
    results = [verdict.result for verdict in verdicts]
    tested = [i for i, r in enumerate(results) if r.p_value is not None and r.status in ("ok", "breach")]
    adjusted = benjamini_hochberg([results[i].p_value or 0.0 for i in tested])
    corrected = list(verdicts)
    for i, q_value in zip(tested, adjusted, strict=True):
        result = replace(results[i], q_value=q_value)
        if result.status == "breach" and q_value >= level:
            result = replace(result, status="ok", reason="not_significant", finding="", level="", evidence=None)
        corrected[i] = replace(verdicts[i], result=result)
    return corrected
