"""Run the processor's engine on rows in memory, for unit tests of rules, backtests and the detection benchmark."""
