"""`mlmon rules test`: unit tests of rules."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from otel_mlmon.cli.options import FILE, OUTPUT
from otel_mlmon.cli.rules import or_exit
from otel_mlmon.errors import ConfigError
from otel_mlmon.lab.ruletest import load_tests, run_case
from otel_mlmon.lab.ruletest.junit import junit_xml


@click.command()
@click.argument("paths", nargs=-1, required=True, type=FILE)
@click.option("--run", "pattern", default="", help="Run only tests with a name that matches this regular expression.")
@click.option("--junit", type=OUTPUT, help="Write the results to this file, as JUnit's XML.")
def test(paths: tuple[Path, ...], pattern: str, junit: Path | None) -> None:
    """Run unit tests of rules: simulated time, faults by name, expected alerts by time.

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
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--run: {error}") from error
    files = or_exit(lambda: load_tests(paths))
    tested = []
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
        tested.append((file, results))
    if junit is not None:
        junit.write_bytes(junit_xml(tested))
    every = [result for _, results in tested for result in results]
    failed = sum(bool(result.problems) for result in every)
    if not every:
        raise ConfigError(f"--run: no test has {pattern!r} in its name")
    click.secho(f"{len(every) - failed} of {len(every)} tests passed", fg="red" if failed else "green", err=True)
    sys.exit(1 if failed else 0)
