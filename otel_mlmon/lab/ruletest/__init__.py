"""Unit tests of rules: an input, faults, and the expected states of alerts at given times."""

from otel_mlmon.lab.ruletest.load import TestFile, load_tests
from otel_mlmon.lab.ruletest.run import CaseResult, run_case

__all__ = ["CaseResult", "TestFile", "load_tests", "run_case"]
