"""The reference as a file: read back to the last digit, small, and fit for a diff."""

from __future__ import annotations

import difflib
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from references import reference_of

from otel_mlmon.errors import BadReference
from otel_mlmon.reference import create
from otel_mlmon.reference.artefact import from_document, read_artefact, to_document, write_artefact
from otel_mlmon.reference.create import create_reference
from otel_mlmon.reference.table import Columns, read_table, rows_of
from otel_mlmon.values import Reference

DATA = Path(os.environ.get("MLMON_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
LONGEST = 300  # items of a list; more would be raw rows


def _frame(seed: int = 0, n: int = 5000) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    price = rng.lognormal(12, 0.5, n)
    return pd.DataFrame(
        {
            "size": rng.gamma(3, 40, n),
            "rooms": rng.integers(1, 9, n),
            "age": np.where(rng.random(n) < 0.1, -1, rng.normal(30, 10, n)),
            "town": rng.choice(["Ålesund", "true", "1", "null", "- a: b", ""], n),
            "street": [f"street {i}" for i in range(n)],
            "new": rng.random(n) < 0.2,
            "gaps": np.where(rng.random(n) < 0.3, np.nan, rng.random(n)),
            "nothing": np.full(n, np.nan),
            "price": price,
            "guess": price * rng.normal(1, 0.1, n),
        }
    )


def _lists(value: Any) -> list[int]:
    """Length of every list in a document."""
    if isinstance(value, dict):
        return [length for item in value.values() for length in _lists(item)]
    if isinstance(value, list):
        return [len(value), *(length for item in value for length in _lists(item))]
    return []


def _round_trip(reference: Reference, path: Path) -> str:
    """Write, read, compare; returns the text."""
    write_artefact(reference, path)
    text = path.read_text("utf-8")
    again = read_artefact(path)
    assert to_document(again) == to_document(reference)
    write_artefact(again, path)
    assert path.read_text("utf-8") == text
    return text


def test_a_reference_is_read_back_to_the_last_digit(tmp_path: Path) -> None:
    columns = {"prediction": "guess", "ground_truth": "price", "segments": ("town", "rooms")}
    reference = reference_of(_frame(), **columns)
    text = _round_trip(reference, tmp_path / "r.yaml")
    again = read_artefact(tmp_path / "r.yaml")
    assert again.fields["size"].edges == reference.fields["size"].edges
    assert set(again.segments) == {f"town={name}" for name in ["Ålesund", "true", "1", "null", "- a: b", ""]} | {
        f"rooms={n}" for n in range(1, 9)
    }
    assert max(_lists(yaml.safe_load(text))) <= LONGEST
    assert max(map(len, text.splitlines())) <= 300


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.text(), min_size=1, max_size=6),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=6),
)
def test_any_texts_and_numbers_survive_the_file(tmp_path: Path, texts: list[str], numbers: list[float]) -> None:
    n = max(len(texts), len(numbers))
    rows = {"text": (texts * n)[:n], "number": (numbers * n)[:n], texts[0] + "!": [1] * n}
    _round_trip(reference_of(pd.DataFrame(rows), segments=("text",)), tmp_path / "r.yaml")


def test_slightly_other_data_makes_a_small_diff(tmp_path: Path) -> None:
    frame = _frame()
    texts = []
    for change in (0.0, 1.0):
        frame.loc[0, "size"] += change  # one cell of 50,000
        write_artefact(reference_of(frame, exclude=("price", "guess")), tmp_path / "r.yaml")
        texts.append((tmp_path / "r.yaml").read_text("utf-8").splitlines())
    changed = [line for line in difflib.unified_diff(*texts, n=0, lineterm="") if line[:1] in "+-"]
    assert 2 < len(changed) < 20
    assert not any("town" in line or "rooms" in line for line in changed)


def test_reading_never_makes_bins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_artefact(reference_of(_frame()), tmp_path / "r.yaml")
    document = yaml.safe_load((tmp_path / "r.yaml").read_text("utf-8"))
    document["fields"]["size"]["edges"][3] += 0.125  # an edit by hand is allowed
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(document), "utf-8")
    monkeypatch.setattr(create, "bin_edges", None)
    assert list(read_artefact(tmp_path / "r.yaml").fields["size"].edges) == document["fields"]["size"]["edges"]


def _damaged(**changes: Any) -> Any:
    document = to_document(reference_of(pd.DataFrame({"x": [1.0, 2.0, 3.0], "t": ["a", "b", "b"]})))
    for path, value in changes.items():
        *parents, last = path.split("__")
        inner = document
        for name in parents:
            inner = inner[name]
        inner[last] = value
    return document


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([], "found format 'list'"),
        ({"format": "otel_mlmon.reference/9"}, "found format 'otel_mlmon.reference/9'"),
        ({"format": "otel_mlmon.reference/1"}, "'model'"),
        (_damaged(rows="many"), "many"),
        (_damaged(fields=7), "damaged"),
        (_damaged(fields__x__kind="ordinal"), "'ordinal', allowed are 'numeric', 'categorical'"),
        (_damaged(fields__x__edges=[3.0, 2.0, 1.0, 1.0]), "not in order"),
        (_damaged(fields__x__edges=[1.0, math.nan, 3.0, 3.0]), "not in order"),
        (_damaged(fields__x__edges=[1.0, 3.0]), "5 bins, its reference has 3"),
        (_damaged(fields__t__categories=["a"]), "2 categories, its reference has 1"),
    ],
)
def test_damaged_file_is_reported_by_name_and_cause(document: Any, said: str) -> None:
    with pytest.raises(BadReference, match=r"^prices\.yaml: ") as caught:
        from_document(document, "prices.yaml")
    assert said in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"a: [", b"\xff\xfe\x00", b"- 1"])
def test_a_file_that_is_no_reference_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.yaml").write_bytes(content)
    with pytest.raises(BadReference, match=r"r\.yaml: "):
        read_artefact(tmp_path / "r.yaml")


@pytest.mark.skipif(
    not (DATA / "california_housing.csv").exists(), reason="MLMON_TEST_DATA names the data sets' folder"
)
def test_california_housing_as_an_artefact(tmp_path: Path) -> None:
    path = DATA / "california_housing.csv"
    columns = Columns(ground_truth="median_house_value", segments=("ocean_proximity",))
    rows = rows_of(path, read_table(path), columns, "prices", "")
    reference = create_reference(
        rows, name="training", version="", segments=columns.segments, source=path.name, created=""
    )
    text = _round_trip(reference, tmp_path / "r.yaml")
    assert len(text) < 100_000
    assert max(_lists(yaml.safe_load(text))) <= LONGEST
    frame = pd.read_csv(path)
    bedrooms = reference.fields["total_bedrooms"].profile
    assert (bedrooms.null, bedrooms.numbers) == (207, 20433)
    assert bedrooms.sum == pytest.approx(frame["total_bedrooms"].sum(), rel=1e-12)
    assert {key: segment.rows for key, segment in reference.segments.items()} == {
        f"ocean_proximity={name}": count for name, count in frame["ocean_proximity"].value_counts().items()
    }
    for field in reference.fields.values():
        parts = [segment.profiles[field.name] for segment in reference.segments.values()]
        whole = field.profile.bins if field.kind == "numeric" else field.profile.categories
        assert whole is not None
        assert sum(p.bins if field.kind == "numeric" else p.categories for p in parts).tolist() == whole.tolist()  # type: ignore[misc, union-attr]
