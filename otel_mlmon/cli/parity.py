"""`mlmon parity`: compare logged predictions with the intended model's."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from otel_mlmon.checks.parity import judge_pairs
from otel_mlmon.cli.implementation import Unanswered, ask, load
from otel_mlmon.cli.options import model_option
from otel_mlmon.cli.processor import processor_option, request
from otel_mlmon.cli.terminal import progress_bar
from otel_mlmon.errors import ConfigError, MlmonError
from otel_mlmon.ingest.decode.assemble import prediction_batches
from otel_mlmon.ingest.decode.single import PredictionRow
from otel_mlmon.rulefile import ParityRule, parse_duration
from otel_mlmon.server.prediction_routes import PATH
from otel_mlmon.store import Store
from otel_mlmon.values import CheckResult
from otel_mlmon.values.evidence import ParityEvidence
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire.semconv import FIELD_PREDICTION, FIELD_SHADOW

_MISTAKE: Final = 2
_SHOWN: Final = 3  # errors of the implementation


@click.command()
@model_option
@click.option(
    "--implementation",
    required=True,
    help="The intended model: FILE.py:FUNCTION, called with one mapping of features; a pickled model with `predict` "
    "(.joblib, .pkl); FILE.onnx where onnxruntime is installed (in single precision: with --tolerance 1e-4).",
)
@click.option("--version", default=None, help="Model version  [default: every version, each by itself]")
@click.option("--since", default="1h", show_default=True, help="Length of the time before --until, such as 30m, 2d.")
@click.option("--until", default="", help="ISO 8601, UTC unless it says otherwise  [default: the newest prediction]")
@click.option(
    "--limit",
    default=1_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Largest number of predictions; of more, a sample is taken.",
)
@click.option(
    "--tolerance",
    default=1e-6,
    show_default=True,
    type=click.FloatRange(0),
    help="Largest relative difference that counts as equal.",
)
@click.option(
    "--above", default="1%", show_default=True, help="Largest share of different predictions that is in order."
)
@processor_option
def parity(
    model: str,
    implementation: str,
    version: str | None,
    since: str,
    until: str,
    limit: int,
    tolerance: float,
    above: str,
    processor: str,
) -> None:
    """Make logged predictions again with the intended model, and show where they differ.

    Exit code: 0 in order; 1 when surely more than --above are different; 2 when there is no answer.

    The model runs in this process, never in the processor. A pickle runs code when it is loaded: name only files that
    you would run. Features must have been logged as they are: neither hashed nor left out by the SDK. The result is
    shown and not recorded; rules with `parity:` judge the shadow's predictions that applications send.

    \b
    mlmon parity --model prices --implementation train/model.joblib --since 1d
    mlmon parity --model prices --implementation pricing.py:predict --above 0.1%
    """
    try:
        rule = _rule(tolerance, above)
        rows = _logged(processor, model, version, since, until, limit)
        differs = _compare(model, implementation, rows, rule)
    except MlmonError as error:
        click.secho(f"mlmon: {error}", fg="red", err=True)
        sys.exit(_MISTAKE)
    sys.exit(int(differs))


def _compare(model: str, implementation: str, rows: Sequence[dict[str, Any]], rule: ParityRule) -> bool:
    """Ask the implementation, show the differences, and return whether it surely is another model."""
    again = _ask(implementation, rows)
    block = _block(model, again)
    outcomes = {
        label: judge_pairs(rule, block, (block.versions.codes == code).nonzero()[0])
        for code, label in enumerate(block.versions.labels)
    }
    traces = {row["id"]: row["trace_id"] for row in rows}
    console = Console(width=None if sys.stdout.isatty() else 120)
    _show(console, model, outcomes, traces, rule.confidence)
    if all(outcome.status == "no_data" for outcome in outcomes.values()):
        raise ConfigError(
            f"too few predictions to tell: found {len(again)}, of one version {rule.min_rows} are needed; "
            "see --since, --limit"
        )
    return any(_surely(outcome, rule.confidence) for outcome in outcomes.values())


def _rule(tolerance: float, above: str) -> ParityRule:
    try:
        return ParityRule(alert="parity", parity="rate", tolerance=tolerance, above=above)
    except ValueError as error:
        found: list[Any] = getattr(error, "errors", list)()
        raise ConfigError(f"--above: {found[0]['msg'] if found else error}") from error


def _logged(
    processor: str, model: str, version: str | None, since: str, until: str, limit: int
) -> list[dict[str, Any]]:
    query: dict[str, str | int] = {"model": model, "limit": limit}
    try:
        query["last"] = parse_duration(since)
    except ValueError as error:
        raise ConfigError(f"--since: {error}") from error
    if until:
        query["end"] = _time(until)
    if version is not None:
        query["version"] = version
    answer = request("GET", processor, PATH, params=query, timeout=120)
    rows = [json.loads(line) for line in answer.content.split(b"\n") if line]
    if not (made := [row for row in rows if "prediction" in row]):
        raise ConfigError(f"no predictions of model {model!r} in that time; see `mlmon status`, --since and --until")
    return made


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"--until: found {text!r}, allowed is ISO 8601 such as 2024-05-01T12:00") from error
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1e6) * 1000


def _ask(implementation: str, rows: Sequence[dict[str, Any]]) -> list[tuple[dict[str, Any], Any]]:
    """Return rows with the implementation's answer to each; rows without an answer are left out."""
    names = dict.fromkeys(name for row in rows for name in row["features"])
    asked = load(implementation, list(names))
    again: list[tuple[dict[str, Any], Any]] = []
    failed: Counter[str] = Counter()
    with progress_bar() as progress:
        answers = ask(asked, [row["features"] for row in rows])
        for row, answer in zip(rows, progress.track(answers, len(rows), description="asking"), strict=True):
            if isinstance(answer, Unanswered):
                failed[f"{type(answer.error).__name__}: {answer.error}"] += 1
            else:
                again.append((row, answer))
    if failed:
        errors = "; ".join(f"{n} × {text}" for text, n in failed.most_common(_SHOWN))
        message = f"the implementation raised for {failed.total()} of {len(rows)} predictions: {errors}"
        if not again:
            raise ConfigError(message)
        click.secho(message, fg="yellow", err=True)
    return again


