"""The exposition: exact text, hostile values, and the verdict of Prometheus's own tools."""

from __future__ import annotations

import re
import subprocess

import pytest
from export.receivers import serving, until
from export.samples import HOSTILE, METRICS, NAN, Demo
from peers.processes import prometheus, require_peer

from otel_mlmon.export.metrics.otlp import OtlpMetrics
from otel_mlmon.export.metrics.prometheus import OPENMETRICS, TEXT, exposition, media_type, metric_name
from otel_mlmon.export.pages import web_app
from otel_mlmon.values import HistogramValue, Point
from otel_mlmon.wire import semconv
from otel_mlmon.wire.semconv import MetricName

GOLDEN = """\
# HELP mlmon_rule_value Value of the rule in the last closed window.
# TYPE mlmon_rule_value gauge
mlmon_rule_value{mlmon_model_name="house-prices",mlmon_feature_name="median_income"} 0.4271
# HELP mlmon_window_end_time_seconds End of the last closed window, Unix time.
# TYPE mlmon_window_end_time_seconds gauge
mlmon_window_end_time_seconds 1763953200
# HELP mlmon_store_size_bytes Size of the DuckDB file and its log.
# TYPE mlmon_store_size_bytes gauge
mlmon_store_size_bytes 221300000
# HELP mlmon_ingest_rows_total Predictions and ground truths received, by result: stored, duplicate or rejected.
# TYPE mlmon_ingest_rows_total counter
mlmon_ingest_rows_total{mlmon_outcome="stored"} 1301710
# HELP mlmon_store_commit_duration_seconds Duration of commits.
# TYPE mlmon_store_commit_duration_seconds histogram
mlmon_store_commit_duration_seconds_bucket{le="0.5"} 3
mlmon_store_commit_duration_seconds_bucket{le="1.0"} 4
mlmon_store_commit_duration_seconds_bucket{le="+Inf"} 6
mlmon_store_commit_duration_seconds_sum 7.25
mlmon_store_commit_duration_seconds_count 6
"""
SAMPLE = re.compile(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\S+)')


