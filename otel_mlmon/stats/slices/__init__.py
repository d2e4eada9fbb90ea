"""Search for the slices of rows in which a model's loss is high."""
