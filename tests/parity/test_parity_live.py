"""A production model whose feature scaling is not the intended one, over OTLP into a real `mlmon serve`."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e.live import DATA, Processor, Serve

from otel_mlmon import Monitor
from otel_mlmon.lab.replay import provider_to

RULES = """
groups:
  - name: parity
    model: houses
    interval: 1s
    window: 10m
    rules:
      - {alert: NotTheIntendedModel, parity: rate, above: 1%}
      - {alert: FarFromTheIntendedModel, parity: size, above: 2%}
"""
# Standardised features into a linear model, as in a user's file.
IMPLEMENTATION = """
MEANS = {means}
SCALES = {scales}
WEIGHTS = {weights}


def price(features):
    return {intercept} + sum(w * (features[k] - MEANS[k]) / SCALES[k] for k, w in WEIGHTS.items())
"""
Row = dict[str, Any]


def synthetic() -> list[Row]:
    rng = np.random.default_rng(7)
    area, rooms, age = rng.normal(120, 30, 6_000), rng.integers(1, 7, 6_000), rng.gamma(2, 15, 6_000)
    price = 2_000 * area + 15_000 * rooms - 300 * age + rng.normal(0, 10_000, 6_000)
    columns = {"area": area, "rooms": rooms, "age": age, "price": price}
    return [dict(zip(columns, row, strict=True)) for row in zip(*(c.tolist() for c in columns.values()), strict=True)]


def california() -> list[Row]:
    path = DATA / "california_housing.csv"
    if not path.exists():
        pytest.skip("california_housing.csv is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    with path.open() as file:
        rows = [row for row in csv.DictReader(file) if all(row.values())]
    known = [{k: float(v) for k, v in row.items() if k != "ocean_proximity"} for row in rows]
    order = np.random.default_rng(7).permutation(len(known))
    return [{("price" if k == "median_house_value" else k): v for k, v in known[i].items()} for i in order]


def implementation(rows: list[Row], scaled_by: list[Row]) -> str:
    """Write a model fitted to `rows`; at serving, features are scaled by the statistics of `scaled_by`."""
    names = [name for name in rows[0] if name != "price"]
    x = np.array([[row[name] for name in names] for row in rows])
    y = np.array([row["price"] for row in rows])
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    weights, *_ = np.linalg.lstsq(np.column_stack([np.ones(len(z)), z]), y, rcond=None)
    serving = np.array([[row[name] for name in names] for row in scaled_by])
    return IMPLEMENTATION.format(
        means=dict(zip(names, serving.mean(axis=0).tolist(), strict=True)),
        scales=dict(zip(names, serving.std(axis=0).tolist(), strict=True)),
        weights=dict(zip(names, weights[1:].tolist(), strict=True)),
        intercept=float(weights[0]),
    )


def loaded(code: str) -> Callable[[Mapping[str, Any]], float]:
    names: dict[str, Any] = {}
    exec(code, names)
    return names["price"]  # type: ignore[no-any-return]


def calls(
    processor: Processor,
    version: str,
    model: Callable[[Row], float],
    intended: Callable[[Row], float],
    houses: Iterator[Row],
    n: int,
) -> None:
    provider = provider_to(processor.otlp)
    monitor = Monitor(
        "houses", version, shadow=intended, shadow_rate=0.01, logger_provider=provider, flush_interval_s=0.2
    )
    predict = monitor(features="features", id="request")(lambda features, request: model(features))
    for i in range(n):
        predict({k: v for k, v in next(houses).items() if k != "price"}, f"{version}-{i}")
    monitor.close()
    provider.shutdown()


@pytest.mark.parametrize("data", [synthetic, california])
def test_other_feature_scaling_fires_within_1000_calls_and_equal_models_never(
    serve: Serve, tmp_path: Path, data: Callable[[], list[Row]]
) -> None:
    rows = data()
    training = rows[:3_000]
    right, wrong = implementation(training, training), implementation(training, rows[3_000:3_300])
    (tmp_path / "intended.py").write_text(right)
    model, production = loaded(right), loaded(wrong)
    asked = {"right": 0, "wrong": 0}

    def intended(features: Mapping[str, Any]) -> float:
        asked[version] += 1
        return model(features)

    houses = iter(rows * 3)
    with serve(RULES, window={"pane": "1s", "lateness": "1s"}) as processor:
        version = "right"
        calls(processor, version, model, intended, houses, 5_000)
        assert 30 < asked["right"] < 80
        _until(lambda: _rows(processor, "right"), at_least=asked["right"])
        assert _known(processor) == {}, "the intended model is what it is"

        version = "wrong"
        calls(processor, version, production, intended, houses, 1_000)
        assert 5 <= asked["wrong"] <= 20
        _until(lambda: "NotTheIntendedModel" in _known(processor), at_least=1)
        alerts = _known(processor)
        assert {alert["target"]["version"] for alert in alerts.values()} == {"wrong"}
        verdict = alerts["NotTheIntendedModel"]["verdict"]
        assert (verdict["finding"], verdict["value"]) == ("disagreement", 1.0)
        assert verdict["low"] > 0.01
        assert verdict["rows"] <= asked["wrong"]
        assert all(line["prediction_id"].startswith("wrong-") for line in verdict["evidence"]["examples"])

        for of, code, said in (("right", 0, "the same"), ("wrong", 1, "another model")):
            done = _command(processor, tmp_path / "intended.py", "--version", of)
            assert (done.returncode, said in done.stdout) == (code, True), done.stdout + done.stderr
        done = _command(processor, tmp_path / "intended.py")
        assert done.returncode == 1
        assert "the same" in done.stdout
        assert "another model" in done.stdout
        assert "furthest apart" in done.stdout


def _known(processor: Processor) -> dict[str, Any]:
    """Alerts that were ever active, by rule."""
    return {alert["rule"]: alert for alert in processor.get("/api/v1/alerts")}


def _rows(processor: Processor, version: str) -> int:
    """Return the number of shadows behind the last verdict on this version."""
    lines = processor.metrics().splitlines()
    about = [line for line in lines if line.startswith("mlmon_rule_rows{") and 'mlmon_rule_method="rate"' in line]
    return next((int(float(line.split()[-1])) for line in about if f'mlmon_model_version="{version}"' in line), 0)


def _until(found: Callable[[], int], at_least: int, deadline_s: float = 60.0) -> int:
    until = time.monotonic() + deadline_s
    while (value := found()) < at_least:
        assert time.monotonic() < until, f"{value} of {at_least}, not in time"
        time.sleep(0.2)
    return value


def _command(processor: Processor, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    argv = [
        str(Path(sys.executable).parent / "mlmon"),
        "parity",
        "--model",
        "houses",
        "--implementation",
        f"{file}:price",
        "--processor",
        processor.web,
        *more,
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
