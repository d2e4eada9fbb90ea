"""The life of an alert: inactive → pending → firing → inactive again. A pure function of state, verdict and time."""

from __future__ import annotations

from typing import Literal

from otel_mlmon.values.alerts import AlertState
from otel_mlmon.values.verdicts import Status


def step(
    state: AlertState,
    status: Status,
    time: int,
    *,
    for_ns: int,
    keep_firing_for_ns: int,
    on_no_data: Literal["keep", "alert", "resolve"],
) -> AlertState:
    """Return the state after a verdict at event time `time` (ns).

    An error keeps the state: a rule that cannot be evaluated says nothing about the model.
    """
    if status == "error" or (status == "no_data" and on_no_data == "keep"):
        return state
    if status == "breach" or (status == "no_data" and on_no_data == "alert"):
        return _breach(state, time, for_ns)
    if state.phase == "firing":
        if time - state.last_breach < keep_firing_for_ns:
            return state
        return AlertState(resolved_at=time, since=state.since, fired_at=state.fired_at, last_breach=state.last_breach)
    # A resolved alert stays so until the next breach: its report is still worth reading.
    return state if state.resolved_at else AlertState()


def _breach(state: AlertState, time: int, for_ns: int) -> AlertState:
    if state.phase == "firing":
        return AlertState("firing", state.since, state.fired_at, time)
    since = state.since if state.phase == "pending" else time
    if time - since >= for_ns:
        return AlertState("firing", since, time, time)
    return AlertState("pending", since, 0, time)
