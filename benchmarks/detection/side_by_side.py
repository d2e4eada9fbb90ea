"""Run Evidently and NannyML on the same windows and collect their alerts."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.detection.data import HOUR, DataSet, reference, stream
from benchmarks.detection.ours import rows_of_scenario
from benchmarks.detection.scenarios import Scenario
from otel_mlmon.lab.simulate.memory import cut
from otel_mlmon.values import FieldCells, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otel-mlmon" / "rivals"
HERE = Path(__file__).parent / "rivals"
QUIET = {"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}  # no telemetry of the tools
TOOLS = ("evidently", "nannyml")


@dataclass(frozen=True, slots=True)
class Said:
    """The answer of one tool to the windows of one job."""

    windows: list[list[str]]

    def alarms(self, column: str = "") -> bool:
        """Whether any window (of the named column) has an alert other than a crash."""
        return any(not a.startswith("crashed") and (not column or _about(a, column)) for w in self.windows for a in w)

    def crashes(self) -> bool:
        """Whether the tool failed on any window."""
        return any(a.startswith("crashed") for w in self.windows for a in w)


def _about(alert: str, column: str) -> bool:
    words = alert.replace("'", " ").replace(":", " ").split()
    return column in words


def ask(jobs: dict[str, tuple[RowBlock, Sequence[RowBlock]]]) -> dict[str, dict[str, Said]]:
    """Run both tools on the jobs (reference, windows): tool → job → answer."""
    found: dict[str, dict[str, Said]] = {}
    with tempfile.TemporaryDirectory() as directory:
        for name, (made, windows) in jobs.items():
            job = Path(directory) / name
            job.mkdir()
            frame(made).to_parquet(job / "reference.parquet")
            for i, window in enumerate(windows):
                frame(window).to_parquet(job / f"{i}.parquet")
        for tool in TOOLS:
            python = CACHE / tool / "bin" / "python"
            subprocess.run(
                [str(python), str(HERE / f"{tool}_defaults.py"), directory],
                check=True,
                stdout=subprocess.DEVNULL,
                env={**os.environ, **QUIET},
            )
            found[tool] = {
                name: Said(json.loads((Path(directory) / name / f"{tool}.json").read_text())) for name in jobs
            }
    return found


def faulty(data: DataSet, scenario: Scenario, seed: int) -> tuple[RowBlock, Sequence[RowBlock]]:
    """Return the reference rows and the two windows with the fault; otel_mlmon's rules get the same windows."""
    _, normal, rows = rows_of_scenario(data, scenario, seed)
    return normal, [_hour(rows, 1), _hour(rows, 2)]


def healthy(data: DataSet, size: int, windows: int, seed: int) -> tuple[RowBlock, Sequence[RowBlock]]:
    """Return reference rows and windows without a fault."""
    rng = np.random.default_rng([seed, size])
    _, normal = reference(data, rng)
    rows = stream(data, size, windows, rng)
    return normal, [_hour(rows, i) for i in range(windows)]


def _hour(rows: RowBlock, hour: int) -> RowBlock:
    first, last = np.searchsorted(rows.times, (hour * HOUR, (hour + 1) * HOUR))
    return cut(rows, int(first), int(last))


def frame(rows: RowBlock) -> pd.DataFrame:
    """Convert rows for these tools: absent becomes null, and a value of another type makes a column of objects."""
    columns = {"predicted" if name == FIELD_PREDICTION else name: _column(cells) for name, cells in rows.fields.items()}
    return pd.DataFrame({**columns, "truth": rows.truth_numbers})


def _column(cells: FieldCells) -> pd.Series:
    if cells.numbers is None:
        assert cells.texts is not None
        values = [cells.texts.labels[c] if c >= 0 else None for c in cells.texts.codes]
    elif not cells.other_texts:
        return pd.Series(cells.numbers)
    else:
        values = [None if np.isnan(v) else v for v in cells.numbers.tolist()]
    for row, text in zip(cells.other_rows.tolist(), cells.other_texts, strict=True):
        values[row] = json.loads(text)
    mixed = len({type(v) for v in values if v is not None}) > 1
    return pd.Series([None if v is None else str(v) for v in values] if mixed else values, dtype=object)
