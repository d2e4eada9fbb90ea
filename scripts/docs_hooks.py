"""MkDocs hooks: links out of docs/ work on the site, and the list of decisions writes itself."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#:\s]+)")
DECISIONS = "decisions/index.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the linked files of the repository that are not in docs/, and the list of decisions."""
    pages = list(files.documentation_pages())
    for path in sorted({path for page in pages for path in _outside(page.src_uri, page.content_string)}):
        files.append(File.generated(config, f"source/{path}", content=(ROOT / path).read_bytes()))
    titles = {
        page.src_uri.removeprefix("decisions/"): page.content_string.partition("\n")[0].removeprefix("# ")
        for page in pages
        if page.src_uri.startswith("decisions/")
    }
    lines = ["# Decisions", "", "Each decision says why the design is so, and its price.", ""]
    lines += [f"- [{title}]({name})" for name, title in sorted(titles.items())]
    files.append(File.generated(config, DECISIONS, content="\n".join(lines)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files outside docs/ into links to their copies on the site."""
    here = posixpath.dirname(page.file.src_uri)
    for path, link in _outside(page.file.src_uri, markdown).items():
        markdown = markdown.replace(f"]({link}", f"]({posixpath.relpath(f'source/{path}', here or '.')}")
    return markdown


def _outside(page: str, markdown: str) -> dict[str, str]:
    """Map each linked file that is not in docs/ (path in the repository) to the link as written."""
    found = {}
    for link in LINK.findall(markdown):
        target = (DOCS / page).parent.joinpath(link).resolve()
        if target.is_file() and not target.is_relative_to(DOCS):
            found[target.relative_to(ROOT).as_posix()] = link
    return found
