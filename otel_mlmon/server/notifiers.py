"""Alertmanagers, webhooks and the OTLP push: made from the configuration, told about alerts that changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from otel_mlmon.engine.tick import Engine
from otel_mlmon.export.metrics.otlp import OtlpMetrics
from otel_mlmon.export.notifications.alertmanager import AlertmanagerNotifier
from otel_mlmon.export.notifications.notifier import Notifier
from otel_mlmon.export.notifications.webhook import WebhookNotifier
from otel_mlmon.export.source import MetricSource
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.server.config import ExportConfig
from otel_mlmon.values import Alert
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Notifiers:
    """Before `start`, changes of alerts go to the log and to `on_change` only."""

    config: ExportConfig
    engine: Engine
    counters: Counters
    on_change: Callable[[Sequence[Alert]], None]
    _alerted: Sequence[AlertmanagerNotifier | WebhookNotifier] = field(default=(), init=False)
    _running: Sequence[Notifier] = field(default=(), init=False)

    def start(self, metrics: MetricSource, external_url: str) -> None:
        """Start a thread per destination. Links in alerts begin with `external_url`."""
        config, observe = self.config, self._observe
        resend_s = config.resend / 1e9
        self._alerted = [
            *(
                AlertmanagerNotifier(url, external_url, alerts=self.engine.alerts, observe=observe, resend_s=resend_s)
                for url in config.alertmanager
            ),
            *(WebhookNotifier(url, external_url, observe=observe) for url in config.webhooks),
        ]
        self._running = self._alerted
        if (otlp := config.otlp) is not None:
            pushed = OtlpMetrics(metrics, otlp.endpoint, interval_s=otlp.interval / 1e9, observe=observe)
            self._running = [*self._alerted, pushed]
        for notifier in self._running:
            notifier.start()

    def stop(self) -> None:
        """Deliver a last time and end."""
        for notifier in self._running:
            notifier.stop()

    def notify(self, changed: Sequence[Alert]) -> None:
        """Tell every destination about alerts that fire now, or are resolved; an explained alert is not resolved."""
        if not changed:
            return
        for alert in changed:
            _log.info("%s %s %s: %s", alert.rule, alert.target, alert.phase, alert.verdict.result.message)
        notable = [a for a in changed if a.phase == "firing" or (a.state.resolved_at and not a.cause)]
        if notable:
            for notifier in self._alerted:
                notifier.notify(notable)
        self.on_change(changed)

    def _observe(self, destination: str, outcome: str) -> None:
        self.counters.add((semconv.NOTIFICATIONS, 1, {semconv.DESTINATION: destination, semconv.OUTCOME: outcome}))
