"""First stage: receive OTLP over gRPC and HTTP, and tables of ground truth over HTTP, as bytes."""
