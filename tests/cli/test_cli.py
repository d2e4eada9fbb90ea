"""The command line: what people type, and what they are told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from peers.processes import free_ports

MLMON = str(Path(sys.executable).parent / "mlmon")


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([MLMON, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "command",
    [
        (),
        ("serve",),
        ("reference",),
        ("reference", "create"),
        ("rules",),
        ("replay",),
        ("status",),
        ("demo",),
        ("ground-truth",),
        ("ground-truth", "load"),
        ("parity",),
        ("explain",),
    ],
)
def test_help_teaches(command: tuple[str, ...]) -> None:
    done = _run(*command, "--help")
    assert done.returncode == 0
    assert "Usage: mlmon" in done.stdout
    assert len(done.stdout.splitlines()) > 5


def test_rules_check_names_every_mistake_at_its_place(tmp_path: Path) -> None:
    good = Path(__file__).parents[2] / "rules"
    assert _run("rules", "check", good).returncode == 0
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "groups:\n  - name: g\n    modle: m\n    rules:\n      - {alert: A, integrity: mising}\n"
        "      - {alert: A, drift: psi, above: much}\n      - {alert: B, drift: psi, for: 60}\n      - {alert: C}\n"
    )
    done = _run("rules", "check", bad)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) >= 5
    assert all(line.startswith(f"{bad}:") for line in lines)
    assert "mistakes" in done.stderr


ERRORS = {
    "a reference without the named column": (
        ("reference", "create", "{csv}", "--model", "m", "--prediction-column", "p", "--output", "{out}"),
        "no column 'p'; the file has 'a', 'b'",
    ),
    "an output in no directory": (
        ("reference", "create", "{csv}", "--model", "m", "--output", "{out}/x.yaml"),
        "there is no directory",
    ),
    "a timestamp that is none": (
        (
            "replay",
            "{csv}",
            "--model",
            "m",
            "--timestamp-column",
            "b",
            "--prediction-column",
            "a",
            "--endpoint",
            "{nobody}",
        ),
        "column 'b' is no timestamp: found 'x'",
    ),
    "a delay without a unit": (
        (
            "replay",
            "{csv}",
            "--model",
            "m",
            "--timestamp-column",
            "a",
            "--prediction-column",
            "a",
            "--ground-truth-delay",
            "7",
        ),
        "--ground-truth-delay",
    ),
    "no processor": (("status", "--processor", "{nobody}"), "no processor answers at"),
    "a configuration that is not there": (("serve", "--config", "{out}"), "cannot be read"),
    "rules that are not there": (("serve", "--rules", "{out}", "--store", "{store}"), "no such file"),
}


@pytest.mark.parametrize(("arguments", "says"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_one_clear_message(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n")
    (port,) = free_ports(1)
    names = {
        "csv": str(tmp_path / "t.csv"),
        "out": str(tmp_path / "out.yaml"),
        "store": str(tmp_path / "s.duckdb"),
        "nobody": f"http://127.0.0.1:{port}",
    }
    done = _run(*(argument.format(**names) for argument in arguments))
    assert done.returncode == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reference_without_estimates_says_nothing_about_them(tmp_path: Path) -> None:
    lines = (f"{i},{i % 3 == 0},{i % 4 == 0}" for i in range(300))
    (tmp_path / "t.csv").write_text("\n".join(["a,p,y", *lines]))
    done = _run(
        *("reference", "create", str(tmp_path / "t.csv"), "--model", "m", "--prediction-column", "p"),
        *("--ground-truth-column", "y", "--output", str(tmp_path / "r.yaml")),
    )
    assert done.returncode == 0, done.stderr
    assert ", can be estimated" not in done.stdout
    assert "rows" in done.stdout
