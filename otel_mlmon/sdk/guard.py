"""Keep the SDK's own errors out of the application: log each kind once, count it, go on."""

from __future__ import annotations

import logging
import os
from collections import Counter
from typing import Final

RAISE_VARIABLE: Final = "OTEL_PYTHON_MLMON_RAISE"

failures: Final[Counter[str]] = Counter()  # by place
_logger = logging.getLogger("otel_mlmon")
_logged: Final[set[tuple[str, type]]] = set()
_warned: Final[set[str]] = set()


def note(where: str, error: BaseException) -> None:
    """Count `error`; log it with its traceback if its type is new at `where`."""
    failures[where] += 1
    if (where, type(error)) not in _logged:
        _logged.add((where, type(error)))
        _logger.error(
            "%s failed; the application goes on, further failures of this kind are only counted",
            where,
            exc_info=(type(error), error, error.__traceback__),
        )


def caught(where: str, error: BaseException) -> None:
    """Note the error of an except clause; raise it again when OTEL_PYTHON_MLMON_RAISE is true, as in the tests."""
    note(where, error)
    if os.environ.get(RAISE_VARIABLE, "").strip().lower() == "true":
        raise error


def warn_once(message: str) -> None:
    """Log a warning that would otherwise be repeated at every flush."""
    if message not in _warned:
        _warned.add(message)
        _logger.warning(message)
