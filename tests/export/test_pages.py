"""The pages show all figures, and no value from the wire breaks or enters them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from export.receivers import serving
from export.samples import (
    CATEGORIES,
    DISTRIBUTION,
    EXAMPLES,
    HISTORY,
    HOSTILE,
    METRICS,
    NAN,
    NOW,
    STATUS,
    Demo,
    alert,
)
from peers.processes import chromium_screenshot, require_peer
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from otel_mlmon.export.pages import distributions, timeline, web_app
from otel_mlmon.export.pages.incidents import incidents
from otel_mlmon.export.pages.pages import alerts_page, overview_page
from otel_mlmon.export.pages.report import Report, report_page
from otel_mlmon.export.pages.svg import percent, round_steps
from otel_mlmon.export.pages.wording import length, shown, sure, when
from otel_mlmon.values.evidence import FieldEvidence
from otel_mlmon.values.evidence_documents import evidence_from_document
from otel_mlmon.values.explanation import Explanation, PastVerdict
from otel_mlmon.values.explanation_documents import explanation_from_json

VOID = {"meta", "br", "rect", "circle", "polyline"}
HOUR = 3600 * 10**9
DOCUMENT: dict[str, Any] = {
    "alert": "4f1c2b7e90ad3c55",
    "fired": {
        "value": 0.4271,
        "low": None,
        "high": None,
        "threshold": 0.2,
        "p_value": 1e-7,
        "rows": 4980,
        "start": NOW - HOUR,
        "end": NOW,
        "message": "psi 0.427",
        "notes": [{"kind": "label selection", "text": "labels of dear houses are missing", "figures": {}}],
    },
    "where": {
        "measure": "rmse by slice",
        "rows": 4980,
        "value": 61.5,
        "expected": 50.25,
        "note": "",
        "slices": [
            {
                "name": "town = Elm",
                "conditions": [["town", "= Elm"]],
                "rows": 212,
                "value": 130.5,
                "low": 120.25,
                "high": 141.75,
                "expected": 55.5,
                "p_value": 1e-9,
            },
            {
                "name": "town = Oak and age 3 to 5",
                "conditions": [],
                "rows": 77,
                "value": 90.0,
                "low": 70.0,
                "high": 110.0,
                "expected": 52.0,
                "p_value": 0.004,
            },
        ],
    },
    "features": {
        "weights": "reference",
        "note": "weighted by the importances of the reference",
        "rows": 4980,
        "ranking": [
            {"feature": "median_income", "distance": 0.4, "importance": 1.0, "score": 0.4, "change": "mean 3.9 → 4.7"},
            {"feature": "rooms", "distance": 0.2, "importance": 0.25, "score": 0.05, "change": "missing 0.0% → 12.0%"},
            {"feature": "age", "distance": 0.0, "importance": 0.9, "score": 0.0, "change": "mean 1 → 1"},
        ],
    },
    "changes": {
        "start": NOW - 24 * HOUR,
        "end": NOW - HOUR,
        "events": [
            {
                "time": NOW - 2 * HOUR,
                "before": HOUR,
                "kind": "deployment",
                "value": "2.4.1",
                "text": "rolled out by ci",
            },
            {"time": NOW - 5 * HOUR, "before": 4 * HOUR, "kind": "feature_set", "value": '["a","b"]', "text": "new: b"},
        ],
    },
    "examples": {
        "rows": [
            {
                "slice": "town = Elm",
                "prediction_id": "0193-why",
                "time": NOW,
                "value": "4.25",
                "prediction": 412301.0,
                "ground_truth": "300000.5",
                "trace_id": "4bf92f3577b34da6a3ce929d0e0e47ff",
            }
        ]
    },
    "history": {
        "ticks": [
            {
                "end": NOW - (9 - i) * HOUR,
                "value": 40.0 + 2 * i,
                "threshold": 50.0,
                "status": "breach" if i > 5 else "ok",
                "low": 38.0 + 2 * i,
                "high": 42.0 + 2 * i,
            }
            for i in range(10)
        ],
        "worse": "above",
        "what_if": [
            {"kind": "other", "threshold": 25.0, "episodes": 3, "firing": 9 * HOUR, "since": NOW - 9 * HOUR},
            {"kind": "present", "threshold": 50.0, "episodes": 1, "firing": 3 * HOUR, "since": NOW - 3 * HOUR},
            {"kind": "silent", "threshold": 58.0, "episodes": 0, "firing": 0, "since": 0},
        ],
        "revisions": [
            {
                "start": NOW - HOUR,
                "end": NOW,
                "known": NOW + i * HOUR,
                "predictions": 5000,
                "with_truth": 2500 + 500 * i,
                "coverage": 0.5 + 0.1 * i,
                "maturity": "provisional",
                "status": "breach",
                "value": 61.0 - i,
                "low": 55.0 - i / 2,
                "high": 67.0 - 2 * i,
            }
            for i in range(5)
        ],
        "note": "Judged by the stored values.",
    },
    "read_rows": 50_000,
    "window_rows": 1_200_000,
    "missing": ["selection and kind of shift (out of time)"],
}
EXPLANATION = explanation_from_json(DOCUMENT)


class Explained(Demo):
    """Says why, at once or (`later`) not yet."""

    later = False

    def explanation(self, alert_id: str, wait: float | None = None) -> Explanation | None:
        if self.broken:
            raise self.broken
        return None if self.later and wait is not None else EXPLANATION


class Page(HTMLParser):
    """Elements and attributes of a page, which must be closed in order; and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        assert self.open == []
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in {"meta", "br", "polyline"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "title"}:
            self.words.append(data)


