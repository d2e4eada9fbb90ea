"""`python -m benchmarks.detection`: the figures of README.md in this directory, as tables and as results.json."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.detection.data import DataSet, load
from benchmarks.detection.ours import detect, false_alarms
from benchmarks.detection.scenarios import INSIDE, Scenario, indicator, scenarios
from benchmarks.detection.side_by_side import TOOLS, ask, faulty, healthy

DATA = ("california", "bike")
HEALTHY = {200: 4000, 1_000: 4000, 10_000: 1200, 100_000: 400}  # windows
RESULTS = Path(__file__).parent / "results.json"
_PROCESSES = 2


@lru_cache
def _data(name: str) -> DataSet:
    return load(name)


def _detect(job: tuple[Scenario, int]) -> dict[str, Any]:
    scenario, seed = job
    return detect(_data(scenario.data), scenario, seed)


def _healthy(job: tuple[str, int, int, int]) -> list[str]:
    name, size, windows, seed = job
    return false_alarms(_data(name), size, windows, seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it runs")
    parser.add_argument(
        "--no-rivals", action="store_true", help="without Evidently and NannyML (scripts/install-rivals)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of every fault  [default: 3]")
    parser.add_argument("--every", type=int, default=24, help="rivals see every so many faults  [default: 24]")
    return parser.parse_args()


def main() -> None:
    """Command line."""
    arguments, console = _arguments(), Console()
    jobs = [(s, seed) for name in DATA for s in scenarios(_data(name)) for seed in range(arguments.seeds)]
    jobs = [(s, seed) for s, seed in jobs if indicator(s, _data(s.data))]
    share = 10 if arguments.quick else 1
    jobs = jobs[::share]
    chunks = [
        (name, size, min(200, wanted // share // len(DATA)), seed)
        for size, wanted in HEALTHY.items()
        for name in DATA
        for seed in range(max(1, wanted // share // len(DATA) // 200))
    ]
    with Progress(console=console) as progress, ProcessPoolExecutor(_PROCESSES) as pool:
        bar = progress.add_task("faults", total=len(jobs))
        found = []
        for result in pool.map(_detect, jobs):
            found.append(result)
            progress.advance(bar)
        bar = progress.add_task("without a fault", total=len(chunks))
        quiet = []
        for alarms in pool.map(_healthy, chunks):
            quiet.append(alarms)
            progress.advance(bar)
    results: dict[str, Any] = {
        "detection": _detection(zip(jobs, found, strict=True)),
        "false_alarms": _false_alarms(zip(chunks, quiet, strict=True)),
        "missed": [_line(job, r) for job, r in zip(jobs, found, strict=True) if not r["found"]],
        "named_otherwise": [_line(job, r) for job, r in zip(jobs, found, strict=True) if r["found"] and not r["named"]],
        "alarms": [line for alarms in quiet for line in alarms],
    }
    if not arguments.no_rivals:
        console.print("Evidently and NannyML, several seconds for each window …")
        results["side_by_side"] = _side_by_side(
            jobs[:: arguments.every], found[:: arguments.every], 4 if arguments.quick else 40
        )
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    _show(console, results)


def _line(job: tuple[Scenario, int], result: dict[str, Any]) -> str:
    scenario, _ = job
    fault = scenario.fault
    what = " ".join(str(v) for v in (fault.kind, fault.field, fault.amount, fault.value) if v not in (None, ""))
    return f"{scenario.data} {scenario.severity}: {what}" + (
        f" → {', '.join(result['first'])}" if result["first"] else ""
    )


def _detection(pairs: Iterable[tuple[tuple[Scenario, int], dict[str, Any]]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (scenario, _), result in pairs:
        about = indicator(scenario, _data(scenario.data))
        keys = [about, "all of these", *(["the six indicators"] if about != INSIDE else [])]
        for key in keys:
            counts[f"{scenario.severity}: {key}"].update(
                faults=1, found=int(result["found"]), named=int(result["named"])
            )
    return {key: dict(counts[key]) for key in sorted(counts)}


def _false_alarms(pairs: Iterable[tuple[tuple[str, int, int, int], list[str]]]) -> dict[str, dict[str, float]]:
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for (_, size, windows, _), alarms in pairs:
        counts[size].update(windows=windows, alarms=len(alarms))
    return {str(size): {**c, "at_most_per_1000": _upper(c["alarms"], c["windows"])} for size, c in counts.items()}


def _upper(alarms: int, windows: int) -> float:
    """Upper 95 % confidence limit of a rate, per 1,000 (Garwood)."""
    from scipy.stats import chi2

    return round(1000 * float(chi2.ppf(0.95, 2 * alarms + 2)) / 2 / windows, 2)


def _side_by_side(jobs: list[tuple[Scenario, int]], ours: list[dict[str, Any]], windows: int) -> dict[str, Any]:
    asked = {f"fault-{i}": faulty(_data(s.data), s, seed) for i, (s, seed) in enumerate(jobs)}
    said = ask(asked)
    table: dict[str, dict[str, Counter[str]]] = {tool: defaultdict(Counter) for tool in ("otel_mlmon", *TOOLS)}
    for i, ((scenario, _), mine) in enumerate(zip(jobs, ours, strict=True)):
        key = f"{scenario.severity}: {indicator(scenario, _data(scenario.data))}"
        table["otel_mlmon"][key].update(faults=1, found=int(mine["found"]), on_the_field=int(mine["named"]))
        for tool in TOOLS:
            answer = said[tool][f"fault-{i}"]
            column = "RMSE" if scenario.fault.kind == "noise" else scenario.fault.field
            about = answer.alarms(column) or (scenario.fault.kind == "noise" and answer.alarms("rmse"))
            table[tool][key].update(
                faults=1, found=int(answer.alarms()), on_the_field=int(about), crashed=int(answer.crashes())
            )
    healthy_jobs = {
        f"{name}-{size}": healthy(_data(name), size, windows, 7) for name in DATA for size in (200, 1_000, 10_000)
    }
    quiet = ask(healthy_jobs)
    alarmed = {
        tool: {
            str(size): [
                sum(
                    any(not a.startswith("crashed") for a in w)
                    for n in DATA
                    for w in quiet[tool][f"{n}-{size}"].windows
                ),
                sum(any(_of_drift(a) for a in w) for n in DATA for w in quiet[tool][f"{n}-{size}"].windows),
                windows * len(DATA),
            ]
            for size in (200, 1_000, 10_000)
        }
        for tool in TOOLS
    }
    return {
        "faults": {t: {k: dict(c) for k, c in sorted(by.items())} for t, by in table.items()},
        "false_alarms": alarmed,
    }


def _of_drift(alert: str) -> bool:
    return alert.startswith(("Value Drift", "drift "))


def _show(console: Console, results: dict[str, Any]) -> None:
    table = Table("severity: indicator", "faults", "found", "named right", title="otel_mlmon, rules inferred")
    for key, c in results["detection"].items():
        table.add_row(key, str(c["faults"]), _share(c["found"], c["faults"]), _share(c["named"], c["found"]))
    console.print(table)
    table = Table("rows", "windows", "false alarms", "at most, per 1,000 (95 %)", title="without a fault, 20 features")
    for size, c in results["false_alarms"].items():
        table.add_row(size, str(c["windows"]), str(c["alarms"]), str(c["at_most_per_1000"]))
    console.print(table)
    if "side_by_side" not in results:
        return
    found = results["side_by_side"]
    table = Table("severity: indicator", *found["faults"], title="found, on the field that is broken (crashed)")
    for key in found["faults"]["otel_mlmon"]:
        cells = [found["faults"][tool][key] for tool in found["faults"]]
        table.add_row(
            key, *(f"{c['found']}, {c['on_the_field']} of {c['faults']} ({c.get('crashed', 0)})" for c in cells)
        )
    console.print(table)
    for tool, sizes in found["false_alarms"].items():
        for size, (any_, drift, n) in sizes.items():
            console.print(
                f"{tool}: windows of {size} rows without a fault that alarm: {any_} of {n}, by drift alone {drift}"
            )


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else str(math.nan)


if __name__ == "__main__":
    main()
