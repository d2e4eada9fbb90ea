"""One rule on one window of one model version: a verdict for every target. Targets fail one by one."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from otel_mlmon.checks.context import EvaluationContext, FieldView, ModelView, SequentialMemory
from otel_mlmon.checks.registry import Check, check_of
from otel_mlmon.engine.matured_windows import Maturity
from otel_mlmon.rulefile import FieldRule, RuleBase
from otel_mlmon.values import CheckResult, Target, Verdict
from otel_mlmon.values.storage import TickStorage

_log = logging.getLogger(__name__)


def judge(
    rule: RuleBase, context: EvaluationContext, *, known_fields: Iterable[str] = (), maturity: Maturity | None = None
) -> list[Verdict]:
    """Judge every target of the rule: fields, or the model; each as a whole and by segment.

    `known_fields` were judged before, so that a field that no longer comes keeps its verdict. `maturity` says of ground
    truth how much of it is still to come.
    """
    check = check_of(rule)
    segments = context.segments(rule.segments if check.by_segment else ())
    if isinstance(rule, FieldRule):
        return _judge_fields(rule, check, context, segments, known_fields)
    verdicts = []
    for segment in segments:
        target = Target(context.model, context.version, segment)
        verdicts.append(_verdict(target, rule, check, context.view(segment), maturity))
    return verdicts


def _judge_fields(
    rule: FieldRule, check: Check, context: EvaluationContext, segments: Sequence[str], known_fields: Iterable[str]
) -> list[Verdict]:
    fields = context.reference.fields if context.reference else {}
    others = {name for window in context.windows.values() for name in window.fields} | set(known_fields)
    names = [
        name
        for name in (*fields, *sorted(others - set(fields)))
        if rule.selects(name) and (name not in fields or check.applies(rule, fields[name]))
    ]
    context = replace(context, budget_shares=context.budget_shares * len(names) * len(segments))
    return [
        _verdict(Target(context.model, context.version, segment, name), rule, check, context.field(name, segment))
        for segment in segments
        for name in names
    ]


def _verdict(
    target: Target, rule: RuleBase, check: Check, view: FieldView | ModelView, maturity: Maturity | None = None
) -> Verdict:
    context = view.context
    try:
        result = check.function(rule, view)
        if check.needs == "ground truth":
            result = _with_coverage(result, context, target.segment, maturity)
    except Exception as error:
        _log.exception("cannot judge %s", target)
        return failed(target, context, error)
    window = context.windows.get(target.segment)
    if window is not None and window.lost_rows:  # nothing is known of values that were cut off on the way, good or bad
        lost = f"; the window is incomplete: {window.lost_rows} rows had values cut off on the way"
        result = replace(result, message=result.message + lost)
    return Verdict(target, context.start, context.end, result)


def failed(target: Target, context: EvaluationContext, error: Exception) -> Verdict:
    """Return the verdict of a check that raised an exception."""
    result = CheckResult("error", "exception", message=f"{type(error).__name__}: {error}")
    return Verdict(target, context.start, context.end, result)


def _with_coverage(
    result: CheckResult, context: EvaluationContext, segment: str, maturity: Maturity | None
) -> CheckResult:
    window = context.windows.get(segment)
    if window is None or not window.rows:
        return result
    counts = window.performance
    stage = "" if maturity is None else maturity.stage(context.end, counts.predictions, counts.with_truth)
    return replace(result, coverage=counts.with_truth / window.rows, maturity=stage)


class SequentialMemories:
    """The memories of the sequential tests of all rules, by group, rule, model and version."""

    def __init__(self, store: TickStorage) -> None:
        self._store = store
        self._documents: dict[str, Any] = store.read("memory")

    def of(self, group: str, rule: str, context: EvaluationContext) -> SequentialMemory:
        """Return the memory of one rule for one model version; empty before its first window."""
        return SequentialMemory(self._documents.get(_key(group, rule, context), {}))

    def keep(self, group: str, rule: str, context: EvaluationContext, memory: SequentialMemory) -> None:
        """Store a memory, where its rule has put anything there."""
        if memory.document:
            key = _key(group, rule, context)
            self._documents[key] = memory.document
            self._store.put("memory", {key: memory.document})

    def keep_only(self, rules: set[tuple[str, str]]) -> None:
        """Forget the rules that are not among these (group, rule)."""
        forgotten = [key for key in self._documents if tuple(json.loads(key)[:2]) not in rules]
        for key in forgotten:
            del self._documents[key]
        self._store.put("memory", {}, gone=forgotten)


def _key(group: str, rule: str, context: EvaluationContext) -> str:
    return json.dumps([group, rule, context.model, context.version])
