"""A reference measures its rows: types, bins, categories, constants, segments, performance."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from batches import SECOND, ground_truth, predictions
from references import reference_of

from otel_mlmon.reference.artefact import to_document
from otel_mlmon.reference.create import QUANTILES
from otel_mlmon.stats.drift.methods import COUNT_METHODS
from otel_mlmon.store import Store
from otel_mlmon.values import FieldProfile, Reference
from otel_mlmon.values.query import WindowQuery
from otel_mlmon.window import Plan, Windows

EVER = 10**6 * SECOND


def _window(
    reference: Reference, frame: pd.DataFrame, prediction: str, truth: str, *segments: str
) -> dict[str, tuple[dict[str, FieldProfile], object]]:
    """The same rows, sent as predictions: field profiles and performance by segment."""
    store = Store(None)
    rows = [
        {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        for row in frame.drop(columns=[prediction, truth]).to_dict("records")
    ]
    times = [i * SECOND // 10 for i in range(len(rows))]
    store.commit([predictions(rows, frame[prediction].tolist(), times=times, version="1")], 0)
    store.commit([ground_truth([f"id-{i}" for i in range(len(rows))], frame[truth].tolist())], 0)
    windows = Windows(store, lambda *_: reference, pane_ns=10 * SECOND)
    windows.plan("m", Plan({"training": segments}), "plan", 0)
    windows.close("m", EVER)
    return {
        w.segment: (dict(w.fields), w.performance)
        for w in windows.window(WindowQuery("m", "training", 0, EVER, segments, EVER))
    }


@pytest.mark.parametrize("classes", [["cat", "dog", "cow"], [0, 1], [True, False], None])
def test_the_same_rows_as_reference_and_as_window_do_not_differ(classes: list[object] | None) -> None:
    rng = np.random.default_rng(1)
    n = 1500
    truth = rng.normal(100, 20, n) if classes is None else np.array(classes)[rng.integers(0, len(classes), n)]
    wrong = truth + rng.normal(0, 5, n) if classes is None else rng.permutation(truth)
    frame = pd.DataFrame(
        {
            "number": rng.normal(0, 1, n),
            "few": rng.choice([0, 1, 2.5], n, p=[0.8, 0.1, 0.1]),
            "count": rng.poisson(50, n),
            "gaps": np.where(rng.random(n) < 0.2, np.nan, rng.random(n)),
            "town": rng.choice(["a", "b", "c"], n),
            "flag": rng.random(n) < 0.5,
            "size": rng.choice([1234567.0, 1234567.5], n),
            "p": np.where(rng.random(n) < 0.9, truth, wrong) if classes else wrong,
            "y": truth,
        }
    )
    segments = ("town", "flag", "size", "few")
    reference = reference_of(frame, prediction="p", ground_truth="y", segments=segments)
    found = _window(reference, frame, "p", "y", *segments)
    assert set(found) == {"", *reference.segments}
    for name, field in reference.fields.items():
        for segment, (profiles, _) in found.items():
            expected = reference.segments[segment].profiles[name] if segment else field.profile
            one, other = ((p.bins if field.kind == "numeric" else p.categories) for p in (expected, profiles[name]))
            assert one is not None
            assert other is not None
            assert one.tolist() == other.tolist(), (name, segment)
            assert COUNT_METHODS["psi"](one, other).value == 0.0
            assert dict(profiles[name].types) == dict(expected.types), (name, segment)
        shares = {
            value: profiles.top_values.get(value, 0) / n
            for profiles in [found[""][0][name]]
            for value in field.constants
        }
        assert shares == pytest.approx(dict(field.constants))
    performance = reference.performance
    assert performance is not None
    _, measured = found[""]
    assert measured.with_truth == performance.with_truth == n  # type: ignore[attr-defined]
    assert measured.confusion == performance.confusion  # type: ignore[attr-defined]
    assert measured.sum_squared_error == pytest.approx(performance.sum_squared_error, rel=1e-9)  # type: ignore[attr-defined]
    if classes is not None:
        names = [str(v).lower() if isinstance(v, bool) else str(v) for v in frame["y"].tolist()]
        predicted = [str(v).lower() if isinstance(v, bool) else str(v) for v in frame["p"].tolist()]
        assert performance.confusion == Counter(zip(names, predicted, strict=True))
    else:
        assert not performance.confusion


def test_quantile_bins_hold_equal_shares_and_nothing_lies_outside() -> None:
    values = np.random.default_rng(0).normal(0, 1, 10_000)
    bins = reference_of(pd.DataFrame({"x": values})).fields["x"].profile.bins
    assert bins is not None
    assert (len(bins), bins[0], bins[-1]) == (len(QUANTILES) + 1, 0, 0)
    assert bins[1:-1] == pytest.approx(10_000 * np.diff(QUANTILES), abs=1)


@pytest.mark.parametrize(
    ("values", "edges", "bins"),
    [
        ([7.0] * 5, (7.0, 7.0), [0, 5, 0]),
        ([1, 2, 2, 9], (1.0, 2.0, 9.0, 9.0), [0, 1, 2, 1, 0]),
        ([3.0], (3.0, 3.0), [0, 1, 0]),
        ([1.0, math.inf, 2.0], (1.0, 2.0, 2.0), [0, 1, 1, 0]),
        ([math.nan] * 3, (), [0]),
    ],
)
def test_few_values_get_a_bin_each(values: list[float], edges: tuple[float, ...], bins: list[int]) -> None:
    field = reference_of(pd.DataFrame({"x": values})).fields["x"]
    assert field.edges == edges
    assert field.profile.bins is not None
    assert field.profile.bins.tolist() == bins


def test_frequent_value_is_a_constant_and_keeps_bins_apart() -> None:
    rng = np.random.default_rng(3)
    values = np.where(rng.random(2000) < 0.6, 0.0, rng.gamma(2, 10, 2000))
    field = reference_of(pd.DataFrame({"x": values})).fields["x"]
    assert list(field.constants) == ["0"]
    assert field.constants["0"] == (values == 0).mean()
    assert list(field.edges) == sorted(set(field.edges))


def test_types_follow_the_columns() -> None:
    frame = pd.DataFrame({"i": [1, 2], "f": [1.0, 2.0], "s": ["a", "b"], "b": [True, False], "void": [None, None]})
    fields = reference_of(frame).fields
    assert {name: field.type for name, field in fields.items()} == {
        "i": "int",
        "f": "float",
        "s": "string",
        "b": "bool",
        "void": "float",
    }
    assert {name: field.kind for name, field in fields.items()} == {
        "i": "numeric",
        "f": "numeric",
        "s": "categorical",
        "b": "categorical",
        "void": "numeric",
    }
    void = fields["void"].profile
    assert (void.null, void.rows, void.values) == (2, 2, 0)


def test_rare_categories_beyond_the_limit_are_not_kept_by_name() -> None:
    names = ["often"] * 10 + [f"street {i}" for i in range(500)]
    field = reference_of(pd.DataFrame({"street": names})).fields["street"]
    assert len(field.categories) == 200
    assert field.categories[0] == "often"
    assert field.profile.categories is not None
    assert field.profile.categories.sum() == 10 + 199
    assert field.profile.types == {"string": 510}


def test_null_ground_truth_is_unknown() -> None:
    frame = pd.DataFrame({"x": [1.0] * 4, "p": [1.0, 2.0, 3.0, 4.0], "y": [1.5, math.nan, None, 4.0]})
    performance = reference_of(frame, prediction="p", ground_truth="y").performance
    assert performance is not None
    assert (performance.predictions, performance.with_truth, performance.sum_abs_error) == (4, 2, 0.5)
    assert reference_of(frame.assign(y=math.nan), prediction="p", ground_truth="y").performance is None


def test_the_same_rows_make_the_same_reference() -> None:
    frame = pd.DataFrame({"town": list("abcabcabd"), "x": range(9)})
    shuffled = frame.sample(frac=1, random_state=5)
    one, other = (to_document(reference_of(f, segments=("town",))) for f in (frame, shuffled))
    assert one == other
    assert list(one["segments"]) == list(other["segments"]) == sorted(one["segments"])
