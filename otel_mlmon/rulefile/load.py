"""Load rule files from disk: all groups, or all mistakes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from otel_mlmon.errors import Finding, RuleFileError
from otel_mlmon.rulefile import document, parse
from otel_mlmon.rulefile.group import RuleFile
from otel_mlmon.rulefile.quantities import quoted

TEST = ".test"  # before the suffix: a file of unit tests, which may lie beside the rules
_SUFFIXES = frozenset({".yaml", ".yml"})
_LARGEST = 1024 * 1024


def load(paths: Iterable[Path]) -> list[RuleFile]:
    """Load the rule files at `paths`; a directory stands for all *.yaml and *.yml below it, except unit tests.

    Raises RuleFileError with the findings of all files.
    """
    findings: list[Finding] = []
    files: list[RuleFile] = []
    taken: dict[str, str] = {}  # group → file and line
    for path in _files(paths, findings):
        try:
            content = path.read_bytes()
        except OSError as error:
            findings.append(Finding(str(path), 0, 0, f"cannot be read: {error.strerror or error}"))
            continue
        file = _parse(content, path, taken, findings)
        files += [file] if file else []
    if findings:
        raise RuleFileError(findings)
    return files


def parse_text(text: str | bytes, path: Path = Path("rules.yaml")) -> RuleFile:
    """Parse the text of a rule file; findings name it `path`. Raises RuleFileError."""
    findings: list[Finding] = []
    content = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    file = _parse(content, path, {}, findings)
    if findings or file is None:
        raise RuleFileError(findings)
    return file


def _files(paths: Iterable[Path], findings: list[Finding]) -> list[Path]:
    """Return each file once, in the order of `paths`; the files of a directory are sorted, without hidden files."""
    files: dict[Path, Path] = {}
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
            inside = [file for file in inside if not file.stem.endswith(TEST)]
            visible = [file for file in inside if not any(p.startswith(".") for p in file.relative_to(path).parts)]
            if not visible:
                findings.append(Finding(str(path), 0, 0, "no *.yaml or *.yml in this directory"))
        elif path.exists():
            visible = [path]
        else:
            findings.append(Finding(str(path), 0, 0, "no such file or directory"))
            continue
        for file in visible:
            files.setdefault(file.resolve(), file)
    return list(files.values())


def _parse(content: bytes, path: Path, taken: dict[str, str], findings: list[Finding]) -> RuleFile | None:
    """Parse a file; for a file with mistakes, add findings and return None."""
    before = len(findings)
    try:
        read = document.read(_text(content))
    except document.Unreadable as error:
        findings.append(_finding(path, error.problem))
        return None
    groups, problems = parse.groups(read)
    findings += [_finding(path, problem) for problem in problems]
    for index, name in parse.group_names(read.data):
        at = read.place(("groups", index, "name"))
        if name in taken:
            message = f"group {quoted(name)}: the name is taken by the group at {taken[name]}"
            findings.append(_finding(path, document.Problem(at, message)))
        taken.setdefault(name, f"{path}:{at[0]}")
    return RuleFile(path, tuple(groups)) if len(findings) == before else None


def _text(content: bytes) -> str:
    if len(content) > _LARGEST:
        raise document.Unreadable((0, 0), f"{len(content)} bytes, a rule file may have {_LARGEST}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8-sig", "replace")
        place = (before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
        raise document.Unreadable(place, f"byte 0x{content[error.start]:02x} is not UTF-8") from None


def _finding(path: Path, problem: document.Problem) -> Finding:
    return Finding(str(path), *problem.place, problem.message)
