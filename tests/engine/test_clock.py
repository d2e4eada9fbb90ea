"""What time it is for a model."""

from __future__ import annotations

from otel_mlmon.engine.clock import ModelClocks

SECOND = 10**9
DAY = 86_400 * SECOND
NOW = 20_000 * DAY


def _clocks() -> ModelClocks:
    return ModelClocks(ahead_ns=300 * SECOND)


def test_a_live_model_follows_the_wall_clock_also_in_silence() -> None:
    clocks = _clocks()
    assert clocks.now("m", NOW) is None
    clocks.observe("m", NOW - SECOND, NOW)
    assert clocks.now("m", NOW + 60 * SECOND) == NOW + 59 * SECOND


def test_a_replayed_history_jumps_and_stands() -> None:
    clocks = _clocks()
    for day in (0, 5, 300):
        clocks.observe("m", day * DAY, NOW + day * SECOND)
        assert clocks.now("m", NOW + day * SECOND) == day * DAY
    assert clocks.now("m", NOW + 301 * SECOND) == 300 * DAY + SECOND


def test_late_events_do_not_turn_it_back() -> None:
    clocks = _clocks()
    clocks.observe("m", NOW, NOW)
    clocks.observe("m", NOW - DAY, NOW + SECOND)
    assert clocks.now("m", NOW + SECOND) == NOW + SECOND


def test_an_event_from_the_future_does_not_move_it() -> None:
    clocks = _clocks()
    clocks.observe("m", NOW, NOW)
    clocks.observe("m", NOW + DAY, NOW)
    assert clocks.now("m", NOW) == NOW
    clocks.observe("m", NOW + 100 * SECOND, NOW)  # a clock that is a little ahead
    assert clocks.now("m", NOW) == NOW, "never ahead of the wall clock"
