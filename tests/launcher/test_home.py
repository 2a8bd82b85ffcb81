"""The home's secrets and the ports."""

import socket
from pathlib import Path

import pytest

from launcher.commands import bind_choose, public_address
from launcher.errors import HomeRefused, LauncherError
from launcher.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_secrets_are_random_private_and_made_once(home: Home, tmp_path: Path) -> None:
    first = home.secret("secret_key")
    assert len(first) >= 50 and (home.secrets / "secret_key").stat().st_mode & 0o777 == 0o600
    home.prepare()
    assert home.secret("secret_key") == first != home.secret("database_password")
    assert sorted(path.name for path in home.secrets.iterdir()) == ["database_password", "secret_key"]


def test_a_secret_that_others_can_read_is_refused(home: Home) -> None:
    (home.secrets / "secret_key").chmod(0o644)
    with pytest.raises(HomeRefused, match="chmod 600"):
        home.prepare()


def test_a_taken_port_is_replaced_unless_it_was_asked_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (home.run / "web.port").write_text(str(port))
        assert bind_choose(home)[1] != port
        monkeypatch.setenv("WINNOW_BIND", f"127.0.0.1:{port}")
        with pytest.raises(LauncherError, match="another program listens"):
            bind_choose(home)
    assert bind_choose(home) == ("127.0.0.1", port)


def test_another_address_than_loopback_needs_the_public_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_address("127.0.0.1", 8000) == "http://127.0.0.1:8000"
    with pytest.raises(LauncherError, match="WINNOW_PUBLIC_URL"):
        public_address("0.0.0.0", 8000)
    monkeypatch.setenv("WINNOW_PUBLIC_URL", "https://winnow.example.org/")
    assert public_address("0.0.0.0", 8000) == "https://winnow.example.org"


def test_a_bind_without_a_port_is_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_BIND", "127.0.0.1")
    with pytest.raises(LauncherError, match="HOST:PORT"):
        bind_choose(home)
