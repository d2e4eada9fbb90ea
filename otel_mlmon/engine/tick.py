"""One tick of event time: groups of rules judge one model, and its alerts move on.

Start reading here. For each group and model version: read the window, find its reference (`baselines`), judge every
rule on every target (`judge`, with the checks of `checks.registry`), combine and correct the p-values
(`multiple_testing`), and move the alerts on (`alerts`, `causes`). Rules about ground truth judge the newest window that
has matured (`matured_windows`), and estimates are kept until they can be scored (`ledger`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from otel_mlmon.checks.context import (
    Aggregate,
    Champion,
    Condition,
    EvaluationContext,
    OutsideCounter,
    SqlFunctions,
    WindowRows,
)
from otel_mlmon.checks.registry import check_of
from otel_mlmon.diagnosis.outcome_change import Diagnosis
from otel_mlmon.engine.alerts import AlertTable, alert_after, alert_id
from otel_mlmon.engine.baselines import Baselines
from otel_mlmon.engine.judge import SequentialMemories, failed, judge
from otel_mlmon.engine.ledger import Ledger
from otel_mlmon.engine.matured_windows import (
    Due,
    MaturedWindows,
    Maturity,
    Revisions,
    RuleKey,
    WindowSource,
    by_version,
)
from otel_mlmon.engine.multiple_testing import Judged, PastPValues, budget_shares, correct
from otel_mlmon.rulefile import EstimateRule, FieldRule, GroundTruthRule, Group, PerformanceRule, Rule, RuleBase
from otel_mlmon.values import Alert, Reference, RowBlock, Target, Verdict, WindowProfile
from otel_mlmon.values.history import RevisionRow
from otel_mlmon.values.query import RowQuery, WindowQuery
from otel_mlmon.values.storage import TickStorage
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

_log = logging.getLogger(__name__)
_DELAY_QUANTILES: Final = (0.5, 0.9, 0.99)


@dataclass(slots=True)
class GroupStatus:
    """The windows that the last tick of one group saw for one model."""

    end: int = 0
    rows: dict[tuple[str, str], int] = field(default_factory=dict)  # (version, segment) → rows
    lost: dict[str, int] = field(default_factory=dict)  # version → rows
    coverage: dict[str, float] = field(default_factory=dict)  # version → share with ground truth
    biased: dict[str, bool] = field(default_factory=dict)  # version → rows with ground truth are unlike the others
    delays: dict[str, dict[str, float]] = field(default_factory=dict)  # by version and quantile, in s
    versions: tuple[str, ...] = ()

    def saw_window(self, end: int, windows: Mapping[str, Mapping[str, WindowProfile]]) -> None:
        """Note the window that ends at `end`: profiles by version and segment."""
        self.end = end
        self.versions = tuple(sorted(windows)) or self.versions or ("",)
        rows = {(version, s): window.rows for version, parts in windows.items() for s, window in parts.items()}
        self.rows = rows or dict.fromkeys(self.rows, 0)
        self.lost = {version: parts[""].lost_rows for version, parts in windows.items() if "" in parts}

    def saw_ground_truth(self, version: str, windows: Mapping[str, WindowProfile], maturity: Maturity) -> None:
        """Note the newest matured window of a version: profiles by segment."""
        if "" in windows:
            counts = windows[""].performance
            self.coverage[version] = counts.with_truth / counts.predictions if counts.predictions else 0.0
        self.delays[version] = {str(q): maturity.quantile_s(q) for q in _DELAY_QUANTILES}


@dataclass(frozen=True, slots=True)
class GroupTick:
    """One group for one model at one time, and the windows that its rules share. `known`: alerts by id."""

    group: Group
    model: str
    time: int
    status: GroupStatus
    known: Mapping[str, Alert]
    matured: MaturedWindows
    windows: Mapping[str, Mapping[str, WindowProfile]]  # by version and segment
    rows: WindowRows
    shadowed: WindowRows

    @property
    def start(self) -> int:
        """Return the begin of the window that ends now."""
        return self.time - self.group.window

    @property
    def segments(self) -> list[str]:
        """Return the segment keys of all rules."""
        return segment_keys(self.group)

    def query(self, start: int, end: int, segments: Sequence[str]) -> WindowQuery:
        """Return the question for a window with the ground truth that is known at the tick's time."""
        return WindowQuery(self.model, self.group.reference.name, start, end, segments, self.time)

    def alert_id(self, rule: RuleBase, target: Target) -> str:
        """Return the id of the rule's alert on a target."""
        return alert_id(self.group.name, rule.alert, target)


