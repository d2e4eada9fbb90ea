"""A confusion matrix of any number of classes is one that people can read, and counts every row once."""

from __future__ import annotations

from otel_mlmon.diagnosis.ground_truth import MOST_CLASSES, OTHERS, confusion


def test_each_cell_has_rows_worth_and_usual_share() -> None:
    worth = {"fraud": {"fraud": 100.0, "ok": -500.0}}
    found = confusion(
        {("fraud", "ok"): 1, ("fraud", "fraud"): 3, ("ok", "ok"): 4}, {("fraud", "fraud"): 9, ("fraud", "ok"): 1}, worth
    )
    cells = {(one.truth, one.prediction): (one.rows, one.share, one.usual, one.worth) for one in found}
    assert cells == {
        ("fraud", "fraud"): (3, 0.75, 0.9, 100.0),
        ("fraud", "ok"): (1, 0.25, 0.1, -500.0),
        ("ok", "fraud"): (0, 0.0, None, 0.0),
        ("ok", "ok"): (4, 1.0, None, 0.0),
    }


def test_rare_classes_are_merged_without_losing_rows() -> None:
    counts = {(f"c{i:02d}", f"c{(i + 1) % 40:02d}"): 40 - i for i in range(40)}
    found = confusion(counts, {}, {"c00": {"c01": 1.0}})
    names = {one.truth for one in found}
    assert len(names) == MOST_CLASSES + 1
    assert OTHERS in names
    assert len(found) == len(names) ** 2
    assert sum(one.rows for one in found) == sum(counts.values())
    assert {one.worth for one in found} == {None}, "nobody said what several classes together are worth"


def test_a_single_class_is_no_matrix() -> None:
    assert confusion({("a", "a"): 9}, {}) == ()
    assert confusion({}, {("a", "b"): 9}) == ()
