"""Console, tables and progress bars of the commands. Cells are folded, never cut off."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

_WIDE: Final = 150  # columns of a pipe or a file


def console() -> Console:
    """Return a console as wide as the terminal, or as COLUMNS says."""
    return Console() if sys.stdout.isatty() or os.environ.get("COLUMNS") else Console(width=_WIDE)


def table(*columns: str, **options: Any) -> Table:
    """Return a table that folds long cells, so that names and ids can be copied."""
    made = Table(box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, **options)
    for name in columns:
        made.add_column(name, overflow="fold")
    return made


def progress_bar(*amount: ProgressColumn) -> Progress:
    """Return a progress bar on stderr. `amount`: columns with the work done; without them, a count."""
    columns = (TextColumn("{task.description}"), BarColumn(), *(amount or [MofNCompleteColumn()]))
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))


def stop_signal() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set from now on."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
