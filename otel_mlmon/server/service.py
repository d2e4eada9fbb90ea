"""The composition root: builds the processor from its stages, starts sinks before sources, stops in reverse."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.tick import Engine
from otel_mlmon.errors import BadReference, ConfigError
from otel_mlmon.export.metrics.otlp import OtlpMetrics
from otel_mlmon.export.notifications.alertmanager import AlertmanagerNotifier
from otel_mlmon.export.notifications.webhook import WebhookNotifier
from otel_mlmon.export.pages import web_app
from otel_mlmon.ingest.counters import Counters
from otel_mlmon.ingest.decode import decode, ground_truth_table
from otel_mlmon.ingest.pipeline import Pipeline
from otel_mlmon.ingest.receive.grpc import GrpcReceiver
from otel_mlmon.ingest.receive.http import otlp_app
from otel_mlmon.ingest.receive.receipt import Format, TableReceipt
from otel_mlmon.reference.api import reference_routes
from otel_mlmon.reference.artefact import read_artefact
from otel_mlmon.reference.book import ReferenceBook
from otel_mlmon.server.asgi import AsgiServer
from otel_mlmon.server.config import Config, GroundTruthSource, split_address
from otel_mlmon.server.ground_truth_accounts import GroundTruthAccounts
from otel_mlmon.server.ground_truth_sources import GroundTruthSources
from otel_mlmon.server.prediction_routes import prediction_routes
from otel_mlmon.server.reports import Reports
from otel_mlmon.server.rule_files import RuleFiles
from otel_mlmon.server.scheduler import Scheduler
from otel_mlmon.server.snapshot import Snapshot
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.store.ground_truth_database import DatabaseQuery
from otel_mlmon.store.ground_truth_query import GroundTruthQuery
from otel_mlmon.values import Alert, Batch, ChangeBatch, GroundTruthLayout, Point, PredictionBatch
from otel_mlmon.window import Windows
from otel_mlmon.wire import semconv

_log = logging.getLogger(__name__)
TICK_S = 0.5  # how often the scheduler looks for due work when nothing was committed
RETENTION_S = 600.0
VERSION = version("otel-mlmon")


class Service:
    """The processor in one process. `start` returns when it receives; `stop` when what was received is committed."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], int] = time.time_ns,
        on_change: Callable[[Sequence[Alert]], None] = lambda changed: None,
    ) -> None:
        """Open the store, load references and rules. `on_change` hears of every alert whose phase changed.

        Raises ConfigError, RuleFileError or BadReference, with every mistake that was found.
        """
        self._config = config
        self._clock = clock
        self._on_change = on_change
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._reload = threading.Event()
        self._evaluated = 0.0
        self.counters = Counters()
        self.store = Store(
            config.store.path,
            memory_limit=config.store.memory_limit,
            threads=config.store.threads,
            dedup_margin_ns=config.store.dedup_margin,
            ground_truth_horizon_ns=config.window.ground_truth_horizon,
        )
        try:
            self._assemble()
        except BaseException:
            self.store.close()
            raise

    def _assemble(self) -> None:
        config = self._config
        self._clocks = ModelClocks(ahead_ns=config.window.ahead)
        for model in self.store.rows.models():
            newest = self.store.rows.newest_arrival(model, config.window.ahead)
            if newest:
                self._clocks.observe(model, *newest)
        self.references = ReferenceBook(self.store.documents, self._references_changed)
        horizon = config.window.ground_truth_horizon
        # A window at the end of the horizon still needs what its baseline, or its budget, looks back to.
        self._windows = Windows(self.store, self.references.find, pane_ns=config.window.pane, horizon_ns=2 * horizon)
        self.engine = Engine(
            self._windows,
            self.references.find,
            self.store.documents,
            self.store.rows.count_outside,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=config.window.ground_truth_horizon,
        )
        self._scheduler = Scheduler(
            self.store, self._windows, self.engine, self._clocks, self.references.all, self.counters, self._changed,
            lateness_ns=config.window.lateness, horizon_ns=config.window.ground_truth_horizon,
        )  # fmt: skip
        for model in {reference.model for reference in self.references.all()}:
            self._scheduler.references_changed(model)
        for path in _reference_files(config.references):
            self.references.put(read_artefact(path))
        self._rules = RuleFiles(config.rules, self._scheduler.load)
        self._rules.load()
        self._accounts = GroundTruthAccounts(self.store)
        self.snapshot = Snapshot(self.engine, self.counters, self._gauges)
        self.reports = Reports(
            self.store, self.engine, self._clocks, self.counters, lambda: self._scheduler.groups, self._clock, VERSION,
            self._notes, self.references.find, self._windows,
            sources=lambda: self._sources.status(),  # noqa: PLW0108 - which come to be below
        )  # fmt: skip
        queries = [(source, _query(source)) for source in config.ground_truth]
        self._pipeline = Pipeline(
            self.store.commit,
            decode,
            self._committed,
            self.counters,
            self._clock,
            max_queue_rows=config.receive.max_queue_rows,
        )
        self._sources = GroundTruthSources(
            queries, self._pipeline.store, self.store.documents, self.counters, self._clock,
        )  # fmt: skip
        self._evaluator = threading.Thread(target=self._evaluate, name="mlmon-evaluate", daemon=True)

    # ---- life

    def start(self) -> None:
        """Sinks first: whoever receives something must have somewhere to put it."""
        receive = self._config.receive
        app = web_app(
            self.snapshot,
            self.reports,
            routes=[*reference_routes(self.references), *prediction_routes(self.store.rows)],
            ready=self._evaluator.is_alive,
        )
        self._web = AsgiServer(app, *split_address(self._config.web.listen))
        self.web_url = f"http://{_shown(self._config.web.listen, self._web.start())}"
        external = (self._config.web.external_url or self.web_url).rstrip("/")
        self._notifiers = self._start_notifiers(external)
        self._evaluator.start()
        self._http = AsgiServer(
            otlp_app(
                self._pipeline,
                ground_truth=self._take_table,
                max_body_bytes=receive.max_body_bytes,
                observe=self._observe_request,
            ),
            *split_address(receive.http),
        )
        self.http_address = _shown(receive.http, self._http.start())
        self._grpc = GrpcReceiver(
            self._pipeline, *split_address(receive.grpc), max_body_bytes=receive.max_body_bytes,
            observe=self._observe_request,
        )  # fmt: skip
        self.grpc_address = _shown(receive.grpc, self._grpc.start())
        self._sources.start()

    def stop(self) -> None:
        """Sources first: stop receiving, commit, evaluate what is due, tell, close."""
        self._sources.stop()
        self._grpc.stop(5.0)
        self._http.stop()
        self._pipeline.close()
        self._stopping.set()
        self._wake.set()
        self._evaluator.join(30.0)
        for notifier in self._notifiers:
            notifier.stop()
        self._web.stop()
        self.store.close()

    def reload_soon(self) -> None:
        """Reload the rule files; safe to call from a signal handler."""
        self._reload.set()
        self._wake.set()

    # ---- committed → evaluated

    def _committed(self, batches: Sequence[Batch], received: int) -> None:
        arrived: list[tuple[str, npt.NDArray[np.int64]]] = []
        for batch in batches:
            if isinstance(batch, ChangeBatch):
                continue
            times = np.asarray(batch.times.to_numpy(zero_copy_only=False), dtype=np.int64)
            ahead = times > received + self._config.window.ahead
            if isinstance(batch, PredictionBatch):
                self._windows.touch(batch.model, times)
                about = {semconv.MODEL_NAME: batch.model}
                self.counters.add(
                    (semconv.INGEST_LATE, int((times < self._scheduler.closed.get(batch.model, 0)).sum()), about),
                    (semconv.INGEST_FUTURE, int(ahead.sum()), about),
                )
            else:
                self._windows.touch_ground_truth(batch.model)
            arrived.append((batch.model, times[~ahead]))
        # Last: what moves a clock closes windows, and by then everything must be known to be there.
        for model, times in arrived:
            if len(times):
                self._clocks.observe(model, int(times.max()), received)
        self._wake.set()

    def _evaluate(self) -> None:
        cleaned = time.monotonic()
        while not self._stopping.is_set():
            self._wake.wait(TICK_S)
            self._wake.clear()
            try:
                if self._reload.is_set() or self._rules.changed():
                    self._reload.clear()
                    self._rules.reload()
                self._scheduler.run(self._clock(), self._stopping.is_set)
                self._evaluated = self._clock() / 1e9
                self._accounts.settle()
                if time.monotonic() - cleaned > RETENTION_S:
                    cleaned = time.monotonic()
                    self._clean()
            except Exception:  # the next round may succeed; the age of the last one is exported
                _log.exception("evaluation failed")

    def _clean(self) -> None:
        for model in self.store.rows.models():
            now = self._clocks.now(model, self._clock())
            if now is not None:
                before = now - self._config.store.retention
                self.store.delete_before(model, before)
                self.store.documents.forget_history(
                    [a.id for a in self.engine.alerts() if a.target.model == model], before
                )
        self.store.checkpoint()

    def _take_table(self, format_: Format, body: bytes, layout: GroundTruthLayout) -> TableReceipt:
        return self._pipeline.store(ground_truth_table(body, format_, layout, received_ns=self._clock()))

    def _references_changed(self, model: str) -> None:
        self._scheduler.references_changed(model)
        self._wake.set()

    # ---- outside

    def _start_notifiers(self, external: str) -> list[AlertmanagerNotifier | WebhookNotifier | OtlpMetrics]:
        export = self._config.export
        notifiers: list[AlertmanagerNotifier | WebhookNotifier | OtlpMetrics] = [
            AlertmanagerNotifier(
                url, external, observe=self._observe_delivery, resend_s=export.resend / 1e9,
                firing=lambda: [a for a in self.engine.alerts() if a.phase == "firing"],
            )
            for url in export.alertmanager
        ]  # fmt: skip
        notifiers += [WebhookNotifier(url, external, observe=self._observe_delivery) for url in export.webhooks]
        if export.otlp is not None:
            notifiers.append(
                OtlpMetrics(
                    self.snapshot, export.otlp.endpoint, interval_s=export.otlp.interval / 1e9,
                    observe=self._observe_delivery,
                )
            )  # fmt: skip
        for notifier in notifiers:
            notifier.start()
        return notifiers

    def _changed(self, changed: Sequence[Alert]) -> None:
        if not changed:
            return
        for alert in changed:
            _log.info("%s %s %s: %s", alert.rule, alert.target, alert.phase, alert.verdict.result.message)
        told = [a for a in changed if a.phase == "firing" or (a.state.resolved_at and not a.cause)]
        for notifier in getattr(self, "_notifiers", []):
            if told and not isinstance(notifier, OtlpMetrics):
                notifier.notify(told)
        self._on_change(changed)

    def _observe_request(self, transport: str, signal: str, outcome: str) -> None:
        about = {semconv.TRANSPORT: transport, semconv.SIGNAL: signal, semconv.OUTCOME: outcome}
        self.counters.add((semconv.INGEST_REQUESTS, 1, about))

    def _observe_delivery(self, destination: str, outcome: str) -> None:
        self.counters.add((semconv.NOTIFICATIONS, 1, {semconv.DESTINATION: destination, semconv.OUTCOME: outcome}))

    def _gauges(self) -> Iterable[tuple[semconv.MetricName, Sequence[Point]]]:
        groups = self._scheduler.groups
        wall = self._clock()
        failures = [
            Point({semconv.RULE_GROUP: group, semconv.RULE_NAME: rule}, n)
            for (group, rule), n in self.engine.failures.items()
        ]
        lags = [
            Point({semconv.MODEL_NAME: model}, max(wall - now, 0) / 1e9)
            for model in self.store.rows.models()
            if (now := self._clocks.now(model, wall)) is not None
        ]
        return [
            (semconv.QUEUE_ROWS, [Point({}, self._pipeline.queue_rows())]),
            (semconv.STORE_SIZE, [Point({}, self.store.size_bytes())]),
            (semconv.EVALUATION_TIME, [Point({}, self._evaluated)]),
            (semconv.EVALUATION_FAILURES, failures),
            (semconv.INGEST_LAG, lags),
            *self._accounts.metrics(),
            (semconv.RULES_RELOAD_OK, [Point({}, float(self._rules.ok))]),
            (semconv.RULES_LOADED, [Point({semconv.RULE_GROUP: g.name}, len(g.rules)) for g in groups]),
        ]

    def _notes(self) -> list[str]:
        notes = [] if self._rules.ok else ["the rule files have mistakes; older rules are in force (see the log)"]
        if not self._scheduler.groups:
            notes.append("no rules are in force: name rule files with `--rules` or in the configuration")
        known = {reference.model for reference in self.references.all()}
        notes += [
            f"model {model!r} has no reference: make one with `mlmon reference create FILE --model {model}`"
            for model in self.store.rows.models()
            if model not in known
        ]
        return [*notes, *self._accounts.notes(), *self._sources.notes()]


def _query(source: GroundTruthSource) -> GroundTruthQuery | DatabaseQuery:
    try:
        if not source.database:
            return GroundTruthQuery(source.query, [(a.path, a.name) for a in source.attach], source.directory)
        return DatabaseQuery(
            source.query, source.database, source.directory, boolean=source.value if source.boolean else "",
            password_env=source.password_env, password_file=source.password_file,
        )  # fmt: skip
    except ConfigError as error:
        raise ConfigError(f"ground_truth: source {source.name!r}: {error}") from error


def _reference_files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BadReference(f"{path}: no such file or directory")
        files += sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    return files


def _shown(address: str, port: int) -> str:
    return f"{split_address(address)[0]}:{port}"
