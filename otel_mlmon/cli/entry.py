"""What the `mlmon` script calls: says what is missing where only the SDK is installed."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from otel_mlmon.cli.main import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("otel_mlmon"):
            raise
        sys.exit(f"mlmon: {error.name} is not installed: the commands need pip install 'otel-mlmon[processor]'")
    run()