def _drawn(found: Mapping[str, Any]) -> tuple[str, str]:
    evidence = evidence_from_document("drift", {"distribution": found})
    assert isinstance(evidence, FieldEvidence)
    return distributions.draw(evidence.distribution)


def report(one=None, history=HISTORY, examples=EXAMPLES, explanation=None, **changes) -> Page:
    return Page(report_page(Report(one or alert(**changes), history, examples, explanation)))


def test_report_has_its_sections_in_order() -> None:
    text = report().text
    places = [
        text.index(part)
        for part in (
            "median_income of house-prices has drifted: PSI 0.43",
            "psi 0.427 between 4980 values",
            "Since 2025-11-24 01:50 UTC (for 1 h 10 min); fired 2025-11-24 01:55 UTC",
            "0.4271 2.1 × the limit limit 0.2 significance p < 0.0001 by chance alone rows 4,980 reference 16,512",
            "Reference and window",
            "The numbers behind it",
            "null 0 (0%) 120 (2.4%)",
            "mean 3.881 4.731",
            "Segments",
            "ocean_proximity=INLAND 0.91 1,622",
            "Predictions to look at",
            "0193-5b00-house 2025-11-24 03:00 UTC null 412,301 – 4bf92f3577b34da6a3ce929d0e0e4700",
            "psi over time",
            "The rule",
            "above 0.2",
            "label severity warning",
            "https://runbooks.example/drift",
            'SELECT * FROM predictions."house-prices"',
        )
    ]
    assert places == sorted(places)


def test_report_with_explanation_has_six_answers_in_order() -> None:
    text = report(
        explanation=EXPLANATION, low=0.3999, high=0.4555, coverage=0.62, maturity="provisional", q_value=3e-6
    ).text
    places = [
        text.index(part)
        for part in (
            "0.4271 0.3999 to 0.4555; 2.1 × the limit limit 0.2",
            "corrected: p < 0.0001",
            "ground truth 62% known; provisional",
            "label selection : labels of dear houses are missing",
            "Reference and window",
            "Could not be determined: selection and kind of shift (out of time).",
            "Where: the worst slices rmse by slice 95 % interval expected",
            "town = Elm 212 130.5 120.2 to 141.8 55.5 p < 0.0001",
            "town = Oak and age 3 to 5 77 90 70 to 110 52 p = 0.004",
            "in 4,980 predictions, drawn from about 1,200,000.",
            "Feature drift distance",
            "weighted by the importances of the reference",
            "Changes just before",
            "2025-11-24 01:00 UTC 1 h deployment 2.4.1 (rolled out by ci)",
            "2025-11-23 22:00 UTC 4 h feature set new: b",
            "Predictions to look at",
            "town = Elm 0193-why 2025-11-24 03:00 UTC 4.25 412,301 300000.5 4bf92f3577b34da6a3ce929d0e0e47ff",
            "psi over time",
            "With another threshold",
            "25 3 times 9 h since 2025-11-23 18:00 UTC",
            "50 present threshold 1 time 3 h since 2025-11-24 00:00 UTC",
            "58 nearest threshold without an alert 0 times 0 s no",
            "Judged by the stored values.",
            "Revisions coverage",
            "The rule",
        )
    ]
    assert places == sorted(places)


