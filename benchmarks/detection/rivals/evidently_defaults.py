"""Evidently's defaults on Parquet files; runs in the virtual environment that scripts/install-rivals makes.

Usage: python evidently_defaults.py DIRECTORY. DIRECTORY holds jobs, each a directory with reference.parquet and windows
0.parquet, 1.parquet …; the failed tests of each window are written to evidently.json in it.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pandas as pd
from evidently import DataDefinition, Dataset, Regression, Report
from evidently.presets import DataDriftPreset, DataSummaryPreset, RegressionPreset

warnings.filterwarnings("ignore")


def failed(reference: pd.DataFrame, window: pd.DataFrame) -> list[str]:
    """Return the failed tests, without tests on the number of rows: a window is smaller than the reference."""
    outputs = {"predicted", "truth"}
    features = [c for c in reference.columns if c not in outputs]
    numeric = [c for c in features if pd.api.types.is_numeric_dtype(reference[c])]
    definition = DataDefinition(
        numerical_columns=[*numeric, "predicted", "truth"],
        categorical_columns=[c for c in features if c not in numeric],
        regression=[Regression(target="truth", prediction="predicted")],
    )
    found: list[str] = []
    for presets in ([DataDriftPreset(columns=features)], [DataSummaryPreset(columns=features)], [RegressionPreset()]):
        try:
            report = Report(presets, include_tests=True)
            run = report.run(Dataset.from_pandas(window, definition), Dataset.from_pandas(reference, definition))
            tests = run.dict()["tests"]
        except Exception as error:
            found.append(f"crashed: {type(error).__name__}: {error}"[:300])
            continue
        found += [t["name"] for t in tests if "FAIL" in str(t["status"]) and not t["name"].startswith("Row count")]
        found += [f"crashed: {t['name']}" for t in tests if "ERROR" in str(t["status"])]
    return found


def main() -> None:
    """Command line."""
    for job in sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_dir()):
        reference = pd.read_parquet(job / "reference.parquet")
        windows = sorted((p for p in job.glob("*.parquet") if p.stem.isdigit()), key=lambda p: int(p.stem))
        (job / "evidently.json").write_text(json.dumps([failed(reference, pd.read_parquet(p)) for p in windows]))
        print(job.name, flush=True)


if __name__ == "__main__":
    main()
