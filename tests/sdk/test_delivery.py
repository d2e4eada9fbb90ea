"""From `configure` to the wire, over real HTTP; tests of the process run in their own process."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from sdk.sdk_receivers import wait_until

from otel_mlmon import Monitor
from otel_mlmon.sdk import emit
from otel_mlmon.sdk.deliver import DeliveringLogRecordProcessor
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.sdk.session import Answer
from otel_mlmon.sdk.setup import Destination, make_exporters
from otel_mlmon.wire import semconv


def run(script: str, *, code: int = 0, **environment: str) -> str:
    """Run `script` in a fresh interpreter and return its output."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**{k: v for k, v in os.environ.items() if not k.startswith("OTEL_")}, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def deliverer(server: Any, **arguments: Any) -> tuple[LoggerProvider, DeliveringLogRecordProcessor]:
    answer = Answer()
    (exporter,) = make_exporters("logs", Destination(server.url, None), answer)
    processor = DeliveringLogRecordProcessor(exporter, answer=answer, **{"interval_s": 0.05} | arguments)
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(processor)
    emit.size_aware.add(provider)
    return provider, processor


@pytest.fixture(autouse=True)
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    # OpenTelemetry's exporter retries by itself for this long before our own retry starts.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    monkeypatch.setattr("otel_mlmon.sdk.deliver._FIRST_BACKOFF_S", 0.05)
    monkeypatch.setattr("otel_mlmon.sdk.deliver._LAST_BACKOFF_S", 0.2)


def test_a_server_that_is_away_for_a_while_loses_nothing(server: Any) -> None:
    provider, _ = deliverer(server)
    monitor = Monitor("away", logger_provider=provider, flush_interval_s=3600)
    server.status = 503
    ids = [monitor.record({"x": i}, i) for i in range(5)]
    assert not monitor.flush(timeout_s=0.5)
    ids += [monitor.record({"x": i}, i) for i in range(5)]
    monitor._outbox.drain()
    wait_until(lambda: server.attempts >= 3)
    server.status = 200
    assert [row["prediction_id"] for row in server.wait_for_rows(10)] == ids
    assert monitor.flush()
    monitor._retire()
    provider.shutdown()
    assert [row["prediction_id"] for row in server.rows()] == ids
    assert ("away", "queue_full") not in LEDGER.dropped()


def test_full_queue_drops_the_oldest_records_and_counts_them(server: Any) -> None:
    provider, _ = deliverer(server, max_bytes=300_000)
    monitor = Monitor("overflow", logger_provider=provider, flush_interval_s=3600)
    server.status = 503
    for i in range(10):
        monitor.record({"text": os.urandom(40_000).hex(), "i": i}, i)
        monitor._outbox.drain()
    server.status = 200
    assert monitor.flush(timeout_s=10)
    lost = LEDGER.dropped()["overflow", "queue_full"]
    assert 5 <= lost <= 9
    assert [row["feature.i"] for row in server.rows()] == list(range(lost, 10))
    monitor.record({"i": 10}, 1)
    assert monitor.flush()
    last = {each.key: each.value.int_value for each in server.records()[-1].attributes}
    told = sum(a.value.int_value for r in server.records() for a in r.attributes if a.key == semconv.BATCH_DROPPED)
    assert (told, last[semconv.BATCH_SIZE]) == (lost, 1)
    monitor._retire()
    provider.shutdown()


def test_permanent_refusal_is_counted_and_does_not_block_later_records(server: Any) -> None:
    provider, _ = deliverer(server)
    monitor = Monitor("refused", logger_provider=provider, flush_interval_s=3600)
    server.status = 400
    monitor.record({"x": 1}, 1)
    assert monitor.flush(), "nothing waits any more"
    server.status = 200
    monitor.record({"x": 2}, 1)
    assert monitor.flush()
    assert [row["feature.x"] for row in server.rows()] == [2]
    assert LEDGER.dropped()["refused", "rejected"] == 1
    monitor._retire()
    provider.shutdown()


def test_requests_are_bounded_by_bytes(server: Any) -> None:
    provider, processor = deliverer(server, interval_s=3600)
    monitor = Monitor("bytes", logger_provider=provider, flush_interval_s=3600)
    for i in range(160):
        monitor.record({"text": os.urandom(40_000).hex(), "i": i}, 1)
    monitor._outbox.drain()
    assert processor.force_flush()
    assert len(server.rows()) == 160
    assert max(server.sizes) < 3.5 * 1024 * 1024
    assert len(server.sizes) <= 5, "and filled well"
    monitor._retire()
    provider.shutdown()


def test_shutdown_delivers_ends_its_thread_and_may_be_repeated(server: Any) -> None:
    provider, processor = deliverer(server, interval_s=3600)
    monitor = Monitor("shut", logger_provider=provider, flush_interval_s=3600)
    monitor.record({"x": 1}, 1)
    monitor._outbox.drain()
    worker = processor._worker
    provider.shutdown()
    processor.shutdown()
    assert len(server.rows()) == 1
    assert worker is not None
    assert not worker.is_alive()
    monitor.record({"x": 2}, 1)
    monitor.close()
    assert LEDGER.dropped()["shut", "shutdown"] == 1


