"""Append predictions in the caller's transaction. A prediction id is stored once per model version."""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa

from otel_mlmon.store import states
from otel_mlmon.store.catalog import Catalog, StoredField
from otel_mlmon.store.database import quoted, registered
from otel_mlmon.store.truth import constant
from otel_mlmon.values import PredictionBatch, State
from otel_mlmon.values.storage import Appended


def append_predictions(
    cursor: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    batch: PredictionBatch,
    *,
    seq: int,
    received: int,
    expected_types: dict[str, str],
    dedup_margin_ns: int,
    pending: Catalog.Change | None = None,
) -> tuple[Appended, Catalog.Change]:
    """Append the rows whose id is not stored for this model version; two versions may answer the same request.

    Duplicates are looked for among rows whose time is within `dedup_margin_ns` of the batch's. A record that is sent
    again carries its own time, so the search need not read the whole history. `pending` is the change to the model's
    catalogue entry by an earlier batch of the same transaction.
    """
    fields, change = catalog.ensure(
        cursor,
        batch.model,
        {name: expected_types.get(name) or states.stored_type(column) for name, column in batch.fields.items()},
        pending,
    )
    table = _table(batch, fields, seq, received)
    times = np.asarray(batch.times.to_numpy(zero_copy_only=False), dtype=np.int64)
    stored = 0
    if len(batch):
        target = f"predictions.{quoted(str(change.table))}"
        columns = ", ".join(quoted(name) for name in table.column_names)
        with registered(cursor, table):
            (stored,) = cursor.execute(
                f"INSERT INTO {target} ({columns}) SELECT {columns} FROM "
                "(SELECT * FROM fresh QUALIFY row_number() OVER (PARTITION BY _id ORDER BY _time) = 1) fresh "
                f"ANTI JOIN (SELECT _id, _version FROM {target} WHERE _time BETWEEN ? AND ?) known "
                "ON fresh._id = known._id AND fresh._version = known._version",
                [int(times.min()) - dedup_margin_ns, int(times.max()) + dedup_margin_ns],
            ).fetchall()[0]
    if batch.dropped and (stored or not len(batch)):  # a batch that is sent again was counted before
        at = int(times.max()) if len(times) else received
        cursor.execute(
            "INSERT INTO mlmon_state.dropped VALUES (?, ?, ?, ?)", [batch.model, batch.version, at, batch.dropped]
        )
    return Appended(batch.model, stored, len(batch) - stored), change


def _table(batch: PredictionBatch, fields: dict[str, StoredField], seq: int, received: int) -> pa.Table:
    n = len(batch)
    lost = np.asarray(batch.lost.to_numpy(zero_copy_only=False)) > 0
    letters = np.full((n, len(fields)), State.ABSENT, dtype=np.uint8)
    letters[lost] = State.LOST
    others: list[dict[str, str] | None] = [None] * n
    columns: dict[str, pa.Array] = {}
    for name, column in batch.fields.items():
        stored = fields[name]
        cells = states.cells(column, stored.type, lost)
        if stored.type:
            columns[stored.column] = cells.values
        letters[:, stored.position] = cells.states
        for row, text in zip(cells.other_rows, cells.other_texts, strict=True):
            others[row] = {**(others[row] or {}), name: text}
    segments: list[dict[str, str] | None] = [None] * n
    for key, values in batch.segments.items():
        for row, value in enumerate(values.to_pylist()):
            if value is not None:
                segments[row] = {**(segments[row] or {}), key: value}
    text_map = pa.map_(pa.string(), pa.string())
    return pa.table(
        {
            "_id": batch.ids,
            "_time": batch.times,
            "_received": constant(received, n),
            "_seq": constant(seq, n),
            "_version": pa.array([batch.version] * n, pa.string()),
            "_states": states.strings(letters),
            "_other": pa.array([None if o is None else list(o.items()) for o in others], text_map),
            "_lost": batch.lost,
            "_duration": batch.durations,
            "_trace_id": batch.trace_ids,
            "_span_id": batch.span_ids,
            "_error_type": batch.error_types,
            "_segments": pa.array([None if s is None else list(s.items()) for s in segments], text_map),
            **columns,
        }
    )
