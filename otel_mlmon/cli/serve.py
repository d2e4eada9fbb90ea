"""`mlmon serve`: the processor."""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from typing import Any

import click

from otel_mlmon.cli.options import FILE
from otel_mlmon.cli.terminal import stop_signal
from otel_mlmon.server.config import load_config
from otel_mlmon.server.service import Service


@click.command()
@click.option("--config", type=FILE, envvar="MLMON_CONFIG", help="Configuration file (YAML).")
@click.option("--rules", multiple=True, type=FILE, help="Rule file or directory; may be repeated.")
@click.option("--references", multiple=True, type=FILE, help="Reference file or directory.")
@click.option("--store", "store__path", type=FILE, help="DuckDB file  [default: mlmon.duckdb]")
@click.option("--grpc", "receive__grpc", help="OTLP/gRPC address  [default: 127.0.0.1:4317]")
@click.option("--http", "receive__http", help="OTLP/HTTP address  [default: 127.0.0.1:4318]")
@click.option("--web", "web__listen", help="Metrics, pages and API  [default: 127.0.0.1:9464]")
@click.option(
    "--alertmanager", "export__alertmanager", multiple=True, help="Base URL of an Alertmanager; may be repeated."
)
@click.option("--pane", "window__pane", help="Smallest unit of event time  [default: 1m]")
@click.option("--lateness", "window__lateness", help="How long a pane waits for late rows  [default: 1m]")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(config: Path | None, verbose: bool, **options: Any) -> None:
    """Receive OTLP, store, evaluate rules, export.

    Every configuration key can also be a variable, such as MLMON_STORE__MEMORY_LIMIT. Variables win over the file, and
    options win over both. SIGHUP and changed rule files reload the rules: all of them, or none
    if one has a mistake. SIGTERM and Ctrl-C commit all received rows and stop.
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    service = Service(load_config(config, _by_section(options)))
    stop = stop_signal()
    signal.signal(signal.SIGHUP, lambda *_: service.reload_soon())
    service.start()
    click.echo(f"OTLP/gRPC on {service.grpc_address}, OTLP/HTTP on http://{service.http_address}")
    click.echo(f"pages on {service.web_url}, metrics on {service.web_url}/metrics")
    stop.wait()
    click.echo("stopping: committing all received rows")
    service.stop()


def _by_section(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given, by their place in the configuration: `web__listen` is `listen` of `web`."""
    body: dict[str, Any] = {}
    for name, value in options.items():
        if value not in (None, ()):
            section, _, key = name.rpartition("__")
            (body.setdefault(section, {}) if section else body)[key] = value
    return body