def test_the_flush_thread_sends_without_being_asked(server: Any) -> None:
    provider, _ = deliverer(server)
    monitor = Monitor("tick", logger_provider=provider, flush_interval_s=0.05)
    monitor.record({"x": 1}, 1)
    server.wait_for_rows(1)
    monitor._retire()
    provider.shutdown()


def test_importing_the_package_loads_only_the_api_of_opentelemetry() -> None:
    output = run(
        """
        import sys
        before = set(sys.modules)
        import otel_mlmon
        loaded = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
        print(sorted(loaded))
        from otel_mlmon import Monitor
        Monitor("m").record({}, 1)
        heavy = ("numpy", "pandas", "pyarrow", "opentelemetry.sdk", "requests", "duckdb")
        print([name for name in heavy if name in sys.modules])
        """
    )
    assert output.splitlines()[:2] == ["['otel_mlmon']", "[]"]


ORDERS = {
    "monitor after configure": "otel_mlmon.configure(); m = otel_mlmon.Monitor('m'); m.record({'x': 1}, 1)",
    "monitor before configure": "m = otel_mlmon.Monitor('m'); otel_mlmon.configure(); m.record({'x': 1}, 1)",
    "configure after the first prediction": "m = otel_mlmon.Monitor('m', flush_interval_s=60)\n"
    "m.record({'x': 1}, 1); otel_mlmon.configure()",
    "a monitor that is forgotten": "otel_mlmon.configure(); otel_mlmon.Monitor('m').record({'x': 1}, 1)",
    "an error that ends the program": "otel_mlmon.configure(); m = otel_mlmon.Monitor('m')\n"
    "m.record({'x': 1}, 1); raise SystemExit(0)",
    "a child of multiprocessing": """
import multiprocessing
otel_mlmon.configure(); m = otel_mlmon.Monitor('m')
process = multiprocessing.get_context('fork').Process(target=lambda: m.record({'x': 1}, 1))
process.start(); process.join()
""",
    "providers of the application's own, set last": """
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
m = otel_mlmon.Monitor('m')
provider = LoggerProvider(); provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
set_logger_provider(provider)
m.record({'x': 1}, 1)
""",
}


