"""Alerts to Alertmanager: against a receiver on loopback that shows each request, and against the real one."""

from __future__ import annotations

import threading
import time
from collections import Counter
from datetime import datetime

import pytest
from export.receivers import receiver, until
from export.samples import HOSTILE, MIN, NOW, alert
from peers.processes import alertmanager, free_ports, require_peer

from otel_mlmon.export.notifications.alertmanager import AlertmanagerNotifier
from otel_mlmon.values import Alert

PAGES = "http://mlmon.example"


class Alertmanager:
    """One under test; its clock is set by hand."""

    def __init__(self, url: str, *, resend_s: float = 60.0, now: float = NOW / 1e9) -> None:
        self.now = now
        self.firing: list[Alert] = []
        self.outcomes: Counter[str] = Counter()
        self.notifier = AlertmanagerNotifier(
            url,
            PAGES,
            alerts=lambda: self.firing,
            observe=lambda d, o: self.outcomes.update([f"{d} {o}"]),
            resend_s=resend_s,
            clock=lambda: self.now,
        )


def seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp() - NOW / 1e9


def test_a_firing_alert_has_labels_report_and_times_and_is_repeated() -> None:
    with receiver() as got:
        made = Alertmanager(got.url + "/", resend_s=0.05)
        made.firing = [alert(segment="region=INLAND")]
        made.notifier.start()
        until(lambda: len(got.bodies) >= 3)
        made.notifier.stop()
    assert set(got.paths) == {"/api/v2/alerts"}
    (sent,) = got.json()[0]
    assert sent["labels"] == {
        "alertname": "FeatureDrift",
        "group": "house-prices",
        "check": "drift",
        "method": "psi",
        "model": "house-prices",
        "version": "7",
        "segment": "region=INLAND",
        "feature": "median_income",
        "severity": "warning",
        "team": "pricing",
    }
    assert sent["annotations"]["report"] == sent["generatorURL"] == f"{PAGES}/alerts/4f1c2b7e90ad3c55"
    assert sent["annotations"]["summary"].startswith("median_income of house-prices")
    assert seconds(sent["startsAt"]) == -65 * 60  # as long ago as it fired
    assert seconds(sent["endsAt"]) == pytest.approx(4 * 0.05, abs=1e-3)
    assert made.outcomes == {"alertmanager sent": len(got.bodies)}


def test_a_resolved_alert_is_sent_at_once_and_for_a_quarter_of_an_hour() -> None:
    with receiver() as got:
        made = Alertmanager(got.url)
        fired = alert()
        made.firing = [fired]
        made.notifier.start()
        until(lambda: got.bodies)
        made.firing = []
        made.notifier.notify([alert(phase="inactive", resolved_at=NOW - MIN)])
        until(lambda: len(got.bodies) == 2)
        (sent,) = got.json()[1]
        assert (seconds(sent["startsAt"]), seconds(sent["endsAt"])) == (-65 * 60, -60)
        made.now += 14 * 60
        made.notifier.soon()
        until(lambda: len(got.bodies) == 3)
        made.now += 2 * 60
        made.notifier.stop()  # with a last round, in which there is nothing left to say
    assert len(got.bodies) == 3
    assert got.json()[2] == got.json()[1]


def test_alert_that_fires_again_is_not_resolved() -> None:
    with receiver() as got:
        made = Alertmanager(got.url)
        made.notifier.notify([alert(phase="inactive", resolved_at=NOW)])
        made.firing = [alert(fired_at=NOW)]
        made.notifier.notify(made.firing)
        made.notifier.start()
        until(lambda: got.bodies)
        made.notifier.stop()
    assert [len(body) for body in got.json()] == [1, 1]
    assert seconds(got.json()[0][0]["endsAt"]) == 240