class Judgement(NamedTuple):
    """One rule's verdicts on one model version, and its looks at past windows."""

    verdicts: list[Verdict]
    revisions: Sequence[RevisionRow] = ()


class Engine:
    """Evaluates rules. One thread calls `tick`; any thread may look at the results."""

    def __init__(
        self,
        windows: WindowSource,
        reference_for: Callable[[str, str, str], Reference | None],
        store: TickStorage,
        count_outside: OutsideCounter,
        condition: Condition,
        *,
        aggregate: Aggregate,
        ground_truth_horizon_ns: int,
    ) -> None:
        self._windows = windows
        self._sql = SqlFunctions(count_outside, condition, aggregate)
        self._horizon_ns = ground_truth_horizon_ns
        self._baselines = Baselines(windows, reference_for)
        self._ground_truth = GroundTruthJudge(self._baselines, Revisions(store), Diagnosis(), ground_truth_horizon_ns)
        self._ledger = Ledger(store)
        self._memories = SequentialMemories(store)
        self._past = PastPValues()
        self._alerts = AlertTable(store)
        self.groups: dict[tuple[str, str], GroupStatus] = {}
        self.failures: dict[tuple[str, str], int] = {}

    def alerts(self) -> list[Alert]:
        """Return every target's alert with its last verdict, inactive ones included."""
        return self._alerts.all()

    def alert(self, id_: str) -> Alert | None:
        """Return one alert by its id."""
        return self._alerts.get(id_)

    def keep_only(self, rules: set[tuple[str, str]]) -> list[Alert]:
        """After a reload: forget all but these (group, rule); return the alerts that were firing, as resolved."""
        ended = self._alerts.keep_only(rules)
        self._memories.keep_only(rules)
        kept = {group for group, _ in rules}
        self.groups = {key: status for key, status in self.groups.items() if key[0] in kept}
        return ended

    def tick(self, groups: Sequence[Group], model: str, time: int) -> list[Alert]:
        """Evaluate groups for one model at event time `time` (ns); return the alerts whose phase changed.

        All groups that are due at a time come together, so that a symptom is never notified before its cause.
        """
        known = self._alerts.of_model(model)
        fresh: dict[str, Alert] = {}
        revisions: list[RevisionRow] = []
        for group in groups:
            tick = self._open(group, model, time, known)
            for version in self._versions(tick):
                judged, revised = self._judge_version(tick, version)
                revisions += revised
                for rule, verdict in correct(judged, group.interval):
                    key = tick.alert_id(rule, verdict.target)
                    fresh[key] = alert_after(group, rule, verdict, known.get(key), time)
        return self._alerts.adopt({group.name for group in groups}, known, fresh, revisions, time)

    def _open(self, group: Group, model: str, time: int, known: Mapping[str, Alert]) -> GroupTick:
        """Read the profiles of the window that ends now; rows are read when a check asks for them."""
        status = self.groups.setdefault((group.name, model), GroupStatus())
        segments, start = segment_keys(group), time - group.window
        profiled = [rule for rule in group.rules if check_of(rule).needs in ("field", "fields")]
        query = WindowQuery(
            model,
            group.reference.name,
            start,
            time,
            segments,
            known_by=0,  # rules about ground truth judge other windows
            fields=bool(profiled),
            selects=_selects(profiled),
        )
        windows = by_version(self._windows.window(query))
        status.saw_window(time, windows)
        rows = RowQuery(model, [(start, time)], known_by=0)
        return GroupTick(
            group=group,
            model=model,
            time=time,
            status=status,
            known=known,
            matured=MaturedWindows(self._windows, group, model, time, self._horizon_ns),
            windows=windows,
            rows=WindowRows(lambda keys: self._windows.rows(replace(rows, segments=keys)), segments),
            shadowed=self._shadowed(rows, segments),
        )

    def _shadowed(self, rows: RowQuery, segments: Sequence[str]) -> WindowRows:
        """The few predictions with a shadow: the two predictions only, and as `whole` all columns."""

        def read(fields: Collection[str] | None) -> Callable[[Sequence[str]], RowBlock | None]:
            query = replace(rows, fields=fields, with_ids=True, having=FIELD_SHADOW)
            return lambda keys: self._windows.rows(replace(query, segments=keys))

        return WindowRows(read((FIELD_PREDICTION, FIELD_SHADOW)), segments, WindowRows(read(None), segments))

    def _versions(self, tick: GroupTick) -> list[str]:
        """Versions that predict; and with rules about ground truth those whose ground truth may still come."""
        late = tick.matured.waiting() if any(isinstance(rule, GroundTruthRule) for rule in tick.group.rules) else []
        return list(dict.fromkeys((*tick.status.versions, *late)))

    def _judge_version(self, tick: GroupTick, version: str) -> tuple[list[Judged], list[RevisionRow]]:
        """Judge all rules on one version; p-values are combined with those of the window before."""
        context = self._context(tick, version)
        judged: list[Judged] = []
        revisions: list[RevisionRow] = []
        for rule in tick.group.rules:
            if version not in tick.status.versions and not isinstance(rule, GroundTruthRule):
                continue
            verdicts, revised = self._judge(tick, rule, context)
            revisions += revised
            for verdict in verdicts:
                key = tick.alert_id(rule, verdict.target)
                judged.append(Judged(rule, self._past.combine(key, verdict, context.reference, rule.method)))
        return judged, revisions

    def _context(self, tick: GroupTick, version: str) -> EvaluationContext:
        group, time = tick.group, tick.time
        return EvaluationContext(
            model=tick.model,
            version=version,
            start=tick.start,
            end=time,
            time=time,
            reference=self._baselines.reference(group.reference, version, tick.query(tick.start, time, tick.segments)),
            windows=tick.windows.get(version, {}),
            rows=tick.rows,
            shadowed=tick.shadowed,
            sql=self._sql,
            history=tick.matured.history(version, tick.segments),
            budget_shares=budget_shares(group.rules),
        )

    def _judge(self, tick: GroupTick, rule: Rule, context: EvaluationContext) -> Judgement:
        """Judge one rule; one that fails has the verdict `error` on the model."""
        try:
            if isinstance(rule, GroundTruthRule):
                return self._ground_truth.judge(tick, rule, context)
            if isinstance(rule, FieldRule):
                return Judgement(self._judge_fields(tick, rule, context))
            verdicts = judge(rule, context)
            if isinstance(rule, EstimateRule):
                verdicts = [
                    self._ledger.judge(tick.alert_id(rule, verdict.target), rule, verdict, tick.matured)
                    for verdict in verdicts
                ]
            return Judgement(verdicts)
        except Exception as error:
            group = tick.group.name
            _log.exception("rule %s of group %s failed for model %s", rule.alert, group, tick.model)
            self.failures[group, rule.alert] = self.failures.get((group, rule.alert), 0) + 1
            return Judgement([failed(Target(context.model, context.version), context, error)])

    def _judge_fields(self, tick: GroupTick, rule: Rule, context: EvaluationContext) -> list[Verdict]:
        group = tick.group.name
        known = {
            alert.target.field
            for alert in tick.known.values()
            if (alert.group, alert.rule) == (group, rule.alert)
            and alert.target.version == context.version
            and alert.target.field
        }
        memory = self._memories.of(group, rule.alert, context)
        verdicts = judge(rule, replace(context, memory=memory), known_fields=known)
        self._memories.keep(group, rule.alert, context, memory)
        return verdicts


