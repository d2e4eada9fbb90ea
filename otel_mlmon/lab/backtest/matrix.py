"""Inject faults into a history, one at a time, and measure how soon the rules find each: mutation tests for rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Final

import numpy as np

from otel_mlmon.lab.backtest.past import play
from otel_mlmon.lab.simulate.faults import FAULTS, Fault, inject
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.lab.simulate.normal import Normal
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.rulefile import Group, PerformanceRule
from otel_mlmon.rulefile.patterns import output_name
from otel_mlmon.values import Alert, Reference, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION

# Share of rows for faults of single values; standard deviations for faults that move a distribution.
SEVERITIES: Final = {"light": (0.01, 0.25), "moderate": (0.05, 0.5), "severe": (0.25, 1.0)}
_MOVES: Final = ("shift", "drift", "noise", "label")
_NOT_A_FAILURE: Final = ("delay",)  # rules wait for late ground truth
NOT_INJECTED: Final = "cannot be injected"
FACTOR: Final = 100.0  # a change of unit, such as cents for dollars


@dataclass(frozen=True, slots=True)
class Injection:
    """One fault at one severity."""

    severity: str
    fault: Fault


@dataclass(frozen=True, slots=True)
class Cell:
    """The result of an injection: `windows` until the first new alert (None: no alert), the alert's rule and field."""

    injection: Injection
    windows: float | None
    rule: str = ""
    field: str = ""


def injections(
    kinds: Sequence[str], severities: Sequence[str], rows: RowBlock, fields: int, start: int
) -> list[Injection]:
    """List every kind of fault, at every severity, on up to `fields` of the fields that it applies to."""
    planned: list[Injection] = []
    for kind in kinds:
        if kind in _NOT_A_FAILURE or (kind in ("noise", "label") and not rows.truth_known.any()):
            continue
        names = _fields(kind, rows)
        chosen = [names[i] for i in np.unique(np.linspace(0, len(names) - 1, min(fields, len(names))).astype(int))]
        for severity in severities:
            share, amount = SEVERITIES[severity]
            for name in chosen:
                fault = Fault(kind, name, share, start=start, other=_other(kind, name, names))
                if kind in _MOVES:
                    # The ground truth is multiplied by a factor; the others move by standard deviations.
                    fault = replace(fault, fraction=1.0, amount=1 + amount if kind == "label" else amount)
                elif kind == "scale":
                    fault = replace(fault, amount=FACTOR)
                elif kind == "lose":
                    fault = replace(fault, fraction=min(0.95, 2 * amount))
                planned.append(Injection(severity, fault))
    return planned


def _fields(kind: str, rows: RowBlock) -> list[str]:
    if FAULTS[kind].fields == "model" or kind == "add":
        return [FIELD_PREDICTION if kind == "noise" else "added" if kind == "add" else ""]
    names = [name for name in rows.fields if output_name(name) is None]
    required = FAULTS[kind].fields
    if required == "any":
        return names
    suitable = []
    for name in names:
        normal = Normal.of(rows.fields[name])
        type_ = "text" if rows.fields[name].numbers is None else "int" if normal.integer else "float"
        # A changed sign cannot be found in a field with both signs, nor can any fault in a field with a single value.
        possible = not (kind == "sign" and normal.minimum < 0 < normal.maximum) and normal.shares.size != 1
        if (required == type_ or (required == "number" and type_ != "text")) and possible:
            suitable.append(name)
    return suitable


def _other(kind: str, name: str, names: list[str]) -> str:
    return names[(names.index(name) + 1) % len(names)] if kind == "swap" and len(names) > 1 else ""


def run_injections(
    planned: Sequence[Injection],
    groups: Sequence[Group],
    rows: RowBlock,
    references: Sequence[Reference],
    windows: int,
    jobs: int,
    progress: Callable[[Cell], None] = lambda cell: None,
) -> list[Cell]:
    """Run each injection for `windows` times the longest window. Alerts that fire without the fault do not count.

    All injections must start at the same time. `jobs`: number of processes.
    """
    if not planned:
        return []
    begin = planned[0].fault.start
    start, end = stretch(groups, rows, begin, windows)
    places = np.searchsorted(rows.times, (start - max(group.window for group in groups), end))
    part = cut(rows, int(places[0]), int(places[1]))
    quiet = play(groups, part, references, start, end)
    work = _Work(groups, part, rows, references, start, end, quiet.firing)
    if jobs <= 1:
        results = []
        for injection in planned:
            results.append(work(injection))
            progress(results[-1])
        return results
    # Processes are spawned, as this process may have threads. Each gets the history once.
    with ProcessPoolExecutor(jobs, get_context("spawn"), initializer=_take_over, initargs=(work,)) as pool:
        waiting = {pool.submit(_do, injection): i for i, injection in enumerate(planned)}
        cells: dict[int, Cell] = {}
        for done in as_completed(waiting):
            cells[waiting[done]] = done.result()
            progress(done.result())
    return [cells[i] for i in sorted(cells)]


_WORK: list[_Work] = []


def _take_over(work: _Work) -> None:
    _WORK[:] = [work]


def _do(injection: Injection) -> Cell:
    return _WORK[0](injection)


def stretch(groups: Sequence[Group], rows: RowBlock, start: int, windows: int) -> tuple[int, int]:
    """Return the period to play for a fault at `start`: one window before, `windows` after, and the truth's delay."""
    longest = max(group.window for group in groups)
    late = 0
    if any(isinstance(rule, PerformanceRule) for group in groups for rule in group.rules) and rows.truth_known.any():
        has_truth = rows.truth_known
        late = int(np.median(rows.truth_times[has_truth] - rows.times[has_truth]))
    return start - longest, start + windows * longest + late


@dataclass(frozen=True, slots=True)
class _Work:
    groups: Sequence[Group]
    part: RowBlock  # the rows that are played
    rows: RowBlock  # all rows, to measure the normal values
    references: Sequence[Reference]
    start: int
    end: int
    firing: Mapping[int, frozenset[str]]  # tick → ids of the alerts that fire without a fault

    def __call__(self, injection: Injection) -> Cell:
        fault, longest = injection.fault, max(group.window for group in self.groups)
        try:
            broken = inject(self.part, fault, np.random.default_rng(0), self.rows)
        except ValueError:
            return Cell(injection, None, NOT_INJECTED)
        for tick in simulate(self.groups, broken, self.references, start=self.start, end=self.end):
            before = self.firing.get(tick.time, frozenset())
            new = [a for a in tick.alerts() if a.phase == "firing" and a.id not in before and _concerns(a, fault)]
            if new and tick.time > fault.start:
                alert = min(new, key=lambda alert: (alert.target.field != fault.field, alert.rule))
                about = alert.target.field or alert.target.segment
                return Cell(injection, (tick.time - fault.start) / longest, alert.rule, about)
        return Cell(injection, None)


def _concerns(alert: Alert, fault: Fault) -> bool:
    """Whether the alert is about a broken field or the model; for a fault of the whole model, every alert is."""
    field = alert.target.field
    broken = {fault.field, fault.other, f"{fault.field}_renamed"}
    return FAULTS[fault.kind].fields == "model" or not field or field in broken
