"""Changes posted to a webhook: in order, without loss where it can be helped, and never in the way of evaluation."""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter

import pytest
from export.receivers import receiver, until
from export.samples import HOSTILE, NAN, NOW, alert, changed
from peers.processes import free_ports

from otel_mlmon.export.notifications.webhook import QUEUE, WebhookNotifier, payload

PAGES = "http://mlmon.example"


def notifier(url: str, outcomes: Counter[str], **more: float) -> WebhookNotifier:
    made = WebhookNotifier(url, PAGES, observe=lambda _, o: outcomes.update([o]), retry_s=0.01, **more)
    made.start()
    return made


def test_a_firing_and_a_resolved_alert_have_the_shape_of_alertmanagers_webhook() -> None:
    firing = payload(alert(), PAGES)
    assert {k: v for k, v in firing.items() if k != "alerts"} == {
        "version": "4",
        "groupKey": "otel_mlmon/4f1c2b7e90ad3c55",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "webhook",
        "groupLabels": {"alertname": "FeatureDrift"},
        "commonLabels": firing["alerts"][0]["labels"],
        "commonAnnotations": firing["alerts"][0]["annotations"],
        "externalURL": PAGES,
    }
    assert firing["alerts"] == [
        {
            "status": "firing",
            "labels": {
                "alertname": "FeatureDrift",
                "group": "house-prices",
                "check": "drift",
                "method": "psi",
                "model": "house-prices",
                "version": "7",
                "feature": "median_income",
                "severity": "warning",
                "team": "pricing",
            },
            "annotations": {
                "description": "psi 0.427 between 4980 values and the reference's 16512",
                "summary": "median_income of house-prices has drifted: PSI 0.43",
                "runbook": "https://runbooks.example/drift",
                "report": f"{PAGES}/alerts/4f1c2b7e90ad3c55",
            },
            "startsAt": "2025-11-24T01:55:00.000+00:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": f"{PAGES}/alerts/4f1c2b7e90ad3c55",
            "fingerprint": "4f1c2b7e90ad3c55",
            "value": 0.4271,
            "threshold": 0.2,
            "pValue": 1.3e-7,
            "rows": 4980,
        }
    ]
    resolved = payload(alert(phase="inactive", resolved_at=NOW), PAGES)
    assert (resolved["status"], resolved["alerts"][0]["endsAt"]) == ("resolved", "2025-11-24T03:00:00.000+00:00")


def test_odd_alerts_make_valid_json() -> None:
    odd = alert(
        value=NAN,
        threshold=float("inf"),
        p_value=NAN,
        fired_at=2**200,
        field=HOSTILE,
        message=HOSTILE,
        id='a/b?"',
        labels={"n": 1, "": "x"},
        annotations={"description": "mine", "report": "elsewhere"},
    )
    text = json.dumps(payload(odd, PAGES), allow_nan=False)
    (found,) = json.loads(text)["alerts"]
    assert (found["value"], found["threshold"], found["pValue"]) == (None, None, None)
    assert found["startsAt"] == "0001-01-01T00:00:00Z"
    assert found["annotations"] == {"description": "mine", "report": f"{PAGES}/alerts/a%2Fb%3F%22"}
    assert found["labels"]["feature"] == HOSTILE.replace("\ud800", "?")


def test_changes_arrive_in_order_once_each_through_errors() -> None:
    outcomes: Counter[str] = Counter()
    with receiver(answers=[503, 500, (429, {"Retry-After": "0.01"})]) as got:
        made = notifier(got.url + "/hook", outcomes)
        made.notify([alert(id="a"), alert(id="b")])
        made.notify([alert(id="a", phase="inactive", resolved_at=NOW)])
        until(lambda: len(got.bodies) == 3)
        made.stop()
    told = [(body["alerts"][0]["fingerprint"], body["status"]) for body in got.json()]
    assert told == [("a", "firing"), ("b", "firing"), ("a", "resolved")]
    assert outcomes == {"failed": 3, "sent": 3}


