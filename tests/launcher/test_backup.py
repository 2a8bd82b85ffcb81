"""Backup and restore on the launcher's level: every file and row comes back, and nothing half-done stays."""

import os
import tarfile
from pathlib import Path

import pytest

from launcher import backup
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


def test_what_is_written_meanwhile_is_kept_as_it_was_when_opened(
    filled: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log grows while it is read, a draft is gone when its turn comes: the backup restores all the same."""
    run = filled.path / "runs" / "7"
    run.mkdir(parents=True)
    log, gone = run / "log.txt", run / "gone.json"
    log.write_text("one\n")
    monkeypatch.setattr(backup, "_files", lambda home, files=backup._files: [*files(home), gone])
    gettarinfo = tarfile.TarFile.gettarinfo

    def growing(archive, *args, **more):
        with log.open("a") as file:
            file.write("more\n")
        return gettarinfo(archive, *args, **more)

    def read_late(self, size=-1, read=backup._HashedRead.read):
        with log.open("a") as file:
            file.write("later\n")
        return read(self, size)

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", growing)
    monkeypatch.setattr(backup._HashedRead, "read", read_late)
    written = backup_write(filled)
    other = Home(tmp_path / "other")
    backup_restore(other, written)
    kept = (other.path / "runs" / "7" / "log.txt").read_text()
    assert kept.startswith("one\nmore\n") and log.read_text().startswith(kept) and kept != log.read_text()


def test_drafts_and_scratch_are_left_out(filled: Home) -> None:
    for name in (
        "runs/7/trainer/w",
        "runs/7/job.json",
        "runs/7/checkpoint.partial/w",
        "models/.new-a/w",
        "demo/w",
    ):
        path = filled.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    names = {str(path.relative_to(filled.path)) for path in backup._files(filled)}
    assert {"runs/7/job.json", "models/tiny/model.safetensors", "secrets/secret_key"} <= names
    assert not [name for name in names if name.endswith("/w")]


def test_a_link_is_not_followed_out_of_the_home(filled: Home) -> None:
    (filled.path / "models" / "link").symlink_to("/etc/hostname")
    with pytest.raises(HomeRefused, match="is a link"):
        backup_write(filled)
