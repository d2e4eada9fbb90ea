"""HTTP calls to a running processor."""

from __future__ import annotations

from typing import Any

import click
import requests

from otel_mlmon.errors import MlmonError

processor_option = click.option(
    "--processor",
    default="http://127.0.0.1:9464",
    envvar="MLMON_PROCESSOR",
    show_default=True,
    help="Address of the pages of `mlmon serve` (also: MLMON_PROCESSOR).",
)

endpoint_option = click.option(
    "--endpoint",
    default="http://127.0.0.1:4318",
    envvar="OTEL_EXPORTER_OTLP_ENDPOINT",
    show_default=True,
    help="OTLP/HTTP endpoint of the processor.",
)


def call(method: str, processor: str, path: str, **arguments: Any) -> Any:
    """Call the API and return its JSON answer. Raises MlmonError with the processor's message."""
    answer = request(method, processor, path, **arguments)
    try:
        return answer.json()
    except ValueError as error:
        raise MlmonError(f"{answer.url} answered {answer.status_code}, and not with JSON") from error


def request(method: str, processor: str, path: str, *, timeout: float = 60, **arguments: Any) -> requests.Response:
    """Call the API. Raises MlmonError with the processor's message, and when none answers."""
    url = f"{processor.rstrip('/')}{path}"
    try:
        answer = requests.request(method, url, timeout=timeout, **arguments)
    except requests.RequestException as error:
        raise MlmonError(
            f"no processor answers at {processor}: start one with `mlmon serve`, or name it with --processor"
        ) from error
    if answer.ok:
        return answer
    raise MlmonError(error_of(answer) or f"{url} answered {answer.status_code}")


def error_of(answer: requests.Response) -> str:
    """Return the error that an answer names, else nothing."""
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return ""
