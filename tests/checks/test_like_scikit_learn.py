"""Every metric of real models on real data is scikit-learn's, at any state of the arrival of ground truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from e2e.live import real
from sklearn import metrics
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from otel_mlmon.engine.tick import Engine
from otel_mlmon.rulefile import parse_text
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import FieldColumn, GroundTruthBatch, PredictionBatch
from otel_mlmon.window import Plan, Windows
from otel_mlmon.wire.semconv import FIELD_PREDICTION, score_field

HOUR = 3600 * 10**9
DAY = 24 * HOUR
TICKS = (30, 45, 61, 90)  # days: a little, half, most and all of the ground truth is known
Expected = dict[str, Callable[[pd.DataFrame], float]]


def _columns(frame: pd.DataFrame, names: list[str]) -> dict[str, FieldColumn]:
    return {name: FieldColumn(pa.array(frame[name].tolist())) for name in names}


def _judged(frame: pd.DataFrame, fields: dict[str, FieldColumn], rules: list[str], segment: str) -> Any:
    """Send predictions over 30 days and their ground truth after `frame.delay`; yield values by rule and segment."""
    store = Store(None)
    windows = Windows(store, lambda *_: None, pane_ns=HOUR)
    windows.plan("m", Plan({"training": (segment,)}), "plan", 0)
    engine = Engine(
        windows,
        lambda *_: None,
        store.documents,
        lambda *_: 0,
        count_condition,
        aggregate=aggregate,
        ground_truth_horizon_ns=100 * DAY,
    )
    n = len(frame)
    nothing = pa.nulls(n, pa.string())
    ids = pa.array([f"id-{i}" for i in range(n)])
    store.commit(
        [
            PredictionBatch(
                "m",
                "1",
                ids,
                pa.array(frame["time"]),
                fields,
                {},
                pa.nulls(n, pa.float64()),
                nothing,
                nothing,
                nothing,
                pa.array(np.zeros(n, np.int32)),
            )
        ],
        0,
    )
    windows.touch("m", frame["time"].to_numpy())
    order = np.random.default_rng(1).permutation(n)
    for part in np.array_split(order, 7):
        known = pa.array((frame["time"] + frame["delay"]).to_numpy()[part])
        store.commit(
            [
                GroundTruthBatch(
                    "m",
                    ids.take(pa.array(part)),
                    known,
                    FieldColumn(pa.array(frame["truth"].to_numpy()[part].tolist())),
                )
            ],
            0,
        )
        windows.touch_ground_truth("m")
    limits = "min_ground_truth: 1, min_coverage: 0%"
    text = "\n".join(f"      - {{alert: A{i}, {rule}, {limits}}}" for i, rule in enumerate(rules))
    (group,) = parse_text(
        "groups:\n  - name: g\n    model: m\n    interval: 1d\n    window: 90d\n"
        f"    segments: [{segment}]\n    rules:\n{text}"
    ).groups
    for day in TICKS:
        windows.close("m", day * DAY)
        engine.tick([group], "m", day * DAY)
        yield day, {(int(a.rule[1:]), a.target.segment): a.verdict for a in engine.alerts()}
    store.close()


def _compare(frame: pd.DataFrame, fields: dict[str, FieldColumn], expected: Expected, segment: str) -> None:
    coverages = []
    for day, found in _judged(frame, fields, list(expected), segment):
        # What was told in an hour counts from its end.
        known = frame[
            (frame["time"] < day * DAY) & ((frame["time"] + frame["delay"]) // HOUR * HOUR + HOUR <= day * DAY)
        ]
        coverages.append(len(known) / len(frame))
        parts = {"": known, **{f"{segment}={value}": part for value, part in known.groupby(segment)}}
        for index, (rule, compute) in enumerate(expected.items()):
            for name, part in parts.items():
                verdict = found[index, name]
                assert verdict.result.rows == len(part), (rule, name, day)
                assert verdict.result.value == pytest.approx(compute(part), rel=1e-9, abs=1e-12), (rule, name, day)
                assert (
                    verdict.result.low is not None and verdict.result.low <= verdict.result.value <= verdict.result.high
                ), (rule, name, day)
    assert coverages[0] < 0.6 < coverages[1] < coverages[2] < coverages[3] == 1.0


def _arriving(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Times over thirty days, and delays of up to two months that depend on nothing."""
    rng = np.random.default_rng(seed)
    frame = frame.reset_index(drop=True)
    frame["time"] = np.sort(rng.integers(0, 30 * DAY, len(frame)))
    frame["delay"] = np.minimum(rng.exponential(18 * DAY, len(frame)), 59 * DAY).astype(np.int64)
    return frame


