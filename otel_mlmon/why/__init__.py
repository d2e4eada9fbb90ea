"""Beside the path: why an alert fires. Reads what the store kept, asks what a person would ask, and answers with figures."""

from otel_mlmon.why.explain import Limits, Past, Subject, explain
from otel_mlmon.why.explanation import Explanation

__all__ = ["Explanation", "Limits", "Past", "Subject", "explain"]