@pytest.mark.parametrize(
    ("state", "starts", "ends"),
    [
        ({"fired_at": NOW + 3600 * 10**9}, 0, 240),  # a sender's clock that is ahead
        ({"fired_at": 0}, 0, 240),
        ({"fired_at": NOW - 365 * 86400 * 10**9}, -365 * 86400, 240),  # a replayed history
        ({"phase": "inactive", "fired_at": NOW, "resolved_at": NOW + 3600 * 10**9}, 0, 0),
        ({"phase": "inactive", "fired_at": NOW, "resolved_at": NOW - 3600 * 10**9}, 0, 0),
    ],
)
def test_times_are_ordered_and_not_in_the_future(state, starts: float, ends: float) -> None:
    with receiver() as got:
        made = Alertmanager(got.url)
        one = alert(**state)
        made.firing = [one] if one.state.phase == "firing" else []
        made.notifier.notify([one])
        made.notifier.start()
        until(lambda: got.bodies)
        made.notifier.stop()
    (sent,) = got.json()[0]
    assert (seconds(sent["startsAt"]), seconds(sent["endsAt"])) == (starts, ends)


def test_refused_part_of_many_alerts_does_not_stop_the_others() -> None:
    with receiver(answers=[400]) as got:
        made = Alertmanager(got.url)
        made.firing = [alert(id=str(i)) for i in range(600)]
        made.notifier.start()
        until(lambda: len(got.bodies) == 2)
        made.firing = []
        made.notifier.stop()
    assert [len(body) for body in got.json()] == [256, 88]
    assert made.outcomes == {"alertmanager failed": 1, "alertmanager sent": 2}


def test_present_state_is_sent_after_an_outage() -> None:
    (port,) = free_ports(1)
    made = Alertmanager(f"http://127.0.0.1:{port}", resend_s=0.05)
    made.notifier.start()
    made.firing = [alert(id="over by then")]
    made.notifier.notify(made.firing)
    until(lambda: made.outcomes["alertmanager failed"] >= 2)
    made.firing = [alert(id="still there", rule="Other")]
    with receiver(port) as got:
        until(lambda: got.bodies)
        made.notifier.stop()
    assert [one["labels"]["alertname"] for one in got.json()[0]] == ["Other"]


def test_changes_during_an_outage_cause_no_further_requests() -> None:
    (port,) = free_ports(1)
    made = Alertmanager(f"http://127.0.0.1:{port}")
    made.firing = [alert()]
    made.notifier.start()
    until(lambda: made.outcomes["alertmanager failed"] == 1)
    for _ in range(200):
        made.notifier.notify([alert()])
        time.sleep(0.001)
    assert made.outcomes["alertmanager failed"] <= 3  # of 200, on a busy machine too
    made.notifier.stop()
    assert not any(t.name == "mlmon-alertmanager" for t in threading.enumerate())


def test_a_source_that_breaks_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    with receiver() as got:
        made = Alertmanager(got.url, resend_s=0.02)
        made.firing = [None]  # type: ignore[list-item]
        made.notifier.start()
        until(lambda: caplog.records)
        made.firing = [alert()]
        until(lambda: got.bodies)
        made.notifier.stop()
    assert len(caplog.records) == 1, "once per outage"


@pytest.mark.peers
def test_real_alertmanager_shows_an_alert_until_it_is_resolved(tmp_path) -> None:
    require_peer("alertmanager")
    with receiver() as passed_on, alertmanager(tmp_path, passed_on.url) as server:
        made = Alertmanager(server.url, now=time.time())
        wall = int(made.now * 1e9)
        made.firing = [alert(fired_at=wall - 5 * MIN), alert(id="b", field=HOSTILE, fired_at=wall - MIN)]
        made.notifier.start()
        shown = until(server.alerts)
        assert {one["labels"]["feature"] for one in shown} == {"median_income", HOSTILE.replace("\ud800", "?")}
        mine = next(one for one in shown if one["labels"]["feature"] == "median_income")
        assert mine["annotations"]["report"] == mine["generatorURL"] == f"{PAGES}/alerts/4f1c2b7e90ad3c55"
        until(lambda: any(body["status"] == "firing" for body in passed_on.json()))
        gone, made.firing = made.firing, []
        made.now = time.time()
        ended = int(made.now * 1e9)
        made.notifier.notify(
            [
                alert(
                    id=one.id, field=one.target.field, phase="inactive", fired_at=one.state.fired_at, resolved_at=ended
                )
                for one in gone
            ]
        )
        until(lambda: not server.alerts())
        told = until(lambda: [body for body in passed_on.json() if body["status"] == "resolved"])
        made.notifier.stop()
    assert len(told[0]["alerts"]) == 2
    assert not made.outcomes["alertmanager failed"]
