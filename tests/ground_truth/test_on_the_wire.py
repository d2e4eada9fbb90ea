"""Keys, deployments and origins between the SDK and the decoder."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from sdk.sdk_receivers import Emitted

from otel_mlmon import Monitor
from otel_mlmon.ingest.decode import decode
from otel_mlmon.ingest.decode.batch import ground_truth_batch
from otel_mlmon.ingest.decode.reject import RejectedRecord
from otel_mlmon.sdk import guard
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.store.truth import plain_values
from otel_mlmon.values import GroundTruthBatch, PredictionBatch

TRUTHS = "mlmon.ground_truth.batch"


def _batches(emitted: Emitted) -> list[GroundTruthBatch]:
    """Decode the events of the SDK like the processor."""
    return [ground_truth_batch(event.attributes, event.body) for event in emitted.events(TRUTHS)]


def _monitor(emitted: Emitted, **arguments: Any) -> Monitor:
    return Monitor("m", "1", logger_provider=emitted.provider, flush_interval_s=3600.0, **arguments)


def test_ids_and_each_set_of_keys_travel_in_batches_of_their_own() -> None:
    emitted = Emitted()
    monitor = _monitor(emitted)
    monitor.ground_truth("p", 1.0)
    monitor.ground_truth(0, 2.0)  # type: ignore[arg-type]  # an id that is no text becomes one
    monitor.ground_truth(None, 3.0, key={"customer": 1, "day": "a"})
    monitor.ground_truth(None, "x", key={"day": 2.5, "customer": "b"})
    monitor.ground_truth_batch(values=[4, 5], keys={"customer": [True, 2**63]}, timestamps=7)
    monitor.close()
    ids, both, one = _batches(emitted)
    assert (ids.ids.to_pylist(), ids.keys) == (["p", "0"], {})
    assert {name: plain_values(column) for name, column in both.keys.items()} == {
        "customer": [1, "b"],
        "day": ["a", 2.5],
    }
    assert plain_values(both.values) == [3.0, "x"]
    assert {name: plain_values(column) for name, column in one.keys.items()} == {"customer": [True, 2**63]}
    assert one.times.to_pylist() == [7, 7]
    assert all("prediction_id" not in table.column_names for table in emitted.tables(TRUTHS)[1:])


def test_keys_are_hashed_like_features_and_unsent_features_are_no_keys() -> None:
    emitted = Emitted()
    monitor = _monitor(emitted, features=["customer", "day"], hash_features=["customer"], hash_key=b"k")
    monitor.record({"customer": 42, "day": "a"}, 1.0)
    monitor.ground_truth(None, 3.0, key={"customer": 42, "day": "a"})
    before = LEDGER.dropped().get(("m", "failed"), 0)
    monitor.ground_truth(None, 3.0, key={"name": "Ada"})
    monitor.close()
    (row,) = emitted.rows()
    (batch,) = _batches(emitted)
    assert plain_values(batch.keys["customer"]) == [row["feature.customer"]] != [42]
    assert plain_values(batch.keys["day"]) == ["a"]
    assert LEDGER.dropped()["m", "failed"] == before + 1


WRONG: dict[str, dict[str, Any]] = {
    "neither": {"id": None, "value": 1},
    "both": {"id": "a", "value": 1, "key": {"x": 1}},
    "no feature": {"id": None, "value": 1, "key": {}},
    "null": {"id": None, "value": 1, "key": {"x": None}},
    "NaN": {"id": None, "value": 1, "key": {"x": float("nan")}},
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_ground_truth_without_id_and_key_is_counted_and_raises_nothing(
    arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted = Emitted()
    monitor = _monitor(emitted)
    before = LEDGER.dropped().get(("m", "failed"), 0)
    monitor.ground_truth(**arguments)
    assert LEDGER.dropped()["m", "failed"] == before + 1
    monkeypatch.setenv(guard.RAISE_VARIABLE, "true")
    with pytest.raises(ValueError, match="allowed"):
        monitor.ground_truth(**arguments)
    with pytest.raises(ValueError, match="allowed are as many of each"):
        monitor.ground_truth_batch(values=[1, 2], keys={"x": [1]})
    monitor.close()
    assert not emitted.events(TRUTHS)


def test_a_deployment_is_sent_at_once() -> None:
    emitted = Emitted()
    monitor = _monitor(emitted)
    monitor.deployed(description="new weights")
    monitor.deployed("2")
    assert [dict(event.attributes) for event in emitted.events("mlmon.deployment")] == [
        {"mlmon.model.name": "m", "mlmon.model.version": "1", "mlmon.deployment.description": "new weights"},
        {"mlmon.model.name": "m", "mlmon.model.version": "2"},
    ]
    monitor.close()


def _body(**columns: Any) -> bytes:
    table = pa.table({"time_unix_nano": [1, 2], "ground_truth": [1.0, 2.0], **columns})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_a_batch_whose_keys_have_gaps_is_rejected_unless_it_has_ids() -> None:
    about = {"mlmon.model.name": "m", "mlmon.batch.encoding": "arrow.ipc.stream"}
    with pytest.raises(RejectedRecord, match=r"'key\.x' has 1 nulls") as caught:
        ground_truth_batch(about, _body(**{"key.x": [1, None]}))
    assert (caught.value.reason, caught.value.rows) == ("no_key", 2)
    filled = ground_truth_batch(about, _body(**{"key.x": [1, None], "other.key.x": pa.array([None, '"a"'])}))
    assert plain_values(filled.keys["x"]) == [1, "a"]
    alone = ground_truth_batch(about, _body(**{"other.key.x": ["true", '"a"']}))
    assert plain_values(alone.keys["x"]) == [True, "a"]
    by_id = ground_truth_batch(about, _body(**{"key.x": [1, None], "prediction_id": ["p", "q"]}))
    assert (by_id.ids.to_pylist(), by_id.keys) == (["p", "q"], {})
    with pytest.raises(RejectedRecord, match="no column 'prediction_id'"):
        ground_truth_batch(about, _body())


def test_origin_of_a_prediction_comes_from_its_resource() -> None:
    request = ExportLogsServiceRequest()
    for service, host in (("shop", "pod-1"), ("shop", "pod-2"), ("app", "pod-3"), ("", "pod-4")):
        logs = request.resource_logs.add()
        for key, value in (("service.name", service), ("host.name", host)):
            if value:
                logs.resource.attributes.add(key=key).value.string_value = value
        record = logs.scope_logs.add().log_records.add(event_name="mlmon.prediction", time_unix_nano=5)
        for key, value in (("mlmon.model.name", "m"), ("mlmon.prediction.id", host)):
            record.attributes.add(key=key).value.string_value = value
    found = decode("logs", request.SerializeToString(), "protobuf", received_ns=9)
    assert all(isinstance(batch, PredictionBatch) for batch in found.batches)
    assert [(batch.origin, len(batch)) for batch in found.batches] == [  # type: ignore[union-attr]
        ({"service.name": "shop"}, 2),
        ({"service.name": "app"}, 1),
        ({}, 1),
    ]
