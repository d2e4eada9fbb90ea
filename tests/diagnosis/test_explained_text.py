"""`mlmon explain` cuts nothing off on a narrow terminal; `--format brief` fits into a chat."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from otel_mlmon.cli.brief import brief
from otel_mlmon.cli.explained import length_of, show
from otel_mlmon.values.explanation import Explanation
from otel_mlmon.values.explanation_documents import explanation_from_json

HOUR = 3600 * 10**9
NOW = 1_763_953_200 * 10**9  # 2025-11-24 03:00 UTC
PLACE = "neighbourhood_of_the_house = The Old Mill by the Lakeside Promenade"
TRACE = "4bf92f3577b34da6a3ce929d0e0e47ff"


def found(**changes: Any) -> Explanation:
    return explanation_from_json(
        {
            "alert": "bf2b50faf5b80c7e",
            "group": "houses",
            "rule": "WeakSpots",
            "check": "slices",
            "method": "rmse",
            "model": "house-prices",
            "version": "8",
            "segment": "",
            "field": "",
            "fired": {
                "phase": "firing",
                "message": "rmse is 110% worse",
                "notes": [],
                "since": NOW,
                "fired_at": NOW,
                "resolved_at": 0,
                "start": NOW - HOUR,
                "end": NOW,
                "value": 1.095,
                "low": 0.9,
                "high": 1.2,
                "threshold": 0.15,
                "p_value": 2e-20,
                "q_value": None,
                "rows": 6239,
                "reference_rows": 16800,
                "coverage": 0.7,
                "maturity": "provisional",
            },
            "where": {
                "measure": "rmse by slice",
                "rows": 6239,
                "value": 83.9,
                "expected": 79.5,
                "note": "",
                "slices": [
                    {
                        "name": PLACE,
                        "rows": 99,
                        "value": 164.6,
                        "low": 142.9,
                        "high": 183.8,
                        "expected": 78.57,
                        "p_value": 3e-20,
                    }
                ],
            },
            "features": {
                "note": "weighted by importances",
                "ranking": [
                    {"feature": "area", "distance": 0.2, "importance": 0.5, "score": 0.1, "change": "mean 90 → 110"},
                    {"feature": "age", "distance": 0.0, "importance": 0.5, "score": 0.0, "change": "mean 3 → 3"},
                ],
            },
            "changes": {
                "start": NOW - 24 * HOUR,
                "end": NOW,
                "events": [
                    {
                        "time": NOW - HOUR,
                        "before": HOUR,
                        "kind": "deployment",
                        "value": "8",
                        "text": "new feature store",
                    }
                ],
            },
            "examples": {
                "rows": [
                    {
                        "slice": PLACE,
                        "prediction_id": "01935b00-7e90-7d3c-9555-4f1c2b7e90ad",
                        "time": NOW,
                        "value": "",
                        "prediction": 463.5,
                        "ground_truth": "893.6759012345",
                        "trace_id": TRACE,
                    }
                ]
            },
            "history": {
                "ticks": [{"end": NOW, "status": "breach"}],
                "worse": "above",
                "note": "By size.",
                "revisions": [],
                "what_if": [{"kind": "silent", "threshold": 1.2, "episodes": 0, "firing": 0, "since": 0}],
            },
            "outcomes": {
                "arrived": [{"delay": i * HOUR, "share": 0.07 * i} for i in range(11)],
                "old_enough": 10 * HOUR,
                "confusion": [
                    {"truth": a, "prediction": b, "rows": n, "share": 0.5, "usual": None, "worth": w}
                    for a, b, n, w in (("yes", "yes", 4, 100.0), ("yes", "no", 4, -500.0))
                ],
                "ledger": [{"start": 0, "end": NOW, "estimate": 50.0, "low": 48.0, "high": 52.0, "realised": 53.0}],
            },
            "missing": ["features (out of time)"],
            **changes,
        }
    )


def printed(explained: Explanation, width: int) -> str:
    screen = io.StringIO()
    show(explained, Console(file=screen, width=width), "http://127.0.0.1:9464/alerts/bf2b50faf5b80c7e")
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 150])
def test_ids_and_names_are_not_cut_off(width: int) -> None:
    text = printed(found(), width)
    assert "…" not in text
    assert TRACE in text
    letters = re.sub(r"\s", "", text)
    for whole in (PLACE.replace(" ", ""), "893.7", "http://127.0.0.1:9464/alerts/bf2b50faf5b80c7e"):
        assert whole in letters


def test_figures_are_named_and_shares_are_percentages() -> None:
    text = " ".join(printed(found(), 200).split())
    assert "rmse of the worst slice, beyond what is expected: 110% (90% to 120%), limit 15%; p 2e-20" in text
    assert "yes no 4 50% – -500" in text
    assert (
        "the ground truth of 70% of the predictions has arrived: half of it within 5 h, nine tenths within 9 h" in text
    )
    assert "2025-11-24 03:00:00 50 48 to 52 53 outside" in text
    assert "120% nearest threshold without an alert 0 times" in text
    assert "could not be determined: features (out of time)" in text


def test_brief_has_a_line_per_answer() -> None:
    assert brief(found(), "http://x/alerts/1").splitlines() == [
        "WeakSpots (house-prices 8): firing since 2025-11-24 03:00:00 UTC",
        "rmse of the worst slice, beyond what is expected is 110%, the limit 15%: rmse is 110% worse",
        f"where: {PLACE} (164.6, expected 78.57, 99 rows)",
        "drifted: area (mean 90 → 110)",
        "changed just before: deployment 8 (new feature store), 1 h before",
        f"look at: 01935b00-7e90-7d3c-9555-4f1c2b7e90ad trace {TRACE}",
        "silent with a limit of 120%",
        "http://x/alerts/1",
    ]


def test_part_that_could_not_be_determined_has_no_line() -> None:
    parts = ("fired", "where", "features", "changes", "examples", "history", "outcomes")
    nothing = found(**dict.fromkeys(parts))
    assert brief(nothing, "page").splitlines() == ["WeakSpots (house-prices 8): could not be determined", "page"]
    calm = found(changes={"start": NOW - HOUR, "end": NOW, "events": []})
    assert "changed just before: nothing was seen" in brief(calm, "page")
    assert printed(nothing, 80).count("could not be determined") == len(parts)  # all but outcomes, and the last line


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59, "59 s"), (3600, "1 h"), (90_061, "1 d 1 h 1 min")])
def test_lengths_of_time_read(seconds: int, said: str) -> None:
    assert length_of(seconds * 10**9) == said
