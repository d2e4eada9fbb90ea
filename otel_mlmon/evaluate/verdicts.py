"""One rule on one group's windows: a verdict for every target, one failing target leaving the others alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from otel_mlmon.evaluate.case import FieldCase, Outcome, PerformanceCase
from otel_mlmon.evaluate.drift import applies
from otel_mlmon.evaluate.methods import FIELD_CHECKS
from otel_mlmon.evaluate.performance import performance
from otel_mlmon.rulefile import DriftRule, FieldRule, PerformanceRule
from otel_mlmon.values import FieldProfile, PerformanceCounts, Reference, Target, Verdict, WindowProfile

_log = logging.getLogger(__name__)
_NO_CELLS = FieldProfile(0, 0, 0, 0, 0, 0, {}, 0.0, 0.0, float("nan"), float("nan"))


class OutsideCounter(Protocol):
    """Counts numbers outside a range that a rule states: bins cannot tell, so rows are read."""

    def __call__(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int: ...


def expected_segments(
    rule: FieldRule | PerformanceRule, reference: Reference | None, windows: Iterable[WindowProfile]
) -> list[str]:
    """The whole, and each value of the rule's segment keys that the reference or the window knows."""
    keys = set(rule.segments)
    known = {s for s in (reference.segments if reference else ()) if s.partition("=")[0] in keys}
    seen = {w.segment for w in windows if w.segment.partition("=")[0] in keys}
    return ["", *sorted(known | seen)]


def judge_fields(
    rule: FieldRule,
    model: str,
    version: str,
    reference: Reference | None,
    windows: Mapping[str, WindowProfile],
    start: int,
    end: int,
    count_outside: OutsideCounter,
    known: Iterable[str] = (),
) -> Iterator[Verdict]:
    """Verdicts on every field that the rule selects, whole and by segment; `windows` is by segment.

    `known` are fields that were judged before: when nothing comes any more, that is to be told of each.
    """
    fields = list(reference.fields if reference else ())
    fields += sorted(({f for w in windows.values() for f in w.fields} | set(known)) - set(fields))
    for segment in expected_segments(rule, reference, windows.values()):
        window = windows.get(segment)
        for name in fields:
            expected = reference.fields.get(name) if reference else None
            if not rule.selects(name) or (isinstance(rule, DriftRule) and not applies(rule, expected)):
                continue
            target = Target(model, version, segment, name)
            case = FieldCase(
                name,
                _NO_CELLS if window is None else window.fields.get(name, _NO_CELLS),
                expected,
                _expected_profile(reference, segment, name),
                lambda low, high, target=target: count_outside(target, start, end, low, high),  # type: ignore[misc]
            )
            yield _verdict(target, start, end, lambda case=case: FIELD_CHECKS[rule.method](rule, case))  # type: ignore[misc]


def judge_performance(
    rule: PerformanceRule,
    model: str,
    version: str,
    reference: Reference | None,
    windows: Mapping[str, WindowProfile],
    start: int,
    end: int,
) -> Iterator[Verdict]:
    """Verdicts on the model as a whole and by segment."""
    for segment in expected_segments(rule, reference, windows.values()):
        window = windows.get(segment)
        counts = PerformanceCounts() if window is None else window.performance
        case = PerformanceCase(counts, _expected_performance(reference, segment))
        target = Target(model, version, segment)
        yield _verdict(target, start, end, lambda case=case: performance(rule, case))  # type: ignore[misc]


def _expected_profile(reference: Reference | None, segment: str, name: str) -> FieldProfile | None:
    if reference is None or name not in reference.fields:
        return None
    if segment in reference.segments:
        return reference.segments[segment].profiles.get(name)
    return reference.fields[name].profile


def _expected_performance(reference: Reference | None, segment: str) -> PerformanceCounts | None:
    if reference is None:
        return None
    if segment in reference.segments:
        return reference.segments[segment].performance
    return reference.performance


def _verdict(target: Target, start: int, end: int, check: Callable[[], Outcome]) -> Verdict:
    try:
        found = check()
    except Exception as error:
        _log.exception("cannot judge %s", target)
        return Verdict(target, "error", "exception", start, end, message=f"{type(error).__name__}: {error}")
    return Verdict(
        target, found.status, found.reason, start, end, found.value, found.threshold, found.p_value,
        found.rows, found.reference_rows, found.message, found.evidence,
    )  # fmt: skip


def by_version(windows: Sequence[WindowProfile]) -> dict[str, dict[str, WindowProfile]]:
    """Windows by version and segment."""
    found: dict[str, dict[str, WindowProfile]] = {}
    for window in windows:
        found.setdefault(window.version, {})[window.segment] = window
    return found
