"""Checks that a rule can ask for, one module per kind."""