def test_empty_explanation_is_stated_in_words() -> None:
    nothing = {
        "where": {"measure": "rmse by slice", "rows": 10, "slices": [], "note": "No slice stands out."},
        "features": {"note": "not weighted", "ranking": []},
        "changes": {"start": NOW - 24 * HOUR, "end": NOW, "events": []},
    }
    text = report(explanation=explanation_from_json(nothing)).text
    for part in (
        "No slice stands out.",
        "No feature that the model uses has drifted.",
        "No change was seen between 2025-11-23 03:00 UTC and 2025-11-24 03:00 UTC",
    ):
        assert part in text
    assert "Revisions coverage" not in text


def test_pictures_of_an_explanation_show_its_figures() -> None:
    page = report_page(Report(alert(), HISTORY, EXAMPLES, EXPLANATION))
    assert "town = Elm: 130.5, expected 55.5, 95 % interval 120.2 to 141.8</title>" in page
    assert page.count('<rect class="mark"') == 3, "a mark for what was expected of all and of two slices"
    bars = re.findall(r'<rect class="win" x="190.0" y="[\d.]+" width="([\d.]+)"', page)
    assert [float(width) for width in bars] == [250.0, pytest.approx(250 / 8, abs=0.1)], (
        "in proportion, and none for age"
    )
    assert page.count('<polygon class="band"') == 1
    assert page.count('<circle class="change"') == 2
    assert "2025-11-24 01:00 UTC: 2.4.1 (rolled out by ci)</title>" in page
    assert "61 (55 to 67), 50% known, provisional</title>" in page
    coverage = re.findall(r'<rect class="ref"[^>]*height="([\d.]+)"><title>[^<]*% known', page)
    assert [float(height) for height in coverage] == sorted(map(float, coverage))
    assert len(coverage) == 5


def test_evidence_that_is_older_than_the_verdict_says_so() -> None:
    text = report(status="no_data", reason="too_few_rows", value=None, last_breach=NOW - 120 * 10**9).text
    assert (
        "The newest verdict is not a breach. The evidence below is that of the last breach, 2025-11-24 02:58 UTC."
        in text
    )
    assert "no_data too few rows" in text
    assert f"_time >= {NOW - 62 * 60 * 10**9} AND _time < {NOW - 2 * 60 * 10**9};" in text
    assert "Evidence is kept for breaches only." in report(status="ok", evidence={}, configured={}).text
    assert "not a breach" not in report().text
    never = report(
        phase="inactive",
        since=0,
        fired_at=0,
        last_breach=0,
        status="ok",
        value=0.69,
        threshold=0.62,
        evidence={"ledger": []},
    ).text
    assert "The newest verdict is not a breach. " in never
    assert "last breach" not in never
    assert "× the limit" not in never, "for some metrics more is better"


def test_a_resolved_alert_is_not_called_a_breach_of_now() -> None:
    text = report(phase="inactive", resolved_at=NOW).text
    assert "This is over: resolved 2025-11-24 03:00 UTC. The figures are those of its last breach." in text
    assert "last breach breach" in text
    assert "verdict now" not in text


def test_numbers_as_text_are_shortened_but_not_names() -> None:
    text = report(examples=[{"ground_truth": "367.5805777679407", "prediction": "007.5", "value": "1.23456789"}]).text
    assert "1.23456789 007.5 367.6" in text


def test_one_wild_window_does_not_flatten_the_others() -> None:
    calm = [PastVerdict(NOW + i, 30.0 + i, 48.0, "ok") for i in range(9)]
    wild = [PastVerdict(NOW - 2, 1600.0, 48.0, "breach"), PastVerdict(NOW - 1, -900.0, 48.0, "ok"), *calm]
    picture = timeline.draw(wild)
    assert "↑ up to 1,600" in picture
    assert "↓ down to -900" in picture
    assert ": 1,600, breach</title>" in picture
    assert "up to" not in timeline.draw(calm) + timeline.draw(HISTORY)


