"""First stage, in the application: predictions to OTLP, without getting in the way."""
