"""docker-compose.yml and what it mounts: every file is there, and the programs that read them accept them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana.expressions import ROOT
from peers.processes import require_peer

from otel_mlmon.rulefile import load
from otel_mlmon.server.config import load_config

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
COLLECTOR = yaml.safe_load((ROOT / "deploy" / "collector.yaml").read_text("utf-8"))
# Ends by itself, or has no shell to run a check in.
UNCHECKED = {"train", "reference", "load", "collector"}
each_service = pytest.mark.parametrize("name", SERVICES)


def _run(*argv: str | Path, **environment: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **environment}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@each_service
def test_images_are_pinned_exactly(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])


@pytest.mark.parametrize(
    ("service", "variable"),
    [("collector", "COLLECTOR"), ("prometheus", "PROMETHEUS"), ("alertmanager", "ALERTMANAGER")],
)
def test_images_are_what_the_end_to_end_tests_run_against(service: str, variable: str) -> None:
    script = (ROOT / "scripts" / "install-peers").read_text("utf-8")
    (tested,) = re.findall(rf"readonly {variable}_VERSION=([\d.]+)", script)
    assert SERVICES[service]["image"].split(":")[1].removeprefix("v") == tested


@each_service
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))
    assert SERVICES[name].get("network_mode") != "host"


@each_service
def test_mounted_files_exist_and_named_volumes_are_declared(name: str) -> None:
    for volume in SERVICES[name].get("volumes", ()):
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"], volume


@each_service
def test_it_has_a_health_check(name: str) -> None:
    built = SERVICES[name]["image"].startswith("otel-mlmon")  # the Dockerfile has checks of its own
    disabled = SERVICES[name].get("healthcheck", {}).get("disable", False)
    assert (name in UNCHECKED) == (not ((built or "healthcheck" in SERVICES[name]) and not disabled))


@each_service
def test_it_waits_for_what_the_others_can_give(name: str) -> None:
    for other, wait in SERVICES[name].get("depends_on", {}).items():
        wanted = wait["condition"]
        assert other in SERVICES
        assert wanted != "service_healthy" or other not in UNCHECKED
        assert wanted != "service_completed_successfully" or "restart" not in SERVICES[other]


def test_images_that_are_built_are_targets_of_the_dockerfile() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    built = {s["image"]: s["build"]["target"] for s in SERVICES.values() if "build" in s}
    assert (
        set(built.values())
        == {"processor", "example"}
        <= set(re.findall(r"^FROM \S+ AS (\S+)$", dockerfile, re.MULTILINE))
    )
    for service in SERVICES.values():
        if service.get("pull_policy") == "never":
            assert service["image"] in built


def test_what_the_dockerfile_copies_is_there_and_not_ignored() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for line in re.findall(r"^COPY (?!--from)(.+)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE):
        for source in line.split()[:-1]:
            assert source.removeprefix("./") in allowed
            assert (ROOT / source).exists()


def test_the_processor_reads_its_configuration_where_compose_puts_things() -> None:
    config = load_config(ROOT / "deploy" / "mlmon.yaml")
    processor = SERVICES["processor"]
    mounts = {volume.split(":")[1] for volume in processor["volumes"]}
    assert config.store.path and str(config.store.path.parent) in mounts
    assert {str(path) for path in config.references} <= mounts
    assert [m for m in mounts if any(Path(m).is_relative_to(rules) for rules in config.rules)] == [
        "/etc/mlmon/rules/house-prices.yaml"
    ]
    assert config.export.alertmanager == ("http://alertmanager:9093",)
    assert any(port.endswith(config.web.listen.rpartition(":")[2]) for port in processor["ports"])


def test_the_mounted_rules_are_about_the_model_of_the_example() -> None:
    from examples.house_prices.features import MODEL_NAME, TARGET

    groups = [group for file in load([ROOT / "rules" / "house-prices.yaml"]) for group in file.groups]
    assert groups
    assert all(group.covers(MODEL_NAME) for group in groups)
    command = SERVICES["reference"]["command"]
    assert {f"--model={MODEL_NAME}", f"--ground-truth-column={TARGET}"} <= set(command)
    made = next(option for option in command if option.startswith("--output=")).removeprefix("--output=")
    assert Path(made).parent in load_config(ROOT / "deploy" / "mlmon.yaml").references


def test_the_collector_keeps_predictions_until_the_processor_has_them() -> None:
    exporter = COLLECTOR["exporters"]["otlp_grpc/processor"]
    assert exporter["retry_on_failure"] | {"enabled": True, "max_elapsed_time": "0s"} == exporter["retry_on_failure"]
    queue = exporter["sending_queue"]
    storage = COLLECTOR["extensions"][queue["storage"]]
    assert storage["fsync"] is True
    assert queue["storage"] in COLLECTOR["service"]["extensions"]
    assert queue["batch"]["max_size"] < 4 * 1024 * 1024
    directory = SERVICES["collector"]["environment"]["QUEUE_DIR"]
    assert f"collector-queue:{directory}" in SERVICES["collector"]["volumes"]
    for signal in ("logs", "traces"):
        pipeline = COLLECTOR["service"]["pipelines"][signal]
        assert pipeline["exporters"] == ["otlp_grpc/processor"]
        assert pipeline["processors"] == ["memory_limiter"], "the batch processor acknowledges before it has delivered"


def test_grafana_does_not_unload_its_own_plugins() -> None:
    assert SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_AUTO_UPDATE"] == "false"


def test_the_collector_accepts_its_configuration(tmp_path: Path) -> None:
    environment = {k: v for k, v in SERVICES["collector"]["environment"].items() if k != "QUEUE_DIR"}
    _run(
        require_peer("otelcol"),
        "validate",
        f"--config={ROOT / 'deploy' / 'collector.yaml'}",
        **environment,
        QUEUE_DIR=str(tmp_path),
    )


def test_prometheus_accepts_its_configuration() -> None:
    _run(require_peer("promtool"), "check", "config", ROOT / "deploy" / "prometheus.yml")
    assert "--web.enable-otlp-receiver" in SERVICES["prometheus"]["command"]


def test_alertmanager_accepts_its_configuration() -> None:
    _run(require_peer("amtool"), "check-config", ROOT / "deploy" / "alertmanager.yml")
