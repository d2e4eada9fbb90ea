"""Explain alerts from stored rows and documents. Nothing here runs on the path of a prediction."""

from otel_mlmon.diagnosis.explain import Limits, explain
from otel_mlmon.diagnosis.subject import Subject
from otel_mlmon.values.explanation import Explanation

__all__ = ["Explanation", "Limits", "Subject", "explain"]
