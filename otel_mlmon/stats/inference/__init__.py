"""Statistical inference: distributions, estimates with intervals, tests, design effects."""
