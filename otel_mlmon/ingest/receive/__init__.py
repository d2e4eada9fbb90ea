"""First stage: OTLP over gRPC and HTTP, tables of ground truth over HTTP. Knows nothing of what the bytes mean."""
