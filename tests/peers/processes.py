"""Runs the programs that the end-to-end tests talk to, each on free loopback ports.

`scripts/install-peers` installs them. A test whose program is not there is skipped,
or fails when MLMON_REQUIRE_PEERS=1 is set.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

HOST = "127.0.0.1"
NODE_CLIENT = Path(__file__).parent / "node-client" / "client.mjs"
INSTALLED_WITH = {
    "promtool": "prometheus",
    "amtool": "alertmanager",
    "mariadbd": "mariadb",
    "mariadb-install-db": "mariadb",
}
NOT_ON_PATH = (
    "/usr/sbin",
    *sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True),
)  # as Debian has it


class PeerError(RuntimeError):
    """A peer did not start or did not do its work."""


def find_peer(name: str) -> Path | None:
    """The program `name` from the peers' directory, else from PATH.

    For `node-client` it is the script to run with `node`.
    """
    if name == "node-client":
        installed = shutil.which("node") and (NODE_CLIENT.parent / "node_modules").is_dir()
        return NODE_CLIENT if installed else None
    default = Path.home() / ".cache" / "otel-mlmon" / "peers"
    bin_dir = Path(os.environ.get("MLMON_PEERS_DIR") or default) / "bin"
    found = shutil.which(name, path=str(bin_dir)) or shutil.which(name)
    found = found or shutil.which(name, path=os.pathsep.join(NOT_ON_PATH))
    return Path(found) if found else None


def require_peer(name: str) -> Path:
    """The program `name`. Without it the test is skipped, or fails where peers are required."""
    path = find_peer(name)
    if path is None:
        peer = INSTALLED_WITH.get(name, name)
        reason = f"{name} is not installed; run scripts/install-peers {peer}"
        if os.environ.get("MLMON_REQUIRE_PEERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nothing listened on a moment ago."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports: list[int] = [sock.getsockname()[1] for sock in sockets]
    for sock in sockets:
        sock.close()
    return ports


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET request to a loopback port."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def answers(port: int, path: str = "/") -> bool:
    """Whether a server is there and does not answer with a server error."""
    try:
        return get(port, path)[0] < 500
    except (OSError, http.client.HTTPException):
        return False


@contextmanager
def run_process(
    argv: Sequence[str | Path], ready: Callable[[], bool], log: Path, timeout: float = 30.0, **popen: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Starts a program, waits until `ready()`, and ends it with the block.

    Output is appended to `log`, whose end is shown when the start or the block fails. `popen`: as subprocess.Popen's.
    """
    args = [str(arg) for arg in argv]
    with log.open("ab") as out:
        process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, **popen)
    deadline = time.monotonic() + timeout
    try:
        while not ready():
            if process.poll() is not None:
                raise PeerError(f"{args[0]} ended with status {process.returncode}")
            if time.monotonic() > deadline:
                raise PeerError(f"{args[0]} was not ready after {timeout:g} s")
            time.sleep(0.05)
        yield process
    except BaseException as error:
        error.add_note(f"--- end of {log}:\n{log.read_text(errors='replace')[-4000:]}")
        raise
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True, slots=True)
class Server:
    """A running peer with an HTTP port."""

    process: subprocess.Popen[bytes]
    log: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def json(self, path: str) -> Any:
        """The JSON answer to a GET request, which must succeed."""
        status, body = get(self.port, path)
        if status != 200:
            raise PeerError(f"GET {path} was answered with {status}: {body[:500]!r}")
        return json.loads(body)


@dataclass(frozen=True, slots=True)
class Collector(Server):
    """A Collector. `port` is the OTLP receiver's for HTTP, `grpc_port` the one for gRPC."""

    grpc_port: int


class Prometheus(Server):
    """A Prometheus. It takes metrics over OTLP/HTTP at `otlp_metrics_url`."""

    @property
    def otlp_metrics_url(self) -> str:
        return f"{self.url}/api/v1/otlp/v1/metrics"

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query: items with `metric` and `value`."""
        return list(self.json(f"/api/v1/query?query={quote(expression)}")["data"]["result"])

    def alerts(self) -> list[dict[str, Any]]:
        """The pending and firing alerts of the loaded rules."""
        return list(self.json("/api/v1/alerts")["data"]["alerts"])


class Alertmanager(Server):
    """An Alertmanager."""

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it holds."""
        return list(self.json("/api/v2/alerts"))


ServerT = TypeVar("ServerT", bound=Server)


