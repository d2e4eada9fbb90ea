"""otel_mlmon on the benchmark's windows, with the unchanged rules of `mlmon rules infer`."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from benchmarks.detection.data import HOUR, DataSet, reference, stream
from benchmarks.detection.scenarios import NAMES, WINDOW_ROWS, WITHIN, Scenario
from otel_mlmon.lab.infer import infer
from otel_mlmon.lab.simulate.faults import inject
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.rulefile import Group, parse_text
from otel_mlmon.values import Alert, Reference, RowBlock
from otel_mlmon.values.evidence import SchemaEvidence
from otel_mlmon.wire.semconv import FIELD_PREDICTION

AT_ONCE = 20  # windows per reference


def rules(made: Reference) -> tuple[Group, ...]:
    """The inferred rules, one evaluation per window."""
    return parse_text(infer(made, window=HOUR, interval=HOUR), Path("inferred.yaml")).groups


def false_alarms(data: DataSet, size: int, windows: int, seed: int) -> list[str]:
    """Return a line for each window with an alert, of `windows` windows of `size` rows without a fault."""
    rng = np.random.default_rng([seed, size])
    found: list[str] = []
    per_run = max(1, min(AT_ONCE, 400_000 // size))
    for _ in range(-(-windows // per_run)):
        made, _ = reference(data, rng)
        fired: dict[int, str] = {}
        for tick in simulate(rules(made), stream(data, size, per_run, rng), [made], pane_ns=HOUR):
            new = [a for a in tick.changed if a.phase == "firing"]
            if new:
                fired.setdefault(
                    tick.time,
                    "; ".join(
                        f"{a.rule} {a.target.field}: {a.verdict.result.message} (p {a.verdict.result.p_value})"
                        for a in new
                    ),
                )
        found += fired.values()
    return found


def rows_of_scenario(data: DataSet, scenario: Scenario, seed: int) -> tuple[Reference, RowBlock, RowBlock]:
    """Return the reference, its rows, and three windows; the last two have the fault."""
    rng = np.random.default_rng([seed, zlib.crc32(repr(scenario).encode())])
    made, normal = reference(data, rng)
    return made, normal, inject(stream(data, WINDOW_ROWS, 1 + WITHIN, rng), scenario.fault, rng, normal)


def detect(data: DataSet, scenario: Scenario, seed: int) -> dict[str, object]:
    """Whether the fault is found within two windows, and the names in the first alerts."""
    made, _, rows = rows_of_scenario(data, scenario, seed)
    for tick in simulate(rules(made), rows, [made], pane_ns=HOUR):
        if tick.time <= HOUR:
            continue
        first = [a for a in tick.changed if a.phase == "firing"]
        if first:
            # All alerts of this tick, of every group.
            return {
                "found": True,
                "window": tick.time // HOUR - 1,
                "named": any(_names(a, scenario) for a in first) and all(_on_field(a, scenario) for a in first),
                "first": [f"{a.method}/{a.verdict.result.finding} {a.target.field}" for a in first],
            }
    return {"found": False, "window": 0, "named": False, "first": []}


def _on_field(alert: Alert, scenario: Scenario) -> bool:
    if scenario.fault.kind == "noise":
        return (
            alert.check == "performance" or alert.target.field == FIELD_PREDICTION
        )  # wrong predictions have another distribution
    evidence = alert.verdict.result.evidence
    about = evidence.fields if isinstance(evidence, SchemaEvidence) else [alert.target.field]
    return scenario.fault.field in about


def _names(alert: Alert, scenario: Scenario) -> bool:
    return any(
        method in ("", alert.method) and finding in ("", alert.verdict.result.finding)
        for method, finding in NAMES[scenario.fault.kind]
    )
