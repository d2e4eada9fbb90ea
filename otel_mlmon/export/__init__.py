"""Export metrics, notifications and pages. The last stage of the processor."""
