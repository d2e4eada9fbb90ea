"""What windows are summed up of: predictions, what senders lost, and ground truth as it was known at a time.

Asked at every tick, of little: what costs is planning the queries. So there are few expressions in them, and no relations, which
are planned twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import duckdb

from otel_mlmon.store.outcomes import SUMS
from otel_mlmon.store.profiles import in_segments

_SUMS: Final = ", ".join(f'sum("{name}")' for name in SUMS)
Lines = list[tuple[Any, ...]]


def read_window_sums(
    cursor: duckdb.DuckDBPyConnection,
    model: str,
    reference: str,
    starts: Sequence[int],
    width: int,
    segments: Sequence[str],
    known_by: int | None,
) -> tuple[Lines, Lines, Lines, Lines]:
    """Of windows of `width` ns that begin at `starts`, any number of widths apart, lines that begin with the start and the version:

    - segment, predictions, of them with values cut off, and with a feature that breaks what is known of it;
    - predictions that senders lost;
    - segment and SUMS;
    - segment, truth, prediction and how many there are.

    Of ground truth, what was known by `known_by`; None: it is not asked for.
    """
    about: dict[str, Any] = {"model": model, "start": min(starts), "end": max(starts) + width, "width": width}
    one = len(starts) == 1

    def lines(table: str, columns: str, values: str, time: str, where: str, **more: Any) -> Lines:
        start = "$start" if one else f"$start + ({time} - $start) // $width * $width"
        several = "" if one else f" AND list_contains($starts, {start})"
        parameters = {**about, **more, **({} if one else {"starts": list(starts)})}
        if one:
            del parameters["width"]
        return cursor.execute(
            f"SELECT {start}, {columns}, {values} FROM mlmon_state.{table} WHERE model = $model AND {time} >= $start "
            f"AND {time} < $end{where}{several} GROUP BY ALL",
            parameters,
        ).fetchall()

    panes = f" AND reference = $reference AND {in_segments('segment', '$segments')}"
    of: dict[str, Any] = {"reference": reference, "segments": list(segments)}
    totals = lines(
        "pane_totals", "version, segment", "sum(rows), sum(lost_rows), sum(broken_rows)", "pane", panes, **of
    )
    dropped = lines("dropped", "version", "sum(rows)", "time", "")
    if known_by is None:
        return totals, dropped, [], []
    told = f"{panes} AND known <= $known"
    sums = lines("outcomes", "version, segment", _SUMS, "pane", told, known=known_by, **of)
    classes = lines(
        "outcome_classes", "version, segment, truth, prediction", "sum(n)", "pane", told, known=known_by, **of
    )
    return totals, dropped, sums, classes
