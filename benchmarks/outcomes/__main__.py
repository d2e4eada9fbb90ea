"""`python -m benchmarks.outcomes`: the figures of README.md, section `outcomes/`, as a table and as results.json.

Run it with OMP_NUM_THREADS=1: the threads of several small models would wait for one another.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.outcomes.play import Fired, known_of, play, without_effects
from benchmarks.outcomes.rules import group
from benchmarks.outcomes.streams import DAY, Life, Task, Traffic, larger_errors, live, more_mistakes
from otel_mlmon.rulefile import Group

RESULTS: Final = Path(__file__).parent / "results.json"
MONTH: Final = 30
_PROCESSES: Final = 2
_FALL_AFTER: Final = 21  # days
_WATCHED: Final = 19  # days after the fall
_FALL_SEEDS: Final = 3
_TASKS: Final[tuple[Task, ...]] = ("regression", "classification")


class Setting(NamedTuple):
    """A kind of traffic, the group's window and interval, and the number of histories of `days` each."""

    name: str
    traffic: Traffic
    window: str
    interval: str
    days: int
    histories: int


SETTINGS: Final = (
    tuple(
        Setting(f"california, {task}, hours alike", Traffic("california", task, "alike", 240), "1d", "12h", 84, 3)
        for task in _TASKS
    )
    + tuple(
        Setting(f"bike, {task}, whole weeks", Traffic("bike", task, "weeks", 24), "7d", "1d", 126, 2) for task in _TASKS
    )
    + tuple(
        Setting(
            f"california, {task}, a batch a week",
            Traffic("california", task, "independent", 60, batch=True),
            "1d",
            "6h",
            56,
            2,
        )
        for task in _TASKS
    )
    + tuple(
        Setting(f"{data}, {task}, independent rows", Traffic(data, task, "independent", 240), "1d", "12h", 84, 2)
        for data in ("california", "bike")
        for task in _TASKS
    )
)
_FALLS: Final = {
    "regression": (("RMSE +20 %", 1.2), ("RMSE +50 %", 1.5)),
    "classification": (("accuracy -5 points", 0.05),),
}
_FINDS: Final = ("Rmse", "Accuracy", "AccuracyFirm")
_FALL_IN: Final = tuple(
    Traffic("california", task, order, 240) for order in ("independent", "alike") for task in _TASKS
)


@lru_cache
def _group(data: str, task: Any, budget: bool, window: str, interval: str) -> Group:
    return group(data, task, budget=budget, window=window, interval=interval)


def healthy(job: tuple[Setting, int]) -> dict[str, dict[str, int]]:
    """Count the alerts of one history without a change, by rule: with limits and with a budget, before and after."""
    setting, seed = job
    traffic, found = setting.traffic, {}
    life = live(traffic, setting.days, np.random.default_rng([seed, 1]))
    for budget in (False, True):
        rules = _group(traffic.data, traffic.task, budget, setting.window, setting.interval)
        for when, fired in _played(life, rules).items():
            found[f"{'budget' if budget else 'limits'}, {when}"] = dict(Counter(alert.rule for alert in fired))
    return found


def falling(job: tuple[Traffic, str, float, int]) -> dict[str, int | None]:
    """Count the ground truths after the fall that were known when a rule of its metric first fired; None: no alert."""
    traffic, _, size, seed = job
    rng = np.random.default_rng([seed, 2])
    fall = larger_errors(size) if traffic.task == "regression" else more_mistakes(size, rng)
    begin = _FALL_AFTER * DAY
    life = live(traffic, _FALL_AFTER + _WATCHED, rng, fall=fall, after=begin)
    found: dict[str, int | None] = {}
    for budget in (False, True):
        rules = _group(traffic.data, traffic.task, budget, "1d", "12h")
        for when, fired in _played(life, rules).items():
            times = [alert.time for alert in fired if alert.rule in _FINDS and not alert.segment and alert.time > begin]
            found[f"{'budget' if budget else 'limits'}, {when}"] = known_of(life, begin, times[0]) if times else None
    return found


