"""`mlmon parity` reads predictions as they were sent, and repeats them with models in the usual file formats."""

from __future__ import annotations

import base64
import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import requests
from click.testing import CliRunner, Result
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from starlette.applications import Starlette

from otel_mlmon.cli.implementation import Unanswered, ask, load
from otel_mlmon.cli.main import cli
from otel_mlmon.ingest.decode.assemble import prediction_batches
from otel_mlmon.ingest.decode.single import PredictionRow
from otel_mlmon.server.asgi import AsgiServer
from otel_mlmon.server.prediction_routes import prediction_routes
from otel_mlmon.store import Store
from otel_mlmon.wire import semconv

HOUR = 3_600_000_000_000
NOW = 1_700_000_000_000_000_000
ODD = {
    "int": 3,
    "float": 3.0,
    "text": "3",
    "yes": True,
    "null": None,
    "nan": math.nan,
    "far": math.inf,
    "list": [1, "a"],
    "map": {"a": 1.5},
    "wide": 2**70,
    "line": "a\nb\u2028c",
    "ärger": "ü",
}


def area_price(features: dict[str, Any]) -> float:
    return 3.0 * float(features["area"]) + 10.0 * float(features["rooms"])


@pytest.fixture(scope="module")
def processor() -> Iterator[str]:
    """A processor's web server, over a store of a few models."""
    rng = np.random.default_rng(0)
    rows = [
        PredictionRow(
            "odd",
            "1",
            "a",
            NOW,
            {**ODD, semconv.FIELD_PREDICTION: 1, semconv.FIELD_SHADOW: 2.5, semconv.score_field("x"): 0.5},
            trace_id="ab" * 16,
        ),
        PredictionRow("odd", "1", "b", NOW + 1, {"int": 3.5, semconv.FIELD_PREDICTION: "1"}),
        PredictionRow("odd", "1", "failed", NOW + 2, {"int": 1}, error_type="ValueError"),
        PredictionRow("odd", "1", "cut short", NOW + 3, {"int": 1, semconv.FIELD_PREDICTION: 1}, lost=2),
    ]
    for i in range(600):
        features = {"area": float(rng.normal(100, 20)), "rooms": int(rng.integers(1, 6)), "town": "abc"[i % 3]}
        off = 1.0 if i >= 300 and features["town"] == "b" else 0.0
        outputs = {semconv.FIELD_PREDICTION: area_price(features) + off}
        version, time = "12"[i // 300], NOW + i * HOUR // 100
        rows.append(PredictionRow("prices", version, f"p{i}", time, {**features, **outputs}, trace_id=f"{i:032x}"))
    store = Store(None)
    store.commit(prediction_batches(rows), NOW)
    server = AsgiServer(Starlette(routes=prediction_routes(store.rows)), "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.start()}"
    server.stop()
    store.close()


def lines(processor: str, **query: Any) -> list[dict[str, Any]]:
    answer = requests.get(f"{processor}/api/v1/predictions", params=query, timeout=10)
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.content.split(b"\n") if line]


def parity(processor: str, implementation: object, *more: str, model: str = "prices", since: str = "1d") -> Result:
    argv = [
        "parity",
        "--model",
        model,
        "--implementation",
        str(implementation),
        "--processor",
        processor,
        "--since",
        since,
    ]
    return CliRunner().invoke(cli, [*argv, *more], catch_exceptions=False)


def test_predictions_are_read_as_they_were_sent(processor: str) -> None:
    first, second = lines(processor, model="odd", start=0)
    features = first.pop("features")
    assert math.isnan(features.pop("nan"))
    sent = {name: value for name, value in ODD.items() if name != "nan"}
    assert features == sent
    assert {name: type(value) for name, value in features.items()} == {
        name: type(value) for name, value in sent.items()
    }
    assert first == {"id": "a", "time": NOW, "version": "1", "trace_id": "ab" * 16, "prediction": 1, "shadow": 2.5}
    assert (second["features"], second["prediction"], second["trace_id"]) == ({"int": 3.5}, "1", "")


def test_a_time_a_version_and_a_sample_can_be_chosen(processor: str) -> None:
    assert len(lines(processor, model="prices", start=0)) == 600
    assert len(lines(processor, model="prices", last=HOUR)) == 100
    assert [row["id"] for row in lines(processor, model="prices", start=NOW, end=NOW + HOUR // 50)] == ["p0", "p1"]
    assert {row["version"] for row in lines(processor, model="prices", version="2")} == {"2"}
    assert lines(processor, model="prices", version="3") == []
    sample = lines(processor, model="prices", limit=50)
    assert len(sample) == 50
    assert sample == lines(processor, model="prices", limit=50), "the same each time"
    assert [row["time"] for row in sample] == sorted(row["time"] for row in sample)
    assert {row["version"] for row in sample} == {"1", "2"}, "from all of the time"


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ({}, 404, "no predictions of model ''; known: odd, prices"),
        ({"model": "x"}, 404, "no predictions of model 'x'"),
        ({"model": "odd", "limit": "0"}, 400, "limit: found '0', allowed is a whole number from 1 to 100000"),
        ({"model": "odd", "start": "yesterday"}, 400, "start: found 'yesterday'"),
        ({"model": "odd", "end": "²"}, 400, "end: found '²'"),
        ({"model": "odd", "start": "1", "last": "1"}, 400, "start and last: found both"),
    ],
)
def test_wrong_queries_are_reported(processor: str, query: dict[str, str], status: int, message: str) -> None:
    answer = requests.get(f"{processor}/api/v1/predictions", params=query, timeout=10)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_function_runs_for_each_version_and_the_deviating_town_is_named(processor: str, tmp_path: Path) -> None:
    (tmp_path / "constants.py").write_text("PER_ROOM = 10.0\n")
    file = tmp_path / "intended.py"
    file.write_text(
        "from constants import PER_ROOM\ndef price(f):\n    return 3.0 * f['area'] + PER_ROOM * f['rooms']\n"
    )
    done = parity(processor, f"{file}:price", "--version", "1")
    assert (done.exit_code, "the same" in done.stdout) == (0, True), done.output
    done = parity(processor, f"{file}:price")
    assert done.exit_code == 1, done.output
    assert "the same" in done.stdout
    assert "another model" in done.stdout
    assert "100 of 300 predictions (33.3%)" in done.stdout
    assert "town = b" in done.stdout
    assert "prediction ≈ shadow + 1" in done.stdout
    assert f"{301:032x}"[:8] in done.stdout or "p3" in done.stdout
    assert parity(processor, f"{file}:price", "--above", "50%").exit_code == 0
    assert parity(processor, f"{file}:price", "--tolerance", "0.1").exit_code == 0


@pytest.mark.parametrize("suffix", [".joblib", ".pkl"])
def test_pickled_model_gets_the_columns_that_it_was_fitted_with(processor: str, tmp_path: Path, suffix: str) -> None:
    table = pd.DataFrame({"rooms": [1, 2, 3, 4] * 5, "area": np.linspace(50, 200, 20)})
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(table, 10.0 * table["rooms"] + 3.0 * table["area"])
    file = tmp_path / f"model{suffix}"
    if suffix == ".pkl":
        file.write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, file)
    done = parity(processor, file, "--version", "1")
    assert (done.exit_code, "the same" in done.stdout) == (0, True), done.output
    model[0].scale_ = model[0].scale_ * [1.0, 1.1]
    joblib.dump(model, file)
    done = parity(processor, file, "--version", "1")
    assert (done.exit_code, "another model" in done.stdout) == (1, True), done.output


