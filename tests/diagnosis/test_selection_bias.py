"""Selection bias of ground truth, on predictions of real data: detected, corrected, and absent without bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from diagnosis.models import FILES, Data, data, rows

from otel_mlmon.diagnosis.selection import selection
from otel_mlmon.stats.metrics.table import METRICS
from otel_mlmon.values import PerformanceCounts
from otel_mlmon.values.evidence import Selection

N = 4000
Floats = npt.NDArray[np.float64]
both = pytest.mark.parametrize("name", sorted(FILES))


def _rmse(errors: Floats) -> float:
    return float(np.sqrt((errors**2).mean()))


def _judged(of: Data, index: npt.NDArray[np.int64], known: npt.NDArray[np.bool_], metric: str = "rmse") -> Selection:
    block = rows(of.live.iloc[index], known)
    return selection(block, np.arange(len(block)), of.reference, metric)  # type: ignore[arg-type]


def _rank(x: Floats) -> Floats:
    return x.argsort().argsort() / len(x)


@both
def test_ground_truth_missing_at_random_is_no_bias(name: str) -> None:
    of, warned = data(name), 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        index = rng.choice(len(of.live), N, replace=False)
        warned += _judged(of, index, rng.random(N) > 0.4).biased
    assert warned <= 5


@both
@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_interval_covers_when_ground_truth_is_missing_at_random(name: str, metric: str) -> None:
    """The interval covers the metric of all live rows at the nominal rate, and that of the window more often.

    Windows are drawn from all live rows; the rows with ground truth are part of the window.
    """
    errors = data(name).errors
    figure = _rmse if metric == "rmse" else lambda e: float(np.abs(e).mean())
    of_all = of_window = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        window = errors[rng.integers(len(errors), size=N)]
        known = window[rng.random(N) > 0.4]
        counts = PerformanceCounts(
            numeric=len(known),
            sum_abs_error=float(np.abs(known).sum()),
            sum_squared_error=float((known**2).sum()),
            sum_fourth_error=float((known**4).sum()),
        )
        _, low, high, *_ = METRICS[metric].estimate(counts, None, 0.95)
        of_all += low <= figure(errors) <= high
        of_window += low <= figure(window) <= high
    assert 0.92 <= of_all / 400 <= 0.98
    assert of_window / 400 >= 0.95


@both
def test_bias_by_error_is_corrected_in_part(name: str) -> None:
    """No feature shows the error without its truth: the corrected figure is nearer to the truth, but not near."""
    of = data(name)
    plain, corrected = [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        index = rng.choice(len(of.live), N, replace=False)
        size = np.log(np.abs(of.errors[index]) + 1e-9) + 0.5 * rng.normal(size=N)
        found = _judged(of, index, size <= np.quantile(size, 0.6))
        assert found.biased
        assert found.plain is not None and found.corrected is not None
        plain.append(found.plain / _rmse(of.errors[index]) - 1)
        corrected.append(found.corrected / _rmse(of.errors[index]) - 1)
    assert all(c > p for c, p in zip(corrected, plain, strict=True))
    assert -0.75 < np.mean(plain) < -0.55
    assert np.mean(corrected) > np.mean(plain) + 0.08
    assert np.mean(corrected) < -0.3, "the docs say that it stays far too low"


@both
def test_bias_by_features_is_corrected_fully(name: str) -> None:
    of, covered, off, before = data(name), 0, [], []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        index = rng.choice(len(of.live), N, replace=False)
        known = rng.random(N) > 0.8 * _rank(of.live["predicted"].to_numpy()[index])
        found = _judged(of, index, known)
        truth = _rmse(of.errors[index])
        assert found.biased
        assert found.plain is not None and found.corrected is not None
        assert found.low is not None and found.high is not None
        assert found.low < found.corrected < found.high
        covered += found.low <= truth <= found.high
        off.append(found.corrected / truth - 1)
        before.append(found.plain / truth - 1)
        assert found.fields[0].field == "prediction"
    assert np.mean(before) < -0.08
    assert abs(float(np.mean(off))) < 0.03
    assert covered >= 12


@both
def test_young_predictions_are_a_bias_no_more_often_than_by_chance(name: str) -> None:
    of, warned = data(name), 0
    for seed in range(30):
        index = np.random.default_rng(seed).choice(len(of.live), 2500, replace=False)
        block = rows(of.live.iloc[index], np.arange(2500) < 1500)
        aged = replace(block, times=np.arange(2500) * 10**9)
        warned += selection(aged, np.arange(2500), of.reference, "rmse").biased
    assert warned <= 2


@both
@pytest.mark.parametrize("metric", ["mae", "bias", "mape"])
def test_every_metric_is_corrected(name: str, metric: str) -> None:
    of, rng = data(name), np.random.default_rng(0)
    index = rng.choice(len(of.live), N, replace=False)
    known = rng.random(N) > 0.8 * _rank(of.live["predicted"].to_numpy()[index])
    errors, truth = of.errors[index], of.live["truth"].to_numpy()[index]
    figures = {
        "mae": np.abs(errors).mean(),
        "bias": abs(errors.mean()),
        "mape": np.abs(errors / truth)[truth != 0].mean(),
    }
    found = _judged(of, index, known, metric)
    assert found.low is not None and found.high is not None
    margin = found.high - found.low
    assert found.low - margin <= figures[metric] <= found.high + margin


def test_message_has_counts_fields_and_correction() -> None:
    of = data("california_housing")
    index = np.arange(N)
    inland = (of.live["ocean_proximity"] == "INLAND").to_numpy()[:N]
    known = ~inland | (np.arange(N) % 4 == 0)
    found = _judged(of, index, known)
    assert (
        f"the {known.sum()} predictions with ground truth are not like the {N - known.sum()} without" in found.message
    )
    assert "ocean_proximity = INLAND in" in found.message
    assert "100% of those without" in found.message
    assert "not for reasons that no feature shows" in found.message
    (field,) = [f for f in found.fields if f.field == "ocean_proximity"]
    assert (field.kind, field.others) == ("share", 1.0)
    assert found.effective_rows < known.sum()


def test_few_rows_of_either_kind_are_not_compared() -> None:
    of = data("california_housing")
    for known in (np.arange(N) < 49, np.arange(N) >= 49):
        found = _judged(of, np.arange(N), known)
        assert not found.biased
        assert "100 of each are needed" in found.reason


def test_the_same_rows_have_the_same_answer() -> None:
    of, rng = data("california_housing"), np.random.default_rng(0)
    known = rng.random(N) > 0.8 * _rank(of.live["predicted"].to_numpy()[:N])
    assert _judged(of, np.arange(N), known) == _judged(of, np.arange(N), known)
