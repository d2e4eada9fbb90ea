"""Estimated performance: what the reference knew of a model's errors, applied to predictions whose truth is not known."""
