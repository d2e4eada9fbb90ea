"""Whether the diagnosis of a breach names the true cause: other inputs, another truth, or another model.

Run: `OMP_NUM_THREADS=1 python benchmarks/shift_kind.py [--seeds 21,22,23,24] [--classes N] [--quick]`. It needs the two
data sets of `MLMON_TEST_DATA` (California housing and bike sharing).

Each seed splits a data set at random. A boosted model is fitted to the first 30 %, a reference with estimators is made
from the next 35 % (at most 7,000 rows), the next 10 % show which rows are hard, and windows of 500, 1,000 and 3,000
rows are drawn from the rest. Each window has one cause. A regression is judged by RMSE and by MAE (of the same rows, so
they mostly agree). A classifier of N classes of equal size, cut from the truth, is judged by accuracy. Windows:

- `none`: drawn evenly;
- `model`: other predictions: × 1.15, + 0.2 standard deviations of the truth, with a scaled feature, or of a model with
  few rows or few trees;
- `concept`: another truth: + 0.4 standard deviations, × 1.25, with noise, or higher if a feature is high (classes: one
  in seven changes, or one in three if a feature is high);
- `covariate`: rows drawn with replacement, with weights that grow or fall over the ranks of a feature or the hardness;
- `broken`: a feature in another unit, in a quarter of the rows or in all, both for the model and in the log.

Windows with a metric at least a tenth worse are counted, and all windows of `none`. *Right* is the true cause, *wrong*
another cause. For `none` and `broken`, *unknown* is right. Windows of one seed share a model and a reference.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits

from otel_mlmon.checks.losses import Metric, counted_loss, row_losses, worse_by
from otel_mlmon.diagnosis.shift_kind import shift_kind
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.estimators import with_estimators
from otel_mlmon.reference.table import Columns, rows_of
from otel_mlmon.values import RowBlock

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SIZES = (500, 1_000, 3_000)
CAUSES = ("none", "model", "concept", "covariate", "broken")
WORSE = 0.1
REFERENCE_ROWS = 7_000
FEET = 3.28084
NAMES = Columns(prediction="predicted", ground_truth="truth")
Places = npt.NDArray[np.int64]
Values = npt.NDArray[Any]


class DataSet(NamedTuple):
    """A file, its target and the columns left out.

    Then a feature and its factor for `scaled` (larger for classes), the features whose ranks weight `covariate`, up or
    down, and the feature that changes its unit.
    """

    file: str
    target: str
    left_out: tuple[str, ...]
    scaled: tuple[str, float]
    scaled_for_classes: tuple[str, float]
    weighed: tuple[tuple[str, int], ...]
    broken: str


SETS: Final = (
    DataSet(
        "california_housing.csv",
        "median_house_value",
        (),
        ("median_income", 0.8),
        ("median_income", 0.5),
        (("median_income", 1), ("longitude", -1), ("housing_median_age", 1)),
        "total_rooms",
    ),
    DataSet(
        "bike_sharing_hourly.csv",
        "cnt",
        ("instant", "dteday", "casual", "registered"),
        ("atemp", 0.6),
        ("hr", 0.5),
        (("hr", 1), ("temp", 1), ("yr", 1)),
        "windspeed",
    ),
)


class World:
    """A data set split by a seed, the model and its reference."""

    def __init__(self, of: DataSet, seed: int, classes: int) -> None:
        frame = pd.read_csv(DATA / of.file).drop(columns=list(of.left_out))
        frame = frame.sample(frac=1, random_state=seed, ignore_index=True)
        truth = frame.pop(of.target).to_numpy(float)
        self.of, self.seed, self.classes, self.features = of, seed, classes, frame
        self.truth: Values = truth
        if classes:  # of equal size
            names = np.array(["low", "high"] if classes == 2 else [f"c{i}" for i in range(classes)])
            self.truth = names[np.searchsorted(np.quantile(truth, np.arange(1, classes) / classes), truth)]
        texts = frame.select_dtypes(exclude="number")
        self.codes = {c: {text: i for i, text in enumerate(sorted(texts[c].unique()))} for c in texts}
        cuts = [int(len(frame) * part) for part in (0.3, 0.65, 0.75)]
        self.own, normal, self.pilot, self.live = np.split(np.arange(len(frame)), cuts)
        self.model = self.fitted(self.own)
        known = frame.iloc[normal[:REFERENCE_ROWS]]
        rows = _rows(known, self.predicted(known), self.truth[known.index])
        made = create_reference(rows, name="training", version="1", segments=(), source="", created="")
        self.reference = with_estimators(made, rows)[0]

    def fitted(self, places: Places, **parameters: Any) -> Any:
        kind = HistGradientBoostingClassifier if self.classes else HistGradientBoostingRegressor
        with threadpool_limits(1):
            model = kind(random_state=self.seed, **parameters)
            return model.fit(self.numbers(self.features.iloc[places]), self.truth[places])

    def predicted(self, features: pd.DataFrame, model: Any = None) -> Values:
        with threadpool_limits(1):
            found: Values = (model or self.model).predict(self.numbers(features))
        return found

    def numbers(self, features: pd.DataFrame) -> Values:
        coded = {str(name): features[name].map(codes) for name, codes in self.codes.items()}
        return features.assign(**coded).to_numpy(float)

    @cached_property
    def other_models(self) -> dict[str, Any]:
        few, least = (60, {"max_iter": 2, "max_leaf_nodes": 3}) if self.classes else (400, {"max_iter": 12})
        some = np.random.default_rng(self.seed + 99).choice(self.own, few, replace=False)
        return {f"fitted to {few} rows": self.fitted(some), "few trees": self.fitted(self.own, **least)}

    @cached_property
    def hardness(self) -> Values:
        """Rank the live rows by the losses that a small tree, fitted to other rows, predicts."""
        answers, truth = self.predicted(self.features.iloc[self.pilot]), self.truth[self.pilot]
        losses = (answers != truth).astype(float) if self.classes else (answers - truth) ** 2
        tree = DecisionTreeRegressor(max_leaf_nodes=12, min_samples_leaf=50, random_state=0)
        tree.fit(self.numbers(self.features.iloc[self.pilot]), losses)
        return _ranks(tree.predict(self.numbers(self.features.iloc[self.live])))

    def windows(self, size: int, rng: np.random.Generator) -> Iterator[tuple[str, str, RowBlock]]:
        """Yield the cause of each window, its variant and its rows."""
        places = rng.choice(self.live, size, replace=False)
        features, truth = self.features.iloc[places], self.truth[places]
        answers = self.predicted(features)
        yield "none", "drawn evenly", _rows(features, answers, truth)
        for way, other in self._other_answers(features, answers):
            yield "model", way, _rows(features, other, truth)
        for way, other in self._other_truths(features, truth, rng):
            yield "concept", way, _rows(features, answers, other)
        for way, weights in self._weights():
            drawn = rng.choice(self.live, size, p=weights / weights.sum())
            others = self.features.iloc[drawn]
            yield "covariate", way, _rows(others, self.predicted(others), self.truth[drawn])
        for part in (0.25, 1.0):
            column = features[self.of.broken]
            wrong = features.assign(**{self.of.broken: np.where(rng.random(size) < part, column * FEET, column)})
            yield "broken", f"another unit in {part:.0%}", _rows(wrong, self.predicted(wrong), truth)

    def _other_answers(self, features: pd.DataFrame, answers: Values) -> Iterator[tuple[str, Values]]:
        if not self.classes:
            yield "× 1.15", answers * 1.15
            yield "+ 0.2 sd", answers + 0.21 * self.truth.std()
        name, factor = self.of.scaled_for_classes if self.classes else self.of.scaled
        yield "a feature scaled", self.predicted(features.assign(**{name: features[name] * factor}))
        for way, model in self.other_models.items():
            yield way, self.predicted(features, model)

    def _other_truths(
        self, features: pd.DataFrame, truth: Values, rng: np.random.Generator
    ) -> Iterator[tuple[str, Values]]:
        column = features[self.of.weighed[0][0]]
        high = (column > column.median()).to_numpy()
        if self.classes:
            names = np.unique(self.truth)
            next_one = names[(np.searchsorted(names, truth) + 1) % len(names)]
            yield "15 % flipped", np.where(rng.random(len(truth)) < 0.15, next_one, truth)
            yield "35 % flipped in part", np.where(high & (rng.random(len(truth)) < 0.35), next_one, truth)
            return
        spread = self.truth.std()
        yield "+ 0.4 sd", truth + 0.4 * spread
        yield "× 1.25", truth * 1.25
        yield "noise", truth + 0.4 * spread * rng.normal(size=len(truth))
        yield "+ 0.6 sd in part", truth + np.where(high, 0.6 * spread, 0)

    def _weights(self) -> Iterator[tuple[str, Values]]:
        for name, sign in self.of.weighed:
            yield f"by {name}", np.exp(8 * sign * _ranks(self.features[name].to_numpy()[self.live]))
        for strength in (2.5, 6.0):
            yield f"by how hard, {strength:g}", np.exp(strength * self.hardness)


def _ranks(values: Values) -> Values:
    return pd.Series(values).rank(pct=True).to_numpy()


def _rows(features: pd.DataFrame, predicted: Values, truth: Values) -> RowBlock:
    table = pa.Table.from_pandas(features.assign(predicted=predicted, truth=truth), preserve_index=False)
    return rows_of(Path("rows"), table, NAMES, "m", "1")


def verdicts(world: World, cause: str, window: RowBlock) -> Iterator[str]:
    """Diagnose a window by each metric; skip metrics that are not worse."""
    metrics: tuple[Metric, ...] = ("accuracy",) if world.classes else ("rmse", "mae")
    every, known = np.arange(len(window)), world.reference
    for metric in metrics:
        losses = row_losses(window, every, metric)[1]
        before = counted_loss(known.performance, metric)[0]
        if cause == "none" or worse_by(float(losses.mean()), before, metric) >= WORSE:
            yield shift_kind(window, every, known, metric).kind


def table_of(found: dict[tuple[str, str], Counter[str]]) -> Table:
    table = Table("what happened", "right", "unknown", "wrong")
    for cause in CAUSES:
        ways = {way: said for (of, way), said in found.items() if of == cause}
        for name, said in {f"[bold]{cause}[/]": sum(ways.values(), Counter[str]()), **ways}.items():
            wrong = [f"{count} {kind}" for kind, count in said.items() if kind not in (cause, "unknown")]
            table.add_row(name, str(said[cause]), str(said["unknown"]), ", ".join(wrong) or "0")
        table.add_section()
    return table


def main() -> None:
    """Print a table with a line per cause and per variant."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", default="21,22,23,24", help="with commas")
    parser.add_argument("--classes", type=int, default=0, help="so many classes in place of a number")
    parser.add_argument("--quick", action="store_true", help="the first seed and windows of 1,000 rows only")
    chosen = parser.parse_args()
    seeds = [int(seed) for seed in chosen.seeds.split(",")][: 1 if chosen.quick else None]
    sizes = (1_000,) if chosen.quick else SIZES
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    with Progress(transient=True) as progress:
        task = progress.add_task("", total=len(SETS) * len(seeds) * len(sizes))
        for of in SETS:
            for seed in seeds:
                progress.update(task, description=f"{of.file}, seed {seed}")
                world, rng = World(of, seed, chosen.classes), np.random.default_rng(1000 + seed)
                for size in sizes:
                    for cause, way, window in world.windows(size, rng):
                        found[cause, way].update(verdicts(world, cause, window))
                    progress.advance(task)
    Console().print(table_of(found))


if __name__ == "__main__":
    main()
