"""Write docs/reference/{configuration,cli,sdk,http-api}.md from the code: `make reference`.

Docstrings describe arguments as "`name`: meaning" or "`name`, `other`: meaning"; the rest of a docstring is prose.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

import otel_mlmon
from otel_mlmon.cli.main import cli
from otel_mlmon.export.pages.app import web_app
from otel_mlmon.ingest.receive.http import otlp_app
from otel_mlmon.reference.api import reference_routes
from otel_mlmon.sdk.call import Call
from otel_mlmon.server.config import Address, Config, Duration
from otel_mlmon.server.prediction_routes import prediction_routes

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- `make reference` writes this page from {}; change the text there. -->"
ARGUMENTS = re.compile(r"^((?:`\w+`(?:, )?)+): ", re.MULTILINE)
TYPES: dict[Any, str] = {
    Duration: "duration",
    Address: "host:port",
    str: "text",
    int: "whole number",
    bool: "`true` or `false`",
    Path: "path",
    Path | None: "path or `null`",
    tuple[str, ...]: "list of texts",
    tuple[Path, ...]: "list of paths",
}


def configuration() -> str:
    intro = (
        "`mlmon serve --config FILE` reads a YAML file with these keys. Every key has a default, apart from those"
        " marked *required*. An unknown key is a mistake. Relative paths begin at the configuration file.\n\n"
        "Every key can also be given as an environment variable, named like its path: `MLMON_STORE__MEMORY_LIMIT=2GB`"
        " is `store.memory_limit`. The value is written as in the file: `MLMON_RULES='[rules, more]'`. Relative paths"
        " in variables begin at the working directory. Variables win over the file; options of `mlmon serve` win"
        " over both."
    )
    return _page(["# Configuration", NOTE.format("otel_mlmon/server/config.py"), intro, *_section(Config, "")])


def _section(model: type[BaseModel], key: str) -> Iterator[str]:
    if key:
        yield f"## {key}"
        yield " ".join((model.__doc__ or "").split())
    rows, nested = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"], []
    hints = get_type_hints(model, include_extras=True)
    for name, field in model.model_fields.items():
        path = f"{key}.{name}" if key else name
        parts = [part for part in (hints[name], *get_args(hints[name])) if inspect.isclass(part)]
        sections = [part for part in parts if issubclass(part, BaseModel)]
        value = TYPES.get(hints[name]) or (
            TYPES[parts[0]] if parts and parts[0] in TYPES else "list, or mapping of texts"
        )
        if sections:
            nested.append((sections[0], path))
            many = "list of " if get_origin(hints[name]) is tuple else ""
            value = f"{many}[{path}](#{path.replace('.', '')})"
        meaning = _required(field.description or (sections and sections[0].__doc__), path)
        rows.append(f"| `{field.alias or name}` | {value} | {_default(field)} | {meaning} |")
    yield "\n".join(rows)
    for section, path in nested:
        yield from _section(section, path)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    if isinstance(field.default, BaseModel) or field.default in ("", (), {}, Path()):
        return "–"
    plain = {"None": "null", "True": "true", "False": "false"}
    return f"`{plain.get(str(field.default), field.default)}`"


def command_line() -> str:
    return _page(["# Command line", NOTE.format("otel_mlmon/cli"), *_command(cli, None, "mlmon")])


def _command(command: click.Command, parent: click.Context | None, name: str) -> Iterator[str]:
    context = click.Context(command, parent, info_name=name)
    if parent:
        yield f"## {context.command_path}"
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield (
            f"```text\n{paragraph[1:].strip(chr(10))}\n```"
            if paragraph.startswith("\b")
            else " ".join(paragraph.split())
        )
    records = [(p, p.get_help_record(context)) for p in command.get_params(context) if isinstance(p, click.Option)]
    shown = [(option, *record) for option, record in records if record and "--help" not in option.opts]
    for option, names, _ in shown:
        _required(option.help, f"{context.command_path} {names}")
    if shown:
        rows = [f"| `{names.replace('|', ', ')}` | {' '.join(meaning.split())} |" for _, names, meaning in shown]
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            if found := command.get_command(context, each):
                yield from _command(found, context, each)


def sdk() -> str:
    lines = ["# SDK", NOTE.format("otel_mlmon/sdk"), "The package has two public names, `configure` and `Monitor`."]
    lines += _function("otel_mlmon.configure", otel_mlmon.configure)
    lines += [*_class("otel_mlmon.Monitor", otel_mlmon.Monitor), *_class("Call", Call)]
    return _page(lines)


def _class(name: str, made: type) -> Iterator[str]:
    yield from _function(name, made)
    for method, function in vars(made).items():
        if inspect.isfunction(function) and not method.startswith("_"):
            decorator = "`@monitor`, " if function.__name__ == "__call__" else ""
            yield from _function(f"{made.__name__.lower()}.{method}", function, f"### {decorator}")


def _function(name: str, function: Callable[..., Any], heading: str = "## ") -> Iterator[str]:
    prose, meanings = _arguments(function.__doc__)
    yield f"{heading}`{name}`"
    yield _required(prose, name)
    rows = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == "self" or function is Call:
            continue
        default = "time.time_ns" if parameter.default is time.time_ns else repr(parameter.default)
        shown = f"{parameter.name}: {parameter.annotation}"
        shown += "" if parameter.default is parameter.empty else f" = {default}"
        rows.append(f"- `{shown}`: {_required(meanings.get(parameter.name), f'{name}, {parameter.name}')}")
    if rows:
        yield "\n".join(rows)


def http_api() -> str:
    never: Any = SimpleNamespace  # only the routes are read: no handler is called
    further = [*reference_routes(never), *prediction_routes(never)]
    lines = ["# HTTP API", NOTE.format("the docstrings of the routes' handlers")]
    lines += ['Errors are JSON: `{"error": "the mistake, and the allowed values"}`. Nothing asks for authentication.']
    lines += ["## Receiver", "On `receive.http` (`127.0.0.1:4318`); OTLP/gRPC is on `receive.grpc` (`127.0.0.1:4317`)."]
    lines += _routes(otlp_app(never, ground_truth=never).routes)
    lines += ["## Metrics, pages and API", "On `web.listen` (`127.0.0.1:9464`)."]
    lines += _routes(web_app(never, never, routes=further).routes)
    return _page(lines)


def _routes(routes: list[Any]) -> Iterator[str]:
    for docstring, alike in groupby(routes, lambda route: route.endpoint.__doc__):
        names = [f"{', '.join(route.methods - {'HEAD'})} `{route.path}`" for route in alike]
        prose, meanings = _arguments(docstring)
        yield f"### {', '.join(names)}"
        yield _required(prose, f"{names}")
        if meanings:
            yield "\n".join(f"- `{name}`: {meaning}" for name, meaning in meanings.items())


def _arguments(docstring: str | None) -> tuple[str, dict[str, str]]:
    """Return a docstring's prose, and the meaning of each argument that it describes."""
    prose, meanings = [], {}
    for paragraph in inspect.cleandoc(docstring or "").split("\n\n"):
        before, *parts = ARGUMENTS.split(paragraph)
        prose.append(" ".join(before.split()))
        for names, meaning in zip(parts[::2], parts[1::2], strict=True):
            meanings.update(dict.fromkeys(re.findall(r"`(\w+)`", names), " ".join(meaning.split())))
    return "\n\n".join(part for part in prose if part), meanings


def _required(text: Any, where: str) -> str:
    if not text:
        raise SystemExit(f"{where}: has no description")
    return str(text)


def _page(parts: list[str]) -> str:
    wrap = textwrap.TextWrapper(120, break_long_words=False, break_on_hyphens=False)
    texts = [text for part in parts for text in ([part] if part.startswith("```") else part.split("\n\n"))]
    return "\n\n".join(text if text[0] in "|#<-" or text[:3] == "```" else wrap.fill(text) for text in texts) + "\n"


PAGES = {"configuration.md": configuration, "cli.md": command_line, "sdk.md": sdk, "http-api.md": http_api}

if __name__ == "__main__":
    for page, made in PAGES.items():
        (FOLDER / page).write_text(made())