MISTAKES = {
    "no such file": ("{dir}/none.py:price", [], "no file"),
    "no function's name": ("{dir}/model.py", [], "allowed are FILE.py:FUNCTION"),
    "no such function": ("{dir}/model.py:prize", [], "has no 'prize'; it has price, wrong, short"),
    "something else": ("{dir}/model.txt", [], "allowed are FILE.py:FUNCTION"),
    "no function at all": ("{dir}/model.py:number", [], "found int, allowed is a function"),
    "code that cannot be imported": ("{dir}/broken.py:price", [], "ModuleNotFoundError: No module named 'nowhere'"),
    "a pickle that is none": ("{dir}/model.pkl", [], "model.pkl cannot be loaded"),
    "a model that always raises": (
        "{dir}/model.py:wrong",
        [],
        "raised for 300 of 300 predictions: 300 × KeyError: 'rums'",
    ),
    "too few answers": (
        "{dir}/model.py:short",
        ["--limit", "3"],
        "too few predictions to tell: found 3",
    ),
    "a share that is none": ("{dir}/model.py:price", ["--above", "much"], "--above:"),
    "a time that is none": ("{dir}/model.py:price", ["--until", "noon"], "--until: found 'noon'"),
    "no predictions in that time": (
        "{dir}/model.py:price",
        ["--until", "2001-01-01"],
        "no predictions of model 'prices'",
    ),
    "no such version": ("{dir}/model.py:price", ["--version", "7"], "no predictions of model 'prices'"),
    "nobody there": ("{dir}/model.py:price", ["--processor", "http://127.0.0.1:1"], "no processor answers at"),
    "an option that is none": ("{dir}/model.py:price", ["--tolerance", "-1"], "--tolerance"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_end_with_exit_code_2_and_a_message(processor: str, tmp_path: Path, name: str) -> None:
    implementation, more, message = MISTAKES[name]
    (tmp_path / "model.py").write_text(
        "number = 3\ndef price(f): return 1.0\ndef wrong(f): return f['rums']\ndef short(f): return 1.0\n"
    )
    (tmp_path / "broken.py").write_text("import nowhere\n")
    for file in ("model.txt", "model.pkl"):
        (tmp_path / file).write_text("nothing")
    more = more if "--version" in more or "--limit" in more else ["--version", "1", *more]
    done = parity(processor, implementation.format(dir=tmp_path), *more)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.output.split()), done.output


def test_rows_that_the_model_cannot_predict_are_reported_and_left_out(processor: str, tmp_path: Path) -> None:
    file = tmp_path / "picky.py"
    file.write_text(
        "def price(f):\n    if f['town'] == 'c': raise ValueError('no c')\n"
        "    return 3.0 * f['area'] + 10.0 * f['rooms']\n"
    )
    done = parity(processor, f"{file}:price", "--version", "1")
    assert (done.exit_code, "the same" in done.stdout) == (0, True), done.output
    assert "raised for 100 of 300 predictions: 100 × ValueError: no c" in done.output


def test_answers_of_a_model_may_be_arrays_and_are_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "kinds.py"
    file.write_text(
        "import numpy as np\n"
        "def array(f): return np.array([f['x'] * 2])\n"
        "class Table:\n"
        "    feature_names_in_ = ['y', 'x']\n"
        "    def predict(self, table): return np.array([[v] for v in table['x'] * 10 + table['y'].fillna(5)])\n"
        "table = Table()\n"
        "class Short:\n"
        "    def predict(self, table): return [1.0]\n"
        "short = Short()\n"
    )
    rows = [{"x": 1, "y": 2, "z": "unused"}, {"x": 3}]
    assert list(ask(load(f"{file}:array", ["x"]), rows)) == [2, 6]
    assert list(ask(load(f"{file}:table", ["x"]), rows)) == [12.0, 35.0]
    (unanswered,) = ask(load(f"{file}:table", ["x"]), [{"a": 1}])
    assert isinstance(unanswered, Unanswered)
    assert "'y', 'x'" in str(unanswered.error)
    with pytest.raises(Exception, match="found 1 predictions for 2 rows"):
        list(ask(load(f"{file}:short", ["x"]), rows))


# x @ [[2], [10]] in single precision; one input of two columns.
ONNX = (
    "CAk6UQoRCgF4CgF3EgF5IgZNYXRNdWwSAWcqEwgCCAEQASIIAAAAQAAAIEFCAXdaEQoBeBIMCgoIARIGCgAKAggCYhEKAXkSDAoKCAESBgoACgIIAUIE"
    "CgAQEQ=="
)


def test_onnx_model_gets_its_columns_in_their_order(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "model.onnx"
    file.write_bytes(base64.b64decode(ONNX))
    assert list(ask(load(str(file), ["a", "b"]), [{"a": 1, "b": 2.0}, {"b": 5.0, "a": 3}])) == [22.0, 56.0]
