"""Rates of found silent failures and of false alarms: see README.md in this directory."""
