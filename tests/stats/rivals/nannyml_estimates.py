"""NannyML's CBPE and DLE on its own data sets and on given ones.

Runs in the virtual environment of scripts/install-rivals. Usage: python nannyml_estimates.py DIRECTORY. Writes
NannyML's own data sets there as NAME.reference.parquet and NAME.analysis.parquet, reads the given ones by the same
names, and prints its estimates as JSON: by data set and metric, one per chunk. DIRECTORY/tasks.json lists the metrics
to estimate for each data set.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import nannyml as nml
import pandas as pd

OWN = {
    "car_loan": nml.load_synthetic_car_loan_dataset,
    "work_home": nml.load_synthetic_binary_classification_dataset,
    "credit_card": nml.load_synthetic_multiclass_classification_dataset,
    "car_price": nml.load_synthetic_car_price_dataset,
}


def frames(directory: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reference and analysis."""
    paths = [directory / f"{name}.{part}.parquet" for part in ("reference", "analysis")]
    if name in OWN:
        for frame, path in zip(OWN[name](), paths, strict=False):
            frame.to_parquet(path)
    reference, analysis = map(pd.read_parquet, paths)
    return reference, analysis


def estimates(task: dict[str, Any], reference: pd.DataFrame, analysis: pd.DataFrame) -> dict[str, list[float]]:
    """By metric."""
    common = {
        "y_true": task["truth"],
        "y_pred": task["prediction"],
        "metrics": task["metrics"],
        "chunk_size": task["size"],
    }
    if task["scores"]:
        binary = len(task["scores"]) == 1
        estimator = nml.CBPE(
            y_pred_proba=next(iter(task["scores"].values())) if binary else task["scores"],
            problem_type="classification_binary" if binary else "classification_multiclass",
            **common,
        )
    else:
        estimator = nml.DLE(feature_column_names=task["features"], **common)
    estimator.fit(reference)
    found = estimator.estimate(analysis).filter(period="analysis").to_df()
    return {metric: [float(value) for value in found[metric, "value"]] for metric in task["metrics"]}


def main() -> None:
    warnings.filterwarnings("ignore")
    directory = Path(sys.argv[1])
    tasks = json.loads((directory / "tasks.json").read_text())
    print(json.dumps({name: estimates(task, *frames(directory, name)) for name, task in tasks.items()}))


if __name__ == "__main__":
    main()
