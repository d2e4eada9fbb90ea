"""Loss models: the expected mean loss and its standard error."""

from __future__ import annotations

import functools
import math

import numpy as np
import pandas as pd
import pytest
from stats.estimates import CLASSES, NUMBERS, block_of, houses, loans, reference_of, regression

from otel_mlmon.reference.table import Columns
from otel_mlmon.stats.estimation.dle import expected_loss, fit_loss_model, predict_mean_loss
from otel_mlmon.stats.estimation.held_out import fit_support, mean_design_effects, weighting_effect
from otel_mlmon.stats.estimation.inputs import input_problem, input_rows
from otel_mlmon.values import Reference
from otel_mlmon.values.estimators import Loss, LossModel, ModelUncertainty
from otel_mlmon.wire.semconv import FIELD_PREDICTION


@functools.cache
def _reference() -> Reference:
    return reference_of(houses(0, 6000), NUMBERS)


def _model(reference: Reference, loss: Loss) -> LossModel:
    assert reference.estimators is not None
    return reference.estimators.losses[loss]


def _covered(
    reference: Reference, frame: pd.DataFrame, loss: Loss, size: int, columns: Columns = NUMBERS
) -> list[float]:
    """Return the error of each chunk's expected mean loss, in standard errors."""
    block, model = block_of(frame, columns), _model(reference, loss)
    predicted = block.fields[FIELD_PREDICTION].numbers
    assert predicted is not None
    error = np.abs(predicted - block.truth_numbers)
    rows = input_rows(block.fields, reference.fields, model.inputs, np.arange(len(block)))
    found = error**2 if loss == "squared_error" else error
    off = []
    for start in range(0, len(block) - size + 1, size):
        mean = predict_mean_loss(model, rows[start : start + size])
        off.append((float(found[start : start + size].mean()) - mean.mean) / mean.standard_error)
    return off


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("shift", [{}, {"a": 6.0, "b": 2.0}, {"a": 2.0, "b": 6.0}])
def test_the_mean_loss_of_new_rows_is_within_its_band_nineteen_times_of_twenty(
    loss: Loss, shift: dict[str, float]
) -> None:
    """Also where the window has other rows than the reference, with larger errors or smaller ones."""
    off = np.array(_covered(_reference(), houses(1, 60_000, **shift), loss, 300))
    assert (np.abs(off) < 1.96).mean() > 0.9
    assert off.std() > 0.5  # the band is not too wide either
    assert abs(off.mean()) < 0.5
    if not shift:
        assert (np.abs(off) < 1.96).mean() < 0.99


def test_it_follows_the_inputs_and_not_only_their_mean() -> None:
    """With errors that grow with x, windows of large x are expected to be twice as bad as those of small x."""
    model, reference = _model(_reference(), "squared_error"), _reference()
    means = []
    for shift in ({"a": 6.0, "b": 2.0}, {"a": 2.0, "b": 6.0}):
        frame = houses(2, 20_000, **shift)
        block = block_of(frame, NUMBERS)
        x = input_rows(block.fields, reference.fields, model.inputs, np.arange(len(block)))
        means.append(math.sqrt(predict_mean_loss(model, x).mean))
        assert means[-1] == pytest.approx(math.sqrt(float(((frame.predicted - frame.truth) ** 2).mean())), rel=0.05)
    assert means[0] > 1.8 * means[1]


def test_a_model_that_became_worse_for_the_same_inputs_is_not_seen() -> None:
    """What no estimate without ground truth can know; that is what the ledger is for."""
    off = _covered(_reference(), houses(3, 3000, worse=2.0), "squared_error", 1000)
    assert min(off) > 5


