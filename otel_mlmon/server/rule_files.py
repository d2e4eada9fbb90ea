"""The rule files in force: load them, notice changes, reload all or none."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from otel_mlmon.errors import RuleFileError
from otel_mlmon.rulefile import Group, load

_log = logging.getLogger(__name__)


class RuleFiles:
    """Watches paths; calls `adopt` with the groups after each load without mistakes."""

    def __init__(self, paths: Iterable[Path], adopt: Callable[[list[Group]], None]) -> None:
        self._paths = tuple(paths)
        self._adopt = adopt
        self._seen: dict[Path, tuple[int, int]] = {}
        self.ok = True

    def load(self) -> None:
        """Load for the first time. Raises RuleFileError: the processor must not start with half of its rules."""
        self._seen = self._state()
        self._adopt([group for file in load(self._paths) for group in file.groups] if self._paths else [])

    def reload(self) -> bool:
        """Load again; after a mistake the old rules stay in force. Return whether there was none."""
        self._seen = self._state()
        try:
            groups = [group for file in load(self._paths) for group in file.groups] if self._paths else []
        except RuleFileError as error:
            self.ok = False
            _log.error("the rules are not reloaded, the old ones stay in force:\n%s", error)
            return False
        self.ok = True
        self._adopt(groups)
        _log.info("reloaded %d rules in %d groups", sum(len(g.rules) for g in groups), len(groups))
        return True

    def changed(self) -> bool:
        """Return whether a file was written, added or removed since the last load."""
        return self._state() != self._seen

    def _state(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in self._paths:
            for file in sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]:
                if file.is_file():
                    stat = file.stat()
                    found[file] = (stat.st_mtime_ns, stat.st_size)
        return found
