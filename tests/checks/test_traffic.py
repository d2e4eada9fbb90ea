"""The stream of predictions: volume, freshness, latency, duplicates; and each of them when nothing comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from otel_mlmon.lab.simulate.faults import Fault, inject
from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.lab.simulate.run import simulate
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.rulefile import parse_text
from otel_mlmon.values import FieldCells, RowBlock, State, Texts, Verdict

SECOND = 10**9
HOUR = 3600
WINDOW = 1000  # seconds
PANE = 100


def _rows(n: int = 8000, columns: dict[str, Any] | None = None) -> RowBlock:
    """A prediction a second."""
    rows = rows_of(Path("stream"), pa.table(columns or {"x": np.arange(n, dtype=float)}), Columns(), "m", "")
    return replace(rows, times=np.arange(len(rows)) * SECOND)


def _verdicts(
    rule: str, rows: RowBlock, *, window: int = WINDOW, pane: int = PANE, end: int | None = None
) -> list[Verdict]:
    """Of each window in turn, the verdict on the model."""
    text = (
        f"groups:\n  - {{name: g, model: m, window: {window}s, interval: {window}s, rules: [{{alert: a, {rule}}}]}}\n"
    )
    groups = parse_text(text, Path("rules.yaml")).groups
    ticks = simulate(groups, rows, [], pane_ns=pane * SECOND, end=None if end is None else end * SECOND)
    return [alert.verdict for tick in ticks for alert in tick.alerts()]


def _statuses(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.result.status for verdict in verdicts]


def _lost(share: float, since: int) -> RowBlock:
    return inject(_rows(), Fault("lose", fraction=share, start=since * SECOND), np.random.default_rng(1))


# ---- volume ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "status", "finding", "threshold"),
    [
        ("minimum: 1000", "ok", "", 1000.0),
        ("minimum: 1001", "breach", "few", 1001.0),
        ("maximum: 1000", "ok", "", 1000.0),
        ("maximum: 999", "breach", "many", 999.0),
        ("minimum: 900, maximum: 1100", "ok", "", 1100.0),
        ("minimum: 1001, maximum: 1100", "breach", "few", 1001.0),
        ("minimum: 900, maximum: 999", "breach", "many", 999.0),
    ],
)
def test_volume_within_stated_limits_is_fine_from_the_first_window_on(
    limits: str, status: str, finding: str, threshold: float
) -> None:
    (verdict,) = _verdicts(f"integrity: volume, {limits}", _rows(1000))
    assert (verdict.result.status, verdict.result.finding, verdict.result.value, verdict.result.threshold) == (
        status,
        finding,
        1000.0,
        threshold,
    )
    assert verdict.result.message.startswith("1000 predictions, allowed are ")


def test_volume_says_which_limits_it_was_given() -> None:
    (low,) = _verdicts("integrity: volume, minimum: 1001", _rows(1000))
    assert low.result.message == "1000 predictions, allowed are 1001 to any number"
    (high,) = _verdicts("integrity: volume, maximum: 999", _rows(1000))
    assert high.result.message == "1000 predictions, allowed are 0 to 999"


def test_what_volume_is_usual_is_known_after_four_windows() -> None:
    verdicts = _verdicts("integrity: volume", _rows(6000))
    assert [(v.result.status, v.result.reason) for v in verdicts[:4]] == [("no_data", "no_history")] * 4
    assert _statuses(verdicts[4:]) == ["ok", "ok"]
    assert verdicts[5].result.message == "1000 predictions, usual are 1000"


@pytest.mark.parametrize(("share", "status"), [(0.45, "ok"), (0.55, "breach"), (1.0, "breach")])
def test_less_than_half_of_the_usual_volume_is_few(share: float, status: str) -> None:
    last = _verdicts("integrity: volume", _lost(share, 7000), end=8000)[-1]
    assert (last.result.status, last.result.finding) == (status, "few" if status == "breach" else "")
    assert last.result.message == f"{round(1000 * (1 - share))} predictions, usual are 1000"


@pytest.mark.parametrize(("share", "status"), [(0.9, "ok"), (1.0, "ok"), (1.1, "breach")])
def test_more_than_twice_the_usual_volume_is_many(share: float, status: str) -> None:
    rows = _rows()
    more = np.arange(7000, 7000 + round(1000 * share)).clip(max=7999)
    last = _verdicts("integrity: volume", take(rows, np.concatenate([np.arange(8000), more])))[-1]
    assert (last.result.status, last.result.finding) == (status, "many" if status == "breach" else "")


def test_no_predictions_at_all_are_few_and_not_no_data() -> None:
    stated = _verdicts("integrity: volume, minimum: 1", _rows(2000), end=3000)[-1]
    assert (stated.result.status, stated.result.finding, stated.result.message.split()[0]) == ("breach", "few", "0")
    usual = _verdicts("integrity: volume", _rows(6000), end=7000)[-1]
    assert (usual.result.status, usual.result.finding, usual.result.message) == (
        "breach",
        "few",
        "0 predictions, usual are 1000",
    )


def test_hours_that_are_quiet_every_week_are_usual() -> None:
    """Half days, of which those of Sunday have a tenth of the predictions; the sixth Sunday has them all."""
    half, per_half = 12 * HOUR, 200
    counts = [per_half // (10 if day % 7 == 6 else 1) for day in range(42) for _ in range(2)]
    counts[-2:] = [per_half, per_half]
    times = np.concatenate([i * half + np.arange(n) * half // n for i, n in enumerate(counts)])
    rows = replace(_rows(len(times)), times=times * SECOND)
    verdicts = _verdicts("integrity: volume", rows, window=half, pane=HOUR)
    assert (verdicts[12].result.status, verdicts[12].result.finding) == ("breach", "few"), "the first Sunday is news"
    assert set(_statuses(verdicts[4 * 14 : -2])) == {"ok"}, "from four weeks on nothing is"
    assert [(v.result.status, v.result.finding) for v in verdicts[-2:]] == [("breach", "many")] * 2


# ---- freshness ------------------------------------------------------------------------------------------------


def test_the_age_of_the_newest_prediction_grows_with_each_empty_window() -> None:
    verdicts = _verdicts("integrity: freshness, above: 1500s", _rows(2300), end=5000)
    assert [(v.result.status, v.result.value) for v in verdicts] == [
        ("ok", 0.0),
        ("ok", 0.0),
        ("ok", 700.0),
        ("breach", 1700.0),
        ("breach", 2700.0),
    ]
    assert verdicts[-1].result.finding == "stale"
    assert verdicts[-1].result.message == "the newest prediction is 45m old, allowed are 25m"


def test_predictions_that_are_older_than_four_weeks_are_no_data() -> None:
    day = 24 * HOUR
    verdicts = _verdicts("integrity: freshness, above: 1h", _rows(day), window=day, pane=HOUR, end=31 * day)
    assert _statuses(verdicts) == ["ok", *["breach"] * 27, *["no_data"] * 3]
    assert verdicts[-1].result.reason == "no_rows"


# ---- latency --------------------------------------------------------------------------------------------------


def _timed(slow: int, n: int = 1000) -> RowBlock:
    """Of each hundred predictions, the first `slow` took two seconds, and all others a tenth."""
    return replace(_rows(n), durations=np.where(np.arange(n) % 100 < slow, 2.0, 0.1))


@pytest.mark.parametrize(
    ("quantile", "slow", "status", "value"),
    [("95%", 1, "ok", 0.1), ("95%", 20, "breach", 2.0), ("50%", 20, "ok", 0.1), ("99.5%", 5, "breach", 2.0)],
)
def test_latency_is_a_quantile_of_the_durations(quantile: str, slow: int, status: str, value: float) -> None:
    (verdict,) = _verdicts(f"integrity: latency, quantile: {quantile}, above: 1s", _timed(slow))
    assert (verdict.result.status, verdict.result.value, verdict.result.threshold) == (status, value, 1.0)
    assert verdict.result.finding == ("slow" if status == "breach" else "")
    assert f"of 1000 predictions took up to {value:g} s, allowed are 1 s" in verdict.result.message


def test_few_slow_predictions_may_be_chance() -> None:
    (verdict,) = _verdicts("integrity: latency, above: 1s", _timed(6, 100))
    assert (verdict.result.status, verdict.result.reason, verdict.result.value) == ("ok", "not_significant", 2.0)


def test_latency_of_too_few_durations_is_no_data() -> None:
    timed = replace(_rows(1000), durations=np.where(np.arange(1000) < 29, 2.0, np.nan))
    (few,) = _verdicts("integrity: latency, above: 1s", timed)
    assert (few.result.status, few.result.reason, few.result.rows) == ("no_data", "too_few_rows", 29)
    (enough,) = _verdicts("integrity: latency, above: 1s, min_rows: 29", timed)
    assert enough.result.status == "breach"
    (none,) = _verdicts("integrity: latency, above: 1s", _rows(1000))
    assert (none.result.status, none.result.reason) == ("no_data", "no_rows")


# ---- duplicates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("share", "status"), [(0.005, "ok"), (0.2, "breach")])
def test_duplicates_are_the_share_of_rows_that_repeat_another_one(share: float, status: str) -> None:
    rows = inject(_rows(1000), Fault("duplicate", fraction=share), np.random.default_rng(2))
    (verdict,) = _verdicts("integrity: duplicates", rows)
    again = round(1000 * share)
    assert (verdict.result.status, verdict.result.value) == (status, again / (1000 + again))
    assert verdict.result.finding == ("duplicates" if status == "breach" else "")
    assert verdict.result.message.endswith(f"of {1000 + again} rows repeat another one")


def test_of_rows_that_are_all_the_same_one_is_no_repetition() -> None:
    (verdict,) = _verdicts("integrity: duplicates", _rows(columns={"x": [1.0] * 50, "town": ["a"] * 50}))
    assert (verdict.result.status, verdict.result.value) == ("breach", 0.98)


def test_rows_repeat_another_one_only_if_all_their_features_do() -> None:
    columns = {"x": np.arange(100) % 10, "town": [f"t{i // 10}" for i in range(100)]}
    (apart,) = _verdicts("integrity: duplicates", _rows(columns=columns))
    assert (apart.result.status, apart.result.value) == ("ok", 0.0)
    (alike,) = _verdicts("integrity: duplicates", _rows(columns={"x": columns["x"]}))
    assert (alike.result.status, alike.result.value) == ("breach", 0.9)


def test_predictions_make_no_difference_to_duplicates() -> None:
    table = pa.table({"x": [1.0] * 50, "predicted": np.arange(50.0)})
    rows = rows_of(Path("stream"), table, Columns(prediction="predicted"), "m", "")
    (verdict,) = _verdicts("integrity: duplicates", rows)
    assert verdict.result.value == 0.98


def test_duplicates_beyond_a_second_limit_are_critical() -> None:
    rows = inject(_rows(1000), Fault("duplicate", fraction=0.5), np.random.default_rng(3))
    (verdict,) = _verdicts("integrity: duplicates, above: 5%, critical: 20%", rows)
    assert (verdict.result.status, verdict.result.level) == ("breach", "critical")


def _cells(letters: str, numbers: Sequence[float], others: dict[int, str]) -> FieldCells:
    states = np.frombuffer(letters.encode(), np.uint8)
    return FieldCells(states, np.array(numbers), None, np.array(sorted(others), np.int64), list(others.values()))


NAN = float("nan")
ALIKE: dict[str, tuple[FieldCells, int]] = {
    "null and absent": (_cells(chr(State.NULL) + chr(State.ABSENT), [NAN, NAN], {}), 0),
    "null twice": (_cells(chr(State.NULL) * 2, [NAN, NAN], {}), 1),
    "absent twice": (_cells(chr(State.ABSENT) * 2, [NAN, NAN], {}), 1),
    "NaN and null": (_cells("fn", [NAN, NAN], {}), 0),
    "NaN twice": (_cells("ff", [NAN, NAN], {}), 1),
    "1 and 1.0": (_cells("if", [1.0, 1.0], {}), 0),
    "1 and text 1": (_cells("io", [1.0, NAN], {1: '"1"'}), 0),
    "text 1 and list": (_cells("oo", [NAN, NAN], {0: '"1"', 1: "[1]"}), 0),
    "the same text twice": (_cells("oo", [NAN, NAN], {0: '"1"', 1: '"1"'}), 1),
    "text and null": (_cells("on", [NAN, NAN], {0: '"1"'}), 0),
    "0 and -0": (_cells("ff", [0.0, -0.0], {}), 1),
}


@pytest.mark.parametrize(("cells", "again"), ALIKE.values(), ids=ALIKE)
def test_cells_are_alike_only_if_type_and_value_are(cells: FieldCells, again: int) -> None:
    rows = _rows(2, {"x": [1.0, 1.0], "town": ["a", "a"]})
    rows = replace(rows, fields={**rows.fields, "mixed": cells})
    (verdict,) = _verdicts("integrity: duplicates, min_rows: 2", rows)
    assert verdict.result.value == again / 2


def test_thousands_of_values_of_another_type_are_told_apart() -> None:
    n = 3000
    numbers = FieldCells(
        np.full(n, ord("o"), np.uint8),
        None,
        Texts(np.full(n, -1, np.int32), []),
        np.arange(n),
        [str(i // 2) for i in range(n)],
    )
    rows = _rows(n)
    (verdict,) = _verdicts("integrity: duplicates", replace(rows, fields={"town": numbers}), window=n)
    assert verdict.result.value == 0.5


def test_duplicates_among_too_few_rows_are_no_data() -> None:
    (verdict,) = _verdicts("integrity: duplicates", _rows(columns={"x": [1.0] * 29}))
    assert (verdict.result.status, verdict.result.reason) == ("no_data", "too_few_rows")


@pytest.mark.parametrize("rule", ["latency, above: 1s", "duplicates", "expression, expression: x > 0"])
def test_a_window_without_rows_is_no_data(rule: str) -> None:
    verdicts = _verdicts(f"integrity: {rule}", replace(_rows(1000), durations=np.full(1000, 0.1)), end=2000)
    assert [(v.result.status, v.result.reason) for v in verdicts[1:]] == [("no_data", "no_rows")]


def test_one_prediction_a_day_is_as_old_as_it_is() -> None:
    rows = replace(_rows(4), times=np.arange(4) * 24 * HOUR * SECOND)
    verdicts = _verdicts("integrity: freshness, above: 1h", rows, window=6 * HOUR, pane=60, end=4 * 24 * HOUR)
    assert [v.result.value for v in verdicts[:8]] == [(h % 24 or 24) * HOUR - 60.0 for h in range(6, 49, 6)]
    assert set(_statuses(verdicts)) == {"breach"}


def test_a_long_silence_does_not_become_what_is_usual() -> None:
    verdicts = _verdicts("integrity: volume", _rows(20_000), end=60_000)
    after = verdicts[20:]
    assert {v.result.status for v in after} <= {"breach", "no_data"}
    assert after[0].result.status == "breach"


@pytest.mark.parametrize("rule", ["integrity: duplicates", "integrity: expression, expression: x > 0"])
def test_a_model_without_features_is_no_data(rule: str) -> None:
    rows = replace(_rows(), fields={})
    assert {(v.result.status, v.result.reason) for v in _verdicts(rule, rows)} == {("no_data", "no_values")}


def test_null_and_absent_and_values_of_another_type_are_never_one_value() -> None:
    n = 400
    states = np.full(n, ord("o"), np.uint8)
    states[:2] = (State.NULL, State.ABSENT)
    texts = Texts(np.full(n, -1, np.int32), [])
    cells = FieldCells(states, None, texts, np.arange(2, n), [str(i) for i in range(2, n)])
    rows = replace(_rows(n), fields={"x": cells})
    assert [v.result.value for v in _verdicts("integrity: duplicates", rows)] == [0.0]
