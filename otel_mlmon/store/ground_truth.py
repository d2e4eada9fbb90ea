"""Count ground truths by result: joined, waiting for the prediction, a correction, of the wrong type …

To find out whether a prediction is stored, all stored ids are looked through. `settle` does this for many commits at
once, outside of any transaction that writes. `add_outcomes` counts the results that a commit knows at no cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import duckdb
import pyarrow as pa

from otel_mlmon.store.catalog import Catalog, StoredField
from otel_mlmon.store.database import Database, quoted, registered
from otel_mlmon.wire.semconv import FIELD_PREDICTION

# joined: predictions with ground truth; early: joined, and the ground truth came first; correction: another value for
# the same prediction; taken_back: a null; duplicate: the same again; wrong_type: not comparable with the prediction;
# expired: retention ended before the prediction came.
RESULTS: Final = ("joined", "early", "correction", "taken_back", "duplicate", "wrong_type", "expired")
WAITING: Final = "waiting"
_LOOKED_FOR: Final = ("joined", "early", "correction", "taken_back", "wrong_type")
_MARK: Final = "('true', 'false')"


class GroundTruthResults:
    """Counts of all models' ground truths by result. See `values.storage.GroundTruthStorage` for the methods."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        with database.reading() as cursor:
            rows = cursor.execute(
                "SELECT model FROM mlmon_state.ground_truth GROUP BY model HAVING max(seq) > coalesce((SELECT seq FROM "
                "mlmon_state.ground_truth_settled s WHERE s.model = ground_truth.model), 0) "
                "UNION SELECT DISTINCT model FROM mlmon_state.waiting_ground_truth"
            ).fetchall()
        self._models = {model for (model,) in rows}  # with rows that are not counted yet

    def touch(self, models: Iterable[str]) -> None:
        """Note that rows of these models were committed."""
        self._models.update(models)

    def settle(self, upto: int) -> None:
        for model in sorted(self._models):
            self._models.discard(model)
            try:
                with self._database.reading() as cursor:
                    settled = _look(cursor, model, self._catalog.table(model), self._catalog.fields(model), upto)
                with self._database.transaction() as cursor:
                    _write(cursor, settled)
            except BaseException:
                self._models.add(model)
                raise

    def results(self) -> dict[str, dict[str, int]]:
        with self._database.reading() as cursor:
            counted = cursor.execute("SELECT * FROM mlmon_state.ground_truth_outcomes").fetchall()
            waiting = cursor.execute(
                "SELECT model, count(*) FROM mlmon_state.waiting_ground_truth GROUP BY model"
            ).fetchall()
        found: dict[str, dict[str, int]] = {}
        for model, result, rows in [*counted, *((model, WAITING, rows) for model, rows in waiting)]:
            found.setdefault(model, dict.fromkeys((WAITING, *RESULTS), 0))[result] = rows
        return found


@dataclass(frozen=True, slots=True)
class _Settled:
    """Results of one look at the ground truth of new commits."""

    model: str
    seq: int
    outcomes: Mapping[str, int]
    waiting: pa.Table
    arrived: pa.Table  # keys whose prediction has come


def add_outcomes(cursor: duckdb.DuckDBPyConnection, model: str, outcomes: Mapping[str, int]) -> None:
    """Add to the counts in the caller's transaction."""
    for outcome, rows in outcomes.items():
        if rows:
            cursor.execute(
                "INSERT INTO mlmon_state.ground_truth_outcomes VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
                [model, outcome, rows],
            )