def test_only_web_addresses_become_links() -> None:
    links = {"a": "https://x.example", "b": "javascript:alert(1)", "c": "data:text/html,x", "d": "http://y.example/<b>"}
    found = [a for a in report(annotations=links).addresses if not a.startswith(".")]
    assert found == ["https://x.example", "http://y.example/<b>"]


def test_page_loads_nothing_from_elsewhere() -> None:
    page = report()
    assert not page.tags & {"script", "link", "img", "iframe", "form", "object"}
    assert all(address.startswith((".", "https://runbooks.example")) for address in page.addresses), page.addresses


BROKEN_PICTURE = re.compile(r' (?:x|y|c[xy]|r|width|height|points|viewBox)="[^"]*(?:nan|inf|-?\d{7})')


ODD = [NAN, float("inf"), None, "", "text", [], {}, True, -1, 10**400, HOSTILE, {"a": NAN}, [NAN]]


@pytest.mark.parametrize("odd", ODD, ids=[repr(o)[:12] for o in ODD])
def test_odd_values_break_no_page(odd) -> None:
    everything = {
        **dict.fromkeys(("distribution", "numbers", "segments", "sql", "something new"), odd),
    }
    nested = {
        "distribution": {**DISTRIBUTION, "reference": [odd, 0.5], "window": [0.5, odd], "edges": [odd, 1.0, odd]},
        "numbers": [[odd, odd, odd], ["rows", odd, 10], odd, ["short"]],
        "segments": [[odd, odd, odd]],
        "something new": odd,
    }
    number = odd if odd is None or isinstance(odd, float) else None
    history = [PastVerdict(NOW, number, number, "ok"), *HISTORY, PastVerdict(NOW + 1, number, 0.1, "error")]
    rows = [{"prediction_id": odd, "time": odd, "value": odd, "new": odd, "trace_id": odd}, {}]
    for evidence in (
        everything,
        nested,
        {"distribution": odd},
        {**nested, "distribution": dict.fromkeys(DISTRIBUTION, odd)},
    ):
        one = alert(
            evidence=evidence,
            configured={"a": odd, "b": [odd]},
            value=number,
            threshold=number,
            p_value=number,
            labels={"x": odd},
        )
        Page(page := report_page(Report(one, history, rows)))
        assert not BROKEN_PICTURE.search(page)
    for status in (
        {},
        dict.fromkeys(STATUS, odd),
        {"models": [odd, {}], "rules": [{"verdicts": {"ok": odd}}], "notes": [odd]},
    ):
        Page(overview_page(status, [alert()]))


def _hostile(found: Any) -> Any:
    """Every text of it is hostile."""
    if isinstance(found, Mapping):
        return {key: _hostile(value) for key, value in found.items()}
    if isinstance(found, list):
        return [_hostile(value) for value in found]
    return HOSTILE if isinstance(found, str) else found


def test_hostile_text_is_shown_and_does_nothing() -> None:
    one = alert(
        field=HOSTILE,
        model=HOSTILE,
        segment=f"k={HOSTILE}",
        version=HOSTILE,
        message=HOSTILE,
        rule=HOSTILE,
        group=HOSTILE,
        labels={HOSTILE: HOSTILE},
        annotations={"summary": HOSTILE, HOSTILE: HOSTILE},
        id='"><script>',
        evidence={
            "distribution": {**CATEGORIES, "labels": [HOSTILE] * 7},
            "numbers": [[HOSTILE, HOSTILE, HOSTILE]],
            "segments": [[HOSTILE] * 3],
            HOSTILE: HOSTILE,
        },
        configured={HOSTILE: HOSTILE},
    )
    history = [PastVerdict(NOW, 1.0, 1.0, HOSTILE)]  # type: ignore[arg-type]
    rows = [dict.fromkeys((*EXAMPLES[0], HOSTILE), HOSTILE)]
    pages = [
        report_page(Report(one, history, rows, missing=[HOSTILE])),
        report_page(Report(one, history, rows, explanation_from_json(_hostile(DOCUMENT)))),
        alerts_page([one]),
        overview_page({"models": [{"model": HOSTILE}], "notes": [HOSTILE], "rules": [{"rule": HOSTILE}]}, [one]),
    ]
    for text in pages:
        page = Page(text)
        assert "script" not in page.tags
        assert '<script>alert("x")</script>' in page.text
        assert all(address.startswith(".") for address in page.addresses), page.addresses


