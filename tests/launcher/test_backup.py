"""Backup and restore on the launcher's level: every file and row comes back, and nothing half-done stays."""

import os
import tarfile
from pathlib import Path

import pytest

from launcher.backup import BackupDamaged, backup_restore, backup_write
from launcher.errors import HomeRefused
from launcher.home import Home
from launcher.postgres import Postgres
from launcher.services import held

pytestmark = pytest.mark.database


@pytest.fixture(autouse=True)
def _embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty value counts as unset: the home's own database is meant.
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setenv("BROKER_URL", "none")
    monkeypatch.setenv("WINNOW_HOME", os.environ["WINNOW_HOME"])


@pytest.fixture
def filled(tmp_path: Path) -> Home:
    home = Home(tmp_path / "filled")
    home.prepare()
    (home.path / "models" / "tiny").mkdir(parents=True)
    (home.path / "models" / "tiny" / "model.safetensors").write_bytes(b"weights")
    postgres = Postgres(home, durable=False)
    with held(postgres):
        postgres.client("psql", "-c", "CREATE TABLE kept AS SELECT 7 AS number", "winnow")
    return home


def test_a_backup_brings_back_rows_secrets_and_files(filled: Home, tmp_path: Path) -> None:
    written = backup_write(filled)
    assert written.stat().st_mode & 0o777 == 0o600
    other = Home(tmp_path / "other")
    backup_restore(other, written)
    assert other.secret("secret_key") == filled.secret("secret_key")
    assert (other.path / "models" / "tiny" / "model.safetensors").read_bytes() == b"weights"
    postgres = Postgres(other, durable=False)
    with held(postgres):
        assert postgres.client("psql", "-At", "-c", "SELECT number FROM kept", "winnow") == "7\n"


def test_a_home_with_anything_in_it_is_refused(filled: Home) -> None:
    written = backup_write(filled)
    with pytest.raises(HomeRefused, match="not empty"):
        backup_restore(filled, written)


def test_a_cut_or_changed_backup_is_refused_and_leaves_the_home_empty(filled: Home, tmp_path: Path) -> None:
    written = backup_write(filled)
    whole = written.read_bytes()
    at = whole.index(b"weights")
    for damaged in (whole[:at], whole[:at] + b"Weights" + whole[at + 7 :], b"no tar"):
        written.write_bytes(damaged)
        target = Home(tmp_path / "target")
        with pytest.raises(BackupDamaged):
            backup_restore(target, written)
        assert list(target.path.iterdir()) == []


def test_a_member_that_leads_out_of_the_home_is_refused(filled: Home, tmp_path: Path) -> None:
    written = backup_write(filled)
    (tmp_path / "evil").write_text("x")
    with tarfile.open(written, "a") as archive:
        archive.add(tmp_path / "evil", "home/../../evil-written")
    with pytest.raises(BackupDamaged, match="does not name"):
        backup_restore(Home(tmp_path / "target"), written)
    assert not (tmp_path / "evil-written").exists()


def test_a_link_is_not_followed_out_of_the_home(filled: Home) -> None:
    (filled.path / "models" / "link").symlink_to("/etc/hostname")
    with pytest.raises(HomeRefused, match="is a link"):
        backup_write(filled)
