"""One rule on one group's windows: a verdict for every target, one failing target leaving the others alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from otel_mlmon.checks.case import FieldCase
from otel_mlmon.checks.drift import applies
from otel_mlmon.checks.gradual import gradual_drift
from otel_mlmon.checks.model_case import NO_CELLS, Condition, ModelCase, Traffic, expected_profile
from otel_mlmon.checks.registry import FAMILY_CHECKS, FIELD_CHECKS, MODEL_CHECKS
from otel_mlmon.checks.rows import WindowRows
from otel_mlmon.rulefile import (
    DriftRule,
    FieldRule,
    Format,
    Freshness,
    GradualDrift,
    MultivariateDrift,
    RuleBase,
    Volume,
)
from otel_mlmon.values import CheckResult, FieldProfile, FieldReference, Reference, Target, Verdict, WindowProfile

_log = logging.getLogger(__name__)


class OutsideCounter(Protocol):
    """Counts numbers outside a range that a rule states: bins cannot tell, so rows are read."""

    def __call__(self, target: Target, start: int, end: int, low: float | None, high: float | None) -> int: ...


@dataclass(frozen=True, slots=True)
class Scene:
    """What all rules of a group look at, for one model version at one tick. `windows` is by segment."""

    model: str
    version: str
    reference: Reference | None
    windows: Mapping[str, WindowProfile]
    start: int
    end: int
    rows: WindowRows
    traffic: Traffic
    condition: Condition
    count_outside: OutsideCounter
    sharers: int = 1  # into how many parts the rules of the group divide their budget


def expected_segments(rule: RuleBase, reference: Reference | None, windows: Iterable[WindowProfile]) -> list[str]:
    """The whole, and each value of the rule's segment keys that the reference or the window knows."""
    if isinstance(rule, (Volume, Freshness, MultivariateDrift)):
        return [""]
    keys = set(rule.segments)
    known = {s for s in (reference.segments if reference else ()) if s.partition("=")[0] in keys}
    seen = {w.segment for w in windows if w.segment.partition("=")[0] in keys}
    return ["", *sorted(known | seen)]


def judge_fields(
    rule: FieldRule, scene: Scene, known: Iterable[str] = (), memory: MutableMapping[str, Any] | None = None
) -> Iterator[Verdict]:
    """Verdicts on every field that the rule selects, whole and by segment.

    `known` are fields that were judged before; `memory` is what a sequential test has kept from earlier windows.
    """
    reference, windows = scene.reference, scene.windows
    fields = list(reference.fields if reference else ())
    fields += sorted(({f for w in windows.values() for f in w.fields} | set(known)) - set(fields))
    chosen = [n for n in fields if rule.selects(n) and _applies(rule, reference.fields.get(n) if reference else None)]
    judged = expected_segments(rule, reference, windows.values())
    parts = {key: [s for s in judged if s.partition("=")[0] == key] for key in rule.segments}
    for segment in judged:
        window = windows.get(segment)
        for name in chosen:
            target = Target(scene.model, scene.version, segment, name)
            case = FieldCase(
                name,
                NO_CELLS if window is None else window.fields.get(name, NO_CELLS),
                reference.fields.get(name) if reference else None,
                expected_profile(reference, segment, name),
                lambda low, high, target=target: scene.count_outside(target, scene.start, scene.end, low, high),  # type: ignore[misc]
                lambda segment=segment, name=name: scene.rows.numbers(scene.version, segment, name),  # type: ignore[misc]
                reference,
                {} if segment else parts,
                lambda part, name=name: _part(scene, part, name),  # type: ignore[misc]
            )
            yield verdict_of(target, scene, lambda case=case, segment=segment: _of_field(rule, case, scene, segment, memory, len(chosen) * len(judged)))  # type: ignore[misc]  # fmt: skip


def _part(scene: Scene, segment: str, name: str) -> tuple[FieldProfile | None, FieldProfile | None]:
    """What one segment had in the reference, and has in the window."""
    known = scene.reference.segments.get(segment) if scene.reference else None
    found = scene.windows.get(segment)
    return (known.profiles.get(name) if known else None, found.fields.get(name) if found else None)


def _of_field(
    rule: FieldRule, case: FieldCase, scene: Scene, segment: str, memory: MutableMapping[str, Any] | None, targets: int
) -> CheckResult:
    if isinstance(rule, GradualDrift):
        kept = {} if memory is None else memory.setdefault(segment, {})
        return gradual_drift(rule, case, kept, scene.start, scene.end, targets * scene.sharers)
    return FIELD_CHECKS[rule.method](rule, case)


def _applies(rule: FieldRule, reference: FieldReference | None) -> bool:
    if isinstance(rule, (DriftRule, GradualDrift)):
        return applies(rule, reference)
    return not (isinstance(rule, Format) and reference is not None and reference.type == "bool")


def judge_model(rule: RuleBase, scene: Scene) -> Iterator[Verdict]:
    """Verdicts on whole predictions: the model, and its segments."""
    check = FAMILY_CHECKS.get(rule.family) or MODEL_CHECKS[rule.method]
    for segment in expected_segments(rule, scene.reference, scene.windows.values()):
        case = ModelCase(
            scene.model, scene.version, segment, scene.start, scene.end, scene.windows.get(segment), scene.reference,
            scene.rows, scene.traffic, scene.condition,
        )  # fmt: skip
        target = Target(scene.model, scene.version, segment)
        yield verdict_of(target, scene, lambda case=case: check(rule, case))  # type: ignore[misc]


def verdict_of(target: Target, scene: Scene, check: Callable[[], CheckResult]) -> Verdict:
    """Run a check; an exception becomes the result "error", so that other targets are still judged."""
    try:
        result = check()
    except Exception as error:
        _log.exception("cannot judge %s", target)
        failed = CheckResult("error", "exception", message=f"{type(error).__name__}: {error}")
        return Verdict(target, scene.start, scene.end, failed)
    window = scene.windows.get(target.segment)
    if window is not None and window.lost_rows:  # nothing is known of cells that were cut off, good or bad
        lost = f"the window is incomplete: {window.lost_rows} rows had values cut off on the way"
        result = replace(result, message=f"{result.message}; {lost}")
    return Verdict(target, scene.start, scene.end, result)


def by_version(windows: Sequence[WindowProfile]) -> dict[str, dict[str, WindowProfile]]:
    """Windows by version and segment."""
    found: dict[str, dict[str, WindowProfile]] = {}
    for window in windows:
        found.setdefault(window.version, {})[window.segment] = window
    return found
