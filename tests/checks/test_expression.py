"""Conditions in SQL: what they count, what they do not, and that nothing but the rows is within their reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from otel_mlmon.errors import EvaluationError
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.store import condition
from otel_mlmon.store.condition import count_condition
from otel_mlmon.values import FieldCells, RowBlock, Verdict

SECOND = 10**9


def _rows(n: int = 100, **columns: Any) -> RowBlock:
    """Of each ten rows, the first has more bedrooms than rooms."""
    place = np.arange(n)
    table = {"rooms": place % 5 + 2, "bedrooms": np.where(place % 10 == 0, 9, 1), "town": ["a", "b"] * (n // 2)}
    return rows_of(Path("houses"), pa.table({**table, **columns}), Columns(segments=("town",)), "m", "")


def _judge(*expressions: str | dict[str, Any], rows: RowBlock | None = None) -> dict[tuple[str, str], Verdict]:
    """Verdicts by (rule, segment); rules are called e0, e1 …"""
    rules = [
        {"alert": f"e{i}", "integrity": "expression", **({"expression": e} if isinstance(e, str) else e)}
        for i, e in enumerate(expressions)
    ]
    group = {"name": "g", "model": "m", "window": "1000s", "interval": "1000s", "rules": rules}
    groups = parse_text(yaml.safe_dump({"groups": [group]}), Path("rules.yaml")).groups
    (tick,) = simulate(groups, _rows() if rows is None else rows, [], pane_ns=1000 * SECOND)
    return {(a.rule, a.target.segment): a.verdict for a in tick.alerts()}


def _one(expression: str | dict[str, Any], rows: RowBlock | None = None) -> Verdict:
    return _judge(expression, rows=rows)["e0", ""]


def _count(expression: str, rows: RowBlock | None = None) -> tuple[int, int]:
    rows = _rows() if rows is None else rows
    return count_condition(rows, np.arange(len(rows)), expression)


def test_the_value_is_the_share_of_rows_that_violate_the_condition() -> None:
    verdict = _one("bedrooms <= rooms")
    assert (verdict.result.status, verdict.result.finding, verdict.result.value, verdict.result.threshold) == (
        "breach",
        "violated",
        0.1,
        0.0,
    )
    assert verdict.result.message == "10.0% of 100 rows violate bedrooms <= rooms"


def test_a_condition_that_holds_everywhere_is_ok() -> None:
    verdict = _one("bedrooms < 10 AND town IN ('a', 'b')")
    assert (verdict.result.status, verdict.result.finding, verdict.result.value) == ("ok", "", 0.0)


def test_violations_up_to_the_limit_are_fine_and_critical_beyond_the_second() -> None:
    found = {}
    for name, limits in {
        "below": {"above": "20%"},
        "beyond": {"above": "5%", "confidence": "90%"},
        "critical": {"above": "1%", "critical": "5%"},
    }.items():
        verdict = _one({"expression": "bedrooms <= rooms", **limits}, _rows(1000))
        found[name] = (verdict.result.status, verdict.result.level)
    assert found == {"below": ("ok", ""), "beyond": ("breach", ""), "critical": ("breach", "critical")}


def test_few_violations_beyond_a_limit_may_be_chance() -> None:
    verdict = _one({"expression": "bedrooms <= rooms", "above": "8%"})
    assert (verdict.result.status, verdict.result.reason, verdict.result.value) == ("ok", "not_significant", 0.1)


def test_each_segment_is_judged_by_its_own_rows() -> None:
    found = _judge({"expression": "bedrooms <= rooms", "segments": ["town"]})
    assert {segment: verdict.result.value for (_, segment), verdict in found.items()} == {
        "": 0.1,
        "town=a": 0.2,
        "town=b": 0.0,
    }
    assert found["e0", "town=a"].result.rows == 50


def test_rows_where_the_condition_is_null_are_not_judged() -> None:
    place = np.arange(100)
    rows = _rows(income=pa.array(np.where(place < 10, -1.0, 1.0), mask=place >= 40))
    verdict = _one("income > 0", rows)
    assert (verdict.result.status, verdict.result.value, verdict.result.rows) == ("breach", 0.25, 40)
    nowhere = _one("income > 0", _rows(income=pa.nulls(100, pa.float64())))
    assert (nowhere.result.status, nowhere.result.reason) == ("no_data", "no_values")
    assert nowhere.result.message == "income > 0 is null in all of 100 rows"


def test_nan_and_values_of_another_type_are_null() -> None:
    rows = _rows(income=np.where(np.arange(100) < 10, np.nan, 1.0))
    assert _count("income > 0", rows) == (90, 0)
    states = np.array([ord("o")] * 10 + [ord("i")] * 90, np.uint8)
    numbers = np.where(np.arange(100) < 10, np.nan, 1.0)
    mixed = FieldCells(states, numbers, None, np.arange(10), ['"many"'] * 10)
    rows = replace(rows, fields={**rows.fields, "income": mixed})
    assert _count("income > 0", rows) == (90, 0)
    assert _count("income IS NOT NULL", rows) == (90, 10)


def test_fewer_rows_than_the_rule_asks_for_are_no_data() -> None:
    verdict = _one("bedrooms <= rooms", _rows(28))
    assert (verdict.result.status, verdict.result.reason) == ("no_data", "too_few_rows")
    assert _one({"expression": "bedrooms <= rooms", "min_rows": 28}, _rows(28)).result.status == "breach"


def test_a_column_with_a_name_of_several_words_is_quoted_and_a_comment_hides_nothing() -> None:
    rows = _rows(**{"median income": np.arange(100.0)})
    assert _count('"median income" < 50', rows) == (50, 50)
    assert _count("bedrooms <= rooms -- as everywhere", rows) == (90, 10)


def test_predictions_and_scores_are_no_columns() -> None:
    table = pa.table({"x": np.arange(50.0), "predicted": np.arange(50.0)})
    rows = rows_of(Path("f"), table, Columns(prediction="predicted"), "m", "")
    with pytest.raises(EvaluationError, match="predicted"):
        _count("predicted >= 0", rows)
    assert _count("x >= 0", rows) == (50, 0)


# Expression → what DuckDB says.
WRONG = {
    "rooms > attics": 'Binder Error: Referenced column "attics" not found',
    "rooms >": "Parser Error: syntax error at or near",
    "rooms > 'many'": "Conversion Error: Could not convert string 'many'",
    "town": "Conversion Error: Could not convert string 'a' to BOOL",
    "roomy(rooms)": "Catalog Error: Scalar Function with name roomy does not exist",
    "sum(rooms) > rooms": "Binder Error: column",
    "rooms > 0; SELECT 1": "found ';', allowed is one expression",
}


@pytest.mark.parametrize(("expression", "message"), WRONG.items())
def test_an_invalid_condition_is_an_error_with_a_reason_and_other_rules_go_on(expression: str, message: str) -> None:
    found = _judge("bedrooms <= rooms", expression, "rooms > 0")
    wrong = found["e1", ""]
    assert (wrong.result.status, wrong.result.reason) == ("error", "exception")
    assert f"expression {expression!r}: " in wrong.result.message
    assert message in wrong.result.message
    assert (found["e0", ""].result.status, found["e2", ""].result.status) == ("breach", "ok")


# What a condition might try; `{file}` is a CSV file that is there, `{new}` one that is not.
ATTEMPTS = [
    "EXISTS (SELECT * FROM read_csv('/etc/passwd'))",
    "EXISTS (SELECT * FROM read_csv('{file}'))",
    "EXISTS (SELECT * FROM '{file}')",
    "EXISTS (SELECT * FROM read_text('{file}'))",
    "EXISTS (SELECT * FROM read_blob('{file}'))",
    "EXISTS (SELECT * FROM read_parquet('{file}'))",
    "EXISTS (SELECT * FROM sniff_csv('{file}'))",
    "EXISTS (SELECT * FROM glob('/etc/*'))",
    "EXISTS (SELECT * FROM read_csv('http://localhost:1/f.csv'))",
    "EXISTS (SELECT * FROM duckdb_secrets())",
    "getenv('A_SECRET') = 'known'",
    "(COPY predictions TO '{new}')",
    "true) FROM predictions) TO '{new}' --",
    "true)::BOOLEAN AS held FROM predictions); COPY predictions TO '{new}' --",
    "ATTACH '{new}'",
    "true; ATTACH '{new}'",
    "true; SET enable_external_access = true",
    "true; INSTALL httpfs",
    "LOAD httpfs",
    "EXISTS (SELECT * FROM rows)",
    "EXISTS (SELECT * FROM connection)",
]


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_nothing_outside_the_rows_is_within_reach(
    attempt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "known")
    file, new = tmp_path / "there.csv", tmp_path / "new.csv"
    file.write_text("a\n1\n")
    with pytest.raises(EvaluationError, match="expression"):
        _count(attempt.replace("{file}", str(file)).replace("{new}", str(new)))
    assert list(tmp_path.iterdir()) == [file]


def test_settings_stay_as_they_are() -> None:
    safe = (
        "current_setting('enable_external_access')::BOOLEAN = false AND current_setting('lock_configuration')::BOOLEAN"
    )
    assert _count(safe) == (100, 0)


def test_a_condition_that_would_not_end_is_ended_and_the_next_one_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "_SECONDS", 0.2)
    endless = "(SELECT count(*) FROM range(1000000000000) t(i) WHERE i % 7 = rooms) > 0"
    found = _judge(endless, "rooms > 0")
    assert found["e0", ""].result.status == "error"
    assert "INTERRUPT" in found["e0", ""].result.message.upper()
    assert found["e1", ""].result.status == "ok"


def test_a_condition_that_would_take_all_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "_MEMORY", "64MB")
    with pytest.raises(EvaluationError, match=r"(?i)memory"):
        _count("(SELECT max(length(a)) FROM (SELECT string_agg(repeat('x', 10000000), '') a FROM range(20))) > 0")
