"""Ground truth that names values of features in place of a prediction id: "customer 42 on 2 January".

It is written to `ground_truth` under the id of every prediction with these values: stored predictions when it arrives,
later predictions in the commit that brings them. Joins therefore read `ground_truth` only. Only predictions within the
horizon of the ground truth's time are searched, so that costs do not grow with the history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from otel_mlmon.store.catalog import StoredField
from otel_mlmon.store.database import Database, literal, quoted, registered
from otel_mlmon.store.ground_truth import add_outcomes
from otel_mlmon.store.truth import append_truths, plain_values
from otel_mlmon.values import GroundTruthBatch
from otel_mlmon.values.storage import Appended
from otel_mlmon.wire.columns import json_text, number_text

_EXACT: Final = 2**53
_OF_MODEL: Final = "mlmon_state.keyed_ground_truth WHERE model = $model AND names = $names"
_WAITING: Final = "mlmon_state.waiting_ground_truth WHERE model = $model AND names = $names"


class KeyedGroundTruth:
    """The features that are keys, by model, in memory: models without keys cost nothing."""

    def __init__(self, database: Database, *, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        with database.reading() as cursor:
            rows = cursor.execute("SELECT DISTINCT model, names FROM mlmon_state.keyed_ground_truth").fetchall()
        self._names: set[tuple[str, str]] = set(rows)
        self._pending: dict[tuple[str, str], list[tuple[int, int, pa.Table]]] = {}  # first and last time, texts of keys

    def append(
        self, cursor: duckdb.DuckDBPyConnection, batch: GroundTruthBatch, *, seq: int, received: int
    ) -> Appended:
        """Append new rows; the same keys, time and value again are a duplicate."""
        if not len(batch):
            return Appended(batch.model, 0, 0)
        features = sorted(batch.keys)
        names = json.dumps(features, ensure_ascii=False)
        texts = [list(map(key_text, plain_values(batch.keys[name]))) for name in features]
        parts = pa.table({f"part{i}": pa.array(column, pa.string()) for i, column in enumerate(texts)})
        span = pc.min(batch.times).as_py(), pc.max(batch.times).as_py()
        self._pending.setdefault((batch.model, names), []).append((*span, parts))
        key = ("key", pa.array(_keys(texts), pa.string()))
        return append_truths(cursor, "keyed_ground_truth", batch, {"names": names}, key, seq=seq, received=received)

    def keep(self) -> None:
        """Adopt the keys after the commit."""
        self._names |= self._pending.keys()
        self._pending = {}

    def forget(self) -> None:
        """Drop the keys before a transaction, or after it failed."""
        self._pending = {}

    def join(
        self,
        cursor: duckdb.DuckDBPyConnection,
        model: str,
        table: str | None,
        fields: Mapping[str, StoredField],
        *,
        seq: int,
        predictions: bool,
    ) -> None:
        """Write commit `seq`'s part to `ground_truth`. `predictions`: the commit has predictions of this model."""
        for of, names in sorted(self._names | self._pending.keys()):
            if of != model:
                continue
            about = {"model": model, "names": names, "seq": seq, "horizon": self._horizon_ns}
            key = None if table is None else _key_of_prediction(json.loads(names), fields)
            # Older ground truth first: the ground truth of this commit must hold.
            if predictions and key is not None:
                self._join_predictions(cursor, f"{table}", key, about)
            if (model, names) in self._pending:
                firsts, lasts, parts = zip(*self._pending[model, names], strict=True)
                reach = (min(firsts) - self._horizon_ns, max(lasts) + self._horizon_ns)
                likely = "" if key is None else _likely(f"{table}", json.loads(names), fields, reach)
                with registered(cursor, pa.concat_tables(parts), "parts"):
                    self._join_ground_truth(cursor, likely, key, about)

    def _join_predictions(self, cursor: duckdb.DuckDBPyConnection, table: str, key: str, about: dict[str, Any]) -> None:
        """Join predictions of this commit with the newest ground truth of earlier commits.

        A ground truth that came later under the prediction's own id holds.
        """
        # Bounds as numbers: DuckDB skips row groups only if it knows the bounds while planning.
        span = f"SELECT min(_time), max(_time) FROM {table} WHERE _seq = ?"
        first, last = cursor.execute(span, [about["seq"]]).fetchall()[0]
        if first is None:
            return
        pairs = cursor.sql(
            f"WITH fresh AS (SELECT _id, _time, {key} AS key FROM {table} p WHERE _seq = $seq), "
            f"wanted AS (SELECT key, time, received, number, text, seq, rowid AS place FROM {_OF_MODEL} AND seq < $seq "
            "AND time BETWEEN $low AND $high AND key IN (SELECT key FROM fresh)) "
            "SELECT f._id AS id, w.key, w.time, w.received, w.number, w.text, w.seq "
            "FROM fresh f JOIN wanted w USING (key) WHERE abs(f._time - w.time) <= $horizon "
            "QUALIFY row_number() OVER (PARTITION BY f._id ORDER BY w.seq DESC, w.place DESC) = 1",
            params={**about, "low": first - self._horizon_ns, "high": last + self._horizon_ns},
        ).to_arrow_table()
        if not pairs.num_rows:
            return
        named = {"model": about["model"], "names": about["names"]}
        with registered(cursor, pairs, "pairs"):
            (early,) = cursor.execute(
                "INSERT INTO mlmon_state.ground_truth SELECT $model, id, time, received, number, text, $seq FROM pairs "
                "ANTI JOIN (SELECT prediction_id, seq FROM mlmon_state.ground_truth WHERE model = $model "
                "AND seq > (SELECT min(seq) FROM pairs)) own ON pairs.id = own.prediction_id AND own.seq > pairs.seq",
                {"model": about["model"], "seq": about["seq"]},
            ).fetchall()[0]
            cursor.execute(f"DELETE FROM {_WAITING} AND key IN (SELECT key FROM pairs)", named)
        add_outcomes(cursor, about["model"], {"early": int(early)})

    def _join_ground_truth(
        self, cursor: duckdb.DuckDBPyConnection, likely: str, key: str | None, about: dict[str, Any]
    ) -> None:
        """Join ground truth of this commit with all predictions. `likely` selects those that may match."""
        model, names, seq = about["model"], about["names"], about["seq"]
        matched, joined = "SELECT NULL::VARCHAR AS key WHERE false", 0
        if key is not None:
            pairs = cursor.sql(
                "WITH wanted AS (SELECT key, time, received, number, text, rowid AS place "
                f"FROM {_OF_MODEL} AND seq = $seq) "
                f"SELECT DISTINCT p._id AS id, w.* FROM (SELECT _id, _time, {key} AS key FROM ({likely}) p) p "
                "JOIN wanted w USING (key) WHERE abs(p._time - w.time) <= $horizon ORDER BY place",
                params=about,
            ).to_arrow_table()
            cursor.register("pairs", pairs)
            cursor.execute(
                "INSERT INTO mlmon_state.ground_truth SELECT $model, id, time, received, number, text, $seq FROM pairs",
                {"model": model, "seq": seq},
            )
            matched, joined = "SELECT key FROM pairs", pairs.num_rows
        named = {"model": model, "names": names}
        fresh = f"SELECT key, time FROM {_OF_MODEL} AND seq = $seq AND text IS NOT NULL"
        cursor.execute(
            "INSERT INTO mlmon_state.waiting_ground_truth SELECT $model, $names, f.key, min(f.time), 0, 0, 0 "
            f"FROM ({fresh}) f ANTI JOIN ({matched}) m ON f.key = m.key "
            f"ANTI JOIN (SELECT key FROM {_WAITING} AND key IN (SELECT key FROM ({fresh}))) w ON f.key = w.key "
            "GROUP BY f.key",
            {**named, "seq": seq},
        )
        if joined:
            cursor.execute(f"DELETE FROM {_WAITING} AND key IN ({matched})", named)
        if key is not None:
            cursor.unregister("pairs")


