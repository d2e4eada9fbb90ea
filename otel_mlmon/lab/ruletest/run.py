"""Run a unit test: make its history, inject its faults, evaluate the rules, compare the alerts with the expectation."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from otel_mlmon.errors import MlmonError
from otel_mlmon.lab.ruletest.case import Case, Expectation, ExpectedAlert, FileInput, name_of
from otel_mlmon.lab.simulate.faults import Fault, inject
from otel_mlmon.lab.simulate.generate import GROUND_TRUTH, PREDICTION, TIMESTAMP
from otel_mlmon.lab.simulate.history import history
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.artefact import read_artefact
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import need_estimators, with_estimators
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.rulefile import Group, format_duration
from otel_mlmon.values import Alert, Reference, RowBlock

BEGIN = 1_767_571_200_000_000_000  # Monday, 2026-01-05 00:00 UTC


@dataclass(frozen=True, slots=True)
class CaseResult:
    """Result of a test; `problems` is empty if the test passed."""

    name: str
    seconds: float
    problems: tuple[str, ...]


def run_case(case: Case, groups: Sequence[Group], directory: Path) -> CaseResult:
    """Run one test; its paths are relative to `directory`."""
    started = perf_counter()
    try:
        problems = tuple(_run(case, groups, directory))
    except (MlmonError, ValueError) as error:
        problems = (str(error),)
    return CaseResult(case.name, perf_counter() - started, problems)


def _run(case: Case, groups: Sequence[Group], directory: Path) -> Iterable[str]:
    rng = np.random.default_rng([case.seed, zlib.crc32(case.name.encode())])
    covering = [group for group in groups if group.covers(case.model)]
    names = sorted({group.reference.name for group in covering})
    rows, references = _input(
        case, directory, names, rng, need_estimators(rule for group in covering for rule in group.rules)
    )
    begin = BEGIN if not isinstance(case.input, FileInput) or case.input.every else int(rows.times[0])
    normal = rows
    for spec in case.faults:
        given = spec.model_dump(exclude={"fault", "start", "end"})
        end = 2**63 - 1 if spec.end is None else begin + spec.end
        rows = inject(rows, Fault(spec.fault, **given, start=begin + spec.start, end=end), rng, normal)
    waiting = sorted(case.expect, key=lambda expectation: expectation.at)
    fired: dict[str, Alert] = {}
    alerts: Sequence[Alert] = ()
    end = begin + max([e.at for e in waiting] + [int(rows.times.max()) - begin + 1])
    for tick in simulate(covering, rows, references, start=begin - 1, end=end):
        while waiting and begin + waiting[0].at < tick.time:
            yield from _compare(waiting.pop(0), alerts)
        alerts = tick.alerts()
        fired |= {alert.id: alert for alert in alerts if alert.phase == "firing" and alert.id not in fired}
    for expectation in waiting:
        yield from _compare(expectation, alerts)
    if case.fires is not None:
        yield from _difference("in the whole history", case.fires, list(fired.values()))


def _input(
    case: Case, directory: Path, names: list[str], rng: np.random.Generator, estimated: bool
) -> tuple[RowBlock, list[Reference]]:
    source, artefact = case.input, ""
    if not isinstance(source, FileInput):
        times = BEGIN + np.arange(source.length // source.every, dtype=np.int64) * source.every
        columns = Columns(
            PREDICTION if source.prediction else "",
            GROUND_TRUTH if source.prediction and source.ground_truth else "",
            segments=source.segments,
        )
        normal = source.table(np.sort(rng.integers(BEGIN, BEGIN + source.length, source.reference_rows)), rng)
        table, where, timestamp = source.table(times, rng), Path(case.name), TIMESTAMP
        delay = source.ground_truth.delay if source.ground_truth else 0
    else:
        where, reference = directory / source.file, source.reference
        artefact = reference if reference.endswith((".yaml", ".yml")) else ""
        table, delay, timestamp = read_table(where), source.delay, source.timestamp or TIMESTAMP
        columns = Columns(source.prediction, source.ground_truth, (), source.exclude, source.segments)
        if source.every:
            times = BEGIN + np.arange(table.num_rows, dtype=np.int64) * source.every
            table = table.append_column(TIMESTAMP, pa.array(times, pa.timestamp("ns")))
        if not artefact:
            normal = read_table(directory / reference) if reference else table
    rows = history(where, table, columns, timestamp=timestamp, model=case.model, version=case.version, delay_ns=delay)
    if artefact:
        return rows, [read_artefact(directory / artefact)]
    if timestamp in normal.column_names:
        normal = normal.drop_columns([timestamp])
    block = rows_of(where, normal, columns, case.model, case.version)
    segments = columns.segments
    references = [
        create_reference(
            block, name=name, version="", segments=segments, source=where.name, created="2026-01-05T00:00:00Z"
        )
        for name in names
    ]
    return rows, [with_estimators(reference, block)[0] for reference in references] if estimated else references


def _compare(expectation: Expectation, alerts: Sequence[Alert]) -> Iterable[str]:
    listed = {expected.state for expected in expectation.alerts} | {"firing"}
    relevant = [alert for alert in alerts if alert.phase in listed]
    others = {expected.state for expected in expectation.alerts} - {"firing"}
    yield from _difference(f"at {format_duration(expectation.at)}", expectation.alerts, relevant, others)


def _difference(
    when: str, expected: Sequence[ExpectedAlert], found: Sequence[Alert], lenient: Iterable[str] = ()
) -> Iterable[str]:
    """Yield a problem for each missing and each unexpected alert."""
    left = list(found)
    for wanted in sorted(expected, key=lambda e: e.feature is None):  # expectations with a feature choose first
        match = next((alert for alert in left if _fits(wanted, alert)), None)
        if match is None:
            yield f"{when}: expected {wanted}; found {'; '.join(map(_name, found)) or 'nothing'}"
        else:
            left.remove(match)
    for alert in left:
        if alert.phase not in lenient:
            yield f"{when}: not expected: {_name(alert)}: {alert.verdict.result.message}"


def _fits(wanted: ExpectedAlert, alert: Alert) -> bool:
    return (
        (wanted.alert, wanted.state, wanted.segment) == (alert.rule, alert.phase, alert.target.segment)
        and wanted.feature in (None, alert.target.field)
        and wanted.finding in (None, alert.verdict.result.finding)
        and wanted.severity in (None, alert.labels.get("severity"))
    )


def _name(alert: Alert) -> str:
    finding, severity = alert.verdict.result.finding, alert.labels.get("severity", "")
    return name_of(alert.phase, alert.rule, alert.target.field, alert.target.segment, finding, severity)
