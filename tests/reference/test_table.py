"""Reading of the files for references, good and bad."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from otel_mlmon.errors import BadReference
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.values import RowBlock
from otel_mlmon.wire.semconv import FIELD_PREDICTION

CSV = "id,size,rooms,town,empty,price\n1,10.5,3,a,,100\n2,,4,,,200\n3,30,5,b,,\n"


def _rows(path: Path, columns: Columns | None = None) -> RowBlock:
    return rows_of(path, read_table(path), columns or Columns(), "m", "")


def _file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def _letters(rows: RowBlock) -> dict[str, str]:
    return {name: cells.states.tobytes().decode() for name, cells in rows.fields.items()}


@pytest.mark.parametrize("packed", [False, True])
def test_a_csv_file_is_read_with_its_gaps(tmp_path: Path, packed: bool) -> None:
    path = _file(tmp_path, "f.csv.gz" if packed else "f.csv", gzip.compress(CSV.encode()) if packed else CSV)
    rows = _rows(path, Columns(ground_truth="price", exclude=("id",), segments=("town",)))
    assert _letters(rows) == {"size": "fnf", "rooms": "iii", "town": "sss", "empty": "nnn"}
    assert rows.truth_known.tolist() == [True, True, False]
    assert rows.segments["town"].labels == ["a", "", "b"]


def test_a_parquet_file_is_read_with_nulls_and_nans_apart(tmp_path: Path) -> None:
    table = pa.table(
        {
            "x": pa.array([1.0, math.nan, None]),
            "kind": pa.array(["a", None, "a"]).dictionary_encode(),
            "when": pa.array([0, 1, None], pa.timestamp("s")),
            "void": pa.nulls(3),
            "flag": [True, None, False],
            "cost": pa.array([1, None, 2]).cast(pa.decimal128(21, 2)),
        }
    )
    pa.parquet.write_table(table, tmp_path / "f.parquet")
    rows = _rows(tmp_path / "f.parquet", Columns(prediction="x", segments=("cost",)))
    assert _letters(rows) == {
        "kind": "sns",
        "when": "ssn",
        "void": "nnn",
        "flag": "bnb",
        "cost": "fnf",
        FIELD_PREDICTION: "ffn",
    }
    assert np.isnan(rows.fields[FIELD_PREDICTION].numbers).tolist() == [False, True, True]  # type: ignore[arg-type]
    assert rows.segments["cost"].labels == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("f.txt", "a\n1\n", "'.txt'; allowed are .csv, .csv.gz, .parquet"),
        ("f", "a\n1\n", "'nothing'"),
        ("f.csv", "", "cannot be read"),
        ("f.csv", "a,b\n", "no rows"),
        ("f.csv", "a,b\n1,2,3\n", "cannot be read"),
        ("f.csv", "a,a\n1,2\n", "more than one column is called 'a'"),
        ("f.csv", b"a,b\n1,\xff\xfe\n", "column 'b' has type binary"),
        ("f.gz", "no gzip", "cannot be read"),
        ("f.parquet", "no parquet", "cannot be read"),
        ("f.parquet", "", "cannot be read"),
    ],
)
def test_unusable_file_is_reported_by_name_and_cause(
    tmp_path: Path, name: str, content: str | bytes, said: str
) -> None:
    path = _file(tmp_path, name, content)
    with pytest.raises(BadReference) as caught:
        _rows(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_truncated_parquet_file_is_reported(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"x": list(range(1000))}), tmp_path / "whole.parquet")
    half = (tmp_path / "whole.parquet").read_bytes()[:-100]
    with pytest.raises(BadReference, match="cannot be read"):
        _rows(_file(tmp_path, "f.parquet", half))


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadReference, match="no such file"):
        read_table(tmp_path / "f.csv")


@pytest.mark.parametrize(
    "columns",
    [
        Columns(prediction="cost"),
        Columns(ground_truth="cost"),
        Columns(features=("size", "cost")),
        Columns(exclude=("cost",)),
        Columns(segments=("cost",)),
    ],
)
def test_missing_column_is_reported_with_the_existing_columns(tmp_path: Path, columns: Columns) -> None:
    path = _file(tmp_path, "f.csv", CSV)
    with pytest.raises(BadReference) as caught:
        _rows(path, columns)
    assert "no column 'cost'; the file has 'id', 'size', 'rooms', 'town', 'empty', 'price'" in str(caught.value)


def test_a_column_of_lists_must_be_left_out(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"x": [1, 2], "vector": [[1.0], [2.0]]}), tmp_path / "f.parquet")
    with pytest.raises(BadReference, match="column 'vector' has type list"):
        _rows(tmp_path / "f.parquet")
    for columns in (Columns(exclude=("vector",)), Columns(features=("x",))):
        assert set(_rows(tmp_path / "f.parquet", columns).fields) == {"x"}


def test_file_with_ground_truth_only_makes_a_reference_without_fields(tmp_path: Path) -> None:
    rows = _rows(_file(tmp_path, "f.csv", "y\n1\n2\n"), Columns(ground_truth="y"))
    made = create_reference(rows, name="n", version="", segments=(), source="", created="")
    assert (made.rows, dict(made.fields)) == (2, {})
