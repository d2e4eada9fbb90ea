"""Alerts sent to Alertmanager and webhooks."""
