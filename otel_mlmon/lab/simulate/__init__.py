"""The real rules engine on rows in memory: for unit tests of rules, for backtests, and for the detection benchmark."""
