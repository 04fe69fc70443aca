"""docker-compose.yml and the image, checked without a container engine."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from headrace import plan
from headrace.contract import topics
from headrace.embedded import environment, stack
from headrace.embedded.part import Part
from headrace.settings import Settings

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docker-compose.yml").read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
IMAGE = COMPOSE["x-part"]["image"]
PARTS = {name: service for name, service in SERVICES.items() if service["image"] == IMAGE}
ONE_SHOT = "prepare"
ONE_SHOTS = {ONE_SHOT, "emitter"}
VARIABLE = re.compile(r"\$\{([A-Z_]+)(:[-?][^}]*)?\}")
ALERTING = (REPOSITORY / "flywheel.toml").read_text("utf-8") + '\n[alerts]\nwebhook = "http://127.0.0.1:1/"\n'
README = (REPOSITORY / "deploy" / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned(name: str) -> None:
    """Every image has a tag that names a version."""
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert re.match(r"v?\d+\.\d+", tag), SERVICES[name]["image"]


def test_own_image_bears_the_projects_version() -> None:
    """The parts run in the image that is built here, tagged with the version of pyproject.toml."""
    assert f"headrace:{importlib.metadata.version('headrace')}" == IMAGE
    assert {str(service["build"]) for service in PARTS.values()} == {"."}


def test_same_parts_as_on_one_machine() -> None:
    """Compose runs the modules that `headrace up` supervises, all of them and no others."""
    parts = stack.parts(Settings(embedded=()), plan=plan.parse(ALERTING))
    supervised = {part.argv[part.argv.index("-m") + 1] for part in parts if isinstance(part, Part)}
    composed = {service["command"][2] for name, service in PARTS.items() if name not in ONE_SHOTS}
    assert composed == supervised


@pytest.mark.parametrize("name", [name for name in PARTS if name not in ONE_SHOTS])
def test_part_command_starts_a_module(name: str) -> None:
    """Each part's command is `python -m` and a package that can be run."""
    python, dash_m, module, *_ = SERVICES[name]["command"]
    assert (python, dash_m) == ("python", "-m")
    assert importlib.util.find_spec(f"{module}.__main__") is not None


@pytest.mark.parametrize("name", sorted(ONE_SHOTS))
def test_one_shots_are_commands_of_headrace(name: str) -> None:
    """A one-shot service runs a command that the headrace program has."""
    program, command, *_ = SERVICES[name]["command"]
    (script,) = importlib.metadata.entry_points(group="console_scripts", name=program)
    commands = getattr(typer.main.get_command(script.load()), "commands", {})
    assert command in commands


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ONE_SHOTS])
def test_health_is_checked(name: str) -> None:
    """Every service that stays has a health check with a bound on how long it may take."""
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


@pytest.mark.parametrize("name", [name for name in PARTS if "--name" in SERVICES[name].get("command", ())])
def test_ready_file_bears_the_parts_name(name: str) -> None:
    """A part without HTTP is healthy when the ready file of its own name is there, and an old one never survives."""
    service = SERVICES[name]
    probe = service["healthcheck"]["test"]
    if probe[1] == "test":
        assert probe[-1] == f"/var/lib/headrace/run/{service['command'][-1]}.ready"
    assert service["tmpfs"] == ["/var/lib/headrace/run:mode=1777"]


def test_ports_are_on_loopback() -> None:
    """Nothing is published beyond this machine."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(ports) >= 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_variables_have_a_default_or_are_documented() -> None:
    """Each variable is in deploy/README.md, and without a default Compose says that it is missing."""
    found = VARIABLE.findall(TEXT)
    assert len(found) > 5
    for name, rest in found:
        assert rest.startswith((":-", ":?")), f"{name} would be silently empty"
        assert f"`{name}`" in README, f"deploy/README.md does not name {name}"


@pytest.mark.parametrize("name", PARTS)
def test_settings_of_parts_are_settings(name: str) -> None:
    """The environment of each part is one that Settings takes, with no server of its own to start."""
    environ = {key: VARIABLE.sub("secret", str(text)) for key, text in PARTS[name]["environment"].items()}
    settings = Settings.from_environ(environ | _image_environment())
    assert (settings.embedded, settings.kafka, settings.kafka_protocol) == ((), "kafka:19092", "SASL_PLAINTEXT")
    mounts = [mount.split(":")[-2 if mount.endswith(":ro") else -1] for mount in PARTS[name]["volumes"]]
    assert str(settings.plan) in mounts
    assert str(settings.home) in mounts


@pytest.mark.parametrize("name", PARTS)
def test_a_container_has_the_secrets_that_its_part_uses(name: str) -> None:
    """As on one machine, no password reaches a part that does not use it, and plan keys come by files of their own."""
    known = {f"HEADRACE_{secret.upper()}" for secret in Settings.SECRETS}
    one_shots = {"prepare": ("kafka_password", "clickhouse_password"), "emitter": ("kafka_password",)}
    used = one_shots.get(name) or environment.SECRETS[name.replace("gateway", "serving")]
    assert PARTS[name]["environment"].keys() & known == {f"HEADRACE_{secret.upper()}" for secret in used}
    files = [entry["path"] for entry in PARTS[name].get("env_file", ())]
    assert files == ([f"deploy/{name}.env"] if name in ("gateway", "judge", "alert") else [])


def test_dependencies_are_there_and_waited_for() -> None:
    """Parts start after the servers are healthy and after topics and schema are made."""
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            expected = "service_completed_successfully" if needed == ONE_SHOT else "service_healthy"
            assert (needed in SERVICES, how["condition"]) == (True, expected), name
    for name in PARTS.keys() - ONE_SHOTS:
        assert set(SERVICES[name]["depends_on"]) == {ONE_SHOT, "kafka", "clickhouse"}


def test_volumes_are_named_and_files_are_there() -> None:
    """State lives in declared volumes, and what is mounted from the repository exists."""
    mounts = [mount for service in SERVICES.values() for mount in service.get("volumes", ())]
    named = {mount.split(":")[0] for mount in mounts if not mount.startswith((".", "$", "/"))}
    assert named == set(COMPOSE["volumes"])
    for mount in mounts:
        if mount.startswith("./"):
            assert (REPOSITORY / mount.split(":")[0]).exists(), mount


def test_broker_takes_the_largest_record() -> None:
    """The broker's bound is at least that of every topic, and topics appear only by `prepare`."""
    environ = SERVICES["kafka"]["environment"]
    assert environ["KAFKA_MESSAGE_MAX_BYTES"] >= max(topic.max_record_bytes for topic in topics.TOPICS)
    assert environ["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_image_installs_the_lock_and_runs_as_nobody_special() -> None:
    """The image holds exactly what the lock names, with hashes, installed by the Makefile's uv, and is not root."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text("utf-8")
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    uv = re.search(r"^UV_VERSION := (\S+)$", makefile, re.MULTILINE)
    assert uv is not None
    assert f"uv=={uv[1]}" in dockerfile
    assert "--require-hashes locks/python.lock" in dockerfile
    assert [line.split()[1] for line in dockerfile.splitlines() if line.startswith("USER ")] == ["headrace"]
    for base in re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE):
        assert re.search(r":\d+\.\d+", base), base


def _image_environment() -> dict[str, str]:
    dockerfile = (REPOSITORY / "Dockerfile").read_text("utf-8")
    return dict(re.findall(r"\b(HEADRACE_[A-Z]+)=(\S*)", dockerfile))
