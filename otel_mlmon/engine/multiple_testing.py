"""How sure: the p-values of everything that was tested at once, corrected together.

Fifty features in twenty-four windows a day at 5 % are sixty false alarms a day. Rules that share a budget of false alarms are
one family; without a budget each rule is one, at its own confidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from otel_mlmon.rulefile import GradualDrift, Rule
from otel_mlmon.stats.inference.p_values import benjamini_hochberg
from otel_mlmon.values import Verdict

Judged = list[tuple[Rule, Verdict]]


def sharers(rules: Sequence[Rule]) -> int:
    """Into how many parts rules divide a budget: one for all that have p-values, one for each sequential test."""
    gradual = sum(isinstance(rule, GradualDrift) for rule in rules)
    return max(1, gradual + (gradual < len(rules)))


def correct(judged: Judged, interval: int) -> Judged:
    """What is large but may be chance becomes ok. `interval` (ns) is the time from one evaluation to the next."""
    families: dict[object, list[int]] = {}
    for index, (rule, _) in enumerate(judged):
        families.setdefault(("budget", rule.false_alarms) if rule.false_alarms else rule.alert, []).append(index)
    found = list(judged)
    for members in families.values():
        rule = judged[members[0]][0]
        # If nothing has changed, the probability of any alarm at one evaluation is below this level.
        level = 1 - rule.confidence
        if rule.false_alarms:
            rules = list({judged[i][0].alert: judged[i][0] for i in members}.values())
            level = min(1.0, interval / rule.false_alarms / sharers(rules))
        for index, verdict in zip(members, _family([judged[i][1] for i in members], level), strict=True):
            found[index] = (judged[index][0], verdict)
    return found


def _family(verdicts: Sequence[Verdict], level: float) -> list[Verdict]:
    results = [verdict.result for verdict in verdicts]
    tested = [i for i, r in enumerate(results) if r.p_value is not None and r.status in ("ok", "breach")]
    adjusted = benjamini_hochberg([results[i].p_value or 0.0 for i in tested])
    found = list(verdicts)
    for i, q_value in zip(tested, adjusted, strict=True):
        result = replace(results[i], q_value=q_value)
        if result.status == "breach" and q_value >= level:
            result = replace(result, status="ok", reason="not_significant", finding="", level="", evidence={})
        found[i] = replace(verdicts[i], result=result)
    return found