def test_regression_on_bike_sharing() -> None:
    table = pd.read_csv(real("bike_sharing_hourly.csv"))
    features = ["season", "hr", "weekday", "workingday", "weathersit", "temp", "hum", "windspeed"]
    first = table.index < 8000
    model = HistGradientBoostingRegressor(random_state=0, max_iter=60).fit(
        table.loc[first, features], table.loc[first, "cnt"]
    )
    frame = _arriving(
        table[~first].assign(prediction=model.predict(table.loc[~first, features]), truth=table["cnt"].astype(float)), 2
    )
    frame["query"] = np.random.default_rng(0).integers(0, 150, len(frame)).astype(str)
    frame["season"] = frame["season"].astype(str)

    def by(function: Callable[..., float], **options: Any) -> Callable[[pd.DataFrame], float]:
        return lambda rows: function(rows["truth"], rows["prediction"], **options)

    def ndcg(rows: pd.DataFrame) -> float:
        queries = [part for _, part in rows.groupby("query") if len(part) > 1]
        return float(np.mean([metrics.ndcg_score([q["truth"]], [q["prediction"]], k=5) for q in queries]))

    expected: Expected = {
        "performance: rmse, above: 1": by(metrics.root_mean_squared_error),
        "performance: mae, above: 1": by(metrics.mean_absolute_error),
        "performance: mape, above: 1": by(metrics.mean_absolute_percentage_error),
        "performance: r2, below: 0.9": by(metrics.r2_score),
        "performance: bias, above: 1": lambda rows: abs((rows["prediction"] - rows["truth"]).mean()),
        "performance: wape, above: 1": lambda rows: (
            (rows["prediction"] - rows["truth"]).abs().sum() / rows["truth"].abs().sum()
        ),
        "performance: quantile_loss, quantile: 80%, above: 1": by(metrics.mean_pinball_loss, alpha=0.8),
        "performance: ndcg, query: query, k: 5, below: 0.5": ndcg,
        "performance: sql, expression: 'sqrt(avg((prediction - ground_truth)**2))', above: 1": by(
            metrics.root_mean_squared_error
        ),
    }
    fields = {
        **_columns(frame, ["season", "query"]),
        FIELD_PREDICTION: FieldColumn(pa.array(frame["prediction"].tolist())),
    }
    _compare(frame, fields, expected, "season")


def test_classification_on_california_housing() -> None:
    table = pd.read_csv(real("california_housing.csv")).dropna()
    features = [
        "longitude",
        "latitude",
        "housing_median_age",
        "total_rooms",
        "population",
        "households",
        "median_income",
    ]
    value = table["median_house_value"]
    for classes in (["cheap", "dear"], ["a", "b", "c"]):
        truth = pd.Series(
            np.array(classes)[np.digitize(value, np.quantile(value, np.linspace(0, 1, len(classes) + 1)[1:-1]))],
            index=table.index,
        )
        first = np.random.default_rng(3).random(len(table)) < 0.6
        model = HistGradientBoostingClassifier(random_state=0, max_iter=30).fit(
            table.loc[first, features], truth[first]
        )
        rest = table.loc[~first, features]
        scores = model.predict_proba(rest)
        frame = _arriving(
            rest.assign(
                prediction=model.predict(rest), truth=truth[~first], ocean=table.loc[~first, "ocean_proximity"]
            ),
            4,
        )
        frame = frame[frame["ocean"] != "ISLAND"].reset_index(drop=True)
        scores = scores[(table.loc[~first, "ocean_proximity"] != "ISLAND").to_numpy()]
        for place, name in enumerate(classes):
            frame[f"score {name}"] = scores[:, place]
        fields = {
            **_columns(frame, ["ocean"]),
            FIELD_PREDICTION: FieldColumn(pa.array(frame["prediction"].tolist())),
            **{score_field(name): FieldColumn(pa.array(frame[f"score {name}"])) for name in classes},
        }
        _compare(frame, fields, _of_classes(classes), "ocean")


