"""Another mix and another behaviour of the parts, told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from otel_mlmon.stats.drift.shift_kind import mix_share

THEN = np.array([[800, 150, 50], [20, 60, 320]])


def test_other_proportions_alone_are_mix() -> None:
    assert mix_share(THEN, THEN * np.array([[1], [7]])) == pytest.approx(1.0)


def test_other_values_alone_are_behaviour() -> None:
    assert mix_share(THEN, np.array([[150, 800, 50], [60, 20, 320]])) == pytest.approx(0.0)


def test_a_new_part_and_one_that_is_gone_are_mix() -> None:
    assert mix_share(np.array([[90, 10], [0, 0]]), np.array([[90, 10], [5, 95]])) == pytest.approx(1.0)
    assert mix_share(np.array([[90, 10], [5, 95]]), np.array([[90, 10], [0, 0]])) == pytest.approx(1.0)


def test_both_at_once_are_split() -> None:
    now = np.array([[150, 800, 50], [20 * 7, 60 * 7, 320 * 7]])
    assert 0.2 < mix_share(THEN, now) < 0.9


def test_where_nothing_differs_nothing_is_shared_out() -> None:
    assert np.isnan(mix_share(THEN, THEN))
    assert np.isnan(mix_share(THEN * 0, THEN * 0))


@given(arrays(np.int64, (3, 4), elements=st.integers(0, 1000)), arrays(np.int64, (3, 4), elements=st.integers(0, 1000)))
def test_looking_back_from_now_to_then_gives_the_same_split(then: np.ndarray, now: np.ndarray) -> None:
    forth, back = mix_share(then, now), mix_share(now, then)
    assert forth == pytest.approx(back, rel=1e-6, abs=1e-9, nan_ok=True)
    assert not np.isinf(forth)


@given(arrays(np.int64, (2, 3), elements=st.integers(1, 500)))
def test_the_number_of_rows_does_not_matter(now: np.ndarray) -> None:
    assert mix_share(THEN, now) == pytest.approx(mix_share(THEN, now * 1000), rel=1e-6, abs=1e-9, nan_ok=True)
