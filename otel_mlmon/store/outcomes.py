"""Changes of known ground truth, commit by commit."""

from __future__ import annotations

import duckdb


def event_query(table: str) -> str:
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
        "_ended_before, "
        "min(e.time) FILTER (e.seq <= $since) OVER later AS _next_before FROM told e "
        f"JOIN (SELECT *, rowid AS _place FROM {table} WHERE _time >= $oldest AND _seq <= $upto) p "
        "ON p._id = e.prediction_id AND abs(e.time - p._time) <= $reach WINDOW later AS "
        "(PARTITION BY p._place ORDER BY e.seq, e.line ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)), "
        "lives AS (SELECT * EXCLUDE (_ended, _next, _ended_before, _next_before), "
        "CASE WHEN _next IS NOT NULL THEN _ended END AS _until, "
        "CASE WHEN _next_before IS NOT NULL THEN _ended_before END AS _before FROM pairs WHERE _text IS NOT NULL) "
        "SELECT * EXCLUDE (_lines), unnest(_lines).sign AS _sign, unnest(_lines).at AS _known_at FROM (SELECT *, "
        "list_filter(["
        "{'sign': 1, 'at': CASE WHEN NOT _counted THEN _from END}, "
        "{'sign': -1, 'at': CASE WHEN NOT _counted OR _until IS DISTINCT FROM _before THEN _until END}, "
        "{'sign': 1, 'at': CASE WHEN _counted AND _until IS DISTINCT FROM _before THEN _before END}"
        "], lambda line: line.at IS NOT NULL) AS _lines FROM lives)"
    )


def next_commit(cursor: duckdb.DuckDBPyConnection, model: str, table: str, since: int, upto: int, most: int) -> int:
    """Return the last commit such that about `most` ground truths and predictions came after `since`."""
    last = cursor.execute(
        "SELECT max(seq) FROM (SELECT seq, sum(n) OVER (ORDER BY seq) AS upto, n FROM (SELECT seq, count(*) AS n FROM ("
        "SELECT seq FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ? UNION ALL "
        f"SELECT _seq FROM {table} WHERE _seq > ? AND _seq <= ?) GROUP BY seq)) WHERE upto - n <= ?",
        [model, since, upto, since, upto, most],
    ).fetchall()[0][0]
    # None: all commits were of other models.
    return upto if last is None else int(last)


def oldest_concerned(
    cursor: duckdb.DuckDBPyConnection, model: str, table: str, since: int, upto: int, reach: int
) -> int:
    """Return the time (ns) of the oldest prediction that these commits may concern.

    That is `reach` before the first ground truth of these commits, or their first prediction. It follows the data and
    not the clock, as a history that is loaded has a clock of its own.
    """
    oldest = cursor.execute(
        "SELECT least((SELECT min(time) FROM mlmon_state.ground_truth WHERE model = ? AND seq > ? AND seq <= ?) - ?, "
        f"(SELECT min(_time) FROM {table} WHERE _seq > ? AND _seq <= ?))",
        [model, since, upto, reach, since, upto],
    ).fetchall()[0][0]
    return 0 if oldest is None else int(oldest)
