from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_mlmon.rulefile import format_duration, parse_duration

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("500ms", SECOND // 2),
        ("30s", 30 * SECOND),
        ("5m", 300 * SECOND),
        ("1h30m", 5_400 * SECOND),
        ("7d", 7 * 86_400 * SECOND),
        ("1w", 7 * 86_400 * SECOND),
        ("1y", 365 * 86_400 * SECOND),
        ("1d12h1s5ms", (86_400 + 43_200 + 1) * SECOND + 5_000_000),
        ("90m", 5_400 * SECOND),
        (" 5m ", 300 * SECOND),
        ("0", 0),
        (0, 0),
        ("0s", 0),
    ],
)
def test_durations_are_read_as_in_prometheus(text: object, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "5", 60, 1.5, "1.5h", "-5m", "5M", "5 m", "1m1h", "1h1h", "m", "1ns", "293y", "٣m", True, None, [], {}]
)
def test_other_durations_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"found|unit|longest"):
        parse_duration(text)


@given(st.integers(0, 2**63 // 10**6 - 1))
def test_a_formatted_duration_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds * 10**6)) == milliseconds * 10**6