def test_a_picture_of_numbers_has_a_pair_of_bars_per_bin_and_its_edges() -> None:
    picture, caption = _drawn(DISTRIBUTION)
    assert picture.count('class="ref"') == picture.count('class="win"') == 12
    assert "1.904 to 2.352" not in picture
    assert "<title>1.9035 to 2.3523: reference 10.10%, window 3.50%</title>" in picture
    labels = re.findall(r"<text[^>]*>([^<]*)", picture)
    assert {"0.4999", "3.534", "15", html.escape("< 0.4999"), html.escape("> 15")} <= set(labels)
    assert "bars of equal width are not equally wide ranges" in caption


def test_a_picture_of_few_values_has_a_bar_per_value() -> None:
    picture, caption = _drawn(
        {
            "kind": "numeric",
            "edges": [1.0, 2.0, 3.0, 3.0],
            "reference": [0, 0.5, 0.3, 0.2, 0],
            "window": [0, 0.1, 0.3, 0.6, 0],
        }
    )
    assert {"1", "2", "3"} <= set(re.findall(r"<text[^>]*>([^<]*)", picture))
    assert caption.startswith("Share of the finite values in each bin. There is one bin for each value")


def test_small_categories_are_summed_not_hidden() -> None:
    n = 200
    labels = [f"c{i}" for i in range(n)]
    picture, _ = _drawn(
        {"kind": "categorical", "labels": labels, "reference": [1 / n] * n, "window": [0.5, *[0.5 / (n - 1)] * (n - 1)]}
    )
    assert "180 smaller ones: reference 90.00%, window 45.23%" in picture
    assert picture.count('class="ref"') == distributions.MOST_CATEGORIES + 1


def test_timeline_has_gaps_without_data_or_verdict() -> None:
    picture = timeline.draw(HISTORY)
    assert picture.count('<polyline class="value"') == 2
    assert picture.count('<polyline class="threshold"') == 1
    assert picture.count('<rect class="no_data"') == 6
    assert picture.count('<circle class="breach"') == 14
    without = [point for i, point in enumerate(HISTORY) if not 30 <= i < 40]
    assert timeline.draw(without).count('<polyline class="value"') == 3
    judged_again = [*HISTORY, replace(HISTORY[50], value=0.9, status="error")]
    assert timeline.draw(judged_again).count("<circle") == timeline.draw(HISTORY).count("<circle")
    assert timeline.draw(judged_again).count('<circle class="error"') == 1
    assert timeline.draw([]) == ""
    assert "circle" in timeline.draw(HISTORY[:1])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (NAN, "–"),
        ("", "–"),
        (0, "0"),
        (0.0, "0"),
        (-3.0, "-3"),
        (1234567, "1,234,567"),
        (0.000123456, "0.0001235"),
        (12345.678, "12,346"),
        (1e15, "1e+15"),
        (float("inf"), "inf"),
        (True, "True"),
        ("text", "text"),
        ({"a": NAN}, "{'a': None}"),
    ],
)
def test_values_read(value, expected: str) -> None:
    assert shown(value) == expected


def test_times_shares_and_probabilities_read() -> None:
    assert [when(t) for t in (0, None, "x", 2**90, -1e9, NOW)] == [
        "–",
        "–",
        "–",
        "–",
        "1969-12-31 23:59 UTC",
        "2025-11-24 03:00 UTC",
    ]
    seconds = (0, 59, 60, 3661, 90000, 86400 * 30)
    assert [length(s * 10**9) for s in seconds] == ["0 s", "59 s", "1 min", "1 h 1 min", "1 d 1 h", "30 d"]
    assert [sure(p) for p in (None, NAN, 0.0, 0.043, 1)] == [
        "not tested",
        "not tested",
        "p < 0.0001",
        "p = 0.043",
        "p = 1",
    ]
    assert [percent(s) for s in (0, 1e-5, 0.012, 0.5)] == ["0%", "<0.1%", "1.2%", "50%"]
    assert round_steps(0, 0.23) == pytest.approx([0, 0.1, 0.2])
    assert round_steps(-1e-9, 3e-9)[0] == pytest.approx(-1e-9)
    assert round_steps(1, 1) == [1]


