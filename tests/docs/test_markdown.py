"""Every page: its links lead to a file and a heading, and its lines are not too wide."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("benchmarks/**/*.md")]
)
WRAPPED = [page for page in PAGES if page.is_relative_to(ROOT / "docs") or page.name in ("README.md", "CHANGELOG.md")]
GENERATED = {ROOT / "docs" / "decisions" / "index.md"}  # scripts/docs_hooks.py makes it for the site


def _without_code(text: str) -> str:
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.MULTILINE | re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MkDocs make them."""
    headings = re.findall(r"^#+ (.*)$", _without_code(page.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_resolves(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", _without_code(page.read_text())):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() or target in GENERATED, link
        assert not anchor or anchor in _anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    index = (ROOT / "docs" / "index.md").read_text()
    for page in ROOT.glob("docs/*/*.md"):
        name = page.relative_to(ROOT / "docs").as_posix()
        assert name.startswith("decisions/") or name in readme + index, name


@pytest.mark.parametrize("page", WRAPPED, ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_of_prose_are_at_most_120_wide(page: Path) -> None:
    for line in _without_code(page.read_text()).splitlines():
        assert len(line) <= 120 or line.startswith(("|", "#", "- `", "![")), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_files_of_the_repository_exist(page: Path) -> None:
    roots = (ROOT, ROOT / "otel_mlmon", page.parent)
    if page.name in ("0018-sixteen-rooms.md", "CHANGELOG.md"):
        return  # they name files as they were
    for name in re.findall(r"`([\w.-]+/[\w./-]+\.(?:py|sql|yaml|md|json))`", page.read_text()):
        assert any((root / name).exists() for root in roots), name
