"""Commands are imported when they are used, and only then."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from otel_mlmon.cli.lazy import Lazy, LazyGroup
from otel_mlmon.cli.main import cli

_LOADED = """
import sys
sys.argv = ["mlmon", {argument!r}]
from otel_mlmon.cli.entry import main
try:
    main()
except SystemExit as end:
    assert not end.code, end
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_load_no_heavy_library(argument: str) -> None:
    code = _LOADED.format(argument=argument)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "otel_mlmon" in loaded
    assert not loaded & {"duckdb", "pyarrow", "numpy", "scipy", "sklearn", "grpc", "pydantic", "rich", "requests"}


def test_every_lazy_command_exists_and_has_help() -> None:
    groups = [cli, cli.get_command(click.Context(cli), "rules")]
    for group in groups:
        assert isinstance(group, LazyGroup)
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            assert command.help


def test_help_lists_eager_and_lazy_commands_in_order() -> None:
    group = LazyGroup("g", lazy={"b": Lazy("nowhere:b", "Lazy b.")})
    group.add_command(click.Command("c", help="Eager c."))
    group.add_command(click.Command("a", help="Eager a."))
    formatter = click.HelpFormatter()
    group.format_commands(click.Context(group), formatter)
    assert formatter.getvalue().splitlines() == ["Commands:", "  a  Eager a.", "  b  Lazy b.", "  c  Eager c."]