def test_the_overview_accounts_for_every_row() -> None:
    text = Page(overview_page(STATUS, [alert()])).text
    assert "received 1,301,725 = stored 1,301,710 + duplicates 12 + rejected 3" in text
    assert "in flight" not in text
    assert "1 firing" in text
    assert "verdicts: ok 53 verdicts: breach 2 verdicts: no_data 3 verdicts: error 0" in text
    assert "version 0.1.0, up 1 d 2 h, store 221.3 MB" in text
    late = {**STATUS, "ingest": {**STATUS["ingest"], "received": 1_301_800}}
    assert "rejected 3 + in flight 75" in Page(overview_page(late, [])).text
    assert "Nothing fires" in Page(overview_page({}, [])).text


def test_every_route_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests

    demo, ready = Explained([alert(), alert(id="weird id", value=NAN, message=HOSTILE)], METRICS), [True]
    app: Starlette = web_app(
        demo, demo, ready=lambda: ready[0], routes=[Route("/more", lambda _: PlainTextResponse("more"))]
    )
    with serving(app) as port:

        def get(path: str) -> requests.Response:
            return requests.get(f"http://127.0.0.1:{port}{path}", timeout=5)

        for path in ("/", "/alerts", "/alerts/4f1c2b7e90ad3c55", "/alerts/weird%20id"):
            answer = get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8"), path
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            for address in Page(answer.text).addresses:
                if address.startswith("."):
                    there = requests.compat.urljoin(f"http://127.0.0.1:{port}{path}", address)
                    assert requests.get(there, timeout=5).status_code == 200, address
        assert get("/alerts/none").status_code == get("/api/v1/alerts/none").status_code == 404
        assert "No alert none" in get("/alerts/none").text
        assert get("/api/v1/alerts/none").json() == {"error": "no alert 'none'"}
        assert get("/api/v1/status").json() == json.loads(json.dumps(STATUS))
        assert [one["id"] for one in get("/api/v1/alerts").json()] == ["4f1c2b7e90ad3c55", "weird id"]
        one = get("/api/v1/alerts/weird%20id").json()
        assert (one["verdict"]["value"], one["target"]["field"], one["state"]["phase"]) == (
            None,
            "median_income",
            "firing",
        )
        assert (len(one["history"]), one["history"][0]["status"], one["examples"][0]["value"]) == (60, "ok", "null")
        why = get("/api/v1/alerts/weird%20id/explanation").json()
        assert [part["name"] for part in why["where"]["slices"]] == ["town = Elm", "town = Oak and age 3 to 5"]
        assert get("/api/v1/alerts/none/explanation").json() == {"error": "no alert 'none'"}
        demo.later = True
        page = get("/alerts/4f1c2b7e90ad3c55").text
        assert '<meta http-equiv="refresh" content="2">' in page
        assert "is being computed" in page
        assert "psi over time" in page, "the history needs no search"
        assert get("/api/v1/alerts/weird%20id/explanation").json() == why, "a program waits"
        demo.later = False
        assert "http-equiv" not in get("/alerts/4f1c2b7e90ad3c55").text
        assert (get("/healthz").status_code, get("/readyz").status_code, get("/more").text) == (200, 200, "more")
        ready[0] = False
        assert (get("/healthz").status_code, get("/readyz").status_code) == (200, 503)
        demo.broken = OSError("disk gone")
        page = get("/alerts/4f1c2b7e90ad3c55")
        assert page.status_code == 200
        assert "could not be read: explanation, sample predictions" in page.text
        assert "The numbers behind it" in page.text


@pytest.mark.peers
def test_a_browser_shows_the_report_and_finds_nothing_missing(tmp_path) -> None:
    require_peer("chromium")
    demo = Explained([replace(alert(), labels={})], METRICS)
    with serving(web_app(demo, demo)) as port:
        chromium_screenshot(f"http://127.0.0.1:{port}/alerts/4f1c2b7e90ad3c55", tmp_path / "report.png", 1000, 1200)
    assert (tmp_path / "report.png").stat().st_size > 40_000


