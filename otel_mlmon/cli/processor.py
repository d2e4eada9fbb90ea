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


def call(method: str, processor: str, path: str, **arguments: Any) -> Any:
    """Call the API and return its JSON answer. Raises MlmonError with the processor's message."""
    url = f"{processor.rstrip('/')}{path}"
    try:
        answer = requests.request(method, url, timeout=60, **arguments)
    except requests.RequestException as error:
        raise MlmonError(
            f"no processor answers at {processor}: start one with `mlmon serve`, or name it with --processor"
        ) from error
    try:
        body = answer.json()
    except ValueError as error:
        raise MlmonError(f"{url} answered {answer.status_code}, and not with JSON") from error
    if answer.status_code >= 400:
        raise MlmonError(str(body.get("error", body) if isinstance(body, dict) else body))
    return body