class GroundTruthJudge:
    """Judges rules about ground truth on the newest matured window, and past windows as they grow."""

    def __init__(self, baselines: Baselines, revisions: Revisions, diagnosis: Diagnosis, horizon_ns: int) -> None:
        self.diagnosis = diagnosis
        self._baselines = baselines
        self._revisions = revisions
        self._horizon_ns = horizon_ns

    def judge(self, tick: GroupTick, rule: GroundTruthRule, context: EvaluationContext) -> Judgement:
        """Judge the newest matured window; diagnose its performance, and judge past windows again."""
        newest = tick.matured.newest(rule, context.version)
        tick.status.saw_ground_truth(context.version, newest.windows, tick.matured.maturity(context.version))
        verdicts = self._judge_window(tick, rule, context, Due(newest.start, newest.end))
        if not isinstance(rule, PerformanceRule):
            return Judgement(verdicts)
        revisions = self.revise(tick, rule, context)
        rows, diagnosed = tick.matured.rows(newest.start, newest.end), []
        for verdict in verdicts:
            with_diagnosis, biased = self.diagnosis.of(rule, verdict, rows, context.reference)
            diagnosed.append(with_diagnosis)
            if not verdict.target.segment:
                tick.status.biased[context.version] = biased
        return Judgement(diagnosed, revisions)

    def _judge_window(
        self, tick: GroupTick, rule: GroundTruthRule, context: EvaluationContext, window: Due
    ) -> list[Verdict]:
        """Judge one window by the ground truth that is known now."""
        matured, baseline, version = tick.matured, tick.group.reference, context.version
        start, end = window
        reference = context.reference
        if not baseline.stored:  # the reference is measured around the window that is judged
            reference = self._baselines.reference(baseline, version, tick.query(start, end, rule.segments))
        compared = baseline.champion is not None and baseline.champion != version
        context = replace(
            context,
            start=start,
            end=end,
            reference=reference,
            windows=matured.between(version, start, end, rule.segments),
            rows=matured.rows(start, end),
            history=matured.history(version, rule.segments),
            champion=Champion(baseline.champion or "", matured.identified_rows(start, end)) if compared else None,
        )
        return judge(rule, context, maturity=matured.maturity(version))

    def revise(self, tick: GroupTick, rule: PerformanceRule, context: EvaluationContext) -> list[RevisionRow]:
        """Judge the past windows whose ground truth has grown."""
        group, matured, version = tick.group, tick.matured, context.version
        key = RuleKey(group.name, rule.alert, tick.model, version)
        whole = tick.alert_id(rule, Target(tick.model, version))
        due = list(self._revisions.due(key, whole, group.window, matured, tick.time - 2 * self._horizon_ns))
        matured.read([window.start for window in due], group.window, rule.segments)
        rows: list[RevisionRow] = []
        for window in due:
            judged = [Judged(rule, verdict) for verdict in self._judge_window(tick, rule, context, window)]
            known = matured.between(version, window.start, window.end, rule.segments)
            for _, verdict in correct(judged, group.interval):
                profile, result = known.get(verdict.target.segment), verdict.result
                if profile is None or not profile.performance.with_truth:
                    continue
                rows.append(
                    RevisionRow(
                        alert=tick.alert_id(rule, verdict.target),
                        start=window.start,
                        end=window.end,
                        known=tick.time,
                        predictions=profile.rows,
                        with_truth=profile.performance.with_truth,
                        maturity=result.maturity,
                        status=result.status,
                        value=result.value,
                        low=result.low,
                        high=result.high,
                    )
                )
        return rows


def segment_keys(group: Group) -> list[str]:
    """Return the segment keys of all rules of a group."""
    return sorted({key for rule in group.rules for key in rule.segments})


def _selects(rules: Sequence[Rule]) -> Callable[[str], bool] | None:
    """Which fields these rules look at; None: possibly all."""
    chosen = [rule.selects for rule in rules if isinstance(rule, FieldRule)]
    return None if len(chosen) < len(rules) else lambda name: any(selects(name) for selects in chosen)
