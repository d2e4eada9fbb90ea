"""Coverage and width of the bands of estimated performance.

Run: `python benchmarks/estimates.py [--quick] [--draws N] [--first SEED] [--only california|bike]`. It needs the two
data sets of `MLMON_TEST_DATA` (California housing and bike sharing).

Each draw splits a data set at random into three. A boosted model is fitted to the first 30 %, the estimators are made
from the next 30 %, and windows are drawn without replacement from the rest. A regression predicts the truth, a
classifier whether the truth is above its median. Windows are

- `none`: drawn evenly;
- `tilt`: with weights that grow (or fall) twentyfold over the ranks of one feature;
- `third`: only from the upper (or lower) third of one feature.

A band of 95 % should hold the realised metric of the same rows in 95 % of the windows. Windows of one draw share a
reference and are not independent, so the standard error of the share is computed from the means of the draws.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score
from threadpoolctl import threadpool_limits

from otel_mlmon.stats.estimation.calibration import fit_calibration
from otel_mlmon.stats.estimation.cbpe import expected_metric
from otel_mlmon.stats.estimation.dle import LossMetric, expected_loss, fit_loss_model
from otel_mlmon.stats.inference.estimate import Estimate

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SETS = {
    "california": ("california_housing.csv", "median_house_value", ()),
    "bike": ("bike_sharing_hourly.csv", "cnt", ("instant", "dteday", "casual", "registered")),
}
WINDOWS = {200: 8, 1_000: 4, 5_000: 1}  # of a draw, by their number of rows
SHIFTS = ("none", "tilt", "third")
TILT = 20.0
OF_SCORES = {"roc_auc": roc_auc_score, "accuracy": accuracy_score, "f1": f1_score}
Rows = npt.NDArray[np.int64]


class Found(NamedTuple):
    """An estimate and the realised metric of one window."""

    metric: str
    shift: str
    rows: int
    draw: int
    estimate: Estimate
    realised: float


def main() -> None:
    """Print a line per data set, metric, shift and size of window."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="4 draws instead of 20")
    parser.add_argument("--draws", type=int, help="how many draws of each data set")
    parser.add_argument("--first", type=int, default=0, help="seed of the first draw")
    parser.add_argument("--only", choices=list(SETS))
    chosen = parser.parse_args()
    draws = chosen.draws or (4 if chosen.quick else 20)
    for name in [chosen.only] if chosen.only else list(SETS):
        found = [one for seed in range(chosen.first, chosen.first + draws) for one in draw(name, seed)]
        print(f"{name}: {draws} draws from seed {chosen.first} on")
        print(
            f"{'metric':<9}{'shift':<7}{'rows':>6}{'windows':>9}  {'held':>7} {'error':>6}  {'below':>6} {'above':>6}  "
            f"{'half width':>10}  {'off':>7} {'scatter':>8}"
        )
        groups: dict[tuple[str, str, int], list[Found]] = defaultdict(list)
        for one in found:
            groups[one.metric, one.shift, one.rows].append(one)
        for (metric, shift, rows), ones in groups.items():
            print(f"{metric:<9}{shift:<7}{rows:>6}{len(ones):>9}  {line(ones)}", flush=True)


def line(ones: list[Found]) -> str:
    """Return the coverage and its error, the shares of bands above and below, the rest relative to the estimate."""
    realised, value, low, high, draws = np.array(
        [(one.realised, one.estimate.value, one.estimate.low, one.estimate.high, one.draw) for one in ones]
    ).T
    held = (low <= realised) & (realised <= high)
    of_draw = np.array([held[draws == one].mean() for one in np.unique(draws)])
    error = of_draw.std(ddof=1) / len(of_draw) ** 0.5 if len(of_draw) > 1 else np.nan
    off = realised / value - 1
    return (
        f"{held.mean():7.1%} {error:6.1%}  {(realised < low).mean():6.1%} {(realised > high).mean():6.1%}  "
        f"{((high - low) / 2 / value).mean():10.2%}  {off.mean():+7.2%} {off.std():8.2%}"
    )


