"""Ids of predictions: a prefix unique to the process, and a counter. A UUID would take ten times as long."""

from __future__ import annotations

import itertools
import os
from typing import Final


class Ids:
    """Ids that are unique across processes."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Take a new prefix; in a forked child, the old prefix is the parent's."""
        self._prefix = f"{os.urandom(8).hex()}-"
        self._next = itertools.count(1).__next__

    def new(self) -> str:
        """Return the next id."""
        return f"{self._prefix}{self._next()}"


_IDS: Final = Ids()
os.register_at_fork(after_in_child=_IDS.renew)
new_id: Final = _IDS.new
