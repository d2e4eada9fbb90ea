"""The same estimates as NannyML's CBPE and DLE, chunk by chunk: on its own data sets, and on real ones."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from stats.estimates import DATA, block_of, case_of, classification, reference_of, regression

from otel_mlmon.checks.estimate import estimate
from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.reference.table import Columns
from otel_mlmon.rulefile import EstimateRule

RIVAL = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otel-mlmon" / "rivals" / "nannyml"
SCRIPT = Path(__file__).parent / "rivals" / "nannyml_estimates.py"
CLASSES = ("roc_auc", "accuracy", "precision", "recall", "f1")
LOSSES = ("rmse", "mae")
ABSOLUTE, RELATIVE = 0.01, 0.02


class DataSet(NamedTuple):
    columns: Columns
    size: int
    metrics: tuple[str, ...]
    positive: str | None = None


OUTPUTS = ("id", "timestamp", "period")
DATA_SETS = {
    "car_loan": DataSet(Columns("y_pred", "repaid", (), OUTPUTS[:2], (), (("1", "y_pred_proba"),)), 5000, CLASSES, "1"),
    "work_home": DataSet(
        Columns("y_pred", "work_home_actual", (), OUTPUTS, (), (("1", "y_pred_proba"),)), 5000, CLASSES, "1"
    ),
    "credit_card": DataSet(
        Columns(
            "y_pred",
            "y_true",
            (),
            OUTPUTS[:2],
            (),
            tuple((name, f"y_pred_proba_{name}") for name in ("highstreet_card", "prepaid_card", "upmarket_card")),
        ),
        5000,
        CLASSES,
    ),
    "car_price": DataSet(Columns("y_pred", "y_true", (), OUTPUTS[:2]), 5000, LOSSES),
    "california_housing": DataSet(Columns("predicted", "truth"), 1000, LOSSES),
    "bike_sharing_hourly": DataSet(Columns("predicted", "truth"), 1000, LOSSES),
    "california_housing_above": DataSet(
        Columns("predicted", "truth", (), (), (), (("1", "score"),)), 1000, CLASSES, "1"
    ),
    "bike_sharing_hourly_above": DataSet(
        Columns("predicted", "truth", (), (), (), (("1", "score"),)), 1000, CLASSES, "1"
    ),
}


def _real(name: str) -> Iterator[pd.DataFrame]:
    """Reference and later rows of a real data set; classes are 0 and 1, as NannyML wants them."""
    for frame in (classification if name.endswith("_above") else regression)(name.removesuffix("_above")):
        if name.endswith("_above"):
            yield frame.assign(
                truth=(frame.truth == "yes").astype(int), predicted=(frame.predicted == "yes").astype(int)
            )
        else:
            yield frame


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, list[float]]]]:
    """The directory with the data sets, and NannyML's estimates on them."""
    python = RIVAL / "bin" / "python"
    if not python.exists():
        why = "NannyML is not installed: scripts/install-rivals brings it"
        if os.environ.get("MLMON_REQUIRE_PEERS"):
            pytest.fail(why)
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("nannyml")
    tasks: dict[str, Any] = {}
    for name, (columns, size, metrics, _) in DATA_SETS.items():
        features: list[str] = [
            "car_age",
            "km_driven",
            "price_new",
            "accident_count",
            "door_count",
            "fuel",
            "transmission",
        ]
        if name.startswith(("california", "bike")):
            if not (DATA / f"{name.removesuffix('_above')}.csv").exists():
                continue
            for part, frame in zip(("reference", "analysis"), _real(name), strict=True):
                frame.to_parquet(directory / f"{name}.{part}.parquet")
                features = [column for column in frame if column not in ("predicted", "truth", "score")]
        tasks[name] = {
            "truth": columns.ground_truth,
            "prediction": columns.prediction,
            "scores": dict(columns.scores),
            "features": features,
            "metrics": metrics,
            "size": size,
        }
    (directory / "tasks.json").write_text(json.dumps(tasks))
    quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, SCRIPT, directory], capture_output=True, text=True, check=False, env=os.environ | quiet, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return directory, json.loads(done.stdout.splitlines()[-1])


@functools.cache
def _ours(directory: Path, name: str) -> dict[str, list[float]]:
    """By metric, one estimate per chunk, as a rule has it."""
    columns, size, metrics, positive = DATA_SETS[name]
    reference = reference_of(pd.read_parquet(directory / f"{name}.reference.parquet"), columns)
    later = pd.read_parquet(directory / f"{name}.analysis.parquet")
    block = block_of(
        later, replace(columns, ground_truth=columns.ground_truth if columns.ground_truth in later else "")
    )
    found: dict[str, list[float]] = {}
    for metric in metrics:
        rule = EstimateRule.model_validate({"alert": "A", "estimate": metric, "min_rows": 1})
        rule = rule.model_copy(update={"positive": positive if metric in ("precision", "recall", "f1") else None})
        found[metric] = []
        for start in range(0, len(later), size):
            outcome = estimate(rule, case_of(reference, take(block, np.arange(start, min(start + size, len(later))))))
            assert outcome.value is not None, outcome
            found[metric].append(outcome.value)
    return found


@pytest.mark.parametrize("name", [name for name, data in DATA_SETS.items() if data.metrics == CLASSES])
@pytest.mark.parametrize("metric", CLASSES)
def test_classifiers_are_expected_to_do_as_well_as_cbpe_says(theirs: Any, name: str, metric: str) -> None:
    directory, estimates = theirs
    if name not in estimates:
        pytest.skip(f"{name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    ours, wanted = _ours(directory, name)[metric], estimates[name][metric]
    assert len(wanted) >= 5
    assert ours == pytest.approx(wanted, abs=ABSOLUTE)


@pytest.mark.parametrize("name", [name for name, data in DATA_SETS.items() if data.metrics == LOSSES])
@pytest.mark.parametrize("metric", LOSSES)
def test_regressions_are_expected_to_err_as_much_as_dle_says(theirs: Any, name: str, metric: str) -> None:
    directory, estimates = theirs
    if name not in estimates:
        pytest.skip(f"{name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    ours, wanted = _ours(directory, name)[metric], estimates[name][metric]
    assert len(wanted) >= 5
    assert ours == pytest.approx(wanted, rel=RELATIVE)
