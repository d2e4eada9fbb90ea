"""Decoding of requests from our SDK and from others, well-formed and malformed."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otel_mlmon.errors import RejectedInput
from otel_mlmon.ingest.decode import decode
from otel_mlmon.values import Decoded, FieldColumn, PredictionBatch
from otel_mlmon.wire.columns import json_text

IDENTITY = {"mlmon.model.name": "m", "mlmon.model.version": "v", "mlmon.prediction.id": "p"}


def _any(value: Any) -> AnyValue:
    made = AnyValue()
    if isinstance(value, bool):
        made.bool_value = value
    elif isinstance(value, int):
        made.int_value = value
    elif isinstance(value, float):
        made.double_value = value
    elif isinstance(value, str):
        made.string_value = value
    elif isinstance(value, bytes):
        made.bytes_value = value
    elif isinstance(value, list):
        made.array_value.values.extend(_any(item) for item in value)
    elif isinstance(value, dict):
        made.kvlist_value.values.extend(KeyValue(key=k, value=_any(v)) for k, v in value.items())
        made.kvlist_value.SetInParent()
    return made


def _logs(*records: tuple[str, dict[str, Any], Any]) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for event, attributes, body in records:
        record = scope.log_records.add(event_name=event, time_unix_nano=5)
        record.attributes.extend(KeyValue(key=k, value=_any(v)) for k, v in attributes.items())
        if body is not None:
            record.body.CopyFrom(_any(body))
    return request


def _decode(request: Any, signal: Any = "logs") -> Decoded:
    return decode(signal, request.SerializeToString(), "protobuf", received_ns=9)


def _cells(found: Decoded) -> dict[str, str]:
    """Return the features of the single prediction as JSON text; null and absent are words."""
    (batch,) = found.batches
    assert isinstance(batch, PredictionBatch)
    cells = {}
    for name, column in batch.fields.items():
        if column.absent is not None and column.absent[0].as_py():
            cells[name] = "absent"
        elif column.other is not None and column.other[0].is_valid:
            cells[name] = column.other[0].as_py()
        else:
            cells[name] = json_text(column.values[0].as_py())
    return cells


VALUES: dict[str, Any] = {
    "one": 1,
    "one.0": 1.0,
    "text": "1",
    "yes": True,
    "nothing": None,
    "nan": math.nan,
    "inf": -math.inf,
    "list": [1, "a"],
    "map": {"a": None},
    "empty": "",
}
TEXTS = {
    "one": "1",
    "one.0": "1.0",
    "text": '"1"',
    "yes": "true",
    "nothing": "null",
    "nan": "NaN",
    "inf": "-Infinity",
    "list": '[1,"a"]',
    "map": '{"a":null}',
    "empty": '""',
    "(prediction)": "3.5",
}


@pytest.mark.parametrize("form", ["a map", "flat attributes"])
def test_values_keep_their_type_in_both_encodings(form: str) -> None:
    features = {"mlmon.features": VALUES} if form == "a map" else {f"mlmon.feature.{k}": v for k, v in VALUES.items()}
    request = _logs(("mlmon.prediction", {**IDENTITY, **features, "mlmon.prediction.value": 3.5}, None))
    assert _cells(_decode(request)) == TEXTS
    as_json = json.dumps(_otlp_json(request)).encode()
    assert _cells(decode("logs", as_json, "json", received_ns=9)) == TEXTS


def _otlp_json(request: Any) -> Any:
    return MessageToDict(request)


def test_missing_feature_is_absent_and_null_feature_is_null() -> None:
    rows = [{"x": 1, "y": "a"}, {"y": None}, {"x": None, "y": "b"}]
    request = _logs(*(("mlmon.prediction", {**IDENTITY, "mlmon.features": row}, None) for row in rows))
    (batch,) = _decode(request).batches
    assert isinstance(batch, PredictionBatch)
    x, y = batch.fields["x"], batch.fields["y"]
    assert (x.values.to_pylist(), x.absent.to_pylist()) == ([1, None, None], [False, True, False])
    assert (y.values.to_pylist(), y.absent) == (["a", None, "b"], None)


def test_record_cut_by_a_limit_reports_its_loss() -> None:
    request = _logs(("mlmon.prediction", IDENTITY, None), ("mlmon.prediction", IDENTITY, None))
    whole, cut = request.resource_logs[0].scope_logs[0].log_records
    whole.dropped_attributes_count, cut.dropped_attributes_count = 3, 2**32 - 1
    (batch,) = _decode(request).batches
    assert isinstance(batch, PredictionBatch)
    assert batch.lost.to_pylist() == [3, 2**31 - 1]


def _plain(found: Decoded) -> Any:
    """Everything decoded, as values that compare; NaN as a word."""
    return repr(
        [(type(batch).__name__, {k: _shown(getattr(batch, k)) for k in batch.__slots__}) for batch in found.batches]
        + [found.rejected, found.ignored]
    )


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shown(item) for name, item in value.items()}
    if isinstance(value, FieldColumn):
        return [_shown(value.values), _shown(value.absent), _shown(value.other)]
    return (str(value.type), value.to_pylist()) if isinstance(value, pa.Array) else value


def test_protobuf_and_json_of_the_same_request_decode_alike() -> None:
    truth = {**IDENTITY, "mlmon.ground_truth.value": "cheap"}
    request = _logs(
        ("mlmon.prediction", {**IDENTITY, "mlmon.features": VALUES, "mlmon.prediction.score.a": 0.5}, "shown"),
        ("mlmon.prediction.batch", BATCH, _arrow(GOOD)),
        ("mlmon.ground_truth", truth, None),
        ("mlmon.prediction", {"mlmon.feature.x": 1}, None),
        ("another.event", {}, None),
    )
    record = request.resource_logs[0].scope_logs[0].log_records[0]
    record.trace_id, record.span_id, record.dropped_attributes_count = b"\xab" * 16, b"\xcd" * 8, 4
    content = _otlp_json(request)
    # OTLP's JSON differs from protobuf's: ids are in hex.
    content["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0].update(traceId="AB" * 16, spanId="cd" * 8)
    assert _plain(_decode(request)) == _plain(decode("logs", json.dumps(content).encode(), "json", received_ns=9))


def test_span_with_features_is_a_prediction_and_span_with_only_an_id_is_not() -> None:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for extra in ({"mlmon.feature.x": 1.5}, {}):
        span = spans.add(
            trace_id=b"\1" * 16, span_id=b"\2" * 8, start_time_unix_nano=100, end_time_unix_nano=10**9 + 100
        )
        span.attributes.extend(KeyValue(key=k, value=_any(v)) for k, v in {**IDENTITY, **extra}.items())
    found = _decode(request, "traces")
    (batch,) = found.batches
    assert isinstance(batch, PredictionBatch)
    assert (len(batch), found.ignored) == (1, 1)
    assert (batch.times[0].as_py(), batch.durations[0].as_py(), batch.trace_ids[0].as_py()) == (100, 1.0, "01" * 16)


def test_ids_in_json_are_hex() -> None:
    body = {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            {
                                "traceId": "0123456789ABCDEF0123456789abcdef",
                                "spanId": "0123456789abcdef",
                                "name": "x",
                                "kind": 1,
                                "unknown": {"a": 1},
                                "startTimeUnixNano": "7",
                                "endTimeUnixNano": 8,
                                "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in IDENTITY.items()]
                                + [{"key": "mlmon.feature.n", "value": {"intValue": "12"}}],
                            }
                        ]
                    }
                ]
            }
        ]
    }
    (batch,) = decode("traces", json.dumps(body).encode(), "json", received_ns=9).batches
    assert isinstance(batch, PredictionBatch)
    assert batch.trace_ids[0].as_py() == "0123456789abcdef0123456789abcdef"
    assert batch.fields["n"].values[0].as_py() == 12


def _arrow(columns: dict[str, Any]) -> bytes:
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


GOOD = {
    "prediction_id": ["a", "b"],
    "time_unix_nano": [1, 2],
    "prediction": [1.5, 2.5],
    "feature.x": pa.array([1, 2], pa.int32()),
}
BATCH = {"mlmon.model.name": "m", "mlmon.batch.encoding": "arrow.ipc.stream", "mlmon.batch.size": 2}
REJECTED: dict[str, tuple[dict[str, Any], Any, str, str]] = {
    "no model name": (
        {k: v for k, v in BATCH.items() if "model" not in k},
        _arrow(GOOD),
        "no_model_name",
        "mlmon.model.name",
    ),
    "unknown encoding": ({**BATCH, "mlmon.batch.encoding": "csv"}, b"", "unknown_encoding", "'csv'"),
    "body is text": (BATCH, "text", "bad_batch", "allowed are bytes"),
    "corrupt stream": (BATCH, _arrow(GOOD)[:60], "bad_batch", "no Arrow IPC stream"),
    "not Arrow": (BATCH, b"hello", "bad_batch", "no Arrow IPC stream"),
    "no ids": (BATCH, _arrow({k: v for k, v in GOOD.items() if k != "prediction_id"}), "bad_batch", "'prediction_id'"),
    "a null id": (BATCH, _arrow({**GOOD, "prediction_id": ["a", None]}), "bad_batch", "nulls"),
    "ids that are empty": (BATCH, _arrow({**GOOD, "prediction_id": ["a", ""]}), "bad_batch", "empty"),
    "billions of rows in a few bytes": (
        {k: v for k, v in BATCH.items() if "size" not in k},
        _arrow(dict.fromkeys(("prediction_id", "time_unix_nano", "feature.x"), pa.nulls(2**31 - 1))),
        "bad_batch",
        "allowed are 1000000",
    ),
    "wrong size": ({**BATCH, "mlmon.batch.size": 3}, _arrow(GOOD), "bad_batch", "says 3 rows, the batch has 2"),
    "a feature of a strange type": (BATCH, _arrow({**GOOD, "feature.y": [[1], [2]]}), "bad_batch", "'feature.y'"),
    "a time of a strange type": (BATCH, _arrow({**GOOD, "time_unix_nano": ["x", "y"]}), "bad_batch", "time_unix_nano"),
}


@pytest.mark.parametrize(("attributes", "body", "reason", "says"), REJECTED.values(), ids=REJECTED)
def test_bad_batch_is_rejected_alone_with_its_reason(
    attributes: dict[str, Any], body: Any, reason: str, says: str
) -> None:
    good = ("mlmon.prediction.batch", BATCH, _arrow(GOOD))
    found = _decode(_logs(("mlmon.prediction.batch", attributes, body), good))
    assert [len(batch) for batch in found.batches] == [2]
    assert list(found.rejected) == [reason]
    assert says in found.message


def test_batches_of_other_producers_keep_their_types() -> None:
    columns = {
        **GOOD,
        "time_unix_nano": pa.array([1, 2], pa.timestamp("ns", "UTC")),
        "feature.f": pa.array([1.5, None], pa.float32()),
        "feature.d": pa.array(["a", "b"]).dictionary_encode(),
        "feature.l": pa.array(["a", "b"], pa.large_string()),
        "absent.feature.f": [False, True],
        "other.feature.gone": ['"x"', None],
    }
    (batch,) = _decode(_logs(("mlmon.prediction.batch", BATCH, _arrow(columns)))).batches
    assert isinstance(batch, PredictionBatch)
    types = {name: str(column.values.type) for name, column in batch.fields.items()}
    assert types == {
        "(prediction)": "double",
        "x": "int64",
        "f": "double",
        "d": "string",
        "l": "string",
        "gone": "double",
    }
    assert batch.fields["f"].absent.to_pylist() == [False, True]
    assert batch.fields["gone"].other.to_pylist() == ['"x"', None]


SINGLE = {
    "features of the wrong kind": (
        "mlmon.prediction",
        {**IDENTITY, "mlmon.features": "x=1"},
        "bad_features",
        "is a text",
    ),
    "no model name": ("mlmon.prediction", {"mlmon.feature.x": 1}, "no_model_name", "missing"),
    "a model name that is a number": (
        "mlmon.prediction",
        {**IDENTITY, "mlmon.model.name": 5},
        "no_model_name",
        "an integer",
    ),
    "a timestamp in words": (
        "mlmon.prediction",
        {**IDENTITY, "mlmon.prediction.timestamp": "2026-01-01"},
        "bad_value",
        "ns since the epoch",
    ),
    "an id that is a list": ("mlmon.prediction", {**IDENTITY, "mlmon.prediction.id": ["p"]}, "bad_value", "a list"),
    "ground truth without id": (
        "mlmon.ground_truth",
        {"mlmon.model.name": "m", "mlmon.ground_truth.value": 1},
        "no_prediction_id",
        "'m'",
    ),
    "ground truth that is a list": (
        "mlmon.ground_truth",
        {**IDENTITY, "mlmon.ground_truth.value": [1]},
        "bad_value",
        "a list",
    ),
}


@pytest.mark.parametrize(("event", "attributes", "reason", "says"), SINGLE.values(), ids=SINGLE)
def test_bad_record_is_rejected_alone(event: str, attributes: dict[str, Any], reason: str, says: str) -> None:
    good = ("mlmon.prediction", {**IDENTITY, "mlmon.feature.x": 1}, None)
    found = _decode(_logs(good, (event, attributes, None), ("other.event", {}, None), good))
    assert [len(batch) for batch in found.batches] == [2]
    assert (found.rejected, found.ignored) == ({reason: 1}, 1)
    assert says in found.message


def test_record_without_an_id_gets_a_stable_and_unique_id() -> None:
    attributes = {"mlmon.model.name": "m", "mlmon.model.version": "1", "mlmon.feature.x": 1}
    request = _logs(("mlmon.prediction", attributes, None))
    seen_later = copy.deepcopy(request)
    seen_later.resource_logs[0].scope_logs[0].log_records[0].observed_time_unix_nano = 77
    others = {
        "another value": _logs(("mlmon.prediction", {**attributes, "mlmon.feature.x": 2}, None)),
        "a double": _logs(("mlmon.prediction", {**attributes, "mlmon.feature.x": 1.0}, None)),
        "another version": _logs(("mlmon.prediction", {**attributes, "mlmon.model.version": "2"}, None)),
        "the same millisecond": seen_later,
    }
    ids = {name: _decode(other).batches[0].ids[0].as_py() for name, other in others.items()}
    first, again = (_decode(request).batches[0].ids[0].as_py() for _ in range(2))
    assert first == again
    assert len({first, *ids.values()}) == 5, ids


SIGNALS = st.sampled_from(["logs", "traces", "metrics"])
REAL = _logs(
    ("mlmon.prediction", {**IDENTITY, "mlmon.features": VALUES, "mlmon.feature.y": [1, {"a": b"b"}]}, None),
    ("mlmon.prediction.batch", BATCH, _arrow(GOOD)),
    ("mlmon.ground_truth", {**IDENTITY, "mlmon.ground_truth.value": 2}, None),
)
FUZZ = settings(max_examples=300, deadline=None)


@FUZZ
@given(
    body=st.binary(max_size=300),
    cut=st.integers(0, 2000),
    signal=SIGNALS,
    encoding=st.sampled_from(["protobuf", "json"]),
)
def test_no_bytes_raise_anything_but_a_rejection(body: bytes, cut: int, signal: Any, encoding: Any) -> None:
    real = REAL.SerializeToString()
    for candidate in (body, real[:cut] + body, real[:cut] + body[:3] + real[cut + len(body[:3]) :]):
        with contextlib.suppress(RejectedInput):
            decode(signal, candidate, encoding, received_ns=9)


@FUZZ
@given(place=st.integers(0, 2000), put=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_no_damage_to_a_batch_reaches_beyond_its_record(place: int, put: bytes, cut: bool) -> None:
    stream = _arrow(GOOD)
    place %= len(stream)
    damaged = stream[:place] + put + (b"" if cut else stream[place + len(put) :])
    found = _decode(_logs(("mlmon.prediction.batch", BATCH, damaged), ("mlmon.prediction", IDENTITY, None)))
    assert found.batches[-1].ids.to_pylist() == ["p"]
    assert len(found.batches) == 2 or sum(found.rejected.values()) == 2


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just(10**400)
    | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@FUZZ
@given(put=JSON, data=st.data())
def test_no_json_of_another_shape_raises_anything_but_a_rejection(put: Any, data: st.DataObject) -> None:
    content = _otlp_json(REAL)
    place: Any = content
    while True:  # go down to a random place
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.integers(0, 9)) == 0:
            break
        place = place[key]
    place[key] = put
    with contextlib.suppress(RejectedInput):
        decode("logs", json.dumps(content).encode(), "json", received_ns=9)
