"""Metrics of rules and alerts: Prometheus exposition and OTLP."""
