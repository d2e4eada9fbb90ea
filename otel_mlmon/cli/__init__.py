"""The `mlmon` command."""
