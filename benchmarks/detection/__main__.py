"""`python -m benchmarks.detection`: the figures of README.md in this directory, as tables and as results.json."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable
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
HEALTHY = {200: 4000, 1_000: 4000, 10_000: 800, 100_000: 400}  # windows
PARTS = ("faults", "healthy", "rivals")
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detection", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything, to see that it runs")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part; the others stay as they were")
    parser.add_argument("--seeds", type=int, default=2, help="repetitions of every fault  [default: 2]")
    parser.add_argument("--every", type=int, default=26, help="rivals see every so many faults  [default: 26]")
    return parser.parse_args()


def main() -> None:
    """Command line."""
    arguments, console = _arguments(), Console()
    parts = arguments.only or PARTS
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    share = 10 if arguments.quick else 1
    jobs = [(s, seed) for name in DATA for s in scenarios(_data(name)) for seed in range(arguments.seeds)]
    jobs = [(s, seed) for s, seed in jobs if indicator(s, _data(s.data))][::share]
    with Progress(console=console) as progress, ProcessPoolExecutor(_PROCESSES) as pool:

        def each(work: Callable[[Any], Any], over: list[Any], what: str) -> list[Any]:
            return list(progress.track(pool.map(work, over), total=len(over), description=what))

        if "faults" in parts:
            results["faults"] = _faults(list(zip(jobs, each(_detect, jobs, "faults"), strict=True)))
        if "healthy" in parts:
            chunks = [
                (name, size, min(200, wanted // share // len(DATA)), seed)
                for size, wanted in HEALTHY.items()
                for name in DATA
                for seed in range(max(1, wanted // share // len(DATA) // 200))
            ]
            results["healthy"] = _quiet(list(zip(chunks, each(_healthy, chunks, "without a fault"), strict=True)))
        if "rivals" in parts:
            some = jobs[:: max(arguments.every // share, 1)]
            ours = each(_detect, some, "faults that rivals see")
            progress.console.print("Evidently and NannyML take several seconds for each window …")
            results["rivals"] = _rivals(some, ours, 2 if arguments.quick else 20)
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    _show(console, results)


def _line(job: tuple[Scenario, int], result: dict[str, Any]) -> str:
    scenario, _ = job
    fault = scenario.fault
    what = " ".join(str(v) for v in (fault.kind, fault.field, fault.amount, fault.value) if v not in (None, ""))
    return f"{scenario.data} {scenario.severity}: {what}" + (
        f" → {', '.join(result['first'])}" if result["first"] else ""
    )


def _faults(pairs: list[tuple[tuple[Scenario, int], dict[str, Any]]]) -> dict[str, Any]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (scenario, _), result in pairs:
        about = indicator(scenario, _data(scenario.data))
        keys = [about, "all of these", *(["the six indicators"] if about != INSIDE else [])]
        for key in keys:
            counts[f"{scenario.severity}: {key}"].update(
                faults=1, found=int(result["found"]), named=int(result["named"])
            )
    return {
        "counts": {key: dict(counts[key]) for key in sorted(counts)},
        "missed": [_line(job, r) for job, r in pairs if not r["found"]],
        "named_otherwise": [_line(job, r) for job, r in pairs if r["found"] and not r["named"]],
    }


def _quiet(pairs: list[tuple[tuple[str, int, int, int], list[str]]]) -> dict[str, Any]:
    counts: dict[int, Counter[str]] = defaultdict(Counter)
    for (_, size, windows, _), alarms in pairs:
        counts[size].update(windows=windows, alarms=len(alarms))
    return {
        "counts": {str(n): {**c, "at_most_per_1000": _upper(c["alarms"], c["windows"])} for n, c in counts.items()},
        "alarms": [f"{data}, {size} rows: {line}" for (data, size, _, _), alarms in pairs for line in alarms],
    }


def _upper(alarms: int, windows: int) -> float:
    """Upper 95 % confidence limit of a rate, per 1,000 (Garwood)."""
    from scipy.stats import chi2

    return round(1000 * float(chi2.ppf(0.95, 2 * alarms + 2)) / 2 / windows, 2)


def _rivals(jobs: list[tuple[Scenario, int]], ours: list[dict[str, Any]], windows: int) -> dict[str, Any]:
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
    for key, c in results.get("faults", {}).get("counts", {}).items():
        table.add_row(key, str(c["faults"]), _share(c["found"], c["faults"]), _share(c["named"], c["found"]))
    console.print(table)
    table = Table("rows", "windows", "false alarms", "at most, per 1,000 (95 %)", title="without a fault, 20 features")
    for size, c in results.get("healthy", {}).get("counts", {}).items():
        table.add_row(size, str(c["windows"]), str(c["alarms"]), str(c["at_most_per_1000"]))
    console.print(table)
    if "rivals" not in results:
        return
    found = results["rivals"]
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
