"""How commands print: tables in which nothing is cut off, and wide ones where no terminal says how wide it is."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

_WIDE: Final = 150  # of a pipe or a file


def console() -> Console:
    """As wide as the terminal, or as COLUMNS says."""
    return Console() if sys.stdout.isatty() or os.environ.get("COLUMNS") else Console(width=_WIDE)


def table(*columns: str, **options: Any) -> Table:
    """Names and ids are there to be copied: what has no room goes on in the next line."""
    made = Table(box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, **options)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made
