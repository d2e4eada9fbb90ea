"""Rejected records: the reasons, and their counts in a request. The other records of the request are kept."""

from __future__ import annotations

from collections import Counter
from typing import Final

NO_MODEL_NAME: Final = "no_model_name"
NO_PREDICTION_ID: Final = "no_prediction_id"
NO_KEY: Final = "no_key"
BAD_FEATURES: Final = "bad_features"
BAD_VALUE: Final = "bad_value"
BAD_TIME: Final = "bad_time"
BAD_BATCH: Final = "bad_batch"
UNKNOWN_ENCODING: Final = "unknown_encoding"

MOST_ROWS: Final = 1_000_000  # in one batch event; a few bytes can claim billions of nulls


class RejectedRecord(Exception):
    """A record cannot be used. `rows`: number of its predictions or ground truths."""

    def __init__(self, reason: str, message: str, rows: int = 1) -> None:
        super().__init__(message)
        self.reason = reason
        self.rows = min(max(rows, 1), MOST_ROWS)  # for an unreadable batch, this is the sender's own number


class Rejections:
    """Counts of rejected rows by reason, and the message of the first rejection."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.message = ""

    def add(self, error: RejectedRecord) -> None:
        """Count the rows of a rejected record."""
        self.counts[error.reason] += error.rows
        self.message = self.message or str(error)
