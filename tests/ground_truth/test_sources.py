"""Queries that fetch ground truth from files and other databases at intervals."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from batches import SECOND, predictions
from ground_truth.fetching import NOW, Fetch, wait

from otel_mlmon.errors import ConfigError, EvaluationError, Overloaded
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.receive.receipt import TableReceipt
from otel_mlmon.server.config import GroundTruthSource, load_config, parse_config
from otel_mlmon.server.ground_truth_sources import GroundTruthSources
from otel_mlmon.server.service import Service
from otel_mlmon.store import Store
from otel_mlmon.store.ground_truth_query import GroundTruthQuery
from otel_mlmon.values import Decoded
from otel_mlmon.wire import semconv

Start = Callable[..., Service]
DAY1 = datetime(2026, 1, 1, tzinfo=UTC)


def _sold(path: Path, n: int, first: int = 0) -> None:
    pa.parquet.write_table(
        pa.table(
            {
                "offer": [str(i) for i in range(first, first + n)],
                "price": pa.array([float(i) for i in range(first, first + n)]),
                "sold_at": pa.array(
                    [DAY1 + timedelta(seconds=i) for i in range(first, first + n)], pa.timestamp("us", "UTC")
                ),
            }
        ),
        path,
    )


def _source(query: str, **given: Any) -> GroundTruthSource:
    return GroundTruthSource.model_validate(
        {"name": "sold", "model": "m", "query": query, "id": "offer", "value": "price", "time": "sold_at", **given}
    )


def test_query_takes_only_new_rows_also_after_a_restart(fetch: Fetch, tmp_path: Path) -> None:
    path = tmp_path / "s.duckdb"
    store = Store(path)
    _sold(tmp_path / "sold.parquet", 25_000)
    source = _source("SELECT * FROM 'sold.parquet' WHERE sold_at > $since", directory=tmp_path)
    (first,) = fetch(store, source).run()
    assert (first["stored"], first["duplicates"], first["error"]) == (25_000, 0, "")
    store.close()
    store = Store(path)
    _sold(tmp_path / "sold.parquet", 25_010)
    fetcher = fetch(store, source)
    (again,) = fetcher.run()
    assert (again["stored"], again["duplicates"]) == (10, 0)
    assert fetcher.run()[0]["stored"] == 10
    assert store.query("SELECT count(*), count(DISTINCT prediction_id) FROM mlmon_state.ground_truth") == [
        (25_010, 25_010)
    ]
    assert fetcher.counters.value(semconv.INGEST_RECEIVED) == 10


def test_without_since_all_is_read_again_and_is_a_duplicate(fetch: Fetch, tmp_path: Path) -> None:
    store = Store(None)
    (tmp_path / "sold.csv").write_text("offer,price,sold_at\n1,2.5,2026-01-01T00:00:00Z\n2,x,2026-01-02\n")
    fetcher = fetch(store, _source("FROM 'sold.csv'", directory=tmp_path))
    found = [fetcher.run()[0] for _ in range(2)]
    assert [(status["stored"], status["duplicates"]) for status in found] == [(2, 0), (2, 2)]


def test_a_database_of_duckdb_is_attached_read_only_and_rows_are_named_by_keys(fetch: Fetch, tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "crm.duckdb")) as crm:
        crm.execute(
            "CREATE TABLE churn AS SELECT 42::BIGINT AS who, DATE '2026-01-02' AS day, true AS churned, "
            "TIMESTAMP '2026-01-03' AS sold_at"
        )
    store = Store(None)
    rows = [{"customer": 42, "day": "2026-01-02"}, {"customer": 43, "day": "2026-01-02"}]
    store.commit([predictions(rows, [True, True], ids=["p", "q"], times=[1_767_312_000 * SECOND] * 2)], 0)
    source = GroundTruthSource.model_validate(
        {
            "name": "churn",
            "model": "m",
            "query": "SELECT * FROM crm.churn",
            "value": "churned",
            "time": "sold_at",
            "attach": [{"path": "crm.duckdb", "as": "crm"}],
            "keys": {"customer": "who", "day": "day"},
            "directory": tmp_path,
        }
    )
    (found,) = fetch(store, source).run()
    assert (found["stored"], found["error"]) == (1, "")
    assert store.query("SELECT prediction_id, text FROM mlmon_state.ground_truth") == [("p", "true")]
    query = GroundTruthQuery("FROM crm.churn", [("crm.duckdb", "crm")], tmp_path)
    with pytest.raises(EvaluationError, match="read-only"):
        query._query = "CREATE TABLE crm.x (a INT)"
        query.run(0, 10, lambda table: None)


def test_failing_query_is_reported_and_the_others_go_on(fetch: Fetch, tmp_path: Path) -> None:
    _sold(tmp_path / "sold.parquet", 3)
    bad = _source("FROM 'nowhere.parquet'", name="bad", directory=tmp_path)
    lacking = _source("SELECT offer, price FROM 'sold.parquet'", name="lacking", directory=tmp_path)
    partly = _source(
        "SELECT nullif(offer, '1') AS offer, price, sold_at FROM 'sold.parquet'", name="partly", directory=tmp_path
    )
    fetcher = fetch(Store(None), bad, lacking, partly)
    status = fetcher.run()
    assert [s["stored"] for s in status] == [0, 0, 2]
    assert "nowhere.parquet" in status[0]["error"]
    assert "no column 'sold_at'; found 'offer', 'price'" in status[1]["error"]
    assert status[2]["rejected"] == 1
    assert [note.split(":")[0] for note in fetcher.made.notes()] == [
        "ground truth source 'bad' failed",
        "ground truth source 'lacking' failed",
        "ground truth source 'partly'",
    ]
    runs = {o: fetcher.counters.value(semconv.SOURCE_RUNS, **{semconv.OUTCOME: o}) for o in ("ok", "failed")}
    assert runs == {"ok": 1, "failed": 2}
    _sold(tmp_path / "nowhere.parquet", 3)
    assert fetcher.run()[0]["error"] == ""


def test_time_from_the_future_does_not_hide_earlier_rows(fetch: Fetch, tmp_path: Path) -> None:
    store = Store(None)
    fetcher = fetch(store, _source("SELECT * FROM 'sold.csv' WHERE sold_at > $since", directory=tmp_path))
    (tmp_path / "sold.csv").write_text("offer,price,sold_at\n1,1,2090-01-01T00:00:00Z\n")
    assert fetcher.run()[0]["newest"] == NOW


def test_time_out_of_range_rejects_its_row_only(fetch: Fetch) -> None:
    times = "'infinity'::TIMESTAMP, '-infinity'::TIMESTAMP, '2026-01-01'::TIMESTAMP"
    fetcher = fetch(Store(None), _source(f"SELECT 'a' AS offer, 1 AS price, unnest([{times}]) AS sold_at"))
    (status,) = fetcher.run()
    assert (status["stored"], status["rejected"], status["error"]) == (1, 2, "")
    assert status["message"].startswith("row 1: 'sold_at' is \"out of range\"; allowed are ISO 8601")


def test_source_waits_for_a_full_queue(tmp_path: Path) -> None:
    _sold(tmp_path / "sold.parquet", 3)
    source = _source("FROM 'sold.parquet'", directory=tmp_path)
    answers: list[Exception | TableReceipt] = [
        Overloaded("full", 0.01),
        Overloaded("full", 0.01),
        TableReceipt(stored=3),
    ]

    def store(decoded: Decoded) -> TableReceipt:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    pair = (source, GroundTruthQuery(source.query, [], source.directory))
    made = GroundTruthSources([pair], store, Store(None).documents, Counters(), lambda: NOW)
    made.fetch(*made.runs[0])
    assert made.status()[0]["stored"] == 3


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1; SELECT 2", "allowed is one SELECT"),
        ("ATTACH 'mlmon.duckdb'", "found ATTACH; allowed is one SELECT"),
        ("SELEC 1", "syntax error"),
        ("SELECT $until", r"parameter \$until; allowed is \$since"),
        ("COPY (SELECT 1) TO 'x.csv'", "allowed is one SELECT"),
    ],
)
def test_query_other_than_a_single_select_is_refused_at_the_start(start: Start, query: str, said: str) -> None:
    source = {"name": "sold", "model": "m", "query": query, "time": "sold_at"}
    with pytest.raises(ConfigError, match=f"(?s)ground_truth: source 'sold': query: .*{said}"):
        start(ground_truth=[source])


def test_the_store_cannot_be_read(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.duckdb")
    store.commit([predictions([{"x": 1}])], 0)
    for query in ("FROM 's.duckdb'", "FROM predictions.m", "FROM mlmon_state.models"):
        with pytest.raises(EvaluationError):
            GroundTruthQuery(query, [], tmp_path).run(0, 10, lambda table: None)
    store.close()


def test_a_service_fetches_at_its_start_and_again_and_shows_how_it_goes(start: Start, tmp_path: Path) -> None:
    _sold(tmp_path / "sold.parquet", 100)
    sold = {
        "name": "sold",
        "model": "m",
        "query": f"FROM '{tmp_path}/sold.parquet' WHERE sold_at > $since",
        "every": "1s",
        "id": "offer",
        "value": "price",
        "time": "sold_at",
    }
    bad = {"name": "bad", "model": "m", "query": "FROM nowhere", "every": "1h", "time": "sold_at"}
    service = start(ground_truth=[sold, bad])
    service._pipeline.store(Decoded((predictions([{"x": 1}] * 50, [1.0] * 50, ids=[str(i) for i in range(50)]),)))
    wait(lambda: service.reports.status()["ground_truth_sources"][0]["stored"] == 100)
    _sold(tmp_path / "sold.parquet", 120)
    wait(lambda: service.reports.status()["ground_truth_sources"][0]["stored"] == 120)
    wait(lambda: any("source 'bad' failed" in note for note in service.reports.status()["notes"]))
    (model,) = service.reports.status()["models"]
    wait(lambda: service.reports.status()["models"][0]["ground_truth"].get("joined") == 50)
    assert model["rows"] == 50


def test_the_example_of_the_page_is_a_configuration() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "ground-truth.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    sources = parse_config(yaml.safe_load(block), "page").ground_truth
    assert [(s.name, s.database) for s in sources] == [("sold", ""), ("churn", "postgresql://mlmon@crm.internal/crm")]


def test_the_section_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "mlmon.yaml"
    path.write_text(
        "ground_truth:\n  - {name: a, model: m, query: FROM x, time: at, keys: [customer], every: 1h,"
        " attach: [{path: crm.duckdb, as: crm}]}\n"
    )
    (source,) = load_config(path).ground_truth
    assert (source.keys, source.every, source.directory) == ({"customer": "customer"}, 3600 * SECOND, tmp_path)
    assert source.attach[0].name == "crm"
    path.write_text(
        "ground_truth:\n  - {name: a, query: FROM x}\n  - {name: b, query: FROM x, time: at, id: i, keys: [k]}\n"
        "  - {name: c, query: FROM x, time: at, attach: [{path: x, as: 'a b'}]}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    lines = [line.removeprefix(f"{path}: ") for line in str(caught.value).splitlines()]
    assert lines[0] == "ground_truth.0.time: Field required"
    assert lines[1] == "ground_truth.1: found id and keys, allowed is one of the two"
    assert [line.split(":")[0] for line in lines[2:]] == ["ground_truth.2.attach.0.as"]
    path.write_text("ground_truth:\n" + "  - {name: a, query: FROM x, time: at}\n" * 2)
    with pytest.raises(ConfigError, match="two sources called 'a'"):
        load_config(path)
