"""Another model is told apart from other inputs and another truth; uncertain cases are unknown."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from checks.houses import all_of, reference, rows
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.reference.artefact import from_document, to_document
from otel_mlmon.values import Reference
from otel_mlmon.values.evidence import ShiftKind

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
Numbers = npt.NDArray[np.float64]


def _worth(rooms: Numbers, age: Numbers) -> Numbers:
    return 100 + 20 * rooms - 0.5 * age


def _houses(seed: int, n: int = 2000, *, rooms: tuple[float, float] = (2, 8)) -> dict[str, Any]:
    """The model is right on average; errors grow with the number of rooms. Bathrooms follow the rooms."""
    rng = np.random.default_rng(seed)
    many, age = rng.uniform(*rooms, n), rng.uniform(0, 80, n)
    worth = _worth(many, age)
    price = worth + 3 * many * rng.normal(size=n)
    return {"rooms": many, "baths": many / 4 + rng.normal(0, 0.1, n), "age": age, "predicted": worth, "price": price}


def _dear(seed: int, n: int = 2000) -> dict[str, Any]:
    """The same as classes: is it dear?"""
    found = _houses(seed, n)
    names = np.array(["cheap", "dear"])
    return {**found, "predicted": names[(found["predicted"] > 180) * 1], "price": names[(found["price"] > 180) * 1]}


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(_houses(0, 3000))


@pytest.fixture(scope="module")
def known_classes() -> Reference:
    return reference(_dear(0, 3000))


def _kind(columns: dict[str, Any], known: Reference, metric: Any = "rmse") -> ShiftKind:
    block = rows(columns)
    return shift_kind(block, all_of(block), known, metric)


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_predictions_that_are_too_high_are_another_model(known: Reference, metric: str) -> None:
    for seed in range(1, 6):
        columns = _houses(seed)
        found = _kind({**columns, "predicted": columns["predicted"] * 1.15}, known, metric)
        assert found.kind == "model", found.message
        assert found.moved is not None and found.usual is not None and found.moved > 3 * found.usual
        assert found.share == pytest.approx(1, abs=0.2)
        assert "another model explains" in found.message and "on average" in found.message


def test_predictions_too_high_and_too_low_are_another_model(known: Reference) -> None:
    for seed in range(1, 6):
        columns = _houses(seed)
        other = _worth(columns["rooms"], 80 - columns["age"])
        found = _kind({**columns, "predicted": other}, known)
        assert found.kind == "model", found.message


def test_other_classes_are_another_model(known_classes: Reference) -> None:
    for seed in range(1, 6):
        columns = _dear(seed)
        other = np.where(columns["rooms"] > 6.5, "dear", "cheap")
        found = _kind({**columns, "predicted": other}, known_classes, "accuracy")
        assert found.kind == "model", found.message
        assert found.moved == pytest.approx(float((other != columns["predicted"]).mean()), abs=0.05)
        assert "it predicts another class for" in found.message


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_another_truth_is_no_other_model(known: Reference, metric: str) -> None:
    for seed in range(1, 11):
        columns = _houses(seed)
        assert _kind({**columns, "price": columns["price"] + 30}, known, metric).kind == "concept"


def test_another_truth_of_classes_is_no_other_model(known_classes: Reference) -> None:
    for seed in range(1, 11):
        columns = _dear(seed)
        swapped = np.where(columns["age"] < 25, "cheap", columns["price"])
        assert _kind({**columns, "price": swapped}, known_classes, "accuracy").kind == "concept"


def test_other_inputs_are_not_another_model(known: Reference) -> None:
    for seed in range(1, 6):
        assert _kind(_houses(seed, rooms=(6, 8)), known).kind == "covariate"
        assert _kind(_houses(seed, rooms=(6, 12)), known).kind != "model"
        assert _kind(_houses(seed, rooms=(9, 12)), known).kind != "model"


def test_inputs_with_broken_relations_leave_the_model_unknown(known: Reference) -> None:
    """The model itself got the wrong numbers; the surrogate knows no such inputs."""
    columns = _houses(1)
    mixed = np.random.default_rng(1).permutation(columns["rooms"])
    answers = _worth(mixed, columns["age"]) + 40 * (mixed / 4 - columns["baths"])
    found = _kind({**columns, "rooms": mixed, "predicted": answers}, known)
    assert found.kind == "unknown" and "unlike all inputs of the reference" in found.message


def test_cheap_change_of_predictions_is_not_the_reason(known: Reference) -> None:
    columns = _houses(1)
    other = columns["predicted"] + 6 * np.sin(columns["age"])
    found = _kind({**columns, "predicted": other, "price": columns["price"] + 40}, known)
    assert found.kind == "concept"


def test_message_without_surrogate_names_the_model_as_possible(known: Reference) -> None:
    """Such as one of an older version, or one with more classes than are learnt."""
    document = to_document(known)
    assert to_document(from_document(document, "a test")) == document
    del document["estimators"]["answers"]
    old = from_document(document, "a test")
    columns = _houses(1)
    found = _kind({**columns, "price": columns["price"] + 30}, old)
    assert found.kind == "concept" and "or the model" in found.message
    kinds = np.array([f"kind {i}" for i in range(7)])[np.random.default_rng(0).integers(7, size=1000)]
    many = reference({"x": np.arange(1000.0), "predicted": kinds, "price": kinds})
    assert many.estimators is not None and many.estimators.losses and many.estimators.surrogate is None


def test_damaged_surrogate_is_refused(known: Reference) -> None:
    assert known.estimators is not None and known.estimators.surrogate is not None
    answers = known.estimators.surrogate
    for damage in (
        {"low": answers.low[1:]},
        {"classes": ("a", "b", "c")},
        {"excess": {"squared_error": (np.nan, 1.0)}},
    ):
        with pytest.raises(ValueError, match="answers"):
            replace(answers, **damage)


@pytest.mark.parametrize(
    ("name", "truth"), [("california_housing", "median_house_value"), ("bike_sharing_hourly", "cnt")]
)
def test_boosted_models_on_real_data(name: str, truth: str) -> None:
    path = DATA / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} is not here (MLMON_TEST_DATA names the folder of the real data sets)")
    frame = pd.read_csv(path).sample(frac=1, random_state=5, ignore_index=True)
    features = frame.drop(columns=["instant", "dteday", "casual", "registered", truth], errors="ignore")
    features = features.apply(lambda c: c if pd.api.types.is_numeric_dtype(c) else c.astype("category").cat.codes)
    price = frame[truth].astype(float).to_numpy()
    third = len(frame) // 3

    def fitted(upto: int, **how: Any) -> Any:
        return HistGradientBoostingRegressor(random_state=0, **how).fit(features[:upto], price[:upto])

    with threadpool_limits(1):
        model, worse, older = fitted(third), fitted(third, max_iter=12), fitted(400)
        said, by_worse, by_older = (one.predict(features) for one in (model, worse, older))

    def of(where: slice, predicted: Any, price: Any = price) -> dict[str, Any]:
        columns = {name: features[name].to_numpy(float)[where] for name in features}
        return {**columns, "predicted": predicted[where], "price": price[where]}

    known = reference(of(slice(third, 2 * third), said))
    window = slice(2 * third, 2 * third + 2000)
    for other in (said * 1.15, by_worse, by_older):
        assert _kind(of(window, other), known).kind == "model"
    for elsewhere in (price * 1.25, price + 0.4 * price.std()):
        assert _kind(of(window, said, elsewhere), known).kind == "concept"
    assert _kind(of(window, said), known).kind == "unknown"