def parse(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Samples of an exposition; every line must be a comment or one sample."""
    found = {}
    for line in text.split("\n"):
        if line and not line.startswith("# "):
            matched = SAMPLE.fullmatch(line)
            assert matched, line
            labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', matched[2] or "")
            said = {k: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], v) for k, v in labels}
            key = (matched[1], frozenset(said.items()))
            assert key not in found, line
            found[key] = float(matched[3])
    return found


def test_text_is_exactly_this() -> None:
    assert exposition(METRICS) == GOLDEN


def test_openmetrics_names_counters_without_suffix_and_ends() -> None:
    text = exposition(METRICS, OPENMETRICS)
    assert "# TYPE mlmon_ingest_rows counter\nmlmon_ingest_rows_total{" in text
    assert text.endswith("_count 6\n# EOF\n")
    assert parse(text) == parse(GOLDEN)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml", TEXT),
        ("text/plain;version=0.0.4", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text;q=0.1, text/plain;q=0.9", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=nonsense", TEXT),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;q=0.2,*/*;q=0.1",
            OPENMETRICS,
        ),
    ],
)
def test_format_follows_the_accept_header(accept: str, expected: str) -> None:
    assert media_type(accept) == expected


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (MetricName("a.b", "gauge", "{row}", ""), "a_b"),
        (MetricName("a.b-c", "gauge", "s", ""), "a_b_c_seconds"),
        (MetricName("a.seconds", "gauge", "s", ""), "a_seconds"),
        (MetricName("a.b", "counter", "s", ""), "a_b_seconds_total"),
        (MetricName("a.b", "counter", "{row}", ""), "a_b_total"),
        (MetricName("a.b", "histogram", "By", ""), "a_b_bytes"),
    ],
)
def test_names(metric: MetricName, expected: str) -> None:
    assert metric_name(metric) == expected


def test_no_declared_metric_has_a_unit_that_prometheus_would_name_differently() -> None:
    assert {metric.unit for metric in semconv.METRICS if not metric.unit.startswith("{")} <= {"s", "By"}
    assert len({metric_name(metric) for metric in semconv.METRICS}) == len(semconv.METRICS)


def test_hostile_values_survive_and_harm_nothing() -> None:
    points = [Point({semconv.FEATURE_NAME: name}, 1.5) for name in (HOSTILE, "", "a,b=c", "\n", "\\", '"')]
    extremes = [
        Point({}, float("inf")),
        Point({"a": "1"}, float("-inf")),
        Point({"a": "2"}, 1e300),
        Point({"a": "3"}, -0.0),
    ]
    found = parse(exposition([(semconv.RULE_VALUE, points), (semconv.RULE_ROWS, extremes)]))
    names = {dict(labels)["mlmon_feature_name"] for name, labels in found if name == "mlmon_rule_value"}
    assert names == {HOSTILE.replace("\ud800", "?"), "", "a,b=c", "\n", "\\", '"'}
    assert [found["mlmon_rule_rows", labels] for _, labels in list(found)[6:]] == [
        float("inf"),
        float("-inf"),
        1e300,
        0,
    ]


def every_metric(label: str) -> list[tuple[MetricName, list[Point]]]:
    value = {"gauge": 0.5, "counter": 3, "histogram": HistogramValue((0.1, 1.0), (1, 2, 3), 9.5)}
    return [(m, [Point(dict.fromkeys(m.attributes, label), value[m.kind])]) for m in semconv.METRICS]  # type: ignore[arg-type]


@pytest.mark.peers
@pytest.mark.parametrize("label", ["plain", HOSTILE])
def test_promtool_accepts_all_declared_metrics(label: str) -> None:
    promtool = require_peer("promtool")
    text = exposition(every_metric(label))
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text.encode(), capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


@pytest.mark.peers
def test_prometheus_has_the_same_series_scraped_and_pushed(tmp_path) -> None:
    require_peer("prometheus")
    demo, outcomes = Demo(metrics=every_metric("x")), []

    def series(job: str) -> dict[str, str]:
        hidden = {"job", "instance"}
        found = server.query(f'{{job="{job}",__name__=~"mlmon.+"}}')
        labels = [{k: v for k, v in one["metric"].items() if k not in hidden} for one in found]
        for one in labels:
            if "le" in one:  # Prometheus itself writes "1.0" when it scrapes and "1" when it is pushed to
                one["le"] = str(float(one["le"]))
        return {str(sorted(one.items())): sample["value"][1] for one, sample in zip(labels, found, strict=True)}

    with serving(web_app(demo, demo)) as port, prometheus(tmp_path, port) as server:
        push = OtlpMetrics(
            demo, server.otlp_metrics_url, interval_s=60, observe=lambda d, o: outcomes.append((d, o)), instance="one"
        )
        assert push.deliver() is None
        pushed = until(lambda: series("otel_mlmon"))
        assert until(lambda: series("mlmon")) == pushed
        # target, labels and buckets: all declared metrics, none under two names
        assert len(pushed) == len(semconv.METRICS) + 4 * sum(m.kind == "histogram" for m in semconv.METRICS)
        demo.points = [(m, p) for m, p in demo.points if m is not semconv.RULE_VALUE]
        assert push.deliver() is None
        until(lambda: len(series("otel_mlmon")) == len(pushed) - 1)
        until(lambda: len(series("mlmon")) == len(pushed) - 1)
    assert outcomes == [("otlp", "sent")] * 2


def test_metrics_have_the_accepted_content_type() -> None:
    import requests

    demo = Demo(metrics=METRICS)
    with serving(web_app(demo, demo)) as port:
        plain = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5)
        other = requests.get(
            f"http://127.0.0.1:{port}/metrics", timeout=5, headers={"Accept": "application/openmetrics-text"}
        )
    assert (plain.headers["content-type"], plain.text) == (TEXT, GOLDEN)
    assert other.headers["content-type"] == OPENMETRICS
    assert other.text.endswith("# EOF\n")


def test_metrics_are_compressed_for_gzip() -> None:
    import requests

    demo = Demo(metrics=METRICS)
    with serving(web_app(demo, demo)) as port:
        url = f"http://127.0.0.1:{port}/metrics"
        packed = requests.get(url, timeout=5, headers={"Accept-Encoding": "gzip"})
        plain = requests.get(url, timeout=5, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == GOLDEN
    assert {packed.headers["vary"], plain.headers["vary"]} == {"Accept, Accept-Encoding"}


def test_metric_with_only_nan_is_left_out() -> None:
    assert exposition([(semconv.RULE_VALUE, [Point({}, NAN)]), (semconv.RULE_ROWS, [])]) == ""
