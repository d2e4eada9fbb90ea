"""All parts of the project count the same cells as missing: absent, null, NaN and empty text."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from batches import predictions
from engine.world import HOUR, World

from otel_mlmon.diagnosis.faults import Fault, fault
from otel_mlmon.diagnosis.subject import Subject, WindowSample
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import Alert, FieldCells, Reference, RowBlock, State
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire.columns import ABSENT

N = 1000
CODES = [f"code {i % 250}" for i in range(N)]  # more categories than a reference keeps by name
RULES = """
{alert: Missing, integrity: missing, features: [code, amount]}
{alert: Budget, budget: integrity, at_most: 1%, over: 30d}
"""
Cells = dict[str, list[Any]]


def _normal(codes: list[str] = CODES) -> Cells:
    return {"code": list(codes), "amount": [i / 7 for i in range(N)]}


def _half(field: str, value: Any, codes: list[str] = CODES) -> Cells:
    cells = _normal(codes)
    cells[field][::2] = [value] * (N // 2)
    return cells


def _reference_of(rows: RowBlock) -> Reference:
    return create_reference(rows, name="training", version="", segments=(), source="", created="")


def _reference(codes: list[str] = CODES) -> Reference:
    return _reference_of(rows_of(Path("rows"), pa.table(_normal(codes)), Columns(), "m", ""))


class Judged:
    """One window of N predictions, as the check, the budget and the diagnosis see it."""

    def __init__(self, reference: Reference, cells: Cells) -> None:
        world = World(RULES, reference=reference, window="6h", interval="6h")
        rows = [{name: values[i] for name, values in cells.items() if values[i] is not ABSENT} for i in range(N)]
        times = [i * 6 * HOUR // N for i in range(N)]
        # In two batches, since a batch's column takes the type that most of its values have.
        batches = [predictions(rows[k::2], times=times[k::2], ids=[f"{i}" for i in range(k, N, 2)]) for k in (0, 1)]
        world.store.expect_types("m", {"code": "string", "amount": "number"})
        world.store.commit(batches, 0)
        world.windows.touch("m", np.array(times))
        world.tick(6 * HOUR)
        block = world.store.rows.read(RowQuery("m", [(0, 6 * HOUR)]))
        assert block is not None
        self.rows, self._reference, self._world = block, reference, world

    def alert(self, rule: str, field: str = "") -> Alert:
        (found,) = [a for a in self._world.engine.alerts() if (a.rule, a.target.field) == (rule, field)]
        return found

    def fault(self, field: str) -> Fault:
        alert, group = self.alert("Missing", field), self._world.group
        subject = Subject(alert, group.rules[0], group, self._reference, 0, 6 * HOUR)
        found = fault(subject, WindowSample(self.rows, np.arange(N), np.arange(0), N))
        assert found is not None
        return found

    @property
    def burn(self) -> float | None:
        """How many times too fast the budget burns."""
        return self.alert("Budget").verdict.result.value


@pytest.mark.parametrize("field", ["code", "amount"])
@pytest.mark.parametrize("value", [ABSENT, None, math.nan, ""], ids=["absent", "null", "NaN", "empty"])
def test_check_budget_diagnosis_and_reference_count_the_same_rows(field: str, value: Any) -> None:
    judged = Judged(_reference(), _half(field, value))
    missing = judged.alert("Missing", field).verdict.result
    assert (missing.status, missing.value) == ("breach", 0.5)
    assert judged.alert("Budget").verdict.result.status == "breach"
    assert judged.burn == pytest.approx(0.5 / 0.01)
    found = judged.fault(field)
    assert np.bincount(found.mask).tolist() == [N // 2, N // 2]
    assert found.usual == 0
    profile = _reference_of(judged.rows).fields[field].profile
    assert (profile.missing, profile.rows) == (N // 2, N)
    assert found.mask.tolist() == judged.rows.fields[field].missing().tolist()


@pytest.mark.parametrize("code", [" ", "none", "0"])
def test_texts_that_are_not_empty_are_not_missing(code: str) -> None:
    judged = Judged(_reference(), _half("code", code))
    assert judged.alert("Missing", "code").verdict.result.status == "ok"
    assert judged.burn == 0
    assert not judged.fault("code").mask.any()


@pytest.mark.parametrize("categories", [3, 250])
def test_empty_text_as_often_as_in_the_reference_is_no_fault(categories: int) -> None:
    codes = ["" if i % 3 == 0 else f"code {i % categories}" for i in range(N)]
    judged = Judged(_reference(codes), _normal(codes))
    assert judged.alert("Missing", "code").verdict.result.status == "ok"
    assert judged.burn == 0
    found = judged.fault("code")
    assert found.usual == pytest.approx(found.mask.mean()) == pytest.approx(334 / N)


def test_nulls_are_a_fault_if_the_reference_has_only_empty_texts() -> None:
    codes = ["" if i % 3 == 0 else f"code {i % 250}" for i in range(N)]
    judged = Judged(_reference(codes), _half("code", None, codes))
    assert judged.alert("Missing", "code").verdict.result.finding == "null"
    assert judged.burn == pytest.approx(0.5 / 0.01)


def test_a_cell_has_one_state() -> None:
    states = np.array([*State], np.uint8)
    numbers = np.array([1.0, np.nan, *[np.nan] * (len(State) - 2)])
    cells = FieldCells(states, numbers, None, np.array([6]), ["1e400"])
    parts = [cells.of_type("int", "float", "string", "bool"), cells.other, cells.absent, cells.null, cells.lost]
    assert np.sum(parts, axis=0).tolist() == [1] * len(State)
    assert cells.has_value().tolist() == (parts[0] | parts[1]).tolist()
    assert np.flatnonzero(cells.is_number()).tolist() == [0, 1, 6]
    assert np.flatnonzero(cells.nan).tolist() == [1]
    assert np.flatnonzero(cells.missing()).tolist() == [1, 4, 5]
    taken = cells.take(np.array([6, 0, 6]))
    assert (taken.value(0), taken.value(1), taken.other_rows.tolist()) == (float("inf"), 1, [0, 2])
