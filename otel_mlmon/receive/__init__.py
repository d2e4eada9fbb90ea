"""First stage: OTLP over gRPC and HTTP. Knows nothing of what the bytes mean."""