def _played(life: Life, rules: Group) -> dict[str, list[Fired]]:
    """Play without and with the design effects of the reference; both are equal for a reference without them."""
    after, bare = play(life, rules), without_effects(life)
    return {"before": after if bare is life else play(bare, rules), "after": after}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outcomes", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one history of each, to see that it runs")
    parser.add_argument("--times", type=int, default=1, help="so many times as many histories  [default: 1]")
    arguments, console = parser.parse_args(), Console()
    quick, times = arguments.quick, arguments.times
    settings = [
        s._replace(histories=1, days=s.days // 3) if quick else s._replace(histories=s.histories * times)
        for s in SETTINGS
    ]
    jobs = [(s, seed) for s in settings for seed in range(s.histories)]
    falls = [
        (traffic, name, size, seed)
        for traffic in _FALL_IN
        for name, size in _FALLS[traffic.task]
        for seed in range(1 if quick else _FALL_SEEDS * times)
    ]
    with Progress(console=console) as progress, ProcessPoolExecutor(_PROCESSES) as pool:
        quiet = list(progress.track(pool.map(healthy, jobs), total=len(jobs), description="without a change"))
        found = list(progress.track(pool.map(falling, falls), total=len(falls), description="falls"))
    results = {
        "healthy": [_counted(s, [q for (of, _), q in zip(jobs, quiet, strict=True) if of is s]) for s in settings],
        "falls": _found(zip(falls, found, strict=True)),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    _show(console, results)


def _counted(setting: Setting, histories: list[dict[str, dict[str, int]]]) -> dict[str, Any]:
    months = setting.days * len(histories) / MONTH
    body: dict[str, Any] = {"setting": setting.name, "histories": len(histories), "months": round(months, 1)}
    for key in histories[0]:
        by_rule: Counter[str] = Counter()
        for history in histories:
            by_rule.update(history[key])
        total = sum(by_rule.values())
        body[key] = {
            "alerts": total,
            "per_month": round(total / months, 3),
            "at_most_per_month": _upper(total, months),
            "histories_with_any": sum(bool(history[key]) for history in histories),
            "by_rule": dict(by_rule),
        }
    return body


def _upper(alarms: int, months: float) -> float:
    """Upper 95 % confidence limit of a rate (Garwood) for independent alerts."""
    from scipy.stats import chi2

    return round(float(chi2.ppf(0.95, 2 * alarms + 2)) / 2 / months, 3)


def _found(pairs: Iterable[tuple[tuple[Traffic, str, float, int], dict[str, int | None]]]) -> list[dict[str, Any]]:
    lines: dict[tuple[str, str], dict[str, list[int | None]]] = {}
    for (traffic, name, _, _), found in pairs:
        line = lines.setdefault((f"{traffic.data}, {traffic.order}", name), {})
        for key, known in found.items():
            line.setdefault(key, []).append(known)
    return [
        {"stream": stream, "fall": name}
        | {
            key: {
                "tried": len(known),
                "found": sum(k is not None for k in known),
                "median_labels": int(np.median([k for k in known if k is not None]))
                if any(k is not None for k in known)
                else None,
            }
            for key, known in line.items()
        }
        for (stream, name), line in lines.items()
    ]


def _show(console: Console, results: dict[str, Any]) -> None:
    keys = [f"{rules}, {when}" for rules in ("limits", "budget") for when in ("before", "after")]
    table = Table("without a change", "months", *keys, title="false alerts (per month, at most with 95 %)")
    for line in results["healthy"]:
        cells = [f"{line[k]['alerts']} ({line[k]['per_month']}, {line[k]['at_most_per_month']})" for k in keys]
        table.add_row(line["setting"], str(line["months"]), *cells)
    console.print(table)
    table = Table("stream", "fall", *keys, title="found (median of ground truths known by then)")
    for line in results["falls"]:
        cells = [f"{line[k]['found']} of {line[k]['tried']} ({line[k]['median_labels']})" for k in keys]
        table.add_row(line["stream"], line["fall"], *cells)
    console.print(table)


if __name__ == "__main__":
    main()
