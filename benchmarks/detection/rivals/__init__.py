"""Other tools on the same windows."""
