"""Load files of unit tests; report all mistakes with file:line:column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from otel_mlmon.errors import Finding, RuleFileError
from otel_mlmon.lab.ruletest.case import Case, ExpectedAlert, FileInput, Tests
from otel_mlmon.lab.simulate.faults import FAULTS
from otel_mlmon.lab.simulate.generate import Generator, linear_features
from otel_mlmon.rulefile import Group, load
from otel_mlmon.rulefile import document as documents
from otel_mlmon.rulefile.load import TEST
from otel_mlmon.rulefile.messages import Mistake, mistakes_of, unknown
from otel_mlmon.rulefile.quantities import shown

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TestFile:
    """A file without mistakes: its tests, the line of each test, and the tested groups of rules."""

    __test__ = False  # no test class of pytest

    path: Path
    cases: tuple[Case, ...]
    lines: tuple[int, ...]
    groups: tuple[Group, ...]


def load_tests(paths: Iterable[Path]) -> list[TestFile]:
    """Load the test files at `paths`; a directory stands for all *.test.yaml below it.

    Raises RuleFileError with the findings of all files.
    """
    findings: list[Finding] = []
    test_files: list[TestFile] = []
    for path in _files(paths, findings):
        try:
            document = documents.read(path.read_text("utf-8"))
        except documents.Unreadable as error:
            findings.append(Finding(str(path), *error.problem.place, error.problem.message))
            continue
        except (OSError, UnicodeDecodeError) as error:
            findings.append(Finding(str(path), 0, 0, f"cannot be read: {error}"))
            continue
        wrong: list[Mistake] = []
        tests = _build(Tests, document.data, (), wrong)
        groups: tuple[Group, ...] = ()
        if isinstance(tests, Tests):
            try:
                files = load([path.parent / name for name in tests.rule_files])
                groups = tuple(group for file in files for group in file.groups)
            except RuleFileError as error:
                findings += error.findings
            wrong += [m for i, case in enumerate(tests.tests) for m in _of_case(case, ("tests", i), groups)]
        findings += [Finding(str(path), *problem.place, problem.message) for _, problem in document.problems]
        findings += [Finding(str(path), *document.place(m.path, key=m.at_key), m.message) for m in wrong]
        if isinstance(tests, Tests):
            lines = tuple(document.place(("tests", i))[0] for i in range(len(tests.tests)))
            test_files.append(TestFile(path, tests.tests, lines, groups))
    if findings:
        raise RuleFileError(findings)
    return test_files


def _files(paths: Iterable[Path], findings: list[Finding]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob(f"*{TEST}.yaml")) if path.is_dir() else [path] if path.exists() else []
        if not inside:
            message = f"no *{TEST}.yaml in this directory" if path.is_dir() else "no such file or directory"
            findings.append(Finding(str(path), 0, 0, message))
        files += inside
    return files


def _build(model: type[BaseModel], raw: Any, at: Place, wrong: list[Mistake]) -> BaseModel | None:
    """Build the innermost mappings first, so that each mistake names the keys that are allowed at its place."""
    if not isinstance(raw, dict):
        wrong.append(
            Mistake(at, f"found {shown(raw)}, allowed is a mapping with the keys {', '.join(model.model_fields)}")
        )
        return None
    before, built = len(wrong), dict(raw)
    for name, field in model.model_fields.items():
        if name in raw:
            built[name] = _nested(field.annotation, raw[name], (*at, name), wrong)
    if len(wrong) > before:  # inner mistakes are reported; the outer mapping is checked without them
        built = {name: raw[name] if name not in model.model_fields else built[name] for name in raw}
    try:
        return model.model_validate(built)
    except ValidationError as error:
        reported = [m.path for m in wrong[before:]]
        new = mistakes_of(error, model.model_fields, at)
        wrong += [
            m for m in new if not any(path[: len(m.path)] == m.path or m.path[: len(path)] == path for path in reported)
        ]
        return None


def _nested(kind: Any, raw: Any, at: Place, wrong: list[Mistake]) -> Any:
    arguments = get_args(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _build(kind, raw, at, wrong)
    if get_origin(kind) is tuple and isinstance(raw, list) and _is_model(arguments[0]):
        return tuple(_build(arguments[0], item, (*at, i), wrong) for i, item in enumerate(raw))
    if get_origin(kind) is dict and isinstance(raw, dict) and _is_model(arguments[1]):
        return {name: _build(arguments[1], item, (*at, name), wrong) for name, item in raw.items()}
    if get_origin(kind) is UnionType:
        chosen: list[Any] = [option for option in arguments if option is not type(None)]
        if Generator in chosen:
            chosen = [FileInput if isinstance(raw, dict) and "file" in raw else Generator]
        return raw if raw is None or len(chosen) != 1 else _nested(chosen[0], raw, at, wrong)
    return raw


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _of_case(case: Case, at: Place, groups: tuple[Group, ...]) -> list[Mistake]:
    """Return the mistakes across a test: unknown alerts and features, and times outside the input."""
    wrong: list[Mistake] = []
    covered = [group for group in groups if group.covers(case.model)]
    if groups and not covered:
        models = ", ".join(sorted({group.model for group in groups}))
        wrong.append(Mistake((*at, "model"), f'no group covers the model "{case.model}"; there are {models}'))
    alerts = sorted({rule.alert for group in covered for rule in group.rules})
    listed: list[tuple[Place, ExpectedAlert]] = [
        ((*at, "expect", i, "alerts", j), alert)
        for i, expectation in enumerate(case.expect)
        for j, alert in enumerate(expectation.alerts)
    ] + [((*at, "fires", j), alert) for j, alert in enumerate(case.fires or ())]
    if alerts:
        wrong += [
            Mistake((*where, "alert"), unknown("alert", a.alert, alerts))
            for where, a in listed
            if a.alert not in alerts
        ]
    if not case.expect and case.fires is None:
        wrong.append(Mistake(at, 'nothing is expected; allowed are "expect" and "fires"'))
    if isinstance(case.input, FileInput):
        if bool(case.input.timestamp) == (case.input.every is not None):
            wrong.append(Mistake((*at, "input"), 'allowed is either "timestamp" or "every"'))
        return wrong
    wrong += [
        Mistake((*at, "input", "prediction", "linear", n), text) for n, text in linear_features(case.input).items()
    ]
    fields = [*case.input.features, "(prediction)"]
    for i, fault in enumerate(case.faults):
        if FAULTS[fault.fault].fields != "model" and fault.fault != "add" and fault.field not in fields:
            wrong.append(Mistake((*at, "faults", i, "field"), unknown("feature", fault.field, fields)))
    wrong += [
        Mistake((*at, "expect", i, "at"), "at: after the end of the input")
        for i, expectation in enumerate(case.expect)
        if expectation.at > case.input.length
    ]
    return wrong
