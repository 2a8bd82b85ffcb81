"""The database's address, and the connection that a web process keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection, connections
from django.test import Client
from django.utils import timezone

from annotation.models import Session, User
from annotation.services.people import sessions_expire
from tests import cast
from webapp.away import OneLine, database_away
from webapp.sessions import SessionStore
from webapp.settings import _database


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://w:p%40%2F@db.example:6432/labels", {"HOST": "db.example", "PORT": "6432", "PASSWORD": "p@/"}),
        ("postgres://w@[::1]:5432/labels", {"HOST": "::1", "NAME": "labels", "PASSWORD": ""}),
        ("postgresql://w:p@%2Ftmp%2FSome%20Home:5433/labels", {"HOST": "/tmp/Some Home", "PORT": "5433", "USER": "w"}),
    ],
)
def test_an_address_is_read_as_postgres_reads_it(address: str, expected: dict[str, str]) -> None:
    settings = _database(address)
    assert {key: settings[key] for key in expected} == expected


def test_what_follows_the_address_reaches_postgres() -> None:
    options = _database("postgresql://w@db.example/labels?sslmode=verify-full")["OPTIONS"]
    assert isinstance(options, dict) and options["sslmode"] == "verify-full"
    options = _database("postgresql://w@db.example/labels?options=-c%20search_path%3Dours")["OPTIONS"]
    assert isinstance(options, dict) and "search_path=ours -c statement_timeout" in options["options"]


@pytest.mark.parametrize("address", ["mysql://w@db.example/labels", "postgresql://w@db/labels?colour=red"])
def test_an_address_that_cannot_be_used_is_refused_in_one_sentence(address: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        _database(address)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_replaced_before_a_request_meets_it(client: Client, cluster: str) -> None:
    client.force_login(User.objects.create_user("ben@example.org"))
    mine = connection.connection.info.backend_pid
    connection.close_if_unusable_or_obsolete()  # what ends a request
    with psycopg.connect(f"{cluster}/{connection.settings_dict['NAME']}", autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
    connections["default"].health_check_enabled = True
    connections["default"].health_check_done = False
    assert client.get("/").status_code == 200
    assert connection.connection.info.backend_pid != mine


@pytest.fixture
def no_server() -> Iterator[None]:
    """Where the database was, nobody listens; afterwards it is back."""
    place = {name: connection.settings_dict[name] for name in ("HOST", "PORT")}
    connection.close()
    connection.settings_dict.update(HOST="127.0.0.1", PORT="1")
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict.update(place)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_without_a_database_everybody_is_told_to_try_again_and_the_log_has_a_line(
    client: Client, no_server: None, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(OneLine())
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    reply = client.get("/p/ours/annotate/next", headers={"Accept": accept})
    assert reply.status_code == 503
    assert "try again in a few seconds" in reply.content.decode()
    assert reply.headers["Retry-After"] == "2"
    assert "Traceback" not in caplog.text and "the database does not answer" in caplog.text


@pytest.mark.parametrize(("state", "away"), [(None, True), ("57P01", True), ("57014", False), ("40P01", False)])
def test_only_an_absent_database_counts_as_away(state: str | None, away: bool) -> None:
    error = OperationalError("no")
    error.__cause__ = psycopg.Error()
    error.__cause__.sqlstate = state
    assert database_away(error) is away
    assert not database_away(ValueError("no"))


@pytest.mark.django_db
def test_a_session_that_is_over_or_unknown_names_nobody() -> None:
    session, ben = SessionStore(), cast.person("Ben")
    session[SESSION_KEY] = str(ben.pk)
    session.create()
    read = SessionStore(session.session_key)
    assert (read[SESSION_KEY], read.person, read.project) == (str(ben.pk), ben, None)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE annotation_session SET expire_date = now() - interval '1 second'")
    for key in (session.session_key, "never-made"):
        over = SessionStore(key)
        assert over.get(SESSION_KEY) is None
        assert over.session_key is None


@pytest.mark.django_db
def test_a_session_that_is_over_is_taken_away_and_others_stay() -> None:
    keys = []
    for days in (-1, 1):
        session = SessionStore()
        session.create()
        keys.append(session.session_key)
        Session.objects.filter(pk=keys[-1]).update(expire_date=timezone.now() + timedelta(days=days))
    assert sessions_expire() == 1
    assert list(Session.objects.values_list("pk", flat=True)) == keys[1:]


@pytest.mark.django_db(transaction=True)
def test_a_session_of_a_deleted_account_is_stored_and_names_nobody() -> None:
    session = SessionStore()
    session[SESSION_KEY] = "999999999"
    session.create()
    read = SessionStore(session.session_key)
    assert (read[SESSION_KEY], read.person) == ("999999999", None)


@pytest.mark.django_db
def test_an_account_that_was_switched_off_is_nobody(client: Client) -> None:
    ben = User.objects.create_user("ben@example.org")
    client.force_login(ben)
    assert client.get("/").status_code == 200
    User.objects.filter(pk=ben.pk).update(is_active=False)
    assert client.get("/").status_code == 302
