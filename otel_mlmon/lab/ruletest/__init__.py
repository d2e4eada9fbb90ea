"""Unit tests of rules: input, faults at a time, and which alerts must be in which state when."""

from otel_mlmon.lab.ruletest.load import TestFile, load_tests
from otel_mlmon.lab.ruletest.run import CaseResult, run_case

__all__ = ["CaseResult", "TestFile", "load_tests", "run_case"]
