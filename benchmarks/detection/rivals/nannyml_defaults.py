"""NannyML's defaults on Parquet files; runs in the virtual environment that scripts/install-rivals makes.

Usage: python nannyml_defaults.py DIRECTORY; as evidently_defaults.py, chunks being the size of the windows.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nannyml as nml
import pandas as pd

warnings.filterwarnings("ignore")


def failed(reference: pd.DataFrame, windows: list[pd.DataFrame]) -> list[list[str]]:
    """The alerts of each window: calculator, column, method."""
    outputs = {"predicted", "truth"}
    features = [c for c in reference.columns if c not in outputs]
    numeric = [c for c in features if pd.api.types.is_numeric_dtype(reference[c])]
    texts = [c for c in features if c not in numeric]
    size = len(windows[0])
    made: list[tuple[str, Callable[[], Any]]] = [
        ("drift", lambda: nml.UnivariateDriftCalculator(column_names=features, chunk_size=size)),
        ("missing", lambda: nml.MissingValuesCalculator(column_names=features, chunk_size=size)),
        ("range", lambda: nml.NumericalRangeCalculator(column_names=numeric, chunk_size=size)),
        ("reconstruction", lambda: nml.DataReconstructionDriftCalculator(column_names=features, chunk_size=size)),
        (
            "performance",
            lambda: nml.PerformanceCalculator(
                metrics=["mae", "rmse"], y_true="truth", y_pred="predicted", problem_type="regression", chunk_size=size
            ),
        ),
    ]
    if texts:
        made.append(("unseen", lambda: nml.UnseenValuesCalculator(column_names=texts, chunk_size=size)))
    found: list[list[str]] = [[] for _ in windows]
    for name, make in made:
        try:
            calculator = make()
            calculator.fit(reference)
        except Exception as error:
            for alerts in found:
                alerts.append(f"crashed: {name}: {type(error).__name__}: {error}"[:300])
            continue
        for window, alerts in zip(windows, found, strict=True):
            try:
                result = calculator.calculate(window).filter(period="analysis").to_df()
            except Exception as error:
                alerts.append(f"crashed: {name}: {type(error).__name__}: {error}"[:300])
                continue
            alerts += [
                f"{name} {' '.join(map(str, column[:-1]))}"
                for column in result.columns
                if column[-1] == "alert" and bool(result[column].any())
            ]
    return found


def main() -> None:
    """Command line."""
    for job in sorted(p for p in Path(sys.argv[1]).iterdir() if p.is_dir()):
        reference = pd.read_parquet(job / "reference.parquet")
        paths = sorted((p for p in job.glob("*.parquet") if p.stem.isdigit()), key=lambda p: int(p.stem))
        (job / "nannyml.json").write_text(json.dumps(failed(reference, [pd.read_parquet(p) for p in paths])))
        print(job.name, flush=True)


if __name__ == "__main__":
    main()
