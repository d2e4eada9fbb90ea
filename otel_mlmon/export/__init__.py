"""Last stage: metrics, alerts and pages for the outside, from what the processor knows now."""
