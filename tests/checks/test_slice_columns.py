"""Rows as columns of labels: ranges of the reference, categories, missing values and other types."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from checks.houses import all_of, houses, reference, rows

from otel_mlmon.checks.slices import slice_columns
from otel_mlmon.stats.slices.search import Codes
from otel_mlmon.values import FieldCells

HOUSES = houses(np.random.default_rng(0), 2000)
KNOWN = reference(HOUSES, estimators=False)


def _columns(columns: dict[str, Any], **options: Any) -> dict[str, Codes]:
    block = rows(
        {
            "predicted": np.ones(len(next(iter(columns.values())))),
            **columns,
            "price": np.ones(len(next(iter(columns.values())))),
        }
    )
    return slice_columns(block, all_of(block), options.pop("reference", KNOWN), **options)


def _texts(column: Codes) -> list[str]:
    return [column.labels[code] if code >= 0 else "" for code in column.codes.tolist()]


def test_outputs_and_ground_truth_are_no_columns_and_features_are_chosen_by_globs() -> None:
    block = rows(HOUSES)
    assert set(slice_columns(block, all_of(block), KNOWN)) == {
        "town",
        "rooms",
        "age",
        "garage",
        "latitude",
        "longitude",
    }
    assert set(slice_columns(block, all_of(block), KNOWN, ["*itude", "town", "!lon*"])) == {"town", "latitude"}
    assert "town" not in slice_columns(block, all_of(block), KNOWN, without=["town"])


def test_what_the_model_uses_most_comes_first() -> None:
    block = rows(HOUSES)
    weighed = replace(KNOWN, importances={"rooms": 0.7, "town": 0.3})
    assert list(slice_columns(block, all_of(block), weighed))[:3] == ["rooms", "town", "age"]


def test_categories_and_truth_values_are_as_they_are() -> None:
    found = _columns({"town": ["town-00", "elsewhere", ""], "garage": [True, False, True]})
    assert _texts(found["town"]) == ["= town-00", "= elsewhere", "is empty"]
    assert _texts(found["garage"]) == ["= true", "= false", "= true"]


def test_a_number_of_few_values_has_each_of_them() -> None:
    assert _texts(_columns({"rooms": [2, 8, 3, 11]})["rooms"]) == ["= 2", "= 8", "= 3", "= 11"]


def test_a_number_is_in_a_range_of_the_reference_and_beyond_it_above_or_below() -> None:
    age = np.array([-5.0, 0.1, 41.0, 79.9, 300.0])
    column = _columns({"age": age})["age"]
    texts = _texts(column)
    assert len(column.labels) == 8 + 2
    assert texts[0].startswith("below 0.0")
    assert texts[-1].startswith("above 80") or texts[-1].startswith("above 79")
    for value, text in zip(age[1:-1], texts[1:-1], strict=True):
        low, high = map(float, text.split(" to "))
        assert low <= value < high
    block = rows(HOUSES)
    counts = np.bincount(slice_columns(block, all_of(block), KNOWN)["age"].codes, minlength=10)
    assert counts[1:-1].min() > 0.8 * len(block) / 8, "ranges have about the same number of rows"


def test_ranges_that_are_close_together_can_be_told_apart() -> None:
    times = 1_700_000_000.0 + np.arange(2000.0)
    known = reference({**HOUSES, "asked": times}, estimators=False)
    labels = _columns({"asked": times}, reference=known)["asked"].labels
    assert len(set(labels)) == len(labels)


def test_without_a_reference_ranges_are_of_the_rows_themselves() -> None:
    labels = _columns({"age": np.arange(800.0)}, reference=None)["age"].labels
    assert labels[1:3] == ("0 to 99.9", "99.9 to 200")


def test_what_is_missing_or_of_another_type_has_labels_of_its_own() -> None:
    found = _columns({"age": pa.array([1.0, None, float("nan")]), "town": pa.array(["town-00", None, "town-01"])})
    assert _texts(found["age"])[1:] == ["is missing", "is missing"]
    assert _texts(found["town"]) == ["= town-00", "is missing", "= town-01"]


def test_a_text_among_numbers_is_of_another_type_and_a_huge_integer_is_not() -> None:
    block = rows({"age": [1.0, 2.0, 3.0, 4.0], "predicted": [1.0] * 4, "price": [1.0] * 4})
    states = block.fields["age"].states.copy()
    states[:3] = [ord("o"), ord("o"), ord(".")]
    numbers = np.array([np.nan, np.nan, np.nan, 4.0])
    cells = FieldCells(states, numbers, None, np.array([0, 1]), ['"old"', "9007199254740993"])
    block = replace(block, fields={**block.fields, "age": cells})
    assert _texts(slice_columns(block, all_of(block), KNOWN)["age"])[:3] == ["is of another type", "", "is missing"]


def test_infinite_numbers_are_in_no_range() -> None:
    assert _texts(_columns({"age": [np.inf, 41.0, -np.inf]})["age"])[::2] == ["", ""]


def test_only_the_rows_that_are_asked_for_are_there_and_in_order() -> None:
    block = rows(HOUSES)
    found = slice_columns(block, np.array([7, 3]), KNOWN)
    assert _texts(found["town"]) == [f"= {HOUSES['town'][7]}", f"= {HOUSES['town'][3]}"]
