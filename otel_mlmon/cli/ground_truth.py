"""`mlmon ground-truth`: load ground truth from files."""

from __future__ import annotations

import gzip
import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

import click
import requests
from rich.progress import TaskProgressColumn, TextColumn

from otel_mlmon.cli.processor import endpoint_option, error_of
from otel_mlmon.cli.terminal import progress_bar
from otel_mlmon.errors import ConfigError, MlmonError
from otel_mlmon.ingest.ground_truth_files import Piece, pieces

_PATIENCE_S: Final = 120.0  # how long a processor may be busy, or away


@click.group("ground-truth")
def ground_truth() -> None:
    """Load ground truth: the true values for earlier predictions.

    Other ways are the SDK, OTLP, POST /v1/ground-truth, and queries in the configuration (`ground_truth:`).
    """


@ground_truth.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", default="", help="The model's name  [default: the column `model`]")
@click.option("--id-column", default="", help="Prediction ids  [default: prediction_id]")
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FEATURE[:COLUMN]",
    help="Name predictions by this feature's value in place of an id; may be repeated.",
)
@click.option("--value-column", default="ground_truth", show_default=True, help="Column with the ground truth.")
@click.option(
    "--time-column",
    default="",
    help="Time when the ground truth became known  [default: when the file was last changed]",
)
@endpoint_option
def load(
    file: Path,
    model: str,
    id_column: str,
    keys: tuple[str, ...],
    value_column: str,
    time_column: str,
    endpoint: str,
) -> None:
    """Send FILE (.csv, .jsonl, both also .gz; .parquet, .arrow) to the processor.

    Each row is stored once: sending a file again does no harm. Another value for the same prediction is a correction,
    and an empty one takes the ground truth back. Rows wait for a prediction that has not arrived yet. Rows that cannot
    be used are counted by reason, with the number of the first; the others are stored. Times: ISO 8601, or s, ms, µs or
    ns since the epoch.

    \b
    By prediction id:
      mlmon ground-truth load sold.csv --model prices --id-column offer --value-column sold_for --time-column sold_at
    By features, where the outcome's system knows no ids:
      mlmon ground-truth load churned.parquet --model churn --key customer --key day:date --value-column churned
    """
    if id_column and keys:
        raise ConfigError("--id-column and --key: allowed is one way to name predictions")
    named = [key.partition(":")[2] or key for key in keys] or [id_column or "prediction_id"]
    columns = dict.fromkeys([*named, value_column, *filter(None, [time_column]), *([] if model else ["model"])])
    parameters: dict[str, Any] = {"value": value_column, "key": keys}
    if model:
        parameters["model"] = model
    if not keys:
        parameters["id"] = named[0]
    if time_column:
        parameters["time"] = time_column
    elif file.exists():  # the same each time, so that sending the file again stores nothing twice
        parameters["known_at"] = file.stat().st_mtime_ns
    _send(file, list(columns), f"{endpoint.rstrip('/')}/v1/ground-truth", parameters)


def _send(file: Path, columns: list[str], url: str, parameters: dict[str, Any]) -> None:
    """Send the file in pieces and print the numbers of rows. Raises MlmonError when rows are rejected."""
    totals: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    message = ""
    amount = (TaskProgressColumn(), TextColumn("{task.fields[rows]} rows"))
    with progress_bar(*amount) as progress, requests.Session() as session:
        task = progress.add_task(file.name, total=1.0, rows=0)
        for piece in pieces(file, columns):
            numbered = {**parameters, "first_row": piece.first_row}
            answer = _post(session, url, numbered, piece, _PATIENCE_S if totals else 5.0)
            totals.update({name: answer[name] for name in ("stored", "duplicates", "rejected")})
            reasons.update(answer["reasons"])
            message = message or answer["message"]
            progress.update(task, completed=piece.done, rows=sum(totals.values()))
        progress.update(task, completed=1.0)
    click.echo(f"stored {totals['stored']}, duplicates {totals['duplicates']}, rejected {totals['rejected']}")
    if totals["rejected"]:
        why = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
        raise MlmonError(f"rows were rejected ({why}), the first of them: {message}")


def _post(
    session: requests.Session, url: str, parameters: dict[str, Any], piece: Piece, away_s: float
) -> dict[str, Any]:
    """Send rows and return the processor's answer. Raises MlmonError when they are refused, or after `_PATIENCE_S`.

    `away_s`: how long to wait for a processor that does not answer at all.
    """
    headers = {"Content-Type": piece.content_type, "Content-Encoding": "gzip"}
    body = gzip.compress(piece.body, 1)
    began = time.monotonic()
    while True:
        wait, patience = 1.0, _PATIENCE_S
        try:
            answer = session.post(url, params=parameters, data=body, headers=headers, timeout=60)
        except requests.RequestException as error:
            patience = away_s
            problem = (
                f"no processor answers at {url}: start one with `mlmon serve`, or name it with --endpoint "
                f"({type(error).__name__})"
            )
        else:
            if answer.ok:
                counts: dict[str, Any] = answer.json()
                return counts
            problem = f"{url} answered {answer.status_code}: {error_of(answer) or answer.text[:200]}"
            if answer.status_code != requests.codes.service_unavailable:
                raise MlmonError(problem)
            wait = float(answer.headers.get("Retry-After", 1))
        if time.monotonic() + wait > began + patience:
            raise MlmonError(
                f"{problem}; rows up to {piece.first_row - 1} are stored, and sending them again does no harm"
            )
        time.sleep(wait)