def _of_classes(classes: list[str]) -> Expected:
    binary, last = len(classes) == 2, classes[-1]

    def probabilities(rows: pd.DataFrame) -> Any:
        return rows[[f"score {name}" for name in classes]].to_numpy()

    def labels(function: Callable[..., float], **options: Any) -> Callable[[pd.DataFrame], float]:
        return lambda rows: function(rows["truth"], rows["prediction"], zero_division=np.nan, **options)

    def roc_auc(rows: pd.DataFrame) -> float:
        if binary:
            return float(metrics.roc_auc_score(rows["truth"] == last, rows[f"score {last}"]))
        return float(
            metrics.roc_auc_score(
                rows["truth"], probabilities(rows), multi_class="ovr", average="macro", labels=classes
            )
        )

    def average_precision(rows: pd.DataFrame) -> float:
        of = [last] if binary else classes
        return float(np.mean([metrics.average_precision_score(rows["truth"] == c, rows[f"score {c}"]) for c in of]))

    def brier(rows: pd.DataFrame) -> float:
        if binary:
            return float(metrics.brier_score_loss(rows["truth"] == last, rows[f"score {last}"]))
        hot = np.stack([(rows["truth"] == c).to_numpy(float) for c in classes], axis=1)
        return float(((probabilities(rows) - hot) ** 2).sum(axis=1).mean())

    value = {(t, p): (5.0 if t == p else -2.0) for t in classes for p in classes}
    matrix = (
        "{" + ", ".join(f"{t}: {{" + ", ".join(f"{p}: {value[t, p]}" for p in classes) + "}" for t in classes) + "}"
    )
    return {
        "performance: accuracy, below: 0.9": lambda rows: float(
            metrics.accuracy_score(rows["truth"], rows["prediction"])
        ),
        f"performance: precision, positive: {last}, below: 0.9": labels(
            metrics.precision_score, labels=[last], average="macro"
        ),
        f"performance: recall, positive: {last}, below: 0.9": labels(
            metrics.recall_score, labels=[last], average="macro"
        ),
        f"performance: f1, positive: {last}, below: 0.9": labels(metrics.f1_score, labels=[last], average="macro"),
        "performance: recall, below: 0.9": labels(metrics.recall_score, average="macro"),
        "performance: precision, below: 0.9": labels(metrics.precision_score, average="macro"),
        "performance: f1, below: 0.9": labels(metrics.f1_score, average="macro"),
        "performance: roc_auc, below: 0.9": roc_auc,
        "performance: average_precision, below: 0.9": average_precision,
        "performance: log_loss, above: 1": lambda rows: float(
            metrics.log_loss(rows["truth"], probabilities(rows), labels=classes)
        ),
        "performance: brier, above: 1": brier,
        f"performance: business_value, values: {matrix}, below: 0": lambda rows: float(
            np.mean([value[pair] for pair in zip(rows["truth"], rows["prediction"], strict=True)])
        ),
        'performance: sql, expression: "avg((prediction = ground_truth)::INT)", below: 0': lambda rows: float(
            metrics.accuracy_score(rows["truth"], rows["prediction"])
        ),
    }
