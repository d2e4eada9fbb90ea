"""Comparison and correction on numbers whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from otel_mlmon.stats.drift.selection import compare, corrected_mean, standardised_difference


def test_labels_by_chance_are_told_from_others_as_often_as_stated() -> None:
    rejected = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(400, 3))
        rejected += compare(x, [False] * 3, rng.random(400) < 0.6, rng).p_value < 0.05
    assert rejected <= 8  # 3 are to be expected, more than 8 in 2 of 1000 cases


def test_labels_that_depend_on_a_number_a_category_or_a_missing_value_are_seen() -> None:
    rng = np.random.default_rng(0)
    n = 2000
    chance = np.where(rng.random(n) < 0.5, 0.8, 0.4)
    labelled = rng.random(n) < chance
    noise = rng.normal(size=n)
    category = np.where(chance > 0.5, rng.integers(0, 3, n), rng.integers(3, 6, n)).astype(float)
    holes = np.where(chance > 0.5, noise, np.nan)
    for column, categorical in ((np.where(chance > 0.5, 1, -1) + noise, False), (category, True), (holes, False)):
        found = compare(np.stack([column, rng.normal(size=n)], axis=1), [categorical, False], labelled, rng)
        assert found.auc > 0.6
        assert found.p_value < 1e-4


def test_columns_that_say_nothing_cannot_tell() -> None:
    rng = np.random.default_rng(0)
    found = compare(np.stack([np.ones(100), np.full(100, np.nan)], axis=1), [False, False], np.arange(100) < 60, rng)
    assert (found.auc, found.p_value) == (0.5, 1.0)
    assert set(found.shares.tolist()) == {0.6}


def test_fewer_rows_than_folds_are_refused() -> None:
    with pytest.raises(ValueError, match="5 rows with and without a label are needed, found 3 and 97"):
        compare(np.zeros((100, 1)), [False], np.arange(100) < 3, np.random.default_rng(0))


@pytest.mark.parametrize("with_model", [False, True])
def test_the_interval_of_the_corrected_mean_covers_the_truth(with_model: bool) -> None:
    """Of a model that is 20 % too low; shares are known."""
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.uniform(size=2000)
        share = 0.9 - 0.7 * x
        labelled = rng.random(2000) < share
        losses = np.where(labelled, x * rng.exponential(size=2000), np.nan)
        found = corrected_mean(losses, labelled, share, 0.8 * x if with_model else None)
        covered += abs(found.mean - 0.5) <= 1.96 * found.standard_error
    assert 0.92 <= covered / 400 <= 0.98


def test_either_the_model_or_the_shares_being_right_is_enough() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(size=100_000)
    share = 0.9 - 0.7 * x
    labelled = rng.random(len(x)) < share
    losses = np.where(labelled, x * rng.exponential(size=len(x)), np.nan)
    wrong_shares, wrong_model = np.full(len(x), 0.5), np.full(len(x), 0.3)
    assert corrected_mean(losses, labelled, share, wrong_model).mean == pytest.approx(0.5, abs=0.01)
    assert corrected_mean(losses, labelled, wrong_shares, x).mean == pytest.approx(0.5, abs=0.01)
    assert corrected_mean(losses, labelled, wrong_shares).mean == pytest.approx(0.4, abs=0.03), "neither is not"


def test_no_labels_have_no_mean() -> None:
    found = corrected_mean(np.full(10, np.nan), np.zeros(10, bool), np.full(10, 0.5))
    assert math.isnan(found.mean)
    assert found.effective_rows == 0


def test_a_difference_is_in_standard_deviations_and_missing_values_are_left_out() -> None:
    rng = np.random.default_rng(0)
    labelled = np.arange(20_000) % 2 == 0
    x = rng.normal(size=20_000) + 0.5 * labelled
    x[:100] = np.nan
    assert standardised_difference(x, labelled) == pytest.approx(0.49, abs=0.03)
    assert standardised_difference(np.ones(10), np.arange(10) < 5) == 0.0
