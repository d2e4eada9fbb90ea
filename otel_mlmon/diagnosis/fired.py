"""The result that the alert rests on, and caveats of its figures: selection bias, and the kind of the shift."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final, cast, get_args

from otel_mlmon.diagnosis.losses import metric_of
from otel_mlmon.diagnosis.selection import Corrigible, selection
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.diagnosis.subject import Subject, WindowSample
from otel_mlmon.rulefile import RuleBase
from otel_mlmon.values import Alert
from otel_mlmon.values.evidence import PerformanceEvidence, Selection
from otel_mlmon.values.explanation import Fired, Note

_KINDS: Final = {
    "model": "another model",
    "concept": "concept drift",
    "covariate": "covariate drift",
    "both": "concept and covariate drift",
}
_CHECKS: Final = frozenset({"performance", "fairness", "slices", "budget"})


def fired(alert: Alert, rule: RuleBase | None) -> Fired:
    """Return the result of the alert's last breach, or of the newest verdict before the first breach."""
    newest, state, decisive = alert.verdict.result, alert.state, alert.decisive
    return Fired(
        phase=alert.phase,
        status=newest.status,
        reason=newest.reason,
        since=state.since,
        fired_at=state.fired_at,
        resolved_at=state.resolved_at,
        start=decisive.start,
        end=decisive.end,
        result=decisive.result,
        confidence=None if rule is None or rule.false_alarms is not None else rule.confidence,
    )


def notes(subject: Subject, sample: WindowSample, seed: int) -> list[Note]:
    """Return the caveats of a metric that needs ground truth; those of the verdict are not computed again."""
    alert = subject.alert
    if alert.check not in _CHECKS or alert.method == "integrity" or not len(sample.known):
        return []
    result = alert.verdict.result
    evidence = result.evidence if isinstance(result.evidence, PerformanceEvidence) else PerformanceEvidence()
    metric = metric_of(subject, sample)
    shift = evidence.shift or shift_kind(sample.block, sample.known, subject.reference, metric)
    bias = evidence.selection
    corrigible = alert.method in get_args(Corrigible)
    # The engine has compared the rows with and without ground truth of a breach, and found no bias.
    compared = result.status == "breach" and corrigible and alert.check == "performance"
    if bias is None and not compared:
        method = cast("Corrigible", alert.method) if corrigible else metric
        bias = _selection(subject, sample, method, seed)
    caveats: list[Note] = []
    if name := _KINDS.get(shift.kind):
        caveats.append(Note(name, shift.message, asdict(shift)))
    if bias is not None and bias.biased:
        caveats.append(Note("label selection", bias.message, asdict(bias)))
    return caveats


def _selection(subject: Subject, sample: WindowSample, metric: Corrigible, seed: int) -> Selection:
    return selection(sample.block, sample.rows, subject.reference, metric, seed=seed)
