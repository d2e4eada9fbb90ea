"""Write docs/reference/{configuration,cli,sdk,http-api}.md from the code: `make reference`.

Docstrings describe arguments as "`name`: meaning" or "`name`, `other`: meaning"; the rest of a docstring is prose.
"""

from __future__ import annotations

import inspect
import re
import textwrap
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
ARGUMENTS = re.compile(r"(?:^|(?<=[.:;] )|(?<=\n))((?:`\w+`(?:, )?)+): ")
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
    """Return the page of all configuration keys."""
    intro = (
        "`mlmon serve --config FILE` reads a YAML file with these keys. Every key has a default, apart from those marked"
        " *required*. An unknown key is a mistake. Relative paths begin at the configuration file."
    )
    lines = ["# Configuration", NOTE.format("otel_mlmon/server/config.py"), intro]
    return _page([*lines, *_section(Config, "")])


def _section(model: type[BaseModel], key: str) -> Iterator[str]:
    hints = get_type_hints(model, include_extras=True)
    if key:
        yield f"## {key}"
        yield _prose(model.__doc__)
    rows, nested = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"], []
    for name, field in model.model_fields.items():
        part, many = _nested(hints[name])
        path = f"{key}.{name}" if key else name
        if part:
            nested.append((part, path))
            value = f"{'list of ' if many else ''}[{path}](#{path.replace('.', '')})"
        else:
            value = _value(hints[name])
        rows.append(f"| `{field.alias or name}` | {value} | {_default(field)} | {_meaning(field, part)} |")
    yield "\n".join(rows)
    for part, path in nested:
        yield from _section(part, path)


def _nested(hint: Any) -> tuple[type[BaseModel] | None, bool]:
    """Return the section that a key holds, and whether it is a list of them."""
    for part in (hint, *get_args(hint)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part, get_origin(hint) is tuple
    return None, False


def _value(hint: Any) -> str:
    if hint in TYPES:
        return TYPES[hint]
    plain = get_args(hint)[0]
    return TYPES.get(plain, "list, or mapping of texts")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    default = field.default
    if isinstance(default, BaseModel):
        return "–"
    if default in ("", (), {}) or default == Path():
        return "–"
    return f"`{'null' if default is None else str(default).lower() if isinstance(default, bool) else default}`"


def _meaning(field: FieldInfo, part: type[BaseModel] | None) -> str:
    text = field.description or (_prose(part.__doc__) if part else "")
    if not text:
        raise SystemExit(f"configuration: {field!r} has no description")
    return text


def command_line() -> str:
    """Return the page of all commands and their options."""
    lines = ["# Command line", NOTE.format("otel_mlmon/cli"), *_command(cli, None, "mlmon")]
    return _page(lines)


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
    shown = [(option, *record) for option, record in records if record and "help" not in option.opts[0]]
    for option, names, _ in shown:
        if not option.help:
            raise SystemExit(f"{context.command_path} {names}: has no help")
    if shown:
        rows = [f"| `{names.replace('|', ', ')}` | {' '.join(meaning.split())} |" for _, names, meaning in shown]
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            found = command.get_command(context, each)
            assert found is not None
            yield from _command(found, context, each)


def sdk() -> str:
    """Return the page of the public functions of `otel_mlmon`."""
    intro = "`pip install otel-mlmon`. The package has two public names, `configure` and `Monitor`."
    lines = ["# SDK", NOTE.format("otel_mlmon/sdk"), intro, *_function("otel_mlmon.configure", otel_mlmon.configure)]
    lines += _class("otel_mlmon.Monitor", otel_mlmon.Monitor)
    lines += _class("Call", Call)
    return _page(lines)


def _class(name: str, made: type) -> Iterator[str]:
    yield from _function(name, made)
    for method, function in vars(made).items():
        if inspect.isfunction(function) and (not method.startswith("_") or method == "__call__"):
            shown = "monitor" if method == "__call__" else f"{made.__name__.lower()}.{method}"
            yield from _function(shown, function, "###")


def _function(name: str, function: Callable[..., Any], heading: str = "##") -> Iterator[str]:
    prose, meanings = _arguments(function.__doc__)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    yield f"{heading} `{name}`"
    yield prose
    if parameters and name != "Call":
        rows = []
        for parameter in parameters:
            if parameter.name not in meanings:
                raise SystemExit(f"{name}: the docstring does not describe `{parameter.name}`")
            shown = str(parameter).replace(" = <built-in function time_ns>", " = time.time_ns").replace("'", "")
            rows.append(f"- `{shown}`: {meanings[parameter.name]}")
        yield "\n".join(rows)


def http_api() -> str:
    """Return the page of all HTTP routes."""
    never: Any = SimpleNamespace  # only the routes are of interest: nothing calls what they lead to
    further = [*reference_routes(never), *prediction_routes(never)]
    lines = ["# HTTP API", NOTE.format("the docstrings of the routes' handlers")]
    lines += ['Errors are JSON: `{"error": "what was found, and what is allowed"}`. Nothing asks for authentication.']
    lines += ["## Receiver", "On `receive.http` (`127.0.0.1:4318`); OTLP/gRPC is on `receive.grpc` (`127.0.0.1:4317`)."]
    lines += _routes(otlp_app(never, ground_truth=never).routes)
    lines += ["## Metrics, pages and API", "On `web.listen` (`127.0.0.1:9464`)."]
    lines += _routes(web_app(never, never, routes=further).routes)
    return _page(lines)


def _routes(routes: list[Any]) -> Iterator[str]:
    for docstring, alike in groupby(routes, lambda route: route.endpoint.__doc__):
        names = [f"{', '.join(route.methods - {'HEAD'})} `{route.path}`" for route in alike]
        prose, meanings = _arguments(docstring)
        if not prose:
            raise SystemExit(f"{names}: the handler has no docstring")
        yield f"### {', '.join(names)}"
        yield prose
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


def _prose(docstring: str | None) -> str:
    return " ".join(inspect.cleandoc(docstring or "").split())


def _page(parts: list[str]) -> str:
    """Join paragraphs; wrap those of prose."""
    wrap = textwrap.TextWrapper(120, break_long_words=False, break_on_hyphens=False)
    texts = [text for part in parts for text in ([part] if part.startswith("```") else part.split("\n\n"))]
    return "\n\n".join(text if text[0] in "|#<-" or text[:3] == "```" else wrap.fill(text) for text in texts) + "\n"


PAGES = {"configuration.md": configuration, "cli.md": command_line, "http-api.md": http_api}

if __name__ == "__main__":
    for page, made in PAGES.items():
        (FOLDER / page).write_text(made())
