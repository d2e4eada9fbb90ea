"""Second stage: OTLP requests to batches of predictions and ground truths. Pure; raises nothing but RejectedInput."""

from otel_mlmon.decode.request import decode

__all__ = ["decode"]
