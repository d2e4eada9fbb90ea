"""A budget of false alarms where rows resemble their neighbours, and drift that is only another mix."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.lab.infer import infer
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.lab.simulate.run import Tick, simulate
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.values import Reference, RowBlock

HOUR = 3_600_000_000_000
ROWS = 400  # an hour
REFERENCE_HOURS, HOURS = 150, 60


def _stream(seed: int, persistence: float, *, shift: float = 0.0) -> RowBlock:
    """Requests; those of one hour and of neighbouring hours are alike, and the last ones moved."""
    rng, hours = np.random.default_rng(seed), REFERENCE_HOURS + HOURS
    common = np.zeros(hours)
    for i in range(1, hours):
        common[i] = persistence * common[i - 1] + (1 - persistence**2) ** 0.5 * rng.normal()
    of_hour = np.repeat(0.3 * common, ROWS)
    moved = np.arange(hours * ROWS) >= (hours - HOURS) * ROWS
    table = pa.table(
        {
            "load": of_hour + rng.normal(size=hours * ROWS) + shift * moved,
            "kind": np.where(rng.random(hours * ROWS) < 1 / (1 + np.exp(-of_hour)), "a", "b"),
            "alone": rng.normal(size=hours * ROWS),
        }
    )
    rows = rows_of(Path("stream"), table, Columns(), "m", "")
    return replace(rows, times=np.arange(hours * ROWS) * HOUR // ROWS)


def _reference(rows: RowBlock, segments: Sequence[str] = ()) -> Reference:
    return create_reference(rows, name="training", version="", segments=segments, source="", created="")


def _alarms(rows: RowBlock, made: Reference) -> list[str]:
    groups = parse_text(infer(made, window=HOUR, interval=HOUR), Path("inferred.yaml")).groups
    ticks = simulate(groups, rows, [made], pane_ns=HOUR)
    return [f"{a.rule} {a.target.field}" for tick in ticks for a in tick.changed if a.phase == "firing"]


@pytest.mark.parametrize("persistence", [0.0, 0.7])
def test_hours_that_differ_as_they_always_did_are_no_drift(persistence: float) -> None:
    rows = _stream(1, persistence)
    normal, after = cut(rows, 0, REFERENCE_HOURS * ROWS), cut(rows, REFERENCE_HOURS * ROWS, len(rows))
    in_order, without_order = _reference(normal), _reference(replace(normal, times=normal.times * 0))
    assert max(in_order.fields["load"].design_effects["values"].values()) > 10
    assert max(in_order.fields["alone"].design_effects.get("values", {0: 1.0}).values()) < 1.5
    assert _alarms(after, in_order) == []
    assert len(_alarms(after, without_order)) > 5, "it takes the order of the rows to know"


def test_what_goes_beyond_that_is_found_all_the_same() -> None:
    rows = _stream(2, 0.0, shift=1.5)
    normal, after = cut(rows, 0, REFERENCE_HOURS * ROWS), cut(rows, REFERENCE_HOURS * ROWS, len(rows))
    assert _alarms(cut(after, 0, 3 * ROWS), _reference(normal)) == ["FeatureDrift load"]


RULES = """
groups:
  - name: g
    model: m
    window: 1h
    interval: 1h
    segments: [town]
    rules:
      - {alert: Drift, drift: psi, above: 0.1, features: [price, town]}
"""


def _sales(rng: np.random.Generator, n: int, in_harbour: float, harbour_price: float) -> RowBlock:
    town = np.where(rng.random(n) < in_harbour, "Harbour", "Hills")
    price = rng.normal(np.where(town == "Harbour", harbour_price, 100), 10)
    rows = rows_of(Path("sales"), pa.table({"town": town, "price": price}), Columns(segments=("town",)), "m", "")
    return replace(rows, times=np.arange(n) * HOUR // n)


def _verdicts(rows: RowBlock) -> dict[tuple[str, str], tuple[str, str, str]]:
    normal = _sales(np.random.default_rng(1), 5000, 0.2, 200)
    made = _reference(replace(normal, times=normal.times * 0), ["town"])
    last: Tick | None = None
    for last in simulate(parse_text(RULES, Path("rules.yaml")).groups, rows, [made], pane_ns=HOUR):  # noqa: B007
        pass
    assert last is not None
    return {
        (a.target.field, a.target.segment): (
            a.verdict.result.status,
            a.verdict.result.finding,
            a.verdict.result.message,
        )
        for a in last.alerts()
    }


def _percent_of_mix(message: str) -> int:
    found = re.search(r"(\d+)% of it is another mix of town \((Harbour|Hills) \d+% → \d+%\)", message)
    assert found, message
    return int(found[1])


def test_drift_that_is_another_mix_of_segments_says_so() -> None:
    found = _verdicts(_sales(np.random.default_rng(2), 1000, 0.6, 200))
    status, finding, message = found["price", ""]
    assert (status, finding) == ("breach", "mix")
    assert _percent_of_mix(message) >= 90
    assert found["price", "town=Harbour"][0] == found["price", "town=Hills"][0] == "ok"
    assert found["town", ""][:2] == ("breach", "shift"), "of the segments themselves there is nothing to explain"


def test_drift_within_a_segment_is_not_called_a_mix() -> None:
    status, finding, message = _verdicts(_sales(np.random.default_rng(3), 1000, 0.2, 260))["price", ""]
    assert (status, finding) == ("breach", "shift")
    assert _percent_of_mix(message) < 10
