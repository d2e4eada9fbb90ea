"""Ground truth by every transport, over loopback, to a real processor; a kill loses nothing."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import requests
from e2e.live import Processor, Serve
from peers.processes import free_ports

from otel_mlmon.lab.replay import provider_to
from otel_mlmon.sdk.monitor import Monitor
from otel_mlmon.server.service import Service

MLMON = str(Path(sys.executable).parent / "mlmon")
Start = Callable[..., Service]


def _url(service: Service) -> str:
    return f"http://{service.http_address}/v1/ground-truth"


def _post(url: str, body: bytes, content_type: str = "text/csv", **params: Any) -> requests.Response:
    return requests.post(url, params=params, data=body, headers={"Content-Type": content_type}, timeout=30)


def _predict(otlp: str, customers: list[int], model: str = "m") -> list[str]:
    provider = provider_to(otlp)
    monitor = Monitor(model, "1", logger_provider=provider, flush_interval_s=60)
    ids = [monitor.record({"customer": customer}, float(customer), id=f"p{customer}") for customer in customers]
    assert monitor.flush()
    monitor.close()
    provider.shutdown()
    return ids


def _settled(service: Service, model: str = "m") -> dict[str, int]:
    service.store.ground_truth.settle(service.store.seq())
    return {o: n for o, n in service.store.ground_truth.results().get(model, {}).items() if n}


def _load(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [MLMON, "ground-truth", "load", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


TABLE = pa.table({"prediction_id": ["p1", "p2", "p9"], "ground_truth": [1.0, 2.5, 9.0]})


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink)
    return sink.getvalue().to_pybytes()


LINES = "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()).encode()
BODIES = {
    "application/x-ndjson": LINES,
    "application/jsonl": LINES,
    "text/csv; charset=utf-8": b"prediction_id,ground_truth\np1,1.0\np2,2.5\np9,9.0\n",
    "application/vnd.apache.arrow.stream": _stream(TABLE),
    "application/vnd.apache.parquet": _parquet(TABLE),
}


@pytest.mark.parametrize("content_type", BODIES)
def test_each_format_is_answered_after_the_commit(start: Start, content_type: str) -> None:
    service = start()
    _predict(f"http://{service.http_address}", [1, 2])
    got = _post(_url(service), BODIES[content_type], content_type, model="m", known_at=5)
    assert got.status_code == 200
    assert got.json() == {"stored": 3, "duplicates": 0, "rejected": 0, "reasons": {}, "message": ""}
    assert service.store.query("SELECT prediction_id, time, number FROM mlmon_state.ground_truth ORDER BY 1") == [
        ("p1", 5, 1.0),
        ("p2", 5, 2.5),
        ("p9", 5, 9.0),
    ]
    assert _settled(service) == {"joined": 2, "waiting": 1}
    packed = requests.post(
        _url(service),
        params={"model": "m", "known_at": 5},
        data=gzip.compress(BODIES[content_type]),
        timeout=30,
        headers={"Content-Type": content_type, "Content-Encoding": "gzip"},
    )
    assert packed.json()["duplicates"] == 3
    ingest = service.reports.status()["ingest"]
    assert ingest == {"received": 8, "stored": 5, "duplicates": 3, "rejected": 0}


def test_bad_rows_are_counted_by_reason_and_the_rest_is_stored(start: Start) -> None:
    service = start()
    body = b"offer,sold,at\np1,1,2026-01-01\n,2,2026-01-01\np3,3,soon\np4,4,2026-01-01\n"
    got = _post(_url(service), body, model="m", id="offer", value="sold", time="at").json()
    assert (got["stored"], got["rejected"], got["reasons"]) == (2, 2, {"no_prediction_id": 1, "bad_time": 1})
    assert got["message"] == "row 2: 'offer' is \"\"; allowed is the id of a prediction"
    ingest = service.reports.status()["ingest"]
    assert ingest["received"] == ingest["stored"] + ingest["duplicates"] + ingest["rejected"] == 4
    exposed = requests.get(f"{service.web_url}/metrics", timeout=10).text
    assert 'mlmon_outcome="partial",mlmon_signal="ground_truth",mlmon_transport="http"' in exposed


def test_keys_in_place_of_ids(start: Start) -> None:
    service = start()
    _predict(f"http://{service.http_address}", [1, 2])
    got = _post(_url(service), b"who,y\n1,7\n3,8\n", model="m", key="customer:who", value="y").json()
    assert got["stored"] == 2
    _predict(f"http://{service.http_address}", [3])
    assert service.store.query("SELECT prediction_id, number FROM mlmon_state.ground_truth ORDER BY 1") == [
        ("p1", 7.0),
        ("p3", 8.0),
    ]
    assert _settled(service) == {"joined": 2, "early": 1}


REFUSED: dict[str, tuple[bytes, str, dict[str, Any], int, str]] = {
    "another content type": (
        b"",
        "text/plain",
        {"model": "m"},
        415,
        "content type 'text/plain'; allowed are application/x-ndjson",
    ),
    "an unknown parameter": (b"", "text/csv", {"modell": "m"}, 400, "parameter 'modell'; allowed are model, id, value"),
    "an empty parameter": (b"", "text/csv", {"model": ""}, 400, "parameter 'model' is empty"),
    "a parameter twice": (b"", "text/csv", {"model": ["a", "b"]}, 400, "'model' comes twice"),
    "id and key": (b"", "text/csv", {"id": "a", "key": "b"}, 400, "allowed is one way"),
    "a time that is none": (b"", "text/csv", {"known_at": "now"}, 400, "'known_at' is 'now'"),
    "no model": (b"prediction_id,ground_truth\n1,2\n", "text/csv", {}, 400, "no column 'model'"),
    "no such column": (b"a,b\n1,2\n", "text/csv", {"model": "m"}, 400, "no column 'prediction_id'; found 'a', 'b'"),
    "no Parquet": (b"PAR1", "application/vnd.apache.parquet", {"model": "m"}, 400, "no Parquet file"),
    "too large": (b"x" * 200_000, "text/csv", {"model": "m"}, 413, "more than 100000 bytes"),
}


@pytest.mark.parametrize(("body", "content_type", "params", "status", "said"), REFUSED.values(), ids=REFUSED)
def test_unusable_requests_are_refused_with_the_allowed_values(
    start: Start, body: bytes, content_type: str, params: dict[str, Any], status: int, said: str
) -> None:
    service = start(receive={"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "max_body_bytes": 100_000})
    got = _post(_url(service), body, content_type, **params)
    assert got.status_code == status
    assert said in got.json()["error"]
    assert _post(_url(service), BODIES["application/jsonl"], "application/jsonl", model="m").json()["stored"] == 3


def test_another_method_and_a_full_queue(start: Start) -> None:
    service = start(receive={"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "max_queue_rows": 1})
    got = requests.get(_url(service), timeout=10)
    assert (got.status_code, got.headers["Allow"]) == (405, "POST")
    assert "POST /v1/ground-truth" in got.json()["error"]
    service._pipeline._waiting_rows = 1  # as it is while a commit takes its time
    got = _post(_url(service), LINES, "application/jsonl", model="m")
    assert (got.status_code, got.headers["Retry-After"]) == (503, "1")
    assert "the limit is 1" in got.json()["error"]
    service._pipeline._waiting_rows = 0
    assert _post(_url(service), LINES, "application/jsonl", model="m").status_code == 200


FILES = {
    "sold.csv": lambda table: ("id,y\n" + "".join(f"{r['id']},{r['y']}\n" for r in table.to_pylist())).encode(),
    "sold.csv.gz": lambda table: gzip.compress(FILES["sold.csv"](table)),
    "sold.jsonl": lambda table: "".join(json.dumps(r) + "\n" for r in table.to_pylist()).encode(),
    "sold.jsonl.gz": lambda table: gzip.compress(FILES["sold.jsonl"](table)),
    "sold.parquet": _parquet,
    "sold.arrow": _stream,
}


@pytest.mark.parametrize("name", FILES)
def test_load_sends_a_file_in_pieces_and_again_without_harm(start: Start, tmp_path: Path, name: str) -> None:
    service = start()
    table = pa.table({"id": [f"p{i}" for i in range(25_000)], "y": pa.array([float(i) for i in range(25_000)])})
    (tmp_path / name).write_bytes(FILES[name](table))  # type: ignore[no-untyped-call]
    arguments = (
        tmp_path / name,
        "--model",
        "m",
        "--id-column",
        "id",
        "--value-column",
        "y",
        "--endpoint",
        f"http://{service.http_address}",
    )
    done = _load(*arguments)
    assert (done.returncode, done.stdout) == (0, "stored 25000, duplicates 0, rejected 0\n"), done.stderr
    assert _load(*arguments).stdout == "stored 0, duplicates 25000, rejected 0\n"
    assert service.store.query("SELECT count(*), sum(number) FROM mlmon_state.ground_truth") == [
        (25_000, 24_999 * 12_500.0)
    ]


def test_load_reports_bad_rows_with_their_place(start: Start, tmp_path: Path) -> None:
    service = start()
    path = tmp_path / "churn.csv"
    path.write_text("customer,churned,at\n" + "1,yes,2026-01-01\n" * 10_500 + ",no,2026-01-01\n")
    endpoint = ("--endpoint", f"http://{service.http_address}")
    done = _load(
        path, "--model", "m", "--key", "customer", "--value-column", "churned", "--time-column", "at", *endpoint
    )
    assert (done.returncode, done.stdout) == (1, "stored 1, duplicates 10499, rejected 1\n")
    assert "(no_key 1), the first of them: row 10501: 'customer' is not there, or null" in done.stderr
    assert (
        "no column 'prediction_id'; the file has 'customer', 'churned', 'at'"
        in _load(path, "--model", "m", *endpoint).stderr
    )
    assert "allowed are .csv" in _load(__file__, "--model", "m", *endpoint).stderr
    (port,) = free_ports(1)
    done = _load(
        path, "--model", "m", "--key", "customer", "--value-column", "churned", "--endpoint", f"http://127.0.0.1:{port}"
    )
    assert done.returncode == 1
    assert "no processor answers" in done.stderr


def test_load_waits_for_a_busy_processor(start: Start, tmp_path: Path) -> None:
    service = start(receive={"grpc": "127.0.0.1:0", "http": "127.0.0.1:0", "max_queue_rows": 1})
    path = tmp_path / "sold.csv"
    path.write_bytes(BODIES["text/csv; charset=utf-8"])
    service._pipeline._waiting_rows = 1  # as it is while a commit takes its time
    command = [MLMON, "ground-truth", "load", str(path), "--model", "m", "--endpoint", f"http://{service.http_address}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as loading:
        retried = 'mlmon_outcome="retry",mlmon_signal="ground_truth"'
        while retried not in requests.get(f"{service.web_url}/metrics", timeout=10).text:
            time.sleep(0.1)
        service._pipeline._waiting_rows = 0
        out, _ = loading.communicate(timeout=60)
    assert out == "stored 3, duplicates 0, rejected 0\n"


def test_the_sdk_sends_keys_and_deployments(start: Start) -> None:
    service = start()
    otlp = f"http://{service.http_address}"
    _predict(otlp, [1, 2, 3])
    provider = provider_to(otlp)
    monitor = Monitor("m", "1", logger_provider=provider, flush_interval_s=60)
    monitor.ground_truth(None, 10.0, key={"customer": 1})
    monitor.ground_truth("p2", 20.0)
    monitor.ground_truth_batch(values=[30.0, 40.0], keys={"customer": [3, 4]})
    monitor.deployed("2", "new weights")
    assert monitor.flush()
    monitor.close()
    provider.shutdown()
    assert service.store.query("SELECT prediction_id, number FROM mlmon_state.ground_truth ORDER BY 1") == [
        ("p1", 10.0),
        ("p2", 20.0),
        ("p3", 30.0),
    ]
    assert _settled(service) == {"joined": 3, "waiting": 1}
    changes = service.store.changes("m", 0, 2**62, 100)
    assert [(c.kind, c.value, c.text) for c in changes if c.kind == "deployment"] == [
        ("deployment", "2", "new weights")
    ]
    kinds = {c.kind for c in changes}
    assert kinds >= {"model_version", "feature_set", "client"}
    ingest = service.reports.status()["ingest"]
    assert ingest["received"] == ingest["stored"] == 3 + 4 + 1


def test_single_events_of_other_sdks_by_key_and_of_deployments(start: Start) -> None:
    service = start()
    _predict(f"http://{service.http_address}", [1])

    def text(key: str, value: str) -> dict[str, Any]:
        return {"key": key, "value": {"stringValue": value}}

    records = [
        {
            "eventName": "mlmon.ground_truth",
            "timeUnixNano": str(time.time_ns()),
            "attributes": [
                text("mlmon.model.name", "m"),
                text("mlmon.ground_truth.value", "yes"),
                {"key": "mlmon.ground_truth.key.customer", "value": {"intValue": "1"}},
            ],
        },
        {
            "eventName": "mlmon.ground_truth",
            "attributes": [
                text("mlmon.model.name", "m"),
                text("mlmon.ground_truth.value", "yes"),
                {"key": "mlmon.ground_truth.key.x", "value": {}},
            ],
        },
        {"eventName": "mlmon.deployment", "timeUnixNano": "5", "body": {"stringValue": "prices in cents"}},
    ]
    resource = {"attributes": [text("service.name", "shop"), text("service.version", "8")]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    got = requests.post(f"http://{service.http_address}/v1/logs", json=body, timeout=10).json()
    assert got["partialSuccess"]["rejectedLogRecords"] == "1"
    assert "mlmon.ground_truth.key.x is missing" in got["partialSuccess"]["errorMessage"]
    assert service.store.query("SELECT prediction_id, text FROM mlmon_state.ground_truth") == [("p1", "yes")]
    (deployed,) = service.store.changes("another model", 0, 2**62, 9)
    assert (deployed.model, deployed.kind, deployed.value, deployed.time, deployed.text) == (
        "",
        "deployment",
        "shop 8",
        5,
        "prices in cents",
    )


def _wait(done: Callable[[], object], deadline_s: float = 60.0) -> None:
    until = time.monotonic() + deadline_s
    while not done():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


def _of(processor: Processor) -> dict[str, int]:
    models = processor.get("/api/v1/status")["models"]
    return {o: n for o, n in models[0]["ground_truth"].items() if n} if models else {}


def test_kill_loses_no_answered_row(serve: Serve) -> None:
    ports = free_ports(3)
    with serve(ports=ports) as processor:
        url = f"{processor.otlp}/v1/ground-truth"
        assert _post(url, b"prediction_id,ground_truth\np1,1\np2,2\n", model="m").json()["stored"] == 2
        assert _post(url, b"customer,ground_truth\n3,3\n4,4\n", model="m", key="customer").json()["stored"] == 2
        _predict(processor.otlp, [1])
        os.kill(processor.pid, signal.SIGKILL)
    with serve(ports=ports) as processor:
        _predict(processor.otlp, [2, 3])
        _wait(lambda: _of(processor) == {"joined": 3, "early": 3, "waiting": 1})
        exposed = processor.metrics()
        assert 'mlmon_ground_truth_rows_total{mlmon_model_name="m",mlmon_outcome="joined"} 3' in exposed
        assert 'mlmon_ground_truth_waiting_rows{mlmon_model_name="m"} 1' in exposed
        shown = subprocess.run(
            [MLMON, "status", "--processor", processor.web], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        assert "ground truth" in shown
        assert "early 3" in shown
