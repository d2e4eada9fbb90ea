"""Bad slices that are found and named, and false findings: California housing and bike sharing.

    python -m benchmarks.outcomes.slices [--only faults|healthy|order|speed] [--seeds looked-at|held-out] [--count N]

Fixed before the first measurement:

- A population is a data set's rows with the predictions of a gradient boosted model for rows that it was not fitted to.
  California also has the nearest of 60 centres as `area`. A draw takes rows at random and gives each row the error of
  one of the 20 most similar rows, so that references and windows have the same distribution and no error in common.
  References have 10,000 rows and estimators.
- There are no, one or three bad slices of a random kind: a value (`area = area-07`, `weathersit = 2`), a range of the
  reference, a range with arbitrary ends (8 to 15 % of the rows), a pair of values or ranges. Each has 1 to 30 % of the
  population; three slices share at most a fifth. Each has 100, 200 or 500 ground truths in windows of 2,000, 5,000 or
  20,000 rows.
- In a bad slice, errors are × 1.3, × 1.5, × 2, or the truth is 15 % or 30 % lower (prices have fallen).
- The searches are the rule's default (rmse, 15 % worse, confidence 0.99, slices of 50 rows or more) and the search of
  `mlmon explain` (30 or more).
- A bad slice is named *exactly* (the same rows), *mostly* (Jaccard index of its rows and a named slice's rows of a half
  or more), *in part* (a named slice has 80 % of its rows in it), or it is missed. *Told where*: the same tests find it
  when they test this slice only. A named slice is *false* if less than half of its rows are in any bad slice.
- Healthy windows: the share of windows with a named slice, with the upper end of the 95 % interval (Clopper and
  Pearson), by window and by reference: windows of one reference share its errors.
- In order: bike sharing by the hour. Weeks (days, hours) go at random to a reference and to four windows, each in its
  own order: they have the same distribution, and neighbours stay together. Other windows follow their reference in time
  (the concept drifts).
- Seeds 0 to 999 were used while the search was developed. Seeds from 1,000 on are held out: run once, at the end.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy.stats import beta

from benchmarks.outcomes.slice_data import Bad, Floats, Mask, Places, Population, load, reference, with_errors
from otel_mlmon.checks.losses import expected_losses, limit_of, row_losses
from otel_mlmon.checks.slices import concentrated, slice_columns
from otel_mlmon.lab.simulate.memory import take
from otel_mlmon.stats.slices.search import Codes, search
from otel_mlmon.values import Reference, RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION

SETS = ("california", "bike")
SIZES = (2_000, 5_000, 20_000)
LABELS = (100, 200, 500)
MARGIN = 0.15
CONFIDENCE = 0.99
HELD_OUT = 1_000
WAYS = ("exactly", "mostly", "in part", "missed")
HOUR = 3_600_000_000_000

SEVERITIES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "errors × 1.3": lambda error, predicted: 1.3 * error,
    "errors × 1.5": lambda error, predicted: 1.5 * error,
    "errors × 2": lambda error, predicted: 2 * error,
    "15 % lower": lambda error, predicted: error - 0.15 * np.maximum(predicted + error, 0),
    "30 % lower": lambda error, predicted: error - 0.30 * np.maximum(predicted + error, 0),
}


@dataclass(frozen=True, slots=True)
class Window:
    """One faulty window: the kind of each bad slice, how it was named, and whether a test of this slice finds it."""

    data: str
    severity: str
    labels: int
    size: int
    kinds: tuple[str, ...]
    named: tuple[str, ...]
    told: tuple[bool, ...]
    others: int
    least: int


def found_in(rows: RowBlock, known: Reference, least: int) -> list[tuple[tuple[tuple[str, str], ...], Mask]]:
    """Return the slices that the search names, with their rows."""
    every = np.arange(len(rows))
    found = concentrated(rows, every, known, "rmse", margin=MARGIN, min_rows=least, confidence=CONFIDENCE)
    columns = slice_columns(rows, every, known) if found.slices else {}
    named = []
    for part in found.slices:
        mask = np.all([_holds(columns[field], text) for field, text in part.conditions], axis=0)
        named.append((part.conditions, mask))
    return named


def _holds(column: Codes, text: str) -> Mask:
    found: Mask = column.codes == column.labels.index(text)
    return found


def told(rows: RowBlock, known: Reference, bad: Mask) -> bool:
    """Whether the search finds this slice if it tests no other."""
    _, losses = row_losses(rows, np.arange(len(rows)), "rmse")
    expected = expected_losses(rows, np.arange(len(rows)), known, "rmse")
    assert expected is not None
    only = {"bad": Codes(bad.astype(np.int32) - 1, ("yes",))}
    limits = limit_of(expected, "rmse", MARGIN)
    return bool(search(only, losses, expected, margin=MARGIN, min_rows=50, confidence=CONFIDENCE, limits=limits))


def how_named(bad: Mask, named: Sequence[Mask]) -> str:
    both = [(int((bad & mask).sum()), int((bad | mask).sum()), int(mask.sum())) for mask in named]
    if any(shared == joined for shared, joined, _ in both):
        return "exactly"
    if any(2 * shared >= joined for shared, joined, _ in both):
        return "mostly"
    return "in part" if any(shared >= 0.8 * own for shared, _, own in both) else "missed"


def several(of: Population, columns: dict[str, Codes], count: int, rng: np.random.Generator) -> list[Bad]:
    """Draw bad slices with few rows in common."""
    found: list[Bad] = []
    while len(found) < count:
        one = of.bad(columns, rng)
        if all(5 * (one.rows & other.rows).sum() <= min(one.rows.sum(), other.rows.sum()) for other in found):
            found.append(one)
    return found


def with_slices(bad: Sequence[Bad], labels: int, size: int, rng: np.random.Generator) -> Places:
    """Draw a number of rows of each slice, and the rest from outside the slices."""
    within = np.sum([one.rows for one in bad], axis=0)
    places = [rng.choice(np.flatnonzero(one.rows & (within == 1)), labels) for one in bad]
    return rng.permutation(np.concatenate([*places, rng.choice(np.flatnonzero(within == 0), size - labels * len(bad))]))


def faults(names: Sequence[str], seeds: Sequence[int]) -> Iterator[Window]:
    for name, seed in product(names, seeds):
        of, rng = load(name), np.random.default_rng(seed)
        known = of.reference(rng)
        columns = of.columns(known)
        for severity, labels, size, count in product(SEVERITIES, LABELS, SIZES, (1, 3)):
            if 2 * labels * count > size:
                continue
            bad = several(of, columns, count, rng)
            places = with_slices(bad, labels, size, rng)
            rows, error = of.draw(places, rng)
            there = np.any([one.rows[places] for one in bad], axis=0)
            predicted = rows.fields[FIELD_PREDICTION].numbers
            assert predicted is not None
            rows = with_errors(rows, np.where(there, SEVERITIES[severity](error, predicted), error))
            known_by = tuple(told(rows, known, one.rows[places]) for one in bad)
            for least in (50, 30):
                masks = [mask for _, mask in found_in(rows, known, least)]
                yield Window(
                    name,
                    severity,
                    labels,
                    size,
                    tuple(one.kind for one in bad),
                    tuple(how_named(one.rows[places], masks) for one in bad),
                    known_by,
                    sum(2 * int((mask & there).sum()) < int(mask.sum()) for mask in masks),
                    least,
                )


@dataclass(frozen=True, slots=True)
class Healthy:
    data: str
    how: str
    size: int
    seed: int
    least: int
    named: tuple[str, ...]


def healthy(names: Sequence[str], seeds: Sequence[int], each: int = 5) -> Iterator[Healthy]:
    for name, seed in product(names, seeds):
        of, rng = load(name), np.random.default_rng(100_000 + seed)
        known = of.reference(rng)
        for size, _ in product(SIZES, range(each)):
            rows, _ = of.draw(rng.integers(len(of), size=size), rng)
            yield from _looked_at(name, "drawn", rows, known, seed)


def _looked_at(name: str, how: str, rows: RowBlock, known: Reference, seed: int) -> Iterator[Healthy]:
    for least in (50, 30):
        named = [" and ".join(f"{f} {t}" for f, t in conditions) for conditions, _ in found_in(rows, known, least)]
        yield Healthy(name, how, len(rows), seed, least, tuple(named))


def in_order(seeds: Sequence[int]) -> Iterator[Healthy]:
    """Yield bike sharing by the hour: half of the weeks, days or hours as reference, an eighth in each window."""
    of = load("bike")
    for seed in seeds:
        rng = np.random.default_rng(200_000 + seed)
        for what, days in (("weeks", 7), ("days", 1), ("hours", 0)):
            block = of.days // days if days else np.arange(len(of))
            dealt = rng.permutation(block.max() + 1)[block] % 8
            rows = take(of.rows, np.flatnonzero(dealt < 4))
            # Without times there are no design effects.
            known = reference(by_the_hour(rows) if days else rows)
            for part in range(4, 8):
                window = by_the_hour(take(of.rows, np.flatnonzero(dealt == part)))
                yield from _looked_at("bike", f"{what} dealt", window, known, seed)
        start = int(rng.integers(0, len(of) - 12_000))
        known = reference(by_the_hour(take(of.rows, np.arange(start, start + 8_000))))
        for places in np.array_split(np.arange(start + 8_000, start + 12_000), 2):
            yield from _looked_at("bike", "what follows", by_the_hour(take(of.rows, places)), known, seed)


def by_the_hour(rows: RowBlock) -> RowBlock:
    times = np.arange(len(rows)) * HOUR
    return replace(rows, times=times, truth_times=times)


def at_most(hits: int, of: int) -> float:
    """Upper end of the 95 % interval of a share (Clopper and Pearson, one-sided)."""
    return 1.0 if hits == of else float(beta.ppf(0.95, hits + 1, of - hits))


def print_table(head: Sequence[str], lines: Sequence[Sequence[object]]) -> None:
    for line in (head, ["---"] * len(head), *lines):
        print("| " + " | ".join(map(str, line)) + " |")
    print()


def speed() -> None:
    """Time the search of pairs in 20,000 rows of 20 features of 10 and of 200 labels, beside a sort of a column."""
    rng, n = np.random.default_rng(0), 20_000
    losses, numbers = rng.normal(size=n) ** 2, rng.normal(size=n)
    sort = min(_timed(lambda: np.sort(numbers)) for _ in range(20))
    lines = []
    for labels, bad in product((10, 200), (False, True)):
        columns = {
            f"x{i}": Codes(rng.integers(labels, size=n).astype(np.int32), tuple(f"= {v}" for v in range(labels)))
            for i in range(20)
        }
        there = (columns["x3"].codes == 3) | (columns["x5"].codes == 5) | (columns["x7"].codes == 7)
        worse = losses * np.where(there & bad, 4.0, 1.0)
        took = min(
            _timed(lambda: search(columns, worse, np.ones(n), margin=0.3, min_rows=50, confidence=0.99))  # noqa: B023
            for _ in range(3)
        )
        lines.append(
            (f"{labels} labels, {'three bad' if bad else 'none bad'}", f"{1e3 * took:.0f} ms", f"{took / sort:.0f}")
        )
    print_table(("20,000 rows, 20 features", "time", "× sorting one column"), lines)


def _timed(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def print_faults(windows: Sequence[Window]) -> None:
    for name, least in product(dict.fromkeys(one.data for one in windows), (50, 30)):
        these = [one for one in windows if (one.data, one.least) == (name, least)]
        parts = [(one, place) for one in these for place in range(len(one.kinds))]
        lines = []
        for title, key in (
            ("", lambda one, place: "all"),
            ("", lambda one, place: one.severity),
            ("labels ", lambda one, place: f"{one.labels}"),
            ("rows ", lambda one, place: f"{one.size:,}"),
            ("", lambda one, place: one.kinds[place]),
            ("bad slices: ", lambda one, place: f"{len(one.kinds)}"),
        ):
            for value in dict.fromkeys(key(*part) for part in parts):
                ways = [(one.named[place], one.told[place]) for one, place in parts if key(one, place) == value]
                share = [f"{sum(way == named for way, _ in ways) / len(ways):.0%}" for named in WAYS]
                lines.append((title + value, len(ways), f"{sum(told for _, told in ways) / len(ways):.0%}", *share))
        print(
            f"{name}, slices of {least} or more: {len(these)} windows, "
            f"{sum(one.others for one in these)} fine slices named, in {sum(one.others > 0 for one in these)} of them\n"
        )
        print_table(("", "bad slices", "told where", *WAYS), lines)


def print_healthy(windows: Sequence[Healthy]) -> None:
    lines = []
    for key in dict.fromkeys((one.data, one.how, one.size if one.how == "drawn" else 0, one.least) for one in windows):
        data, how, size, least = key
        these = [w for w in windows if (w.data, w.how, w.least) == (data, how, least) and size in (0, w.size)]
        named, seeds = [w for w in these if w.named], len({w.seed for w in these})
        of = len({w.seed for w in named})
        lines.append(
            (
                data,
                f"{how} {size or ''}",
                least,
                f"{len(named)} of {len(these)}",
                f"{at_most(len(named), len(these)):.1%}",
                f"{of} of {seeds}",
            )
        )
    print_table(("data", "windows", "slices of", "something is named in", "at most", "by reference"), lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=("faults", "healthy", "order", "speed"))
    parser.add_argument("--seeds", choices=("looked-at", "held-out"), default="looked-at")
    parser.add_argument("--count", type=int, default=2, help="references for faults; five times as many healthy ones")
    given = parser.parse_args()
    first = HELD_OUT if given.seeds == "held-out" else 0
    some, more = range(first, first + given.count), range(first, first + 5 * given.count)
    if given.only in (None, "faults"):
        print_faults(list(faults(SETS, some)))
    if given.only in (None, "healthy"):
        print_healthy(list(healthy(SETS, more)))
    if given.only in (None, "order"):
        print_healthy(list(in_order(more)))
    if given.only in (None, "speed"):
        speed()


if __name__ == "__main__":
    main()
