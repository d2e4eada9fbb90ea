"""The `mlmon` script. Where only the SDK is installed, it says which extra is missing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from otel_mlmon.cli.main import main as run

        run()
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("otel_mlmon"):
            raise
        sys.exit(f"mlmon: {error.name} is not installed: the commands need pip install 'otel-mlmon[processor]'")
