"""The diagnosis of a performance verdict: selection bias of the ground truth, and the kind of the shift.

Both questions read the rows, so an answer is kept until the window has moved on or more of its ground truth is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar, cast, get_args

from otel_mlmon.checks.context import WindowRows
from otel_mlmon.checks.losses import Metric
from otel_mlmon.diagnosis.selection import Corrigible, selection
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.rulefile import PerformanceRule
from otel_mlmon.values import Reference, Verdict
from otel_mlmon.values.evidence import PerformanceEvidence, Selection, ShiftKind

_log = logging.getLogger(__name__)
_COMPLETE: Final = 0.95  # coverage above which rows without ground truth are too few to matter
_GROWTH: Final = 0.1  # of the predictions: how much more must be known before rows are read again
_WINDOW_MOVED: Final = 0.5  # of its length: how far the window must move before rows are read again
_VALUE_CHANGED: Final = 0.1  # of the value: a diagnosis states figures, which must be those of the verdict
_WORTH_A_LOOK: Final = 0.05  # p-value above which a breach is not diagnosed
_MOST_ANSWERS: Final = 500  # kept in memory
_T = TypeVar("_T")


class Diagnosed(NamedTuple):
    """A verdict with its diagnosis; `biased`: rows with ground truth do not look like the others."""

    verdict: Verdict
    biased: bool


class _Answer(NamedTuple):
    """An answer, with the end, coverage and value of the verdict that it was given for."""

    end: int
    coverage: float
    value: float
    answer: Any

    def holds_for(self, verdict: Verdict) -> bool:
        coverage, value = verdict.result.coverage or 0.0, verdict.result.value or 0.0
        near = abs(verdict.end - self.end) < (verdict.end - verdict.start) * _WINDOW_MOVED
        same_value = abs(value - self.value) <= _VALUE_CHANGED * abs(value)
        return near and same_value and coverage - self.coverage < _GROWTH


class Diagnosis:
    """The diagnoses of one engine."""

    def __init__(self) -> None:
        self._answers: dict[tuple[object, ...], _Answer] = {}

    def of(self, rule: PerformanceRule, verdict: Verdict, rows: WindowRows, reference: Reference | None) -> Diagnosed:
        """Return the verdict with its diagnosis; as it is, where the diagnosis fails."""
        try:
            return self._of(rule, verdict, rows, reference)
        except Exception:  # the verdict stands without a diagnosis
            _log.exception("cannot diagnose %s", verdict.target)
            return Diagnosed(verdict, biased=False)

    def _of(self, rule: PerformanceRule, verdict: Verdict, rows: WindowRows, reference: Reference | None) -> Diagnosed:
        result, target, method = verdict.result, verdict.target, rule.method
        biased = False
        if not target.segment and 0 < (result.coverage or 0.0) < _COMPLETE and method in get_args(Corrigible):
            selected: Selection = self._once(
                ("selection", rule.alert, target),
                verdict,
                lambda: selection(*rows.select(target.version, ""), reference, cast("Corrigible", method)),
            )
            biased = selected.biased
            if biased:
                verdict = _with(verdict, selected.message, selection=selected)
        sure = result.status == "breach" and not (result.p_value or 0.0) > _WORTH_A_LOOK
        if sure and method in get_args(Metric):
            kind: ShiftKind = self._once(
                ("shift", rule.alert, target),
                verdict,
                lambda: shift_kind(*rows.select(target.version, target.segment), reference, cast("Metric", method)),
            )
            verdict = _with(verdict, "" if kind.kind == "unknown" else kind.message, shift=kind)
        return Diagnosed(verdict, biased)

    def _once(self, key: tuple[object, ...], verdict: Verdict, ask: Callable[[], _T]) -> _T:
        """Return the last answer as long as it holds, else ask again."""
        before = self._answers.pop(key, None)
        if before is None or not before.holds_for(verdict):
            before = _Answer(verdict.end, verdict.result.coverage or 0.0, verdict.result.value or 0.0, ask())
        self._answers[key] = before
        while len(self._answers) > _MOST_ANSWERS:
            del self._answers[next(iter(self._answers))]
        answer: _T = before.answer
        return answer


def _with(
    verdict: Verdict, message: str, *, selection: Selection | None = None, shift: ShiftKind | None = None
) -> Verdict:
    """Add a message and a finding to the verdict; a finding that is None leaves the one before."""
    result = verdict.result
    text = f"{result.message}; {message}" if message else result.message
    before = result.evidence if isinstance(result.evidence, PerformanceEvidence) else PerformanceEvidence()
    evidence = replace(before, selection=selection or before.selection, shift=shift or before.shift)
    return replace(verdict, result=replace(result, message=text, evidence=evidence))
