"""The life of an alert as a table of (minute, verdict, expected phase)."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from otel_mlmon.values import AlertState
from otel_mlmon.values.alert_state import step

MINUTE = 60 * 10**9
OK, BREACH, NONE, ERROR = "ok", "breach", "no_data", "error"

TABLE = {
    "without `for` a breach fires at once and ends at once": (
        {},
        [(0, OK, "inactive"), (1, BREACH, "firing"), (2, OK, "inactive")],
    ),
    "`for` asks for a breach that lasts": (
        {"for_ns": 5 * MINUTE},
        [(0, BREACH, "pending"), (4, BREACH, "pending"), (5, BREACH, "firing"), (6, OK, "inactive")],
    ),
    "an interruption starts `for` anew": (
        {"for_ns": 5 * MINUTE},
        [(0, BREACH, "pending"), (3, OK, "inactive"), (4, BREACH, "pending"), (8, BREACH, "pending")],
    ),
    "keep_firing_for bridges a lull": (
        {"keep_firing_for_ns": 3 * MINUTE},
        [(0, BREACH, "firing"), (2, OK, "firing"), (3, OK, "inactive")],
    ),
    "no data keeps what is": (
        {"for_ns": 5 * MINUTE},
        [
            (0, NONE, "inactive"),
            (1, BREACH, "pending"),
            (3, NONE, "pending"),
            (6, BREACH, "firing"),
            (99, NONE, "firing"),
        ],
    ),
    "no data may be an alert": ({"on_no_data": "alert"}, [(0, NONE, "firing"), (1, OK, "inactive")]),
    "no data may end an alert": ({"on_no_data": "resolve"}, [(0, BREACH, "firing"), (1, NONE, "inactive")]),
    "an error says nothing about the model": (
        {"on_no_data": "alert"},
        [(0, ERROR, "inactive"), (1, BREACH, "firing"), (2, ERROR, "firing")],
    ),
}


@pytest.mark.parametrize("restart", [False, True], ids=["", "restarted each time"])
@pytest.mark.parametrize(("options", "steps"), TABLE.values(), ids=TABLE)
def test_phases(options: dict[str, object], steps: list[tuple[int, str, str]], restart: bool) -> None:
    settings = {"for_ns": 0, "keep_firing_for_ns": 0, "on_no_data": "keep", **options}
    state = AlertState()
    for minute, status, expected in steps:
        state = step(state, status, minute * MINUTE, **settings)  # type: ignore[arg-type]
        assert state.phase == expected, minute
        if restart:
            state = AlertState(**asdict(state))


def test_an_end_is_told_once_and_remembered_until_the_next_breach() -> None:
    settings = {"for_ns": 0, "keep_firing_for_ns": 0, "on_no_data": "keep"}
    firing = step(AlertState(), BREACH, MINUTE, **settings)  # type: ignore[arg-type]
    resolved = step(firing, OK, 2 * MINUTE, **settings)  # type: ignore[arg-type]
    assert (resolved.phase, resolved.fired_at, resolved.resolved_at) == ("inactive", MINUTE, 2 * MINUTE)
    assert step(resolved, OK, 3 * MINUTE, **settings) == resolved  # type: ignore[arg-type]
    again = step(resolved, BREACH, 4 * MINUTE, **settings)  # type: ignore[arg-type]
    assert again == replace(firing, since=4 * MINUTE, fired_at=4 * MINUTE, last_breach=4 * MINUTE)
