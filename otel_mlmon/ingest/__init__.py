"""From OTLP bytes to committed rows: receive, decode, pipeline."""
