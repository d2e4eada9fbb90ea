"""The boundary that no error of ours crosses into the application: log once, count, go on."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Final

RAISE_VARIABLE: Final = "OTEL_PYTHON_MLMON_RAISE"

failures: Final[Counter[str]] = Counter()  # by place
_logger = logging.getLogger("otel_mlmon")
_logged: Final[set[tuple[str, type]]] = set()
_said: Final[set[str]] = set()


def note(where: str, error: BaseException) -> None:
    """Count `error` and log it, with its traceback, the first time that its type turns up at `where`."""
    failures[where] += 1
    if (where, type(error)) not in _logged:
        _logged.add((where, type(error)))
        _logger.error(
            "%s failed; the application goes on, further failures of this kind are only counted",
            where,
            exc_info=(type(error), error, error.__traceback__),
        )


def caught(where: str, error: BaseException) -> None:
    """As `note`; call it from an except clause. In our own tests the error is raised again instead of hidden."""
    note(where, error)
    if os.environ.get(RAISE_VARIABLE, "").strip().lower() == "true":
        raise error


def say_once(message: str) -> None:
    """Warn about something that would otherwise be repeated at every flush."""
    if message not in _said:
        _said.add(message)
        _logger.warning(message)
