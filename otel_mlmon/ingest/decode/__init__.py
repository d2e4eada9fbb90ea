"""Second stage: decode OTLP requests and tables of ground truth into batches. Raises only RejectedInput."""

from otel_mlmon.ingest.decode.ground_truth_table import Table, decode_table, ground_truth_table
from otel_mlmon.ingest.decode.request import decode

__all__ = ["Table", "decode", "decode_table", "ground_truth_table"]