def _block(model: str, again: Sequence[tuple[dict[str, Any], Any]]) -> Any:
    """Return the rows as the processor would store them."""
    rows = [
        PredictionRow(
            model,
            row["version"],
            row["id"],
            row["time"],
            {**row["features"], FIELD_PREDICTION: row["prediction"], FIELD_SHADOW: answer},
        )
        for row, answer in again
    ]
    times = [row.time for row in rows]
    store = Store(None)
    try:
        store.commit(prediction_batches(rows), max(times))
        return store.rows.read(RowQuery(model, [(min(times), max(times) + 1)], with_ids=True))
    finally:
        store.close()


def _surely(outcome: CheckResult, confidence: float) -> bool:
    return outcome.status == "breach" and (outcome.p_value or 0.0) < 1 - confidence


def _verdict(outcome: CheckResult, confidence: float) -> str:
    if _surely(outcome, confidence):
        return "[red]another model[/red]"
    if outcome.status == "breach":
        return "[yellow]too few to be sure[/yellow]"
    return "[green]within --above[/green]" if outcome.value else "[green]the same[/green]"


def _show(
    console: Console, model: str, outcomes: dict[str, CheckResult], traces: dict[str, str], confidence: float
) -> None:
    table = Table("version", "made again", "different", "between", "verdict", title=escape(f"parity of {model}"))
    for version, outcome in outcomes.items():
        if outcome.value is None or outcome.low is None or outcome.high is None:
            table.add_row(escape(version) or "-", str(outcome.rows), "-", "-", outcome.reason)
            continue
        table.add_row(
            escape(version) or "-",
            str(outcome.rows),
            f"{outcome.value:.2%}",
            f"{outcome.low:.2%} to {outcome.high:.2%}",
            _verdict(outcome, confidence),
        )
    console.print(table)
    for version, outcome in outcomes.items():
        console.print(f"{version or model}: {outcome.message}", markup=False)
        evidence = outcome.evidence
        if not isinstance(evidence, ParityEvidence):
            continue
        if evidence.slices:
            where = Table("where", "predictions", "different", "of all", title="on which inputs")
            for part in evidence.slices:
                where.add_row(escape(part.where), str(part.rows), f"{part.value:.3g}", f"{part.expected:.3g}")
            console.print(where)
        if evidence.examples:
            shown = Table("time", "prediction id", "trace id", "prediction", "intended", title="furthest apart")
            for line in evidence.examples:
                at = datetime.fromtimestamp(line.time / 1e9, UTC).isoformat(sep=" ", timespec="seconds")
                id_, prediction, shadow = line.prediction_id, line.prediction, line.shadow
                shown.add_row(at, *map(escape, (id_, traces.get(id_, ""), prediction, shadow)))
            console.print(shown)
