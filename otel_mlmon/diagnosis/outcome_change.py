"""What a verdict on performance says beside its figure: is the labelled part like the rest, and is it the inputs that have changed?

Both read the rows, so they are asked again only when more of the window is known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar, get_args

from otel_mlmon.checks.context import WindowRows
from otel_mlmon.checks.losses import Metric
from otel_mlmon.diagnosis.selection import Corrigible, selection
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.rulefile import PerformanceRule
from otel_mlmon.values import Reference, Verdict
from otel_mlmon.values.evidence import PerformanceEvidence, Selection, ShiftKind

_log = logging.getLogger(__name__)
_COMPLETE: Final = 0.95  # coverage from which on the rest is too little to matter
_GROWN: Final = 0.1  # of the predictions: how much more must be known before rows are looked at again
_MOVED: Final = 0.5  # of its length: how far the window must have moved
_CHANGED: Final = 0.1  # of the value: a diagnosis says figures, which must be those of the verdict
_NEWS: Final = 0.05  # p-value from which a breach is worth a look
_KEPT: Final = 500
_T = TypeVar("_T")


class Diagnosis:
    """For one engine."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], tuple[int, float, float, Any]] = {}

    def of(
        self, rule: PerformanceRule, verdict: Verdict, rows: WindowRows, reference: Reference | None
    ) -> tuple[Verdict, bool]:
        """The verdict with what there is to say, and whether the labelled rows do not look like the others."""
        try:
            return self._of(rule, verdict, rows, reference)
        except Exception:  # the figure stands without it
            _log.exception("cannot diagnose %s", verdict.target)
            return verdict, False

    def _of(
        self, rule: PerformanceRule, verdict: Verdict, rows: WindowRows, reference: Reference | None
    ) -> tuple[Verdict, bool]:
        selected: Selection | None = None
        target, method = verdict.target, rule.method
        if not target.segment and 0 < (verdict.result.coverage or 0.0) < _COMPLETE and method in get_args(Corrigible):
            selected = self._once(
                ("selection", rule.alert, target), verdict,
                lambda: selection(*rows.select(target.version, ""), reference, method),  # type: ignore[arg-type]
            )  # fmt: skip
        if selected is not None and selected.biased:
            verdict = _with(verdict, selected.message, selection=selected)
        if (
            verdict.result.status == "breach"
            and not (verdict.result.p_value or 0.0) > _NEWS
            and method in get_args(Metric)
        ):
            kind: ShiftKind = self._once(
                ("shift", rule.alert, target), verdict,
                lambda: shift_kind(*rows.select(target.version, target.segment), reference, method),  # type: ignore[arg-type]
            )  # fmt: skip
            verdict = _with(verdict, "" if kind.kind == "unknown" else kind.message, shift=kind)
        return verdict, selected is not None and selected.biased

    def _once(self, key: tuple[object, ...], verdict: Verdict, ask: Callable[[], _T]) -> _T:
        """What was found last, as long as the window has not moved on by half of its length, not much more of it is known, and the
        value is about the same.
        """
        before, coverage, value = self._seen.pop(key, None), verdict.result.coverage or 0.0, verdict.result.value or 0.0
        far = (verdict.end - verdict.start) * _MOVED
        grown = before is not None and coverage - before[1] >= _GROWN
        if (
            before is None
            or grown
            or abs(verdict.end - before[0]) >= far
            or abs(value - before[2]) > _CHANGED * abs(value)
        ):
            before = (verdict.end, coverage, value, ask())
        self._seen[key] = before
        while len(self._seen) > _KEPT:
            del self._seen[next(iter(self._seen))]
        found: _T = before[3]
        return found


def _with(
    verdict: Verdict, message: str, *, selection: Selection | None = None, shift: ShiftKind | None = None
) -> Verdict:
    """Add a message and a finding to the verdict; a finding that is None leaves the one before."""
    result = verdict.result
    text = f"{result.message}; {message}" if message else result.message
    before = result.evidence if isinstance(result.evidence, PerformanceEvidence) else PerformanceEvidence()
    evidence = replace(before, selection=selection or before.selection, shift=shift or before.shift)
    return replace(verdict, result=replace(result, message=text, evidence=evidence))
