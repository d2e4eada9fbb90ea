"""`mlmon rules`: write, check and try rule files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from otel_mlmon.cli.backtest import backtest
from otel_mlmon.cli.mistakes import or_exit
from otel_mlmon.cli.processor import call, processor_option
from otel_mlmon.errors import ConfigError
from otel_mlmon.reference.api import PATH
from otel_mlmon.reference.artefact import from_document, read_artefact
from otel_mlmon.rulefile import load, schema_text


@click.group()
def rules() -> None:
    """Rule files: what must hold. Write them, check them, try them."""


@rules.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(paths: tuple[Path, ...]) -> None:
    """Check rule files and directories: all mistakes at once, each with file:line:column.

    Exits with 1 when there are any.
    """
    files = or_exit(lambda: load(paths))
    for file in files:
        n = sum(len(group.rules) for group in file.groups)
        click.echo(
            f"{file.path}: {n} rule{'s' if n != 1 else ''} in {len(file.groups)} group{'s' * (len(file.groups) != 1)}"
        )


@rules.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--run", "pattern", default="", help="Only tests whose name has this regular expression in it.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write the results to this file, as JUnit's XML.")
def test(paths: tuple[Path, ...], pattern: str, junit: Path | None) -> None:
    """Run unit tests of rules: simulated time, faults by name, and which alerts must fire when.

    A directory stands for all *.test.yaml below it. Exits with 1 when a test fails.

    \b
    rule_files: [integrity.yaml]
    tests:
      - name: a dropped field
        input:
          every: 5s
          length: 6h
          features: {area: {normal: [100, 20]}, rooms: {integers: [1, 6]}}
        faults:
          - {fault: drop, field: rooms, start: 2h, end: 4h, fraction: 30%}
        expect:
          - {at: 2h, alerts: []}
          - {at: 2h30m, alerts: [{alert: FeatureMissing, feature: rooms}]}
    """
    from otel_mlmon.lab.ruletest import load_tests, run_case
    from otel_mlmon.lab.ruletest.junit import junit_xml

    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--run: {error}") from error
    files = or_exit(lambda: load_tests(paths))
    found = []
    for file in files:
        results = []
        for case, line in zip(file.cases, file.lines, strict=True):
            if not wanted.search(case.name):
                continue
            results.append(result := run_case(case, file.groups, file.path.parent))
            ok = click.style("FAIL", fg="red") if result.problems else click.style("ok  ", fg="green")
            click.echo(f"{ok} {file.path}:{line}: {case.name} ({result.seconds:.1f} s)")
            for problem in result.problems:
                click.echo(f"       {problem}")
        found.append((file, results))
    if junit is not None:
        junit.write_bytes(junit_xml(found))
    every = [result for _, results in found for result in results]
    failed = sum(bool(result.problems) for result in every)
    if not every:
        raise ConfigError(f"--run: no test has {pattern!r} in its name")
    click.secho(f"{len(every) - failed} of {len(every)} tests passed", fg="red" if failed else "green", err=True)
    sys.exit(1 if failed else 0)


@rules.command()
@click.option(
    "--reference",
    "source",
    default="training",
    show_default=True,
    help="A reference of the processor, or an artefact file.",
)
@click.option("--model", default="", help="The model, for a reference of the processor.")
@click.option("--version", default="", help="The model's version  [default: the reference for every version]")
@click.option("--window", default="1h", show_default=True, help="How much is judged at once.")
@click.option("--interval", default="", help="How often  [default: a twelfth of the window]")
@click.option("--false-alarms", default="1 per quarter", show_default=True, help="How often it may cry wolf.")
@click.option("--output", type=click.Path(path_type=Path), help="Write to this file  [default: print]")
@processor_option
def infer(
    source: str,
    model: str,
    version: str,
    window: str,
    interval: str,
    false_alarms: str,
    output: Path | None,
    processor: str,
) -> None:
    """Write a first rule file from a reference: few rules, with the figures that they came from as comments.

    \b
    mlmon rules infer --reference training --model prices --output rules/prices.yaml
    mlmon rules infer --reference prices.training.yaml --false-alarms "1 per month"
    """
    from otel_mlmon.lab.infer import infer as infer_rules
    from otel_mlmon.rulefile import parse_text
    from otel_mlmon.rulefile.quantities import parse_budget, parse_duration

    path = Path(source)
    if path.suffix in (".yaml", ".yml") or path.exists():
        reference = read_artefact(path)
    elif not model:
        raise ConfigError("--model is missing: whose reference? (or name the file of an artefact)")
    else:
        document = call("GET", processor, PATH, params={"model": model, "name": source, "version": version})
        reference = from_document(document, f"reference {source!r} of model {model!r}")
    try:
        parse_budget(false_alarms)
        step = parse_duration(interval) if interval else None
        text = infer_rules(reference, window=parse_duration(window), interval=step, false_alarms=false_alarms)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    written = or_exit(lambda: parse_text(text, output or Path("inferred.yaml")))
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, "utf-8")
    n = sum(len(group.rules) for group in written.groups)
    click.echo(f"{output}: {n} rules in {len(written.groups)} groups")


@rules.command()
def schema() -> None:
    """Print the JSON Schema of rule files, for editors."""
    click.echo(schema_text(), nl=False)


rules.add_command(backtest)
