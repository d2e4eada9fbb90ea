"""Beside the path: why an alert fires. Reads what the store kept, asks what a person would ask, and answers with figures."""

from otel_mlmon.diagnosis.explain import Limits, explain
from otel_mlmon.diagnosis.subject import Subject
from otel_mlmon.values.explanation import Explanation

__all__ = ["Explanation", "Limits", "Subject", "explain"]
