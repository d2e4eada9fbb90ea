"""The outbox of one model: its buffers, and the batches that a flush makes from them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, Final

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.buffer import Buffer, Row
from otel_mlmon.sdk.emit import Emitter
from otel_mlmon.sdk.fit import Fitter
from otel_mlmon.sdk.measure import LEDGER
from otel_mlmon.sdk.redact import Redaction
from otel_mlmon.sdk.shadow import Shadow
from otel_mlmon.sdk.table import (
    PredictionRow,
    Table,
    by_keys,
    from_ground_truths,
    from_predictions,
    from_shadowed,
)
from otel_mlmon.wire import semconv

_WAKE_ROWS: Final = 2_000
_CHUNK_ROWS: Final = 4_096  # rows turned into one table at a time, to bound the memory of a flush
_ERROR_TYPE: Final = itemgetter(PredictionRow._fields.index("error_type"))
_NO_PROVIDER: Final = (
    "no OpenTelemetry LoggerProvider takes predictions: call otel_mlmon.configure(), set a provider, or give one to "
    "Monitor; predictions are dropped and counted until then"
)


class Outbox:
    """Predictions and ground truths of one model and version. `drain` may be called from any thread.

    `shadow` makes the model's shadow, with the arguments that say where rows go.
    """

    def __init__(
        self,
        model: str,
        version: str,
        *,
        emitter: Emitter,
        redaction: Redaction,
        segment_features: Sequence[str],
        max_rows: int,
        wake: Callable[[], None],
        clock: Callable[[], int],
        shadow: Callable[..., Shadow] | None = None,
    ) -> None:
        self.model = model
        self.version = version
        self.emitter = emitter
        self._redaction = redaction
        self._segment_features = segment_features
        self._clock = clock
        self.predictions = self._buffer(semconv.EVENT_PREDICTION_BATCH, max_rows, wake)
        self.ground_truths = self._buffer(semconv.EVENT_GROUND_TRUTH_BATCH, max_rows, wake)
        self.shadowed = self._buffer(semconv.EVENT_PREDICTION_BATCH, max_rows, wake)
        self.add: Callable[[Row], None] = self.predictions.add
        self.add_table: Callable[[Table], None] = self.predictions.add_table
        self.shadow: Shadow | None = None
        if shadow is not None:
            self.shadow = shadow(
                forward=self.predictions.add,
                forward_table=self.predictions.add_table,
                answered=self.shadowed.add,
                missed=partial(LEDGER.miss, model),
            )
            self.add, self.add_table = self.shadow.add, self.shadow.add_table
        self._draining = threading.Lock()
        self._fitters = {
            event: Fitter(partial(self.drop, event))
            for event in (semconv.EVENT_PREDICTION_BATCH, semconv.EVENT_GROUND_TRUTH_BATCH)
        }

    def _buffer(self, event: str, max_rows: int, wake: Callable[[], None]) -> Buffer:
        return Buffer(max_rows, _WAKE_ROWS, wake, partial(self.refuse, event, "buffer_full"))

    def renew(self) -> None:
        """Start empty; in a forked child the waiting rows are the parent's, and a lost thread may hold the lock."""
        self.predictions.renew()
        self.ground_truths.renew()
        self.shadowed.renew()
        if self.shadow is not None:
            self.shadow.renew()
        self._draining = threading.Lock()

    def drop(self, event: str, reason: str, rows: int) -> None:
        """Count rows that will not be sent."""
        LEDGER.drop(self.model, event, reason, rows)

    def refuse(self, event: str, reason: str, rows: int) -> None:
        """Count rows that do not enter the buffer."""
        self.drop(event, reason, rows)
        if event == semconv.EVENT_PREDICTION_BATCH:  # the predictions were made nevertheless
            LEDGER.made(self.model, self.version, {None: rows})

    def deployed(self, version: str, description: str) -> None:
        """Emit a deployment at once: deployments are rare, and the predictions after it must come later."""
        if not self.emitter.enabled(semconv.EVENT_DEPLOYMENT):
            guard.warn_once(_NO_PROVIDER)
            return
        attributes: dict[str, str | int] = {
            semconv.MODEL_NAME: self.model,
            semconv.MODEL_VERSION: version or self.version,
        }
        if description:
            attributes[semconv.DEPLOYMENT_DESCRIPTION] = description
        self.emitter.emit(semconv.EVENT_DEPLOYMENT, self._clock(), b"", attributes)

    def settle(self, timeout_s: float) -> bool:
        """Wait for the shadow's answers. Return False on timeout."""
        return self.shadow is None or self.shadow.settle(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Wait up to `timeout_s` for the shadow's answers; later rows get none."""
        if self.shadow is not None:
            self.shadow.close(timeout_s)

    def drain(self) -> None:
        """Emit all waiting rows except those whose shadow has time left. Never raises."""
        with self._draining:
            if self.shadow is not None:
                self.shadow.release_late()
            rows, tables = self.predictions.take()
            build = partial(from_predictions, segment_features=self._segment_features)
            self._send(semconv.EVENT_PREDICTION_BATCH, rows, build)
            if self.shadow is not None:
                build = partial(from_shadowed, segment_features=self._segment_features)
                self._send(semconv.EVENT_PREDICTION_BATCH, self.shadowed.take()[0], build)
            for table in tables:
                self._send(semconv.EVENT_PREDICTION_BATCH, [table], _only)
            truths, _ = self.ground_truths.take()
            for group in by_keys(truths):  # type: ignore[arg-type]  # plain tuples, which take a fifth of the time
                self._send(semconv.EVENT_GROUND_TRUTH_BATCH, group, from_ground_truths)

    def _send(self, event: str, items: list[Any], build: Callable[[list[Any]], Table]) -> None:
        """Emit `items`: rows, or one table."""
        if not items:
            return
        size = _rows(items)
        try:
            if event == semconv.EVENT_PREDICTION_BATCH:
                LEDGER.made(self.model, self.version, _by_error(items))
            if not self.emitter.enabled(event):
                guard.warn_once(_NO_PROVIDER)
                self.drop(event, "no_provider", size)
                return
            for start in range(0, len(items), _CHUNK_ROWS):
                chunk = items[start : start + _CHUNK_ROWS]
                for table in self._tables(event, chunk, build):
                    self._send_table(event, table)
                size -= _rows(chunk)
        except Exception as error:
            self.drop(event, "failed", size)
            guard.caught("sending a batch", error)

    def _tables(self, event: str, chunk: list[Any], build: Callable[[list[Any]], Table]) -> Iterator[Table]:
        """Build one table of `chunk`; if that fails, one table a row, so that the good rows are sent."""
        try:
            table = build(chunk)
            table.fields = self._redaction.fields(table.fields)
            yield table
        except Exception as error:
            guard.note("building a batch", error)
            if len(chunk) == 1:
                self.drop(event, "failed", _rows(chunk))
                return
            for item in chunk:
                yield from self._tables(event, [item], build)

    def _send_table(self, event: str, table: Table) -> None:
        for batch, body in self._fitters[event].batches(table):
            dropped = LEDGER.take_unreported(self.model, event)
            try:
                self.emitter.emit(event, self._clock(), body, self._attributes(len(batch), dropped))
            except Exception as error:
                self.drop(event, "failed", len(batch))
                LEDGER.report_again(self.model, event, dropped)
                guard.note("emitting a batch", error)

    def _attributes(self, rows: int, dropped: int) -> dict[str, str | int]:
        attributes: dict[str, str | int] = {
            semconv.MODEL_NAME: self.model,
            semconv.MODEL_VERSION: self.version,
            semconv.BATCH_SIZE: rows,
            semconv.BATCH_ENCODING: semconv.ENCODING_ARROW,
        }
        if dropped:
            attributes[semconv.BATCH_DROPPED] = dropped
        return attributes


def _rows(items: list[Any]) -> int:
    return sum(len(item) if isinstance(item, Table) else 1 for item in items)


def _by_error(items: list[Any]) -> Counter[str | None]:
    if isinstance(items[0], Table):
        return Counter(error for table in items for error in table.texts[semconv.COLUMN_ERROR_TYPE])
    return Counter(map(_ERROR_TYPE, items))


def _only(tables: list[Table]) -> Table:
    (table,) = tables
    return table
