"""The pages that `make reference` writes are those of this code."""

from __future__ import annotations

import pytest

from scripts.make_reference import FOLDER, PAGES


@pytest.mark.parametrize("page", PAGES)
def test_page_is_up_to_date(page: str) -> None:
    assert (FOLDER / page).read_text() == PAGES[page](), "stale: run `make reference`"
