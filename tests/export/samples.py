"""A model with things wrong in it, as the processor would tell of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from otel_mlmon.values import Alert, AlertState, CheckResult, HistogramValue, Point, Target, Verdict
from otel_mlmon.values.evidence_documents import evidence_from_document
from otel_mlmon.values.explanation import PastVerdict
from otel_mlmon.wire import semconv
from otel_mlmon.wire.semconv import MetricName

NAN = float("nan")
MIN = 60 * 10**9
NOW = 1_763_953_200 * 10**9  # 2025-11-24 03:00 UTC
HOSTILE = '<script>alert("x")</script>\n\\"}{ \'"&\ud800 é'

DISTRIBUTION = {
    "kind": "numeric",
    "labels": [],
    "edges": [0.4999, 1.9035, 2.3523, 2.7443, 3.142, 3.5337, 3.975, 4.4966, 5.1101, 6.1594, 15.0001],
    "reference": [0, 0.1, 0.101, 0.1, 0.099, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0],
    "window": [0.004, 0.031, 0.035, 0.05, 0.06, 0.075, 0.09, 0.11, 0.142, 0.17, 0.215, 0.018],
}
CATEGORIES = {
    "kind": "categorical",
    "labels": [
        "<1H OCEAN",
        "INLAND",
        "NEAR OCEAN",
        "NEAR BAY",
        "ISLAND",
        "Inland (new spelling of the app 4.2)",
        "(other)",
    ],
    "edges": None,
    "reference": [0.443, 0.317, 0.129, 0.111, 0.0002, 0, 0],
    "window": [0.44, 0.02, 0.12, 0.11, 0, 0.31, 0],
}
NUMBERS = [
    ["rows", 16512, 4980],
    ["null", 0, 120],
    ["type float", 16512, 4860],
    ["mean", 3.8806, 4.7312],
    ["standard deviation", 1.9045, 2.2011],
    ["minimum", 0.4999, 0.1],
    ["maximum", 15.0001, 21.7],
]
RULE = {
    "group": "house-prices",
    "window": "1h",
    "reference": "training",
    "alert": "FeatureDrift",
    "drift": "psi",
    "above": 0.2,
}


def alert(**changes: Any) -> Alert:
    """A firing drift alert; `changes` to the alert, its verdict, target or state, by field name."""
    target = Target("house-prices", "7", "", "median_income")
    state = AlertState("firing", NOW - 70 * MIN, NOW - 65 * MIN, NOW)
    evidence = {
        "distribution": DISTRIBUTION,
        "numbers": NUMBERS,
        "segments": [["ocean_proximity=INLAND", 0.91, 1622], ["ocean_proximity=NEAR BAY", 0.08, 540]],
    }
    verdict = Verdict(
        target,
        NOW - 60 * MIN,
        NOW,
        CheckResult(
            "breach",
            "beyond_threshold",
            value=0.4271,
            threshold=0.2,
            p_value=1.3e-7,
            rows=4980,
            reference_rows=16512,
            message="psi 0.427 between 4980 values and the reference's 16512",
            evidence=evidence_from_document("drift", evidence),
        ),
    )
    made = Alert(
        "4f1c2b7e90ad3c55",
        "house-prices",
        "FeatureDrift",
        "drift",
        "psi",
        target,
        state,
        verdict,
        {"severity": "warning", "team": "pricing"},
        {"summary": "median_income of house-prices has drifted: PSI 0.43", "runbook": "https://runbooks.example/drift"},
        configured=RULE,
    )
    return changed(made, **changes)


def changed(made: Alert, **changes: Any) -> Alert:
    if isinstance(changes.get("evidence"), Mapping):
        changes["evidence"] = evidence_from_document(changes.get("check", made.check), changes["evidence"])

    def mine(part: Any) -> dict[str, Any]:
        return {k: changes.pop(k) for k in list(changes) if k in type(part).__dataclass_fields__}

    target = replace(made.target, **mine(made.target))
    state = replace(made.state, **mine(made.state))
    result = replace(made.verdict.result, **mine(made.verdict.result))
    verdict = replace(made.verdict, result=result, **mine(made.verdict))
    return replace(made, target=target, state=state, verdict=verdict, **changes)


HISTORY = [
    PastVerdict(
        NOW - (59 - i) * MIN,
        None
        if 18 <= i < 24
        else 0.03 + 0.01 * ((i * 7) % 5) + (0.011 * (i - 30) if i > 30 else 0) + (0.05 if i > 55 else 0),
        0.2,
        "no_data" if 18 <= i < 24 else "breach" if i > 45 else "ok",
    )
    for i in range(60)
]
EXAMPLES = [
    {
        "prediction_id": f"0193-5b{i:02d}-house",
        "time": NOW - i * MIN,
        "trace_id": f"4bf92f3577b34da6a3ce929d0e0e47{i:02d}",
        "value": "null" if i < 2 else f"{14.2 - i:.2f}",
        "prediction": 412_300.55 + 1000 * i,
        "ground_truth": None,
    }
    for i in range(6)
]


class Demo:
    """Both sources in one."""

    def __init__(
        self, alerts: Sequence[Alert] = (), metrics: Sequence[tuple[MetricName, Sequence[Point]]] = ()
    ) -> None:
        self.found = list(alerts)
        self.points = list(metrics)
        self.broken: Exception | None = None
        self.told: Mapping[str, Any] = STATUS

    def metrics(self) -> Sequence[tuple[MetricName, Sequence[Point]]]:
        return self.points

    def alerts(self) -> Sequence[Alert]:
        return self.found

    def alert(self, alert_id: str) -> Alert | None:
        return next((a for a in self.found if a.id == alert_id), None)

    def history(self, alert_id: str) -> Sequence[PastVerdict]:
        return HISTORY

    def examples(self, alert_id: str) -> Sequence[Mapping[str, Any]]:
        if self.broken:
            raise self.broken
        return EXAMPLES

    def status(self) -> Mapping[str, Any]:
        return self.told


STATUS: Mapping[str, Any] = {
    "version": "0.1.0",
    "uptime_s": 93_780.0,
    "models": [
        {
            "model": "house-prices",
            "versions": ["6", "7"],
            "rows": 1_284_331,
            "oldest": NOW - 9000 * MIN,
            "newest": NOW,
            "clock": NOW,
            "verdicts": {"ok": 41, "breach": 2, "no_data": 3},
            "firing": 2,
        },
        {
            "model": "bike-demand",
            "versions": ["2"],
            "rows": 17_379,
            "oldest": 1,
            "newest": NOW - 4 * MIN,
            "clock": NOW,
            "verdicts": {"ok": 12},
            "firing": 0,
        },
    ],
    "rules": [
        {
            "group": "house-prices",
            "rule": "FeatureDrift",
            "check": "drift",
            "method": "psi",
            "model": "house-prices",
            "window": "1h",
            "verdicts": {"ok": 20, "breach": 2},
            "firing": 2,
        },
        {
            "group": "house-prices",
            "rule": "PricesOff",
            "check": "performance",
            "method": "rmse",
            "model": "house-prices",
            "window": "1d",
            "verdicts": {},
            "firing": 0,
        },
    ],
    "ingest": {"received": 1_301_725, "stored": 1_301_710, "duplicates": 12, "rejected": 3},
    "store_bytes": 221_300_000,
    "notes": ["model 'bike-demand' has no reference: make one with `mlmon reference create FILE --model bike-demand`"],
}

_ABOUT = {semconv.MODEL_NAME: "house-prices", semconv.FEATURE_NAME: "median_income"}
METRICS: Sequence[tuple[MetricName, Sequence[Point]]] = (
    (semconv.RULE_VALUE, [Point(_ABOUT, 0.4271), Point({semconv.FEATURE_NAME: "rooms"}, NAN)]),
    (semconv.RULE_THRESHOLD, [Point(_ABOUT, NAN)]),
    (semconv.WINDOW_END, [Point({}, 1763953200.0)]),
    (semconv.STORE_SIZE, [Point({}, 221300000)]),
    (semconv.INGEST_ROWS, [Point({semconv.OUTCOME: "stored"}, 1301710)]),
    (semconv.COMMIT_DURATION, [Point({}, HistogramValue((0.5, 1.0), (3, 1, 2), 7.25))]),
)
