"""The tutorial runs as it is written: real commands, a real processor on loopback, and the output on the page."""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from peers.processes import answers, free_ports, run_process

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
BLOCK = re.compile(r"(?:^`([\w.]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_tutorial(tmp_path: Path) -> None:
    grpc, http, web = free_ports(3)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_NO_INDEX": "1",  # all is installed; `pip install` must not reach for a network
        "COLUMNS": "200",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{http}",
        "MLMON_PROCESSOR": f"http://127.0.0.1:{web}",
    }
    ports = ["--grpc", f"127.0.0.1:{grpc}", "--http", f"127.0.0.1:{http}", "--web", f"127.0.0.1:{web}"]
    output, last = "", ""
    with ExitStack() as stack:
        for name, language, text in BLOCK.findall(PAGE):
            if language in ("python", "yaml"):
                (tmp_path / name).write_text(text)
            elif language == "text":
                until = time.monotonic() + 60
                while not doctest.OutputChecker().check_output(text, output, FLAGS):
                    assert time.monotonic() < until, f"{last}\nfound:\n{output}\non the page:\n{text}"
                    time.sleep(0.5)
                    output = _run(last, tmp_path, environment)
            elif text.startswith("mlmon serve"):
                server = run_process(
                    [*shlex.split(text), *ports],
                    ready=lambda: answers(http, "/v1/logs") and answers(web, "/healthz"),
                    log=tmp_path / "mlmon.log",
                    cwd=tmp_path,
                    env=environment,
                )
                stack.enter_context(server)
            else:
                output = ""
                for last in text.replace("\\\n", " ").splitlines():
                    output += _run(last, tmp_path, environment)