OUTCOMES: dict[str, Any] = {
    "arrived": [{"delay": i * HOUR, "share": 0.06 * i} for i in range(11)],
    "old_enough": 6 * HOUR,
    "confusion": [
        {"truth": "fraud", "prediction": "fraud", "rows": 30, "share": 0.75, "usual": 0.9, "worth": 100.0},
        {"truth": "fraud", "prediction": "ok", "rows": 10, "share": 0.25, "usual": 0.1, "worth": -500.0},
        {"truth": "ok", "prediction": "fraud", "rows": 20, "share": 0.02, "usual": None, "worth": -10.0},
        {"truth": "ok", "prediction": "ok", "rows": 940, "share": 0.98, "usual": None, "worth": 0.0},
    ],
    "ledger": [
        {
            "start": NOW + (i - 1) * HOUR,
            "end": NOW + i * HOUR,
            "estimate": 50.0,
            "low": 48.0,
            "high": 52.0,
            "realised": (51.0, 53.0, None)[i],
        }
        for i in range(3)
    ],
}


EXPLAINED_OUTCOMES = explanation_from_json({**DOCUMENT, "outcomes": OUTCOMES})


def test_ground_truth_is_drawn_and_described() -> None:
    page = report_page(Report(alert(), HISTORY, EXAMPLES, EXPLAINED_OUTCOMES))
    text = Page(page).text
    for part in (
        "Predictions against the ground truth",
        "is fraud 30 75%",
        "usually 90%",
        "-500 each: -5,000",
        "1,000 predictions of the window have ground truth",
        "Together they are worth -2,200, -2.2 each.",
        "Estimates and realised values",
        "Of 2 estimates whose ground truth is final, 1 missed",
        "Delay of ground truth",
        "Half of the ground truth so far took at most 5 h, nine tenths 9 h. Some predictions of the window are",
        "younger than 6 h (pale)",
    ):
        assert part in text, part
    assert page.count('<circle class="right"') == page.count('<circle class="wrong"') == 1
    assert page.count('<polyline class="curve"') == page.count('<rect class="young"') == 1
    assert "fraud predicted as ok: 10 (25%, usually 10%, -500 each: -5,000)</title>" in page
    assert "Predictions against the ground truth" not in report(explanation=EXPLANATION).text


@pytest.mark.parametrize("odd", ODD, ids=[repr(o)[:12] for o in ODD])
def test_odd_evidence_breaks_no_page(odd) -> None:
    windows = [dict.fromkeys(("burn", "window"), odd), odd]
    for evidence in ({"budget": {"left": odd, "over": odd, "windows": windows}}, {"ledger": odd}):
        Page(page := report_page(Report(alert(evidence=evidence), HISTORY, EXAMPLES, EXPLANATION)))
        assert not BROKEN_PICTURE.search(page)


def _figures(document: Any, odd: Any) -> Any:
    """Return the document with `odd` for each float."""
    if isinstance(document, Mapping):
        return {key: _figures(value, odd) for key, value in document.items()}
    if isinstance(document, list):
        return [_figures(value, odd) for value in document]
    return odd if isinstance(document, float) else document


@pytest.mark.parametrize("odd", [NAN, float("inf"), -float("inf"), 0.0, -1.0, 1e200, None], ids=repr)
def test_odd_figures_of_an_explanation_break_no_page(odd: float | None) -> None:
    why = explanation_from_json(_figures({**DOCUMENT, "outcomes": OUTCOMES}, odd))
    Page(page := report_page(Report(alert(value=odd, low=odd, high=odd, threshold=odd), HISTORY, EXAMPLES, why)))
    assert not BROKEN_PICTURE.search(page)


@pytest.mark.parametrize("part", ["fired", "where", "features", "changes", "examples", "history", "outcomes"])
def test_a_page_shows_the_other_parts_of_an_incomplete_explanation(part: str) -> None:
    text = report(explanation=replace(EXPLAINED_OUTCOMES, **{part: None}, missing=(f"{part} (OSError)",))).text
    assert f"Could not be determined: {part} (OSError)." in text
    assert "psi over time" in text