@contextmanager
def collector(
    config_text: str,
    tmp_path: Path,
    name: str = "collector",
    ports: tuple[int, int] | None = None,
) -> Iterator[Collector]:
    """Runs a Collector with `config_text` (YAML) merged over a base configuration.

    The base has the receiver `otlp` and the extensions `health_check` and `file_storage`
    (started), and switches internal metrics off. `name` keeps several Collectors apart.
    For a restart that finds its queue, pass the same `tmp_path`, `name` and `ports`
    (HTTP, gRPC).
    """
    program = require_peer("otelcol")
    health_port, *chosen = free_ports(3)
    http_port, grpc_port = ports or chosen
    base = f"""
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "{HOST}:{grpc_port}"}}
      http: {{endpoint: "{HOST}:{http_port}"}}
extensions:
  health_check: {{endpoint: "{HOST}:{health_port}"}}
  file_storage: {{directory: "{tmp_path / name}", create_directory: true}}
service:
  extensions: [health_check, file_storage]
  telemetry: {{metrics: {{level: none}}}}
"""
    argv: list[str | Path] = [program]
    for part, text in (("base", base), ("own", config_text)):
        file = tmp_path / f"{name}-{part}.yaml"
        file.write_text(text)
        argv.append(f"--config={file}")
    log = tmp_path / f"{name}.log"
    # Receivers are started last, HTTP after gRPC: when it answers, all is up.
    with run_process(argv, lambda: answers(http_port), log) as process:
        yield Collector(process, log, http_port, grpc_port)


def _targets(port: int | None) -> dict[str, Any]:
    return {"static_configs": [] if port is None else [{"targets": [f"{HOST}:{port}"]}]}


@contextmanager
def _serve(kind: type[ServerT], tmp_path: Path, config: dict[str, Any], *flags: str) -> Iterator[ServerT]:
    """Runs Prometheus or Alertmanager, which share their basic flags."""
    name = kind.__name__.lower()
    program = require_peer(name)
    (port,) = free_ports(1)
    config_file, log = tmp_path / f"{name}.yml", tmp_path / f"{name}.log"
    config_file.write_text(json.dumps(config))
    web = [f"--web.listen-address={HOST}:{port}", f"--web.external-url=http://{HOST}:{port}"]
    argv = [str(program), f"--config.file={config_file}", *web, *flags]
    with run_process(argv, lambda: answers(port, "/-/ready"), log) as process:
        yield kind(process, log, port)


@contextmanager
def prometheus(
    tmp_path: Path,
    scrape_port: int | None,
    extra_rules: Sequence[Path] | None = None,
    alertmanager_port: int | None = None,
) -> Iterator[Prometheus]:
    """Runs a Prometheus that scrapes a loopback port and evaluates rules every second.

    It takes metrics over OTLP as well. Without a port to scrape it takes only those.
    """
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": "mlmon", **_targets(scrape_port)}],
        "rule_files": [str(rules.resolve()) for rules in extra_rules or ()],
        "alerting": {"alertmanagers": [_targets(alertmanager_port)]},
        "storage": {"tsdb": {"out_of_order_time_window": "10m"}},
    }
    data = f"--storage.tsdb.path={tmp_path / 'prometheus-data'}"
    with _serve(Prometheus, tmp_path, config, data, "--web.enable-otlp-receiver") as server:
        yield server


@contextmanager
def alertmanager(tmp_path: Path, webhook_url: str | None = None) -> Iterator[Alertmanager]:
    """Runs an Alertmanager, which passes alerts to `webhook_url` if there is one."""
    webhooks = [] if webhook_url is None else [{"url": webhook_url}]
    config = {
        "route": {"receiver": "tests", "group_wait": "1s", "group_interval": "1s"},
        "receivers": [{"name": "tests", "webhook_configs": webhooks}],
    }
    data = f"--storage.path={tmp_path / 'alertmanager-data'}"
    with _serve(Alertmanager, tmp_path, config, data, "--cluster.listen-address=") as server:
        yield server


def chromium_screenshot(url: str, png_path: Path, width: int, height: int) -> None:
    """Saves a picture of a page as headless Chromium shows it, without network access."""
    flags = "--headless=new --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars"
    flags += " --disable-background-networking --disable-component-update"
    if os.geteuid() == 0:  # Chromium's sandbox does not work for root.
        flags += " --no-sandbox"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        argv = [
            str(require_peer("chromium")),
            *flags.split(),
            f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "--virtual-time-budget=5000",
            f"--screenshot={png_path}",
            url,
        ]
        result = subprocess.run(argv, capture_output=True, timeout=60, check=False)
    if result.returncode != 0 or not png_path.is_file():
        output = result.stderr.decode(errors="replace")[-4000:]
        raise PeerError(f"Chromium made no picture of {url}\n{output}")
