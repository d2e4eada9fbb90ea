"""Statistics: arrays or counts in, numbers out. No thresholds, no input or output, no clock."""
