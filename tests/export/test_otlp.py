"""Metrics pushed as OTLP, against a receiver on loopback."""

from __future__ import annotations

import logging

import pytest
from export.receivers import Receiver, receiver, until
from export.samples import HOSTILE, METRICS, NAN, Demo
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from otel_mlmon.export.metrics.otlp import OtlpMetrics
from otel_mlmon.values import Point
from otel_mlmon.wire import semconv

START, SECOND = 1_763_953_200 * 10**9, 10**9


class Ticking:
    """Each look at the clock comes a second after the one before, but for jumps."""

    def __init__(self) -> None:
        self.now = START - SECOND

    def __call__(self) -> int:
        self.now += SECOND
        return self.now


def metrics_in(got: Receiver) -> list[dict[str, object]]:
    requests = [ExportMetricsServiceRequest.FromString(body) for body in got.bodies]
    return [{m.name: m for m in r.resource_metrics[0].scope_metrics[0].metrics} for r in requests]


def pusher(got: Receiver, demo: Demo, clock: Ticking, outcomes: list[str], **more: object) -> OtlpMetrics:
    return OtlpMetrics(
        demo, f"{got.url}/v1/metrics", interval_s=60, observe=lambda _, o: outcomes.append(o), clock=clock, **more
    )


def test_a_push_holds_the_snapshot_cumulative_since_the_start_and_as_of_now() -> None:
    with receiver() as got:
        outcomes: list[str] = []
        push = pusher(got, Demo(metrics=METRICS), Ticking(), outcomes, instance="one")
        assert push.deliver() is None
    request = ExportMetricsServiceRequest.FromString(got.bodies[0])
    resource = {a.key: a.value.string_value for a in request.resource_metrics[0].resource.attributes}
    assert resource == {"service.name": "otel_mlmon", "service.instance.id": "one"}
    (found,) = metrics_in(got)
    assert set(found) == {m.name for m, _ in METRICS} - {semconv.RULE_THRESHOLD.name}  # which had only a NaN
    (value,) = found[semconv.RULE_VALUE.name].gauge.data_points
    assert (value.as_double, value.time_unix_nano, value.start_time_unix_nano) == (0.4271, START + SECOND, 0)
    total = found[semconv.INGEST_ROWS.name].sum
    assert (total.aggregation_temporality, total.is_monotonic) == (2, True)
    assert total.data_points[0].start_time_unix_nano == START
    (histogram,) = found[semconv.COMMIT_DURATION.name].histogram.data_points
    assert (list(histogram.bucket_counts), list(histogram.explicit_bounds)) == ([3, 1, 2], [0.5, 1.0])
    assert (histogram.count, histogram.sum, histogram.start_time_unix_nano) == (6, 7.25, START)
    assert found[semconv.STORE_SIZE.name].unit == "By"
    assert outcomes == ["sent"]


def test_vanished_series_is_marked_once() -> None:
    demo = Demo()
    about = [{semconv.FEATURE_NAME: name} for name in ("kept", "became nan", "gone")]
    counter = (semconv.EVALUATION_FAILURES, [Point({semconv.RULE_NAME: "removed"}, 4)])
    with receiver() as got:
        push = pusher(got, demo, Ticking(), [])
        demo.points = [(semconv.RULE_VALUE, [Point(a, 1.0) for a in about]), counter]
        push.deliver()
        demo.points = [(semconv.RULE_VALUE, [Point(about[0], 2.0), Point(about[1], NAN)])]
        push.deliver()
        push.deliver()
    first, second, third = metrics_in(got)
    assert [p.flags for p in first[semconv.RULE_VALUE.name].gauge.data_points] == [0, 0, 0]
    flags = {p.attributes[0].value.string_value: p.flags for p in second[semconv.RULE_VALUE.name].gauge.data_points}
    assert flags == {"kept": 0, "became nan": 1, "gone": 1}
    assert [p.flags for p in second[semconv.EVALUATION_FAILURES.name].sum.data_points] == [1]
    assert [p.flags for p in third[semconv.RULE_VALUE.name].gauge.data_points] == [0]
    assert semconv.EVALUATION_FAILURES.name not in third


@pytest.mark.parametrize(
    ("answer", "wait"),
    [(503, 0.0), (400, 0.0), ((429, {"Retry-After": "7"}), 7.0), ((302, {"Location": "/v1/metrics"}), 0.0)],
)
def test_failed_push_is_counted_and_vanished_series_still_end(answer, wait: float) -> None:
    demo = Demo(metrics=[(semconv.RULE_VALUE, [Point({semconv.FEATURE_NAME: "seen once"}, 1.0)])])
    with receiver(answers=[answer]) as got:
        outcomes: list[str] = []
        push = pusher(got, demo, Ticking(), outcomes)
        assert push.deliver() == wait
        demo.points = []
        assert push.deliver() is None
    assert outcomes == ["failed", "sent"]
    assert got.paths == ["/v1/metrics"] * 2  # a redirect is not followed: it would lose the body
    assert [p.flags for p in metrics_in(got)[0][semconv.RULE_VALUE.name].gauge.data_points] == [1]


def test_time_never_stands_still_or_goes_back() -> None:
    clock = Ticking()
    with receiver() as got:
        push = pusher(got, Demo(metrics=METRICS), clock, [])
        push.deliver()
        clock.now -= 3600 * SECOND
        push.deliver()
        push.deliver()
    times = [m[semconv.RULE_VALUE.name].gauge.data_points[0].time_unix_nano for m in metrics_in(got)]
    assert times == [START + SECOND, START + SECOND + 10**6, START + SECOND + 2 * 10**6]


def test_points_refused_inside_an_accepted_request_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points, answer.partial_success.error_message = 3, "too old"
    with receiver() as got:
        outcomes: list[str] = []
        got.content = answer.SerializeToString()
        pusher(got, Demo(metrics=METRICS), Ticking(), outcomes).deliver()
        got.content = b"<html>thank you</html>"
        pusher(got, Demo(metrics=METRICS), Ticking(), outcomes).deliver()
    assert outcomes == ["sent", "dropped", "sent"]
    assert "refused 3 points: too old" in caplog.text


def test_hostile_attributes_are_sent() -> None:
    with receiver() as got:
        pusher(
            got, Demo(metrics=[(semconv.RULE_VALUE, [Point({semconv.SEGMENT: HOSTILE}, 1.0)])]), Ticking(), []
        ).deliver()
    (found,) = metrics_in(got)
    (point,) = found[semconv.RULE_VALUE.name].gauge.data_points
    assert point.attributes[0].value.string_value == HOSTILE.replace("\ud800", "?")


def test_the_thread_pushes_at_once_and_a_last_time_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    demo = Demo(metrics=METRICS)
    with receiver() as got:
        push = pusher(got, demo, Ticking(), [])
        push.start()
        until(lambda: got.bodies)
        push.stop()
        assert len(got.bodies) == 2
    assert not caplog.records
