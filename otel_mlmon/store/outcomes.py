"""Ground truth as events: what each commit added to, or took back from, what is known of predictions; and the sums of it."""

from __future__ import annotations

import duckdb


def event_query(table: str) -> str:
    """SQL of what commits after $since up to $upto change: columns of `table`, `_sign`, `_known_at`, `_number`, `_text`.

    At any time the last that has come of those known by then holds. So a ground truth counts from its own time on, until the earliest
    time of any that came after it, whichever is later. A new one may make that earlier: what was counted is then taken back.
    Of a prediction that came after its ground truth, all of it is news. The times of the two are at most $reach apart: of every pair
    by itself, so that what was counted once is found again when it is corrected, whatever else a commit holds. Cost: what the commits
    hold, and one look for their ids among the predictions since $oldest and the ground truths since $reach before.
    """
    fresh = "SELECT prediction_id FROM mlmon_state.ground_truth WHERE model = $model AND seq > $since AND seq <= $upto"
    late = f"SELECT _id FROM {table} WHERE _seq > $since AND _seq <= $upto AND _time >= $oldest"
    return (
        "WITH told AS (SELECT prediction_id, time, number, text, seq, rowid AS line FROM mlmon_state.ground_truth "
        "WHERE model = $model AND seq <= $upto AND time >= $oldest - $reach "
        f"AND (prediction_id IN ({fresh}) OR prediction_id IN ({late}))), "
        "pairs AS (SELECT p.* EXCLUDE (_place), e.time AS _from, e.number AS _number, e.text AS _text, "
        "e.seq <= $since AND p._seq <= $since AS _counted, greatest(e.time, min(e.time) OVER later) AS _ended, "
        "min(e.time) OVER later AS _next, greatest(e.time, min(e.time) FILTER (e.seq <= $since) OVER later) AS _ended_before, "
        "min(e.time) FILTER (e.seq <= $since) OVER later AS _next_before FROM told e "
        f"JOIN (SELECT *, rowid AS _place FROM {table} WHERE _time >= $oldest AND _seq <= $upto) p "
        "ON p._id = e.prediction_id AND abs(e.time - p._time) <= $reach WINDOW later AS "
        "(PARTITION BY p._place ORDER BY e.seq, e.line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)), "
        "lives AS (SELECT * EXCLUDE (_ended, _next, _ended_before, _next_before), "
        "CASE WHEN _next IS NOT NULL THEN _ended END AS _until, "
        "CASE WHEN _next_before IS NOT NULL THEN _ended_before END AS _before FROM pairs WHERE _text IS NOT NULL) "
        "SELECT * EXCLUDE (_lines), unnest(_lines).sign AS _sign, unnest(_lines).at AS _known_at FROM (SELECT *, list_filter(["
        "{'sign': 1, 'at': CASE WHEN NOT _counted THEN _from END}, "
        "{'sign': -1, 'at': CASE WHEN NOT _counted OR _until IS DISTINCT FROM _before THEN _until END}, "
        "{'sign': 1, 'at': CASE WHEN _counted AND _until IS DISTINCT FROM _before THEN _before END}"
        "], lambda line: line.at IS NOT NULL) AS _lines FROM lives)"
    )


def next_commit(cursor: duckdb.DuckDBPyConnection, model: str, table: str, since: int, upto: int, most: int) -> int:
    """The last commit after `since` such that at most about `most` ground truths and predictions lie between."""
    found = cursor.execute(
        "SELECT max(seq) FROM (SELECT seq, sum(n) OVER (ORDER BY seq) AS upto, n FROM (SELECT seq, count(*) AS n FROM ("
        "SELECT seq FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ? UNION ALL "
        f"SELECT _seq FROM {table} WHERE _seq > ? AND _seq <= ?) GROUP BY seq)) WHERE upto - n <= ?",
        [model, since, upto, since, upto, most],
    ).fetchall()[0][0]
    # Nothing there: all commits were of other models. Nothing beyond: the rest of them can go along.
    return upto if found is None else int(found)


def oldest_concerned(
    cursor: duckdb.DuckDBPyConnection, model: str, table: str, since: int, upto: int, reach: int
) -> int:
    """The time (ns) before which no prediction is looked for: `reach` before the first ground truth of these commits, or the first
    of their predictions. By what was told, not by the clock: a history comes with a clock of its own.
    """
    found = cursor.execute(
        "SELECT least((SELECT min(time) FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ?) - ?, "
        f"(SELECT min(_time) FROM {table} WHERE _seq > ? AND _seq <= ?))",
        [model, since, upto, reach, since, upto],
    ).fetchall()[0][0]
    return 0 if found is None else int(found)
