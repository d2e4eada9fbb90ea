"""`mlmon status`: models, rules, alerts and the processor's health."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import click

from otel_mlmon.cli.processor import call, processor_option
from otel_mlmon.cli.terminal import console, table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the raw answer.")
@processor_option
def status(processor: str, as_json: bool) -> None:
    """Show models, rules, firing alerts and the processor's own health."""
    status_ = call("GET", processor, "/api/v1/status")
    if as_json:
        click.echo(json.dumps(status_, indent=2))
        return
    screen = console()
    models = table("model", "versions", "predictions", "newest", "verdicts", "firing", title="models")
    for model in status_["models"]:
        newest = f"{datetime.fromtimestamp(model['newest'] / 1e9, UTC):%Y-%m-%d %H:%M} UTC"
        models.add_row(
            model["model"],
            ", ".join(model["versions"]) or "-",
            str(model["rows"]),
            newest,
            _counts(model["verdicts"]),
            _firing(model["firing"]),
        )
    screen.print(models)
    if any(model["ground_truth"] for model in status_["models"]):
        truths = table("model", "joined", "waiting", "other", title="ground truth")
        for model in status_["models"]:
            of = dict(model["ground_truth"])
            joined, waiting = of.pop("joined", 0), of.pop("waiting", 0)
            truths.add_row(
                model["model"], str(joined), str(waiting), _counts({o: n for o, n in of.items() if n}) or "-"
            )
        screen.print(truths)
    rules = table("group", "rule", "check", "model", "window", "verdicts", "firing", title="rules")
    for rule in status_["rules"]:
        rules.add_row(
            rule["group"],
            rule["rule"],
            f"{rule['check']}: {rule['method']}",
            rule["model"],
            rule["window"],
            _counts(rule["verdicts"]) or "none yet",
            _firing(rule["firing"]),
        )
    screen.print(rules)
    ingest = status_["ingest"]
    screen.print(
        f"received {ingest['received']} = stored {ingest['stored']} + duplicates {ingest['duplicates']} "
        f"+ rejected {ingest['rejected']};  store {status_['store_bytes'] / 1e6:.1f} MB;  "
        f"version {status_['version']}, up {status_['uptime_s'] / 60:.0f} min"
    )
    for note in status_["notes"]:
        screen.print(f"[yellow]note: {note}[/yellow]")


def _counts(counts: dict[str, Any]) -> str:
    return ", ".join(f"{status} {n}" for status, n in sorted(counts.items()))


def _firing(n: int) -> str:
    return f"[red]{n}[/red]" if n else "0"
