"""The tools that people use today, on the same windows."""
