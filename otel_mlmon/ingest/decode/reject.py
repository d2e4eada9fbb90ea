"""Why one record cannot be used, while the rest of its request goes on."""

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

MOST_ROWS: Final = 1_000_000  # of one batch event; a few bytes can claim billions of nulls


class RejectedRecord(Exception):
    """One record is unusable. `rows` is how many predictions or ground truths went with it."""

    def __init__(self, reason: str, message: str, rows: int = 1) -> None:
        super().__init__(message)
        self.reason = reason
        self.rows = min(max(rows, 1), MOST_ROWS)  # the sender's own figure, where the batch cannot be read


class Rejections:
    """Counts of rejected rows by reason, and the message of the first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.message = ""

    def add(self, error: RejectedRecord) -> None:
        """Count one."""
        self.counts[error.reason] += error.rows
        self.message = self.message or str(error)