def key_text(value: Any) -> str:
    """Return a value as keys compare it: 1, 1.0 and "1" are the same; a text stands as it is.

    Whole numbers keep all their digits, which a double would lose.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return number_text(value) if isinstance(value, float) and abs(value) < float("inf") else json_text(value)


def _keys(texts: list[list[str]]) -> list[str]:
    """Keys of rows: each text after its length, so that no two lists of texts look alike."""
    return ["".join(f"{len(text)}:{text}" for text in row) for row in zip(*texts, strict=True)]


def _key_of_prediction(names: list[str], fields: Mapping[str, StoredField]) -> str | None:
    """SQL for the same key of a row `p`, null where a feature has no value. None while a feature is unknown."""
    if any(name not in fields for name in names):
        return None
    return " || ".join(f"length({text}) || ':' || {text}" for text in (_text(fields[name]) for name in names))


def _likely(table: str, names: list[str], fields: Mapping[str, StoredField], reach: tuple[int, int]) -> str:
    """SQL for the rows in reach that may match `parts`. It compares stored values, since keys of all rows would take
    long.
    """
    parts = {"number": "TRY_CAST({} AS DOUBLE)", "bool": "TRY_CAST({} AS BOOLEAN)", "string": "{}"}
    stored = [(fields[name], f"part{place}") for place, name in enumerate(names)]
    same = " AND ".join(
        f"{quoted(field.column)} IN (SELECT {parts[field.type].format(part)} FROM parts)" if field.column else "false"
        for field, part in stored
    )
    odd = " OR ".join(f"_other[{literal(name)}] IS NOT NULL" for name in names)
    near = f"_time BETWEEN {reach[0]} AND {reach[1]}"
    return (
        f"SELECT * FROM {table} WHERE {near} AND {same} "
        f"UNION ALL SELECT * FROM {table} WHERE {near} AND _other IS NOT NULL AND ({odd})"
    )


def _text(field: StoredField) -> str:
    other = f"p._other[{literal(field.name)}]"
    own = "NULL"
    if field.column:
        column = f"p.{quoted(field.column)}"
        own = _number(column) if field.type == "number" else f"{column}::VARCHAR"
    return (
        f"CASE WHEN p._other IS NULL OR {other} IS NULL THEN {own} "
        f"WHEN starts_with({other}, '\"') THEN {other}::JSON ->> '$' "
        f"WHEN regexp_full_match({other}, '-?[0-9]+') OR TRY_CAST({other} AS DOUBLE) IS NULL THEN {other} "
        f"ELSE {_number(f'{other}::DOUBLE')} END"
    )


def _number(sql: str) -> str:
    """`columns.number_text` in SQL: DuckDB writes doubles as Python does, except whole numbers."""
    return (
        f"CASE WHEN {sql} = trunc({sql}) AND abs({sql}) <= {_EXACT} THEN {sql}::BIGINT::VARCHAR ELSE {sql}::VARCHAR END"
    )
