"""Ids of predictions: a prefix that is unique to the process, and a counter. A UUID each would cost ten times as much."""

from __future__ import annotations

import itertools
import os
from typing import Final


class Ids:
    """Ids that no other process, and no other call in this one, returns."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """A new prefix: in a forked child, the old one is the parent's."""
        self._prefix = f"{os.urandom(8).hex()}-"
        self._next = itertools.count(1).__next__

    def new(self) -> str:
        """The next id."""
        return f"{self._prefix}{self._next()}"


_IDS: Final = Ids()
os.register_at_fork(after_in_child=_IDS.renew)
new_id: Final = _IDS.new
