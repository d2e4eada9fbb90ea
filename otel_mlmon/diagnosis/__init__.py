"""Beside the path: why an alert fires. Reads what the store kept, asks what a person would ask, and answers with figures."""

from otel_mlmon.diagnosis.explain import Limits, explain
from otel_mlmon.diagnosis.explanation import Explanation
from otel_mlmon.diagnosis.subject import Subject

__all__ = ["Explanation", "Limits", "Subject", "explain"]
