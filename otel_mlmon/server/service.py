"""The composition root: builds the processor from its parts, starts sinks before sources, stops in reverse."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from otel_mlmon.engine.clock import ModelClocks
from otel_mlmon.engine.tick import Engine
from otel_mlmon.errors import BadReference
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
from otel_mlmon.server.arrivals import Arrivals
from otel_mlmon.server.asgi import AsgiServer
from otel_mlmon.server.config import Config, split_address
from otel_mlmon.server.evaluator import Evaluator
from otel_mlmon.server.explanations import Explanations
from otel_mlmon.server.ground_truth_accounts import GroundTruthAccounts
from otel_mlmon.server.ground_truth_sources import GroundTruthSources, query_of
from otel_mlmon.server.health import Health
from otel_mlmon.server.notifiers import Notifiers
from otel_mlmon.server.prediction_routes import prediction_routes
from otel_mlmon.server.reports import Reports
from otel_mlmon.server.rule_files import RuleFiles
from otel_mlmon.server.scheduler import Scheduler
from otel_mlmon.server.snapshot import Snapshot
from otel_mlmon.store import Store
from otel_mlmon.store.condition import aggregate, count_condition
from otel_mlmon.values import Alert, GroundTruthLayout
from otel_mlmon.window import Windows
from otel_mlmon.wire import semconv


class Service:
    """The processor in one process. `start` returns when it receives; `stop` when all received rows are committed."""

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], int] = time.time_ns,
        on_change: Callable[[Sequence[Alert]], None] = lambda changed: None,
    ) -> None:
        """Open the store, load references and rules. `on_change` gets every alert whose phase changed.

        Raises ConfigError, RuleFileError or BadReference, with every mistake.
        """
        self._config = config
        self._clock = clock
        self._wake = threading.Event()  # of the evaluator
        self.counters = Counters()
        self.store = Store(
            config.store.path,
            memory_limit=config.store.memory_limit,
            threads=config.store.threads,
            dedup_margin_ns=config.store.dedup_margin,
            ground_truth_horizon_ns=config.window.ground_truth_horizon,
        )
        self._running = ExitStack()
        self._running.callback(self.store.close)
        try:
            self._judge(on_change)
            self._take()
            self._show()
        except BaseException:
            self._running.close()
            raise

    def _judge(self, on_change: Callable[[Sequence[Alert]], None]) -> None:
        """Build the parts between the store and the alerts."""
        config, horizon = self._config, self._config.window.ground_truth_horizon
        self._clocks = ModelClocks(ahead_ns=config.window.ahead)
        for model in self.store.rows.models():
            if newest := self.store.rows.newest_arrival(model, config.window.ahead):
                self._clocks.observe(model, *newest)
        self.references = ReferenceBook(self.store.documents, self._references_changed)
        # A window at the end of the horizon has a baseline, or a budget, that looks back further.
        self._windows = Windows(self.store, self.references.find, pane_ns=config.window.pane, horizon_ns=2 * horizon)
        self.engine = Engine(
            self._windows,
            self.references.find,
            self.store.documents,
            self.store.rows.count_outside,
            count_condition,
            aggregate=aggregate,
            ground_truth_horizon_ns=horizon,
        )
        self._notifiers = Notifiers(config.export, self.engine, self.counters, on_change)
        self._scheduler = Scheduler(
            self.store,
            self._windows,
            self.engine,
            self._clocks,
            self.references.all,
            self.counters,
            self._notifiers.notify,
            lateness_ns=config.window.lateness,
            horizon_ns=horizon,
        )
        for model in {reference.model for reference in self.references.all()}:
            self._scheduler.references_changed(model)
        for path in _reference_files(config.references):
            self.references.put(read_artefact(path))
        self._rules = RuleFiles(config.rules, self._scheduler.load)
        self._rules.load()
        self._accounts = GroundTruthAccounts(self.store)
        self._evaluator = Evaluator(
            self._scheduler,
            self._rules,
            self._accounts,
            self.engine,
            self._clocks,
            self.store,
            self._wake,
            self._clock,
            retention_ns=config.store.retention,
        )

    def _take(self) -> None:
        """Build the parts that bring rows into the store."""
        config = self._config
        arrivals = Arrivals(
            self._windows,
            self._clocks,
            self.counters,
            self._scheduler.closed,
            self._wake.set,
            ahead_ns=config.window.ahead,
        )
        self._pipeline = Pipeline(
            self.store.commit,
            decode,
            arrivals.committed,
            self.counters,
            self._clock,
            max_queue_rows=config.receive.max_queue_rows,
        )
        self._sources = GroundTruthSources(
            [(source, query_of(source)) for source in config.ground_truth],
            self._pipeline.store,
            self.store.documents,
            self.counters,
            self._clock,
        )

    def _show(self) -> None:
        """Build the parts that show the state to the outside."""
        health = Health(
            self.store,
            self.engine,
            self._evaluator,
            self.references,
            self._pipeline,
            self._sources,
            self.counters,
            self._clock,
        )
        self.snapshot = Snapshot(self.engine, self.counters, health.gauges)
        explanations = Explanations(
            self.store, self.engine, lambda: self._scheduler.groups, self.references.find, self._windows
        )
        self.reports = Reports(self.store, self.engine, explanations, health)

    def start(self) -> None:
        """Start sinks first: a row that arrives must find the parts behind it at work."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        config, started = self._config, self._running.callback
        routes = [*reference_routes(self.references), *prediction_routes(self.store.rows)]
        app = web_app(self.snapshot, self.reports, routes=routes, ready=self._evaluator.is_alive)
        web = AsgiServer(app, *split_address(config.web.listen))
        self.web_url = f"http://{_shown(config.web.listen, web.start())}"
        started(web.stop)
        self._notifiers.start(self.snapshot, (config.web.external_url or self.web_url).rstrip("/"))
        started(self._notifiers.stop)
        self._evaluator.start()
        started(self._evaluator.stop)
        started(self._pipeline.close)
        limit = config.receive.max_body_bytes
        otlp = otlp_app(
            self._pipeline, ground_truth=self._take_table, max_body_bytes=limit, observe=self._observe_request
        )
        http = AsgiServer(otlp, *split_address(config.receive.http))
        self.http_address = _shown(config.receive.http, http.start())
        started(http.stop)
        grpc = GrpcReceiver(
            self._pipeline, *split_address(config.receive.grpc), max_body_bytes=limit, observe=self._observe_request
        )
        self.grpc_address = _shown(config.receive.grpc, grpc.start())
        started(grpc.stop, 5.0)
        self._sources.start()
        started(self._sources.stop)

    def stop(self) -> None:
        """Stop sources first: receive no more, commit, evaluate, notify, close. Does nothing the second time."""
        self._running.close()

    def reload_soon(self) -> None:
        """Reload the rule files; safe to call from a signal handler."""
        self._evaluator.reload_soon()

    def _references_changed(self, model: str) -> None:
        self._scheduler.references_changed(model)
        self._wake.set()

    def _take_table(self, format_: Format, body: bytes, layout: GroundTruthLayout) -> TableReceipt:
        return self._pipeline.store(ground_truth_table(body, format_, layout, received_ns=self._clock()))

    def _observe_request(self, transport: str, signal: str, outcome: str) -> None:
        about = {semconv.TRANSPORT: transport, semconv.SIGNAL: signal, semconv.OUTCOME: outcome}
        self.counters.add((semconv.INGEST_REQUESTS, 1, about))


def _reference_files(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise BadReference(f"{path}: no such file or directory")
        files += sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
    return files


def _shown(address: str, port: int) -> str:
    return f"{split_address(address)[0]}:{port}"
