"""In which parts of the rows a field has drifted."""

from __future__ import annotations

import numpy as np
import pytest
from checks.houses import all_of, houses, reference, rows

from otel_mlmon.diagnosis.where import drifted

KNOWN = reference(houses(np.random.default_rng(0), 8000), estimators=False)


def test_the_town_whose_ages_have_another_unit_is_named() -> None:
    for seed in range(1, 11):
        columns = houses(np.random.default_rng(seed))
        there = columns["town"] == "town-05"
        block = rows({**columns, "age": np.where(there, 365 * columns["age"], columns["age"])})
        found = drifted(block, all_of(block), KNOWN, "age")
        assert [part.value.where for part in found] == ["town = town-05"]
        assert found[0].value.value > 0.9
        assert found[0].elsewhere < 0.1


def test_new_category_of_one_slice_is_located() -> None:
    columns = houses(np.random.default_rng(1))
    block = rows({**columns, "town": np.where(columns["rooms"] == 8, "nowhere", columns["town"])})
    (part, *_) = drifted(block, all_of(block), KNOWN, "town")
    assert part.value.where == "rooms = 8"
    assert part.value.expected == 0.0


def test_missing_values_of_one_slice_are_located() -> None:
    columns = houses(np.random.default_rng(1))
    block = rows({**columns, "age": np.where(columns["town"] == "town-05", np.nan, columns["age"])})
    (part,) = drifted(block, all_of(block), KNOWN, "age")
    assert (part.value.where, part.value.value) == ("town = town-05", 1.0)


@pytest.mark.parametrize("shift", [0.0, 30.0])
def test_drift_everywhere_and_no_drift_have_no_slices(shift: float) -> None:
    named = 0
    for seed in range(1, 31):
        columns = houses(np.random.default_rng(seed))
        block = rows({**columns, "age": columns["age"] + shift})
        named += bool(drifted(block, all_of(block), KNOWN, "age"))
    assert named <= 1


def test_unknown_field_and_few_rows_have_no_slices() -> None:
    block = rows(houses(np.random.default_rng(1)))
    assert drifted(block, all_of(block), KNOWN, "unknown") == []
    assert drifted(block, all_of(block)[:99], KNOWN, "age") == []
