"""Run the demo: a processor in this process, and a price service that sends it weeks of OTLP in seconds."""

from __future__ import annotations

import heapq
import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from opentelemetry.sdk.trace import TracerProvider

from otel_mlmon import Monitor
from otel_mlmon.lab.demo.faults import DAY_NS, FAULTS, Fault
from otel_mlmon.lab.demo.houses import PriceModel, houses, sale_prices
from otel_mlmon.lab.replay import provider_to
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.server.config import parse_config
from otel_mlmon.server.service import Service
from otel_mlmon.values import Alert, Reference

MODEL: Final = "house-prices"
VERSION: Final = "2026-03"
DAYS: Final = 42
REQUESTS_A_DAY: Final = 700
SLICES: Final = 4  # parts in which a day's requests are flushed
SOLD_AFTER_DAYS: Final = 2
START: Final = int(datetime(2026, 4, 1, tzinfo=UTC).timestamp()) * 10**9


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an alert: it fires, is suppressed by its cause, or ends. `day`: of the demo, from 0, fractional."""

    day: float
    alert: Alert


class Demo:
    """One run of the demo. `on_change` is called for each change of an alert, `on_day` after each day."""

    def __init__(
        self, directory: Path, on_change: Callable[[Change], None], on_day: Callable[[int], None], seed: int = 7
    ) -> None:
        self._on_day = on_day
        self._on_change = on_change
        self._rng = np.random.default_rng(seed)
        self._now = START  # the service's clock
        self._tracer = TracerProvider().get_tracer(__name__)  # predictions have trace ids; spans are not exported
        self._lock = threading.Lock()
        self.changes: list[Change] = []
        rules = directory / "rules.yaml"
        rules.write_text(resources.files("otel_mlmon.lab.demo").joinpath("rules.yaml").read_text("utf-8"), "utf-8")
        self.service = Service(
            parse_config(
                {
                    "store": {"path": str(directory / "demo.duckdb"), "retention": "365d"},
                    "receive": {"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"},
                    "web": {"listen": "127.0.0.1:0"},
                    "window": {"pane": "6h", "lateness": "6h"},
                    "rules": [str(rules)],
                },
                "demo",
            ),
            on_change=self._changed,
        )
        sold = houses(self._rng, 4000)
        self._model = PriceModel(sold, sale_prices(self._rng, sold))
        self.service.references.put(self._reference())

    def _reference(self) -> Reference:
        """Make the reference from houses that the model was not fitted to."""
        valid = houses(self._rng, 4000)
        table = pa.Table.from_pylist(
            [
                {**house, "predicted": self._model.predict(house), "price": float(price)}
                for house, price in zip(valid, sale_prices(self._rng, valid), strict=True)
            ]
        )
        columns = Columns("predicted", "price", segments=("neighbourhood",))
        rows = rows_of(Path("validation"), table, columns, MODEL, VERSION)
        return create_reference(
            rows,
            name="training",
            version="",
            segments=("neighbourhood",),
            source="validation",
            created=datetime.fromtimestamp(START / 1e9, UTC).isoformat(),
        )

    def run(self) -> None:
        """Serve six weeks of requests with the faults, and wait until the last window is judged."""
        self.service.start()
        provider = provider_to(f"http://{self.service.http_address}")
        monitor = Monitor(MODEL, VERSION, logger_provider=provider, flush_interval_s=60, clock=lambda: self._now)
        try:
            sales: list[tuple[int, str, float]] = []
            for day in range(DAYS):
                for part in range(SLICES):
                    self._serve(monitor, day, part, sales)
                    monitor.flush()
                self._on_day(day + 1)
                # Wait for the processor each day, so that alerts appear while the weeks pass.
                self._wait_until(START + (day - 1) * DAY_NS)
            self._wait_until(START + (DAYS - 1) * DAY_NS)
        finally:
            monitor.close()
            provider.shutdown()

    def _serve(self, monitor: Monitor, day: int, part: int, sales: list[tuple[int, str, float]]) -> None:
        n = REQUESTS_A_DAY // SLICES
        first = START + day * DAY_NS + part * DAY_NS // SLICES
        step = DAY_NS // SLICES // n
        requests = houses(self._rng, n)
        prices = sale_prices(self._rng, requests)
        for fault in FAULTS:
            if fault.deployed and (day, part) == (fault.first_day, 0):
                self._now = first
                monitor.deployed(description=fault.deployed)
        for index, (house, price) in enumerate(zip(requests, prices, strict=True)):
            time = first + index * step
            for fault in FAULTS:
                if fault.active(day) and fault.market:
                    price *= fault.market(house)
                if fault.active(day) and fault.request:
                    fault.request(self._rng, house)
            id_ = f"request-{day}-{part}-{index}"
            self._now = time
            with self._tracer.start_as_current_span("price"):
                monitor.record(house, self._model.predict(house), id=id_)
            heapq.heappush(sales, (time + SOLD_AFTER_DAYS * DAY_NS, id_, float(price)))
        end = first + n * step
        while sales and sales[0][0] < end:
            time, id_, price = heapq.heappop(sales)
            monitor.ground_truth(id_, price, timestamp=time)

    def _wait_until(self, time: int, deadline_s: float = 60.0) -> None:
        waited = threading.Event()
        for _ in range(int(deadline_s / 0.1)):
            ends = [status.end for status in self.service.engine.groups.values()]
            if ends and min(ends) >= time:
                return
            waited.wait(0.1)
        raise TimeoutError("the processor did not evaluate the last window in time")

    def _changed(self, changed: Sequence[Alert]) -> None:
        for alert in changed:
            at = alert.state.fired_at if alert.state.phase == "firing" else alert.state.resolved_at
            if at and (alert.state.phase == "firing" or not alert.cause):
                change = Change((at - START) / DAY_NS, alert)
                with self._lock:
                    self.changes.append(change)
                self._on_change(change)

    # ---- results

    def fired(self) -> list[Change]:
        """Return the alerts that fired, in order."""
        with self._lock:
            return [change for change in self.changes if change.alert.phase == "firing"]

    def false_alarms(self) -> list[Change]:
        """Return the alerts that fired before the first fault."""
        return [change for change in self.fired() if change.day <= FAULTS[0].first_day]

    def caught(self, fault: Fault) -> Change | None:
        """Return the first alert that names the fault, if any."""
        return next((change for change in self._during(fault) if _names(change.alert, fault)), None)

    def beside(self, fault: Fault) -> list[Change]:
        """Return the other alerts that fired during the fault."""
        return [change for change in self._during(fault) if not _names(change.alert, fault)]

    def explained(self, fault: Fault) -> list[Change]:
        """Return the alerts that were suppressed because the alert of the fault is their cause."""
        caught = self.caught(fault)
        with self._lock:
            suppressed = [change for change in self.changes if change.alert.phase == "suppressed"]
        return [change for change in suppressed if caught is not None and change.alert.cause == caught.alert.id]

    def _during(self, fault: Fault) -> Iterator[Change]:
        later = [f.first_day for f in FAULTS if f.first_day > fault.first_day]
        end = min(later, default=DAYS)
        return (change for change in self.fired() if fault.first_day < change.day <= end)


def _names(alert: Alert, fault: Fault) -> bool:
    return alert.rule == fault.expected and fault.where in (alert.target.field, alert.target.segment)


def temporary_directory() -> tempfile.TemporaryDirectory[str]:
    """Make the directory for the demo's store."""
    logging.getLogger("otel_mlmon").setLevel(logging.ERROR)
    return tempfile.TemporaryDirectory(prefix="mlmon-demo-")
