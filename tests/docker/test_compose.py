"""The compose file: parsed, whole, and without a secret of its own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from launcher import commands
from pipelines.queue import DEFAULT, QUEUES
from workers.handlers import HANDLERS

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker" / "compose.yaml"
SERVICES = {"postgres", "broker", "migrate", "web", "worker-default", "worker-ml", "worker-train", "clock"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    parsed = yaml.safe_load(FILE.read_text())
    assert isinstance(parsed, dict)
    return parsed


def test_it_has_every_service_and_each_needs_only_services_of_the_file(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == SERVICES
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= SERVICES


def test_every_named_volume_is_declared(compose: dict[str, Any]) -> None:
    used = {
        mount.split(":")[0]
        for service in compose["services"].values()
        for mount in service.get("volumes", [])
    }
    assert used == set(compose["volumes"])


def test_every_build_file_exists_and_copies_only_what_the_context_keeps(compose: dict[str, Any]) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    files = {service["build"]["dockerfile"] for service in compose["services"].values() if "build" in service}
    assert files == {"docker/web.Dockerfile", "docker/worker.Dockerfile"}
    for file in files:
        copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (ROOT / file).read_text(), re.MULTILINE)
        sources = {source for line in copied for source in line.split()}
        assert {source.split("/")[0] for source in sources} <= kept
        assert all((ROOT / source).exists() for source in sources)


def test_the_web_image_has_no_torch_and_secrets_come_from_outside(compose: dict[str, Any]) -> None:
    assert "torch.txt" not in (ROOT / "docker" / "web.Dockerfile").read_text()
    for name in ("WINNOW_SECRET_KEY", "DATABASE_URL"):
        assert ":?" in compose["services"]["web"]["environment"][name]


def test_every_queue_is_served_and_what_needs_the_extra_by_the_image_that_has_it(compose: dict[str, Any]) -> None:
    assert {kind.queue for kind in HANDLERS.values()} == set(QUEUES)
    for queue in QUEUES:
        serving = [
            service
            for service in compose["services"].values()
            if f"-Q {queue} " in " ".join(service.get("command", []))
        ]
        assert len(serving) == 1, queue
        assert serving[0]["image"] == ("winnow-web" if queue == DEFAULT else "winnow-worker")
        assert ("worker.Dockerfile" in serving[0]["build"]["dockerfile"]) == (queue != DEFAULT)
    assert HANDLERS["train"].queue != DEFAULT and HANDLERS["train.tick"].queue != DEFAULT


def test_the_launcher_serves_every_queue_where_the_extra_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKER_URL", "none")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    names = {program.name for program in commands.programs("127.0.0.1:8000")}
    assert names == {"web", "clock", *(f"worker-{queue}" for queue in QUEUES)}


def test_both_images_hold_the_file_that_names_the_version() -> None:
    for name in ("web", "worker"):
        assert "pyproject.toml ./" in (ROOT / "docker" / f"{name}.Dockerfile").read_text()


def test_only_the_web_is_published_and_on_the_loopback_address(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert list(published) == ["web"]
    assert published["web"][0].startswith("127.0.0.1:")