def test_figures_are_of_the_last_breach_after_a_later_verdict() -> None:
    assert EXPLANATION.fired is not None
    result = replace(EXPLANATION.fired.result, reference_rows=16512, coverage=0.8, maturity="final")
    fired = replace(EXPLANATION.fired, result=result)
    text = report(
        explanation=replace(EXPLANATION, fired=fired),
        status="no_data",
        reason="too_few_rows",
        value=None,
        threshold=None,
        p_value=None,
        rows=12,
        message="only 12 rows",
    ).text
    assert (
        "0.4271 2.1 × the limit limit 0.2 significance p < 0.0001 by chance alone rows 4,980 reference 16,512" in text
    )
    assert "ground truth 80% known; final verdict now no_data too few rows" in text
    assert "The figures are those of the last breach. The newest verdict is not a breach: only 12 rows (window" in text


@pytest.mark.parametrize(
    ("left", "said"),
    [(0.4, "40% of the budget for 4w is left."), (-0.58, "The budget for 4w is used up: 158% of it is gone.")],
)
def test_how_fast_a_budget_burns_is_a_table(left: float, said: str) -> None:
    line = {"window": "2d", "burn": 1.58, "short": "4h", "short_burn": 1.7, "factor": 1.0, "rows": 9033, "breach": True}
    text = report(
        check="budget", method="accuracy", evidence={"budget": {"left": left, "over": "4w", "windows": [line]}}
    ).text
    assert f"How fast the budget burns {said} At a burn rate of 1" in text
    assert "2d 1.58 4h 1.7 1 9,033 burns too fast" in text
    assert "Further evidence" not in text


def test_shares_are_written_as_percentages() -> None:
    one = alert(check="slices", method="rmse", value=1.095, threshold=0.15, low=0.9, high=1.2, annotations={})
    text = report(one).text
    assert "FeatureDrift: rmse of the worst slice, beyond what is expected, median_income" in text
    assert "rmse of the worst slice, beyond what is expected 110% 90% to 120%; 7.3 × the limit limit 15%" in text


def test_report_links_its_cause_and_its_effects() -> None:
    cause = alert(id="cause", rule="Parity", segment="town=Elm", field="")
    followers = [alert(id=f"f{i}", segment=f"town={i}") for i in range(2)]
    page = report_page(Report(alert(cause="cause"), HISTORY, EXAMPLES, cause=cause, follow=followers))
    assert 'This follows from <a href="../alerts/cause">Parity, town=Elm</a>' in page
    assert "2 other alerts follow from this one" in page
    assert '<a href="../alerts/f1">FeatureDrift, median_income, town=1</a>' in page


def test_a_hundred_alerts_are_a_few_incidents() -> None:
    whole = alert(id="whole", segment="")
    parts = [alert(id=f"part-{i}", segment=f"town={i}") for i in range(60)]
    effects = [alert(id=f"effect-{i}", rule="PricesOff", segment=f"town={i}", cause="whole") for i in range(40)]
    indirect = alert(id="indirect", rule="Budget", cause="effect-3")
    lone = alert(id="lone", rule="Other", cause="gone")
    over = [alert(id=f"over-{i}", rule="Old", phase="inactive", resolved_at=NOW) for i in range(3)]
    found = incidents([*parts, whole, *effects, indirect, lone])
    assert [(one.alert.id, len(one.alike), len(one.follow)) for one in found] == [("whole", 60, 41), ("lone", 0, 0)]
    assert found[0].also == "60 more of this rule: town=0, town=1, town=2, town=3, town=4, town=5 and 54 more"
    every = [*parts, whole, *effects, indirect, lone, *over]
    listed, first = alerts_page(every), overview_page(STATUS, every)
    for one in every:
        assert listed.count(f'href="./alerts/{one.id}"') == 1
    assert "41 that this one explains" in Page(listed).text
    assert "3 resolved" in Page(first).text
    assert "over-1" not in first


def test_alerts_with_circular_causes_are_shown() -> None:
    found = incidents([alert(id="a", cause="a"), alert(id="b", cause="c"), alert(id="c", cause="b")])
    assert sorted(one.alert.id for one in found) == ["a", "b", "c"]