def test_refused_notification_is_dropped_and_the_others_are_sent() -> None:
    outcomes: Counter[str] = Counter()
    with receiver(answers=[400, (301, {"Location": "/elsewhere"})]) as got:
        made = notifier(got.url, outcomes)
        made.notify([alert(id="a"), alert(id="b"), alert(id="c")])
        until(lambda: got.bodies)
        made.stop()
    assert [body["alerts"][0]["fingerprint"] for body in got.json()] == ["c"]
    assert outcomes == {"failed": 2, "dropped": 2, "sent": 1}


def test_failing_notification_does_not_block_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otel_mlmon.export.notifications.webhook.TRIES", 3)
    outcomes: Counter[str] = Counter()
    with receiver(answers=[500] * 3) as got:
        made = notifier(got.url, outcomes)
        made.notify([alert(id="poison"), alert(id="b")])
        until(lambda: got.bodies)
        made.stop()
    assert [body["alerts"][0]["fingerprint"] for body in got.json()] == ["b"]
    assert outcomes == {"failed": 3, "dropped": 1, "sent": 1}


def test_an_outage_loses_nothing_and_logs_one_line_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outcomes: Counter[str] = Counter()
    (port,) = free_ports(1)
    made = notifier(f"http://user:hunter2@127.0.0.1:{port}/services/T0/SECRET", outcomes)
    made.notify([alert(id="a")])
    until(lambda: outcomes["failed"] >= 3)
    with receiver(port) as got:
        until(lambda: got.bodies)
        made.stop()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("otel_mlmon")]
    assert len(said) == 2, said
    assert said[0].startswith(f"webhook at 127.0.0.1:{port} takes no deliveries: ConnectionRefusedError")
    assert "takes deliveries again" in said[1]
    assert not any(secret in line for line in said for secret in ("SECRET", "hunter2"))
    assert got.paths == ["/services/T0/SECRET"]


def test_notify_never_waits_and_a_full_queue_drops_the_oldest() -> None:
    outcomes: Counter[str] = Counter()
    with receiver() as got:
        got.hold.clear()
        made = notifier(got.url, outcomes)
        made.notify([alert(id="in the air")])
        until(lambda: any(t.name == "mlmon-webhook" for t in threading.enumerate()))
        for i in range(QUEUE + 5):
            made.notify([alert(id=f"{i}")])
        assert not got.bodies  # the receiver still holds the first one
        got.hold.set()
        until(lambda: outcomes["sent"] + outcomes["dropped"] >= QUEUE + 6, 60)
        made.stop()
    assert got.json()[-1]["alerts"][0]["fingerprint"] == str(QUEUE + 4)
    # The one in the air was taken although the queue had given it up.
    assert outcomes["dropped"] in {5, 6}
    assert outcomes["failed"] == 0


def test_stop_is_quick_and_counts_undelivered_notifications() -> None:
    outcomes: Counter[str] = Counter()
    (port,) = free_ports(1)
    made = WebhookNotifier(f"http://127.0.0.1:{port}", PAGES, observe=lambda _, o: outcomes.update([o]), retry_s=60)
    made.start()
    made.notify([alert(id="a"), alert(id="b")])
    until(lambda: outcomes["failed"])
    made.stop()
    assert outcomes == {"failed": 2, "dropped": 2}
    assert not any(t.name == "mlmon-webhook" for t in threading.enumerate())


def test_a_webhook_that_was_never_started_can_be_stopped() -> None:
    made = WebhookNotifier("http://127.0.0.1:9", PAGES, observe=lambda *_: None)
    made.stop()


def test_notifications_have_the_alert_as_of_its_change() -> None:
    before = alert(id="a", value=0.3)
    after = changed(before, value=0.9)
    assert payload(before, PAGES)["alerts"][0]["value"] == 0.3
    assert payload(after, PAGES)["alerts"][0]["value"] == 0.9