@pytest.mark.parametrize("script", ORDERS.values(), ids=ORDERS.keys())
def test_waiting_records_are_delivered_at_exit(server: Any, script: str) -> None:
    output = run(f"import otel_mlmon\n{script}", OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
    assert [row["feature.x"] for row in server.rows()] == [1], output
    assert "Traceback" not in output


def test_process_ends_soon_without_a_receiver() -> None:
    started = time.monotonic()
    output = run(
        "import otel_mlmon; otel_mlmon.configure(); otel_mlmon.Monitor('m').record({'x': 1}, 1)",
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_METRICS_EXPORTER="none",
    )
    assert time.monotonic() - started < 10
    assert "could not be delivered (shutdown)" in output


FORK = """
import os, sys, otel_mlmon
otel_mlmon.configure()
m = otel_mlmon.Monitor('forked', flush_interval_s=float(sys.argv[1]) if len(sys.argv) > 1 else 0.05)
for i in range(300):
    m.record({'who': 'parent', 'i': i}, 1)
    m.ground_truth(f'p{i}', 1)
children = []
for child in range(3):
    pid = os.fork()
    if not pid:
        for i in range(300):
            m.record({'who': f'child {child}', 'i': i}, 1)
        sys.exit(0)
    children.append(pid)
for i in range(300, 600):
    m.record({'who': 'parent', 'i': i}, 1)
for pid in children:
    assert os.waitpid(pid, 0)[1] == 0
"""


def test_rows_of_a_parent_and_its_forked_children_arrive_once_each(server: Any) -> None:
    run(FORK, OTEL_EXPORTER_OTLP_ENDPOINT=server.url)
    rows = server.rows()
    found = sorted((row["feature.who"], row["feature.i"]) for row in rows)
    expected = [("parent", i) for i in range(600)] + [(f"child {c}", i) for c in range(3) for i in range(300)]
    assert found == sorted(expected)
    assert len({row["prediction_id"] for row in rows}) == len(rows)
    assert len(server.rows(semconv.EVENT_GROUND_TRUTH_BATCH)) == 300


def test_a_fork_while_the_flush_thread_works_does_not_hang_the_child(server: Any) -> None:
    run(
        """
        import os, sys, threading, otel_mlmon
        otel_mlmon.configure()
        m = otel_mlmon.Monitor('busy', flush_interval_s=0.001)
        def work():
            while True:
                m.record({'who': 'parent'}, 1)
        threading.Thread(target=work, daemon=True).start()
        for _ in range(20):
            pid = os.fork()
            if not pid:
                m.record({'who': 'child'}, 1)
                os._exit(0 if m.flush() else 3)
            assert os.waitpid(pid, 0)[1] == 0
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
    )
    assert sum(row["feature.who"] == "child" for row in server.rows()) == 20


def test_an_export_imports_nothing(server: Any) -> None:
    # An import lock that the exporting thread holds during a fork is never released in the child, which then hangs.
    output = run(
        """
        import sys, otel_mlmon
        otel_mlmon.configure()
        m = otel_mlmon.Monitor('m')
        before = set(sys.modules)
        m.record({'x': 1, 'y': [1], 'z': None}, 'a')
        m.ground_truth('p', 1)
        assert m.flush()
        print(sorted(set(sys.modules) - before))
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url.replace("127.0.0.1", "localhost"),
    )
    assert output.strip() == "[]"


def test_the_standard_variables_are_honoured(server: Any) -> None:
    output = run(
        """
        import otel_mlmon
        otel_mlmon.configure()
        m = otel_mlmon.Monitor('m', '3')
        with m.prediction({'x': 1}) as call:
            call.value = 2
        m.flush()
        from opentelemetry import trace, metrics
        print(trace.get_tracer_provider().sampler.get_description(), type(metrics.get_meter_provider()).__name__)
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        OTEL_EXPORTER_OTLP_HEADERS="api-key=secret",
        OTEL_SERVICE_NAME="prices",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_TRACES_SAMPLER="always_off",
        OTEL_METRICS_EXPORTER="none",
    )
    assert output.strip() == "AlwaysOffSampler _ProxyMeterProvider"
    assert server.headers[0]["api-key"] == "secret"
    resource = {a.key: a.value.string_value for a in server.requests[0].resource_logs[0].resource.attributes}
    assert (resource["service.name"], resource["deployment.environment.name"]) == ("prices", "test")
    (record,) = server.records()
    attributes = {each.key: each.value for each in record.attributes}
    assert (attributes[semconv.MODEL_NAME].string_value, attributes[semconv.MODEL_VERSION].string_value) == ("m", "3")
    assert record.event_name == semconv.EVENT_PREDICTION_BATCH
    scope = server.requests[0].resource_logs[0].scope_logs[0]
    assert (scope.scope.name, scope.schema_url) == (semconv.SCOPE_NAME, semconv.SCHEMA_URL)
    assert server.other_paths == []


def test_arguments_win_over_variables_and_all_signals_arrive(server: Any) -> None:
    run(
        f"""
        import otel_mlmon
        otel_mlmon.configure(service_name='mine', endpoint='{server.url}/', headers={{'k': 'v'}})
        with otel_mlmon.Monitor('m').prediction({{'x': 1}}) as call:
            call.value = 2
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        OTEL_SERVICE_NAME="other",
    )
    assert sorted(set(server.other_paths)) == ["/v1/metrics", "/v1/traces"]
    resource = {a.key: a.value.string_value for a in server.requests[0].resource_logs[0].resource.attributes}
    assert (resource["service.name"], server.headers[0]["k"], len(server.rows())) == ("mine", "v", 1)


def test_disabled_means_no_provider_no_thread_no_row(server: Any) -> None:
    output = run(
        """
        import threading, otel_mlmon
        otel_mlmon.configure()
        m = otel_mlmon.Monitor('m')
        m.record({'x': 1}, 1)
        with m.prediction({'x': 1}) as call:
            call.value = 1
        ids = m.record_batch({'x': [1, 2]}, [1, 2])
        print(len(ids), m.flush(), threading.active_count(), len(m._outbox.predictions))
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
        OTEL_SDK_DISABLED="TRUE",
    )
    assert (output.strip(), server.attempts) == ("2 True 1 0", 0)


def test_providers_of_the_application_stay(server: Any) -> None:
    output = run(
        """
        import logging, otel_mlmon
        logging.basicConfig(level=logging.INFO)
        from opentelemetry._logs import get_logger_provider, set_logger_provider
        from opentelemetry.sdk._logs import LoggerProvider
        mine = LoggerProvider()
        set_logger_provider(mine)
        otel_mlmon.configure()
        otel_mlmon.configure()
        assert get_logger_provider() is mine
        """,
        OTEL_EXPORTER_OTLP_ENDPOINT=server.url,
    )
    assert output.count("a LoggerProvider is already set and is left as it is") == 2
    assert "not allowed" not in output


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "found 'http/json'; allowed are 'http/protobuf' and 'grpc'"),
        ({"OTEL_LOGS_EXPORTER": "kafka"}, "exporter of logs: found 'kafka', which is not installed; allowed here are"),
    ],
    ids=["a protocol", "an exporter"],
)
def test_unknown_values_of_variables_are_explained(variables: dict[str, str], message: str) -> None:
    output = run(
        """
        import otel_mlmon
        from opentelemetry import trace
        try:
            otel_mlmon.configure()
        finally:
            print(type(trace.get_tracer_provider()).__name__)
        """,
        code=1,
        **variables,
    )
    assert message in output
    assert "ProxyTracerProvider" in output, "nothing is half done"


def test_unreferenced_monitor_is_freed() -> None:
    from otel_mlmon.sdk.flush import FLUSHER

    before = len(FLUSHER._outboxes)
    for _ in range(50):
        Monitor("brief")
    assert len(FLUSHER._outboxes) == before
    assert threading.active_count() < 50
