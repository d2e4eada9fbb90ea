"""Train the model: `python -m examples.house_prices.train [--data housing.csv] [--out DIR]`.

Writes `model.joblib`, `validation.csv` (houses that the model was not fitted to, with its predictions; for
`mlmon reference create`) and `requests.csv` (for the client). Reads the California housing data set from --data or
HOUSE_PRICES_DATA; without either it generates houses with the same columns, so that no download is needed.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor

from examples.house_prices.features import NUMBERS, REGIONS, TARGET, row


def made_up(rows: int = 8000, seed: int = 0) -> pd.DataFrame:
    """Generate houses with the columns of the California data set."""
    rng = np.random.default_rng(seed)
    region = rng.choice(REGIONS, rows, p=[0.44, 0.32, 0.001, 0.11, 0.129])
    households = np.clip(rng.lognormal(6, 0.6, rows), 10, 5000).round()
    rooms = (households * rng.normal(5.4, 1.0, rows).clip(2, 10)).round()
    bedrooms = (households * rng.normal(1.07, 0.08, rows).clip(0.8, 1.5)).round()
    income = rng.gamma(4.2, 0.92, rows).clip(0.5, 15).round(4)
    level = pd.Series(region).map(dict(zip(REGIONS, (1.2, 0.7, 1.6, 1.3, 1.25), strict=True))).to_numpy()
    return pd.DataFrame(
        {
            "longitude": rng.uniform(-124.3, -114.3, rows).round(2),
            "latitude": rng.uniform(32.5, 42.0, rows).round(2),
            "housing_median_age": rng.integers(1, 53, rows).astype(float),
            "total_rooms": rooms,
            "total_bedrooms": np.where(rng.random(rows) < 0.01, np.nan, bedrooms),
            "population": (households * rng.normal(3, 0.6, rows).clip(1, 6)).round(),
            "households": households,
            "median_income": income,
            "ocean_proximity": region,
            TARGET: ((30_000 + 42_000 * income) * level * rng.lognormal(0, 0.15, rows)).clip(15_000, 500_001).round(),
        }
    )


def train(data: pd.DataFrame, out: Path) -> None:
    """Fit to half of the data; write the model and the validation quarter. The last quarter is for the client."""
    shuffled = data.sample(frac=1.0, random_state=0).reset_index(drop=True)
    half, three_quarters = len(shuffled) // 2, len(shuffled) * 3 // 4
    matrix = np.array([row(house) for house in shuffled.to_dict("records")])
    model = HistGradientBoostingRegressor(random_state=0).fit(matrix[:half], shuffled[TARGET][:half])
    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, out / "model.joblib")
    validation = shuffled[half:three_quarters].assign(predicted=model.predict(matrix[half:three_quarters]))
    validation.to_csv(out / "validation.csv", index=False)
    shuffled[three_quarters:].to_csv(out / "requests.csv", index=False)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("HOUSE_PRICES_DATA") or None,
        help="CSV of the California housing data  [default: HOUSE_PRICES_DATA, else made-up houses]",
    )
    parser.add_argument("--out", type=Path, default=Path("house-prices"), help="directory to write to")
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.is_file():
        parser.error(f"{arguments.data}: no such file")
    data = pd.read_csv(arguments.data) if arguments.data else made_up()
    missing = {*NUMBERS, "ocean_proximity", TARGET} - set(data.columns)
    if missing:
        parser.error(f"{arguments.data}: no column {', '.join(sorted(missing))}; found {', '.join(data.columns)}")
    train(data, arguments.out)
    print(f"wrote model.joblib, validation.csv and requests.csv to {arguments.out}")


if __name__ == "__main__":
    main()
