"""One instrumented prediction in progress: it starts, then it stops or fails, once."""

# ruff: noqa: A002 - `id` is the word that users of the SDK write

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from otel_mlmon.sdk import guard
from otel_mlmon.sdk.span import OpenSpan
from otel_mlmon.wire.columns import ABSENT


class Owner(Protocol):
    """The part of a monitor that a call uses."""

    def begin(self, call: Call) -> OpenSpan | None:
        """Take the features as they are now; open the span."""

    def end(self, call: Call, duration: float, error_type: str | None) -> None:
        """Keep the finished prediction."""


class Call:
    """One prediction in progress; a context manager, also async. Set `value`, and `scores` if there are any.

    `id` names the prediction; send its ground truth with this id.
    """

    __slots__ = ("_done", "_owner", "_span", "_started", "features", "id", "scores", "segments", "timestamp", "value")

    def __init__(
        self, owner: Owner, features: Any, id: str, segments: Mapping[str, Any] | None, timestamp: Any
    ) -> None:
        self._owner = owner
        self._span: OpenSpan | None = None
        self._done = False
        self._started = 0.0
        self.features = features
        self.id = id
        self.segments = segments
        self.timestamp = timestamp
        self.value: Any = ABSENT
        self.scores: Any = None

    def start(self) -> Self:
        """Start the clock and the span."""
        try:
            self._span = self._owner.begin(self)
        except Exception as error:
            guard.caught("starting a prediction", error)
        self._started = time.perf_counter()
        return self

    def stop(self) -> None:
        """Finish the prediction. Does nothing after the first stop or fail."""
        self._finish(None)

    def fail(self, error: BaseException) -> None:
        """Finish a failed prediction. The caller handles the error itself.

        `error`: the error; its type is recorded.
        """
        self._finish(type(error).__qualname__)

    def _finish(self, error_type: str | None) -> None:
        if self._done:
            return
        self._done = True
        duration = time.perf_counter() - self._started
        try:
            self._owner.end(self, duration, error_type)
        except Exception as error:
            guard.caught("finishing a prediction", error)
        finally:
            self._end_span(error_type)

    def _end_span(self, error_type: str | None) -> None:
        if self._span is None:
            return
        try:
            self._span.end(error_type)
        except Exception as error:
            guard.caught("ending a span", error)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:  # cancellation and KeyboardInterrupt too
            self.fail(error)

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)
