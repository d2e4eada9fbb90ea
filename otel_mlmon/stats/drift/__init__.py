"""Drift: a window's distribution against the reference's."""
