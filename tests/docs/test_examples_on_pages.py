"""Code on the pages is valid: commands parse, rules and configurations load, and the README's Python runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from otel_mlmon.cli.main import cli
from otel_mlmon.rulefile import parse_text
from otel_mlmon.server.config import parse_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("docs/[hr]*/*.md"))]


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def _commands(page: Path) -> list[str]:
    lines = [line for block in _blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("mlmon ")]


@pytest.mark.parametrize(("page", "command"), [(page.name, line) for page in PAGES for line in _commands(page)])
def test_command_parses(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    context, found = click.Context(cli, info_name="mlmon"), cli
    while isinstance(found, click.Group):
        child = found.get_command(context, words[0])
        assert child is not None, f"{page}: {command}"
        context, found, words = click.Context(child, context, words[0]), child, words[1:]
    found.make_context(found.name, words, parent=context.parent)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_rules_and_configurations_load(page: Path) -> None:
    for block in _blocks(page, "yaml"):
        body = yaml.safe_load(block)
        if "groups" in body:
            parse_text(block, page)
        elif "tests" not in body:
            parse_config(body, page.name)


def test_python_of_the_readme_runs() -> None:
    (code,) = _blocks(ROOT / "README.md", "python")
    made_up = (
        "class model: predict = staticmethod(lambda features: 231_500.0)\nfeatures, sold_for = {'rooms': 4}, 240_000\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{made_up}{code}\nassert call.id and call.value == 231_500.0"],
        env={
            "PYTHONPATH": str(ROOT),
            "OTEL_LOGS_EXPORTER": "console",
            "OTEL_TRACES_EXPORTER": "none",
            "OTEL_METRICS_EXPORTER": "none",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "mlmon.prediction.batch" in done.stdout
    assert "mlmon.ground_truth.batch" in done.stdout