def _look(
    cursor: duckdb.DuckDBPyConnection, model: str, table: str | None, fields: Mapping[str, StoredField], upto: int
) -> _Settled:
    """Look at the ground truth of commits up to `upto` that is not counted yet."""
    rows = cursor.execute("SELECT seq FROM mlmon_state.ground_truth_settled WHERE model = ?", [model]).fetchall()
    since = rows[0][0] if rows else 0
    about = {"model": model, "since": since, "upto": upto}
    shown, wrong = _comparison(fields.get(FIELD_PREDICTION))
    predictions = f"SELECT _id, _seq, {shown} AS shown FROM {table} p WHERE _seq <= $upto" if table else _NONE
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE fresh_ground_truth AS WITH fresh AS ("
        "SELECT prediction_id AS id, min(seq) AS first, min(time) AS time, count(*) - count(text) AS nulls, "
        "count(text) FILTER (number IS NULL) AS texts, "
        f"count(text) FILTER (number IS NOT NULL AND text NOT IN {_MARK}) AS numbers, "
        f"count(text) FILTER (number IS NOT NULL AND text IN {_MARK}) AS bools FROM mlmon_state.ground_truth "
        "WHERE model = $model AND seq > $since AND seq <= $upto GROUP BY prediction_id), "
        "known AS (SELECT DISTINCT prediction_id AS id FROM mlmon_state.ground_truth SEMI JOIN fresh ON "
        "prediction_id = id WHERE model = $model AND seq <= $since AND text IS NOT NULL), "
        f"there AS (SELECT _id AS id, min(_seq) AS came, first(shown) AS shown FROM ({predictions}) "
        "SEMI JOIN fresh ON _id = id GROUP BY _id) "
        "SELECT fresh.*, texts + numbers + bools AS given, known.id IS NOT NULL AS known, came, shown "
        "FROM fresh LEFT JOIN known USING (id) LEFT JOIN there USING (id)",
        about,
    )
    found = cursor.execute(
        "SELECT count(*) FILTER (came IS NOT NULL AND NOT known AND given > 0), "
        "count(*) FILTER (came > first AND NOT known AND given > 0), "
        "sum(given - (NOT known AND given > 0)::INTEGER), sum(nulls), "
        f"sum(CASE WHEN came IS NULL THEN 0 ELSE {wrong} END) FROM fresh_ground_truth"
    ).fetchall()[0]
    waiting = cursor.sql(
        "SELECT id AS key, time, texts, numbers, bools FROM fresh_ground_truth WHERE came IS NULL AND NOT known "
        "AND given > 0"
    ).to_arrow_table()
    cursor.execute("DROP TABLE fresh_ground_truth")
    outcomes = dict(
        zip(("joined", "early", "correction", "taken_back", "wrong_type"), (int(n or 0) for n in found), strict=True)
    )
    arrived = pa.table({"key": pa.array([], pa.string())})
    if table and since:
        arrived = cursor.sql(
            f"SELECT key, sum({wrong})::BIGINT AS wrong FROM mlmon_state.waiting_ground_truth JOIN "
            f"(SELECT _id, first({shown}) AS shown FROM {table} p WHERE _seq > $since AND _seq <= $upto GROUP BY _id) "
            "ON key = _id WHERE model = $model AND names = '' GROUP BY key",
            params=about,
        ).to_arrow_table()
        outcomes["joined"] += arrived.num_rows
        outcomes["early"] += arrived.num_rows
        outcomes["wrong_type"] += sum(arrived["wrong"].to_pylist())
    return _Settled(model, upto, outcomes, waiting, arrived)


def _write(cursor: duckdb.DuckDBPyConnection, settled: _Settled) -> None:
    """Write the results in the caller's transaction."""
    if settled.arrived.num_rows:
        with registered(cursor, settled.arrived):
            cursor.execute(
                "DELETE FROM mlmon_state.waiting_ground_truth WHERE model = ? AND names = '' "
                "AND key IN (SELECT key FROM fresh)",
                [settled.model],
            )
    if settled.waiting.num_rows:
        with registered(cursor, settled.waiting):
            cursor.execute(
                "INSERT INTO mlmon_state.waiting_ground_truth "
                "SELECT ?, '', key, time, texts, numbers, bools FROM fresh",
                [settled.model],
            )
    add_outcomes(cursor, settled.model, settled.outcomes)
    cursor.execute(
        "INSERT OR REPLACE INTO mlmon_state.ground_truth_settled VALUES (?, ?)", [settled.model, settled.seq]
    )


def delete_ground_truth(cursor: duckdb.DuckDBPyConnection, model: str, time: int) -> None:
    """Retention: delete ground truth, and count rows that still wait as expired."""
    gone = cursor.execute(
        "DELETE FROM mlmon_state.waiting_ground_truth WHERE model = ? AND time < ?", [model, time]
    ).fetchall()[0][0]
    add_outcomes(cursor, model, {"expired": int(gone)})
    for name in ("ground_truth", "keyed_ground_truth"):
        cursor.execute(f"DELETE FROM mlmon_state.{name} WHERE model = ? AND time < ?", [model, time])
    cursor.execute(
        "DELETE FROM mlmon_state.changes WHERE model = ? AND kind = 'deployment' AND time < ?", [model, time]
    )


_NONE: Final = "SELECT NULL::VARCHAR AS _id, NULL::BIGINT AS _seq, NULL::VARCHAR AS shown WHERE false"


def _comparison(prediction: StoredField | None) -> tuple[str, str]:
    """SQL of a prediction's text, and of the number of `texts`, `numbers` and `bools` that do not fit its type."""
    if prediction is None or not prediction.column:
        return "NULL::VARCHAR", "0"
    shown = f"p.{quoted(prediction.column)}::VARCHAR"
    if prediction.type == "number":
        return shown, "CASE WHEN shown IS NULL THEN 0 ELSE texts END"
    if prediction.type == "bool":
        return shown, "CASE WHEN shown IS NULL THEN 0 ELSE texts + numbers END"
    # Classes that look like numbers are often sent as such.
    named = (
        f"CASE WHEN shown IN {_MARK} THEN numbers "
        "WHEN TRY_CAST(shown AS DOUBLE) IS NULL THEN numbers + bools ELSE 0 END"
    )
    return shown, f"CASE WHEN shown IS NULL THEN 0 ELSE {named} END"
