"""The compose file: parsed, whole, and without a secret of its own."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker" / "compose.yaml"
SERVICES = {"postgres", "broker", "migrate", "web", "worker-default", "worker-ml", "clock"}


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


def test_only_the_web_is_published_and_on_the_loopback_address(compose: dict[str, Any]) -> None:
    published = {
        name: service["ports"] for name, service in compose["services"].items() if "ports" in service
    }
    assert list(published) == ["web"]
    assert published["web"][0].startswith("127.0.0.1:")
