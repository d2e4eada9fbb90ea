"""References are made from files, frozen, and read back to the last digit."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from otel_mlmon.errors import BadReference
from otel_mlmon.reference.artefact import read_artefact, to_document, write_artefact
from otel_mlmon.reference.book import ReferenceBook
from otel_mlmon.reference.create import QUANTILES, bin_edges, create_reference
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.stats.drift.methods import COUNT_METHODS
from otel_mlmon.store import Store
from otel_mlmon.values import Reference


def _make(path: Path, **columns: Any) -> Reference:
    where = Columns(**columns)
    rows = rows_of(path, read_table(path), where, "m", "v1")
    return create_reference(rows, name="training", version="", segments=where.segments, source=path.name, created="now")


@pytest.fixture
def houses(tmp_path: Path) -> Path:
    rng = random.Random(0)
    rows = [
        {
            "income": round(rng.gauss(50, 10), 2),
            "rooms": rng.randint(1, 8),
            "bedrooms": None if rng.random() < 0.05 else rng.randint(1, 4),
            "town": rng.choice(["north", "south", "south"]),
            "garden": rng.random() < 0.3,
            "nothing": None,
            "id": f"house-{i}",
            "predicted": (p := rng.gauss(300, 50)),
            "price": p + rng.gauss(0, 10),
        }
        for i in range(1000)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "houses.csv", index=False)
    pd.DataFrame(rows).to_parquet(tmp_path / "houses.parquet")
    return tmp_path


@pytest.mark.parametrize("file", ["houses.csv", "houses.parquet"])
def test_reference_holds_types_bins_constants_and_performance(houses: Path, file: str) -> None:
    found = _make(houses / file, prediction="predicted", ground_truth="price", exclude=("id",), segments=("town",))
    kinds = {name: (field.type, field.kind) for name, field in found.fields.items() if name != "nothing"}
    assert kinds == {
        "income": ("float", "numeric"),
        "rooms": ("int", "numeric"),
        "bedrooms": ("float", "numeric"),
        "town": ("string", "categorical"),
        "garden": ("bool", "categorical"),
        "(prediction)": ("float", "numeric"),
    }
    assert found.fields["town"].categories == ("south", "north")
    assert found.fields["rooms"].profile.bins is not None
    assert found.fields["rooms"].profile.bins.sum() == 1000
    assert set(found.fields["rooms"].constants) == {str(n) for n in range(1, 9)}
    missing = found.fields["bedrooms"].profile
    assert missing.null + missing.nan == 1000 - missing.numbers > 20
    assert found.performance is not None
    assert found.performance.with_truth == 1000
    assert set(found.segments) == {"town=north", "town=south"}
    assert sum(segment.rows for segment in found.segments.values()) == 1000


def test_file_holds_the_same_reference_without_rows(houses: Path) -> None:
    made = _make(houses / "houses.csv", prediction="predicted", ground_truth="price", segments=("town",))
    path = houses / "reference.yaml"
    write_artefact(made, path)
    again = read_artefact(path)
    assert to_document(again) == to_document(made)
    write_artefact(again, houses / "again.yaml")
    assert (houses / "again.yaml").read_bytes() == path.read_bytes()

    def longest(value: Any) -> int:
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return max([len(items), *map(longest, items)])

    assert longest(yaml.safe_load(path.read_text())) <= 200, "no rows, only bins and categories"


def test_its_own_data_does_not_differ_from_the_reference(houses: Path) -> None:
    made = _make(houses / "houses.csv")
    for field in made.fields.values():
        counts = field.profile.bins if field.kind == "numeric" else field.profile.categories
        if counts is not None and counts.any():
            assert COUNT_METHODS["psi"](counts, counts).value == 0


@pytest.mark.parametrize(
    ("values", "edges"),
    [
        ([], ()),
        ([np.nan, np.inf], ()),
        ([5.0] * 10, (5.0, 5.0)),
        ([1.0, 2.0, 2.0, 3.0], (1.0, 2.0, 3.0, 3.0)),
        (list(np.arange(101.0)), tuple(100 * np.array(QUANTILES))),
    ],
)
def test_bins_have_equal_shares_or_a_single_value(values: list[float], edges: tuple[float, ...]) -> None:
    assert bin_edges(np.array(values)) == pytest.approx(edges)


BAD = {
    "a column that is not there": (
        "houses.csv",
        {"prediction": "predictd"},
        "no column 'predictd'; the file has 'income'",
    ),
    "a file that is not there": ("nowhere.csv", {}, "no such file"),
    "another kind of file": ("notes.txt", {}, "found a file ending in '.txt'; allowed are .csv"),
    "Parquet that is none": ("broken.parquet", {}, "cannot be read"),
    "no rows": ("empty.csv", {}, "no rows"),
}


@pytest.mark.parametrize(("file", "columns", "says"), BAD.values(), ids=BAD)
def test_unusable_files_and_columns_are_reported(houses: Path, file: str, columns: dict[str, Any], says: str) -> None:
    (houses / "notes.txt").write_text("x")
    (houses / "broken.parquet").write_bytes(b"PAR1 not really")
    (houses / "empty.csv").write_text("a,b\n")
    with pytest.raises(BadReference, match=says):
        _make(houses / file, **columns)


@pytest.mark.parametrize(
    "content", ["", "[]", "format: otel_mlmon.reference/9", "format: otel_mlmon.reference/1", "a: ["]
)
def test_file_without_a_reference_is_reported(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.yaml").write_text(content)
    with pytest.raises(BadReference, match=r"r\.yaml"):
        read_artefact(tmp_path / "r.yaml")


def test_references_outlive_a_restart_and_a_version_may_have_its_own(houses: Path, tmp_path: Path) -> None:
    store, changed = Store(tmp_path / "s.duckdb"), list[str]()
    book = ReferenceBook(store.documents, changed.append)
    made = _make(houses / "houses.csv")
    assert book.put(made)
    assert not book.put(made), "known already"
    store.close()
    store = Store(tmp_path / "s.duckdb")
    book = ReferenceBook(store.documents, changed.append)
    assert book.find("m", "any version", "training") is not None
    assert book.find("m", "any version", "other") is None
    book.delete("m", "training", "")
    with pytest.raises(BadReference, match="known: none"):
        book.delete("m", "training", "")
    assert changed == ["m", "m"]