def draw(name: str, seed: int) -> Iterator[Found]:
    """The windows of one draw of a data set."""
    rng = np.random.default_rng(seed)
    features, truth = _data(name)
    order = rng.permutation(len(truth))
    own, normal, later = np.split(order, [round(0.3 * len(truth)), round(0.6 * len(truth))])
    windows = [(shift, rows, later[some]) for shift, rows, some in _windows(features[later], rng)]
    with threadpool_limits(1):
        predicted = HistGradientBoostingRegressor(random_state=0).fit(features[own], truth[own]).predict(features)
        above = truth > np.median(truth)
        classifier = HistGradientBoostingClassifier(random_state=0).fit(features[own], above[own])
        score = classifier.predict_proba(features)[:, 1]
    yield from _losses(np.column_stack([features, predicted]), predicted - truth, normal, windows, seed)
    yield from _scores(score, above, normal, windows, seed)


def _data(name: str) -> tuple[Any, Any]:
    """Features as numbers (rows × features), and the truth."""
    file, target, left_out = SETS[name]
    frame = pd.read_csv(DATA / file).drop(columns=list(left_out))
    features = frame.drop(columns=target)
    for column in features.select_dtypes(exclude="number"):
        features[column] = pd.factorize(features[column])[0]
    return features.to_numpy(float), frame[target].to_numpy(float)


def _windows(features: Any, rng: np.random.Generator) -> Iterator[tuple[str, int, Rows]]:
    """Shift, number of rows and rows of each window; a third has no 5,000 rows."""
    varied = [i for i in range(features.shape[1]) if len(np.unique(features[:, i])) >= 5]
    n = len(features)
    for shift in SHIFTS:
        for rows, count in WINDOWS.items():
            for _ in range(count if rows <= n / 3 or shift != "third" else 0):
                column = np.nan_to_num(features[:, rng.choice(varied)]) + rng.normal(scale=1e-9, size=n)
                rank = (column * rng.choice([-1, 1])).argsort().argsort() / n
                weight = {"none": np.ones(n), "tilt": TILT**rank, "third": (rank > 2 / 3) + 1e-300}[shift]
                yield shift, rows, np.argsort(rng.exponential(size=n) / weight)[:rows]  # Efraimidis and Spirakis, 2006


def _losses(inputs: Any, error: Any, normal: Rows, windows: list[tuple[str, int, Rows]], seed: int) -> Iterator[Found]:
    metric: LossMetric
    for metric in get_args(LossMetric):
        losses = error**2 if metric == "rmse" else np.abs(error)
        names = [str(i) for i in range(inputs.shape[1])]
        model = fit_loss_model(names, inputs[normal], losses[normal], in_order=False)
        for shift, rows, some in windows:
            mean = float(losses[some].mean())
            made = expected_loss(metric, model, inputs[some], 0.95)
            yield Found(metric, shift, rows, seed, made, mean**0.5 if metric == "rmse" else mean)


def _scores(score: Any, above: Any, normal: Rows, windows: list[tuple[str, int, Rows]], seed: int) -> Iterator[Found]:
    made = fit_calibration(("no", "yes"), {"yes": score[normal]}, above[normal].astype(np.int32), in_order=False)
    predicted = (score > 0.5).astype(np.int32)
    for metric, realised_of in OF_SCORES.items():
        for shift, rows, some in windows:
            if above[some].all() or not above[some].any():
                continue
            positive = 1 if metric == "f1" else None
            expected = expected_metric(metric, made, {"yes": score[some]}, predicted[some], positive=positive)  # type: ignore[arg-type]
            realised = realised_of(above[some], (score if metric == "roc_auc" else predicted)[some])
            yield Found(metric, shift, rows, seed, expected, float(realised))


if __name__ == "__main__":
    main()
