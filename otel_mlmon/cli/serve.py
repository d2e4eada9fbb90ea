"""`mlmon serve`: the processor."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path
from typing import Any

import click

from otel_mlmon.server.config import load_config
from otel_mlmon.server.service import Service


@click.command()
@click.option(
    "--config", "path", type=click.Path(path_type=Path), envvar="MLMON_CONFIG", help="Configuration file (YAML)."
)
@click.option(
    "--rules", multiple=True, type=click.Path(path_type=Path), help="Rule file or directory; may be repeated."
)
@click.option("--references", multiple=True, type=click.Path(path_type=Path), help="Reference file or directory.")
@click.option("--store", type=click.Path(path_type=Path), help="DuckDB file  [default: mlmon.duckdb]")
@click.option("--grpc", help="OTLP/gRPC address  [default: 127.0.0.1:4317]")
@click.option("--http", help="OTLP/HTTP address  [default: 127.0.0.1:4318]")
@click.option("--web", help="Metrics, pages and API  [default: 127.0.0.1:9464]")
@click.option("--alertmanager", multiple=True, help="Base URL of an Alertmanager; may be repeated.")
@click.option("--pane", help="Smallest unit of event time  [default: 1m]")
@click.option("--lateness", help="How long a pane waits for late rows  [default: 1m]")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
def serve(
    path: Path | None,
    rules: tuple[Path, ...],
    references: tuple[Path, ...],
    store: Path | None,
    grpc: str | None,
    http: str | None,
    web: str | None,
    alertmanager: tuple[str, ...],
    pane: str | None,
    lateness: str | None,
    verbose: bool,
) -> None:
    """Receive OTLP, store, evaluate rules, export.

    Every configuration key can also be a variable, such as MLMON_STORE__MEMORY_LIMIT. Variables win over the file, and
    options win over both. SIGHUP and changed rule files reload the rules: all of them, or none
    if one has a mistake. SIGTERM and Ctrl-C commit all received rows and stop.
    """
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    options = {
        "store": {"path": store},
        "receive": {"grpc": grpc, "http": http},
        "web": {"listen": web},
        "export": {"alertmanager": list(alertmanager)},
        "window": {"pane": pane, "lateness": lateness},
        "rules": list(rules),
        "references": list(references),
    }
    config = load_config(path, _present(options))
    service = Service(config)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    signal.signal(signal.SIGHUP, lambda *_: service.reload_soon())
    service.start()
    click.echo(f"OTLP/gRPC on {service.grpc_address}, OTLP/HTTP on http://{service.http_address}")
    click.echo(f"pages on {service.web_url}, metrics on {service.web_url}/metrics", err=False)
    stop.wait()
    click.echo("stopping: committing all received rows")
    service.stop()


def _present(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    present = {key: _present(value) if isinstance(value, dict) else value for key, value in options.items()}
    return {key: value for key, value in present.items() if value not in (None, {}, [])}
