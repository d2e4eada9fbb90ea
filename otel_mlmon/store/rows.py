"""Stored predictions with their ground truth, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.store import states
from otel_mlmon.store.catalog import ModelTable, StoredField
from otel_mlmon.store.database import quoted
from otel_mlmon.store.profiles import EVER
from otel_mlmon.values import FieldCells, RowBlock, Texts
from otel_mlmon.values.cells import named
from otel_mlmon.values.query import RowQuery
from otel_mlmon.wire.columns import number_text
from otel_mlmon.wire.semconv import FIELD_PREDICTION

# The newest ground truth, known before a time, for each id that `ids` selects.
NEWEST_TRUTH = (
    "SELECT prediction_id, time, number, text FROM mlmon_state.ground_truth WHERE model = ? AND time < ? "
    "AND prediction_id IN ({ids}) QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY seq DESC, rowid "
    "DESC) = 1"
)
_NOTHING_KNOWN = "false AS _known, 0::BIGINT AS _known_at, NULL::DOUBLE AS _number, NULL::VARCHAR AS _text"
_KNOWN = "t.prediction_id IS NOT NULL AS _known, coalesce(t.time, 0) AS _known_at, t.number AS _number, t.text AS _text"


def read_rows(table: ModelTable, query: RowQuery) -> RowBlock:
    """Read the rows of `table` that the query asks for."""
    fields, segments, known_by, having = table.fields, query.segments, query.known_by, query.having
    where = " OR ".join(f"(_time >= {int(a)} AND _time < {int(b)})" for a, b in query.ranges) or "false"
    if having is not None:
        there = (
            f"substr(_states, {fields[having].position + 1}, 1) NOT IN ('', '.', 'x')" if having in fields else "false"
        )
        where = f"({where}) AND {there}"
    wanted = fields if query.fields is None else {n: f for n, f in fields.items() if n in query.fields or n in segments}
    columns = f"{_meta(wanted)}{', p._id' if query.with_ids else ''}"
    if known_by == 0:
        found = table.cursor.sql(
            f"SELECT {columns}, {_NOTHING_KNOWN} FROM {table.name} p WHERE {where}"
        ).to_arrow_table()
    else:
        truth = NEWEST_TRUTH.format(ids=f"SELECT _id FROM {table.name} WHERE {where}")
        found = table.cursor.sql(
            f"SELECT {columns}, {_KNOWN} FROM (SELECT * FROM {table.name} WHERE {where}) p LEFT JOIN ({truth}) t "
            "ON p._id = t.prediction_id AND t.text IS NOT NULL",
            params=[table.model, EVER if known_by is None else known_by],
        ).to_arrow_table()
    return _block(table, found, wanted, segments)


def read_events(
    table: ModelTable, segments: Sequence[str], since: int, upto: int, oldest: int, reach: int
) -> tuple[RowBlock, npt.NDArray[np.int64]]:
    """Read the changes by commits after `since` up to `upto`, and the sign of each line: see `_event_query`.

    Only predictions since `oldest` (ns) and within `reach` ns of their ground truth count. The block has the
    predictions' outputs and the segments.
    """
    wanted = {n: f for n, f in table.fields.items() if n == FIELD_PREDICTION or n in segments}
    query = (
        f"SELECT {_meta(wanted)}, true AS _known, _known_at, _number, _text, _sign FROM ({_event_query(table.name)}) p"
    )
    about = {"model": table.model, "since": since, "upto": upto, "oldest": oldest, "reach": reach}
    found = table.cursor.sql(query, params=about).to_arrow_table()
    return _block(table, found, wanted, segments), _numpy(found["_sign"]).astype(np.int64)


def _event_query(table: str) -> str:
    """SQL of the changes by commits after $since up to $upto: columns of `table`, `_sign`, `_known_at`, `_number`,
    `_text`.

    At any time, the last ground truth that arrived holds among those with an earlier time of their own. A ground truth
    therefore counts from its own time until the earliest time of any later arrival. A later arrival may bring that end
    forward; lines that were counted are then taken back. A prediction that arrives after its ground truth counts in
    full. The two times are at most $reach apart, checked pair by pair: a pair that was counted is found again when it
    is corrected. Cost: the rows of the commits, and one search for their ids among predictions since $oldest and ground
    truths since $reach before.
    """
    fresh = "SELECT prediction_id FROM mlmon_state.ground_truth WHERE model = $model AND seq > $since AND seq <= $upto"
    late = f"SELECT _id FROM {table} WHERE _seq > $since AND _seq <= $upto AND _time >= $oldest"
    return (
        "WITH told AS (SELECT prediction_id, time, number, text, seq, rowid AS line FROM mlmon_state.ground_truth "
        "WHERE model = $model AND seq <= $upto AND time >= $oldest - $reach "
        f"AND (prediction_id IN ({fresh}) OR prediction_id IN ({late}))), "
        "pairs AS (SELECT p.* EXCLUDE (_place), e.time AS _from, e.number AS _number, e.text AS _text, "
        "e.seq <= $since AND p._seq <= $since AS _counted, greatest(e.time, min(e.time) OVER later) AS _ended, "
        "min(e.time) OVER later AS _next, greatest(e.time, min(e.time) FILTER (e.seq <= $since) OVER later) AS "
        "_ended_before, min(e.time) FILTER (e.seq <= $since) OVER later AS _next_before FROM told e "
        f"JOIN (SELECT *, rowid AS _place FROM {table} WHERE _time >= $oldest AND _seq <= $upto) p "
        "ON p._id = e.prediction_id AND abs(e.time - p._time) <= $reach WINDOW later AS "
        "(PARTITION BY p._place ORDER BY e.seq, e.line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)), "
        "lives AS (SELECT * EXCLUDE (_ended, _next, _ended_before, _next_before), "
        "CASE WHEN _next IS NOT NULL THEN _ended END AS _until, "
        "CASE WHEN _next_before IS NOT NULL THEN _ended_before END AS _before FROM pairs WHERE _text IS NOT NULL) "
        "SELECT * EXCLUDE (_lines), unnest(_lines).sign AS _sign, unnest(_lines).at AS _known_at FROM (SELECT *, "
        "list_filter([{'sign': 1, 'at': CASE WHEN NOT _counted THEN _from END}, "
        "{'sign': -1, 'at': CASE WHEN NOT _counted OR _until IS DISTINCT FROM _before THEN _until END}, "
        "{'sign': 1, 'at': CASE WHEN _counted AND _until IS DISTINCT FROM _before THEN _before END}"
        "], lambda line: line.at IS NOT NULL) AS _lines FROM lives)"
    )


def _meta(fields: Mapping[str, StoredField]) -> str:
    columns = "".join(f", p.{quoted(field.column)}" for field in fields.values() if field.column)
    return f"p._time, p._version, p._states, p._other, p._lost, p._duration, p._segments{columns}"


def _block(table: ModelTable, found: pa.Table, fields: Mapping[str, StoredField], segments: Sequence[str]) -> RowBlock:
    letters = states.matrix(found["_states"], len(table.fields))
    other = _other(found["_other"])
    placed = [name for name, field in fields.items() if field.column]
    held = {name: found[7 + index] for index, name in enumerate(placed)}
    cells = {name: _cells(held.get(name), field, letters, other.get(name, [])) for name, field in fields.items()}
    return RowBlock(
        model=table.model,
        times=_numpy(found["_time"]).astype(np.int64),
        versions=encoded(found["_version"]),
        lost=_numpy(found["_lost"]) > 0,
        durations=_floats(found["_duration"]),
        fields=cells,
        segments={key: _segment(key, cells, found["_segments"]) for key in segments},
        truth_known=_numpy(found["_known"]).astype(bool),
        truth_times=_numpy(found["_known_at"]).astype(np.int64),
        truth_numbers=_floats(found["_number"]),
        truth_texts=encoded(found["_text"]),
        ids=found["_id"].combine_chunks() if "_id" in found.column_names else None,
    )


def encoded(column: pa.ChunkedArray) -> Texts:
    """Dictionary-encode a string column."""
    array = pc.dictionary_encode(column.cast(pa.string())).combine_chunks()
    codes = array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    return Texts(codes, array.dictionary.to_pylist())


def _cells(
    column: pa.ChunkedArray | None, field: StoredField, letters: states.Bytes, other: list[tuple[int, str]]
) -> FieldCells:
    numbers, texts = None, None
    if column is None:
        numbers = np.full(len(letters), np.nan)
    elif field.type == "number":
        numbers = _floats(column)
    else:
        texts = encoded(column)
    return FieldCells(
        states=letters[:, field.position],
        numbers=numbers,
        texts=texts,
        other_rows=np.array([row for row, _ in other], dtype=np.int64),
        other_texts=[text for _, text in other],
    )


def _other(column: pa.ChunkedArray) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {}
    rows = np.flatnonzero(pc.is_valid(column).to_numpy())
    for row, items in zip(rows, column.take(pa.array(rows)).to_pylist(), strict=True):
        for name, text in items:
            found.setdefault(name, []).append((int(row), text))
    return found


def _segment(key: str, cells: dict[str, FieldCells], given: pa.ChunkedArray) -> Texts:
    """Values of a segment key, row by row: the application's own value, else the feature of that name."""
    own = _own_segment(cells.get(key), len(given))
    if given.null_count == len(given):
        return own
    codes, place = own.codes.copy(), {label: code for code, label in enumerate(own.labels)}
    for row, items in enumerate(given.to_pylist()):
        for name, text in items or ():
            if name == key:
                codes[row] = place.setdefault(text, len(place))
    return Texts(codes, list(place))


def _own_segment(cells: FieldCells | None, n: int) -> Texts:
    if cells is None:
        return Texts(np.full(n, -1, np.int32), [])
    if cells.texts is not None:
        return cells.texts
    assert cells.numbers is not None
    return named(cells.numbers, ~np.isnan(cells.numbers), number_text)


def _numpy(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    return np.asarray(column.to_numpy())


def _floats(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), dtype=np.float64).copy()
