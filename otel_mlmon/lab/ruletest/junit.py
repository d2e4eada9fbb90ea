"""Write test results as JUnit XML, for CI systems."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from otel_mlmon.lab.ruletest.load import TestFile
from otel_mlmon.lab.ruletest.run import CaseResult


def junit_xml(results: Iterable[tuple[TestFile, Sequence[CaseResult]]]) -> bytes:
    """Return the XML, with a suite for each file."""
    root = ET.Element("testsuites")
    for file, case_results in results:
        failed = sum(bool(result.problems) for result in case_results)
        seconds = f"{sum(result.seconds for result in case_results):.3f}"
        suite = ET.SubElement(
            root,
            "testsuite",
            name=str(file.path),
            tests=str(len(case_results)),
            failures=str(failed),
            errors="0",
            time=seconds,
        )
        lines = {case.name: line for case, line in zip(file.cases, file.lines, strict=True)}
        for result in case_results:
            case = ET.SubElement(
                suite,
                "testcase",
                name=result.name,
                classname=Path(file.path).stem,
                time=f"{result.seconds:.3f}",
                file=str(file.path),
                line=str(lines[result.name]),
            )
            if result.problems:
                failure = ET.SubElement(case, "failure", message=result.problems[0])
                failure.text = "\n".join(result.problems)
    ET.indent(root)
    text: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return text