def test_rows_that_resemble_their_neighbours_make_the_band_wider() -> None:
    rng = np.random.default_rng(0)

    def days(n: int) -> pd.DataFrame:
        frame = houses(int(rng.integers(10**6)), n)
        size = np.repeat(rng.gamma(2.0, 0.5, n // 50), 50)  # some days are bad ones
        return frame.assign(truth=frame.predicted + (frame.truth - frame.predicted) * size)

    normal = days(8000)
    blind = reference_of(normal, NUMBERS)
    aware = reference_of(normal, NUMBERS, in_order=True)
    assert _model(blind, "absolute_error").design_effects == {}
    assert _model(aware, "absolute_error").design_effects[100] > 3
    later = days(60_000)
    share = {
        name: (np.abs(_covered(reference, later, "absolute_error", 300)) < 1.96).mean()
        for name, reference in (("blind", blind), ("aware", aware))
    }
    assert share["blind"] < 0.8
    assert share["aware"] > 0.9


def test_independent_rows_have_no_design_effect() -> None:
    rng = np.random.default_rng(0)
    assert sum(bool(mean_design_effects(rng.exponential(size=4000))) for _ in range(40)) < 3
    assert mean_design_effects(np.zeros(4000)) == {}


@pytest.mark.parametrize(("name", "size"), [("california_housing", 200), ("bike_sharing_hourly", 200)])
def test_on_real_data_it_holds_the_realised_error_of_held_out_rows(name: str, size: int) -> None:
    normal, later = regression(name)
    reference = reference_of(normal, NUMBERS)
    for loss in ("squared_error", "absolute_error"):
        off = np.array(_covered(reference, later, loss, size))
        assert (np.abs(off) < 1.96).mean() > 0.88
        assert (np.abs(off) < 1.2).mean() < 0.95  # the band is not too wide either
        assert abs(off.mean()) < 0.6


def test_of_classes_the_error_rate_is_expected() -> None:
    reference = reference_of(loans(0, 6000), CLASSES)
    model = _model(reference, "zero_one")
    assert "(score yes)" in model.inputs
    for centre in (0.0, 2.0):
        frame = loans(1, 20_000, centre=centre)
        block = block_of(frame, CLASSES)
        mean = predict_mean_loss(model, input_rows(block.fields, reference.fields, model.inputs, np.arange(len(block))))
        assert abs((frame.predicted != frame.truth).mean() - mean.mean) < 3 * mean.standard_error < 0.05


def test_unknown_categories_and_holes_are_missing_values() -> None:
    reference = _reference()
    frame = houses(4, 4).assign(place=["town", "country", "abroad", None], area=[1.0, float("inf"), None, 2.0])
    block = block_of(frame, NUMBERS)
    x = input_rows(block.fields, reference.fields, ["place", "area"], np.array([0, 1, 2, 3]))
    assert np.array_equal(x, [[0, 1], [1, np.nan], [np.nan, np.nan], [np.nan, 2]], equal_nan=True)
    assert input_problem(block.fields, reference.fields, ["place", "area"]) == ""
    assert "garden did not come" in input_problem(block.fields, reference.fields, ["area", "garden"])
    text = block_of(frame.assign(area=["a", "b", "c", "d"]), NUMBERS)
    assert "area came as text" in input_problem(text.fields, reference.fields, ["area"])


def test_categories_that_are_numbers_in_the_window_keep_their_names() -> None:
    reference = reference_of(houses(0, 400).assign(place=["1", "2"] * 200), NUMBERS)
    block = block_of(houses(1, 3).assign(place=[2, 1, 3]), NUMBERS)
    found = input_rows(block.fields, reference.fields, ["place"], np.arange(3))[:, 0]
    assert np.array_equal(found, [1, 0, np.nan], equal_nan=True)


def test_few_rows_are_refused_and_no_rows_have_no_mean() -> None:
    with pytest.raises(ValueError, match="at least 200 rows, found 199"):
        fit_loss_model(["x"], np.zeros((199, 1)), np.ones(199), in_order=False)
    assert math.isnan(predict_mean_loss(_model(_reference(), "squared_error"), np.zeros((0, 4))).mean)


def test_the_band_of_a_part_is_as_wide_as_its_rows_of_the_reference_make_it() -> None:
    """With equal errors everywhere, the mean over a tenth of the rows is as uncertain as a tenth of the reference."""
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(4000, 2))
    model = fit_loss_model(["x", "y"], x, rng.exponential(size=4000), in_order=False)
    many = np.tile(x, (50, 1))  # so many that chance leaves nothing open
    whole, tenth = (predict_mean_loss(model, rows).standard_error for rows in (many, many[many[:, 1] < 0.1]))
    assert whole == pytest.approx(1 / math.sqrt(4000), rel=0.3)
    assert tenth == pytest.approx(whole * math.sqrt(10), rel=0.2)


def test_what_the_reference_never_had_is_known_as_well_as_a_hundredth_of_it() -> None:
    reference = np.stack([np.arange(1000.0), np.repeat([0.0, 1.0], 500)], axis=1)
    made = fit_support(reference)
    assert weighting_effect(made, reference) == pytest.approx(1)
    assert weighting_effect(made, reference[500:]) == pytest.approx(2)
    assert weighting_effect(made, reference + np.array([5000, 0])) == pytest.approx(
        20
    )  # like the largest that are known
    assert weighting_effect(made, np.full((5, 2), np.nan)) == pytest.approx(100)
    assert weighting_effect(made, reference[:0]) == 1
    assert weighting_effect(fit_support(np.full((10, 1), np.nan)), np.full((10, 1), np.nan)) == 1


@pytest.mark.parametrize(("name", "widest"), [("california_housing", 0.12), ("bike_sharing_hourly", 0.14)])
def test_the_band_is_as_narrow_as_window_and_reference_rows_allow(name: str, widest: float) -> None:
    normal, later = regression(name)
    reference = reference_of(normal, NUMBERS)
    block, model = block_of(later[:1000], NUMBERS), _model(reference, "squared_error")
    found = expected_loss(
        "rmse", model, input_rows(block.fields, reference.fields, model.inputs, np.arange(1000)), 0.95
    )
    assert (found.high - found.low) / 2 < widest * found.value


def test_a_perfect_model_is_expected_to_be_perfect() -> None:
    frame = houses(0, 500)
    reference = reference_of(frame.assign(truth=frame.predicted), NUMBERS)
    model = _model(reference, "squared_error")
    assert predict_mean_loss(model, np.zeros((10, len(model.inputs)))) == (0.0, 0.0, 10)


def test_an_own_error_that_does_not_fit_is_refused() -> None:
    for edges, errors in (((1.0,), (0.1,)), ((2.0, 1.0), (0.1, 0.1, 0.1)), ((), (-0.1,)), ((), (math.nan,))):
        with pytest.raises(ValueError, match="own error"):
            ModelUncertainty(edges, errors)
