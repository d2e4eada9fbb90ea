"""Alertmanagers, webhooks and the OTLP push: made from the configuration, told about alerts that changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from otel_mlmon.engine.tick import Engine
from otel_mlmon.export.metrics.otlp import OtlpMetrics
from otel_mlmon.export.notifications.alertmanager import AlertmanagerNotifier
from otel_mlmon.export.notifications.webhook import WebhookNotifier
from otel_mlmon.export.source import MetricSource
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.server.config import ExportConfig
from otel_mlmon.values import Alert
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)


class Notifiers:
    """Before `start`, changes of alerts go to the log and to `on_change` only."""

    def __init__(
        self,
        config: ExportConfig,
        engine: Engine,
        counters: Counters,
        on_change: Callable[[Sequence[Alert]], None],
    ) -> None:
        self._config = config
        self._engine = engine
        self._counters = counters
        self._on_change = on_change
        self._notifiers: list[AlertmanagerNotifier | WebhookNotifier] = []
        self._metrics: OtlpMetrics | None = None

    def start(self, metrics: MetricSource, external_url: str) -> None:
        """Start a thread per destination. Links in alerts begin with `external_url`."""
        config, observe = self._config, self._observe
        for url in config.alertmanager:
            self._notifiers.append(
                AlertmanagerNotifier(
                    url, external_url, firing=self._firing, observe=observe, resend_s=config.resend / 1e9
                )
            )
        self._notifiers += [WebhookNotifier(url, external_url, observe=observe) for url in config.webhooks]
        for notifier in self._notifiers:
            notifier.start()
        if config.otlp is not None:
            interval_s = config.otlp.interval / 1e9
            self._metrics = OtlpMetrics(metrics, config.otlp.endpoint, interval_s=interval_s, observe=observe)
            self._metrics.start()

    def stop(self) -> None:
        """Deliver a last time and end."""
        for notifier in self._notifiers:
            notifier.stop()
        if self._metrics is not None:
            self._metrics.stop()

    def notify(self, changed: Sequence[Alert]) -> None:
        """Tell every destination about alerts that fire now, or are resolved; an explained alert is not resolved."""
        if not changed:
            return
        for alert in changed:
            _log.info("%s %s %s: %s", alert.rule, alert.target, alert.phase, alert.verdict.result.message)
        notable = [a for a in changed if a.phase == "firing" or (a.state.resolved_at and not a.cause)]
        if notable:
            for notifier in self._notifiers:
                notifier.notify(notable)
        self._on_change(changed)

    def _firing(self) -> list[Alert]:
        return [alert for alert in self._engine.alerts() if alert.phase == "firing"]

    def _observe(self, destination: str, outcome: str) -> None:
        self._counters.add((semconv.NOTIFICATIONS, 1, {semconv.DESTINATION: destination, semconv.OUTCOME: outcome}))
