"""Plain trees predict the same numbers as scikit-learn, and are safe to read from a file."""

from __future__ import annotations

import base64
import copy
import functools
import zlib
from typing import Any

import numpy as np
import pytest
from stats.estimates import CLASSES, NUMBERS, THREE, houses, loans, reference_of, three
from threadpoolctl import threadpool_limits

from otel_mlmon.errors import BadReference
from otel_mlmon.reference.artefact import from_document, read_artefact, to_document, write_artefact
from otel_mlmon.stats.estimation.dle import predict_losses, predict_mean_loss
from otel_mlmon.stats.estimation.held_out import uncertainty_of_mean
from otel_mlmon.stats.estimation.trees import fit_trees, predict
from otel_mlmon.values.estimators import Trees


def test_the_trees_predict_what_scikit_learn_does() -> None:
    """Compare with a separate fit of the same settings, on new rows with missing and extreme values."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    x = rng.normal(size=(5000, 6))
    x[:, 1] = rng.integers(0, 4, 5000)
    x[rng.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, 0]) ** 2 + np.nan_to_num(x[:, 1]) * np.isnan(x[:, 2]) + rng.exponential(size=5000)
    plain = fit_trees(x[:4000], y[:4000])
    theirs = HistGradientBoostingRegressor(max_iter=100, early_stopping=False, random_state=0)
    unseen = np.concatenate([x[4000:], np.full((1, 6), np.nan), np.full((1, 6), 1e300), np.full((1, 6), -1e300)])
    with threadpool_limits(1):
        expected = theirs.fit(x[:4000], y[:4000]).predict(unseen)
    assert np.abs(predict(plain, unseen) - expected).max() < 1e-9


def test_without_anything_to_split_by_it_predicts_the_mean() -> None:
    found = fit_trees(np.ones((300, 2)), np.arange(300.0))
    assert predict(found, np.array([[1.0, 1.0], [np.nan, 7.0]])) == pytest.approx([149.5, 149.5])


def test_more_rows_than_are_evaluated_at_a_time_are_all_predicted() -> None:
    arrays = [np.array(values) for values in ([0], [0], [0.5], [False], [0], [1], [2], [1.0, 2.0])]
    stump = Trees(1, 0.0, *arrays)
    x = (np.arange(50_001) % 2)[:, None].astype(float)
    assert predict(stump, x).tolist() == [1.0 + i % 2 for i in range(50_001)]
    assert predict(stump, np.zeros((0, 1))).tolist() == []
    with pytest.raises(ValueError, match="need 1 features"):
        predict(stump, np.zeros((3, 2)))


@pytest.mark.parametrize(
    "change",
    [
        {"feature": [7]},
        {"feature": [-1]},
        {"tree": [1]},
        {"last": [2]},
        {"first": [1]},
        {"leaves": [3]},
        {"leaves": [33]},
        {"values": [np.nan, 1.0]},
        {"threshold": [np.nan]},
        {"missing_left": [True, True]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, list[Any]]) -> None:
    columns = {
        "tree": [0],
        "feature": [0],
        "threshold": [0.5],
        "missing_left": [False],
        "first": [0],
        "last": [1],
        "leaves": [2],
        "values": [1.0, 2.0],
    } | change
    with pytest.raises(ValueError, match="tree"):
        Trees(1, 0.0, **{name: np.array(values) for name, values in columns.items()})


def test_an_artefact_holds_the_estimators_exactly_and_stays_small(tmp_path: Any) -> None:
    for frame, columns in ((houses(0, 3000), NUMBERS), (loans(0, 3000), CLASSES), (three(0, 3000), THREE)):
        made = reference_of(frame, columns)
        path = tmp_path / "reference.yaml"
        write_artefact(made, path)
        again = read_artefact(path)
        assert path.stat().st_size < 200_000
        assert again.metric_values == made.metric_values
        assert made.estimators is not None
        assert again.estimators is not None
        assert again.estimators.calibration == made.estimators.calibration
        assert again.estimators.metrics == made.estimators.metrics != ()
        x = np.random.default_rng(1).normal(size=(500, len(next(iter(made.estimators.losses.values())).inputs)))
        for name, model in made.estimators.losses.items():
            read = again.estimators.losses[name]
            assert (predict_losses(read, x) == predict_losses(model, x)).all()
            expected = predict_mean_loss(model, x)
            assert predict_mean_loss(read, x) == pytest.approx(
                expected, rel=1e-6
            )  # shares are kept in single precision


@functools.cache
def _numbers() -> dict[str, Any]:
    return to_document(reference_of(houses(0, 400), NUMBERS))


@functools.cache
def _classes() -> dict[str, Any]:
    return to_document(reference_of(loans(0, 400), CLASSES))


def _packed(values: list[float], width: str) -> str:
    return base64.b64encode(zlib.compress(np.array(values, width).tobytes())).decode()


@pytest.mark.parametrize(
    ("where", "value", "says"),
    [
        (("trees", "feature"), _packed([9999] * 2000, "<u2"), "do not fit"),
        (("trees", "place"), _packed([65535] * 10, "<u2"), "threshold is out of range"),
        (("trees", "values"), "no base64 at all!", "cannot be unpacked"),
        (("trees", "values"), base64.b64encode(b"not zlib").decode(), "cannot be unpacked"),
        (("trees", "values"), base64.b64encode(zlib.compress(bytes(10**8))).decode(), "too long"),
        (("trees", "values"), 17, "base64 text"),
        (("trees", "base"), float("nan"), "no number"),
        (("spread",), float("inf"), "do not fit its inputs"),
        (("inputs",), ["x"], "out of range"),
        (("own", "errors"), [-1.0], "own error"),
        (("rows",), 0, "do not fit its inputs"),
        (("support", "shares"), _packed([2.0] * 84, "<f4"), "out of range"),
        (("support", "edges"), _packed([1.0, 0.0] * 38, "<f8"), "out of order"),
        (("support", "edges"), _packed([1.0] * 19, "<f8"), "cannot reshape"),
    ],
)
def test_a_damaged_artefact_is_refused(where: tuple[str, ...], value: object, says: str) -> None:
    document = copy.deepcopy(_numbers())
    body: Any = document["estimators"]["losses"]["squared_error"]
    for key in where[:-1]:
        body = body[key]
    body[where[-1]] = value
    with pytest.raises(BadReference, match=says):
        from_document(document, "the file")


def test_an_artefact_from_before_the_support_was_kept_has_the_band_that_it_had() -> None:
    document = copy.deepcopy(_numbers())
    for body in document["estimators"]["losses"].values():
        del body["support"]
    read = from_document(document, "the file").estimators
    assert read is not None
    model = read.losses["squared_error"]
    rows = np.zeros((10**6, 4))  # of so many, chance leaves nothing open
    uncertainty = uncertainty_of_mean(model.uncertainty, predict_losses(model, rows))
    assert predict_mean_loss(model, rows).standard_error == pytest.approx(uncertainty, rel=0.01)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"classes": ["yes", "no"]}, "classes of a calibration"),
        ({"curves": {}}, "classes of a calibration"),
        ({"classes": ["maybe", "no", "yes"]}, "scores of every class"),
        ({"curves": {"yes": {"scores": [0.5, 0.1], "probabilities": [0, 1]}}}, "out of order"),
        ({"curves": {"yes": {"scores": [0.1, 0.5], "probabilities": [0, 2]}}}, "out of order or range"),
    ],
)
def test_a_damaged_calibration_is_refused(change: dict[str, Any], says: str) -> None:
    document = copy.deepcopy(_classes())
    document["estimators"]["calibration"] |= change
    with pytest.raises(BadReference, match=says):
        from_document(document, "the file")
