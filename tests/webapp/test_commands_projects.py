"""Commands that make projects and let people in."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from annotation.models import Membership, Project, User
from annotation.services.people import sign_in_link_use

pytestmark = pytest.mark.django_db


def run(capsys, *words: str) -> dict:
    """The command's JSON, and its exit code under `exit`."""
    code = 0
    try:
        call_command(*words, "--json")
    except SystemExit as stop:
        code = stop.code
    return {**json.loads(capsys.readouterr().out.strip().splitlines()[-1]), "exit": code}


def test_a_project_is_created_once(capsys):
    assert run(capsys, "create_project", "support")["ok"]
    again = run(capsys, "create_project", "support")
    assert (again["exit"], again["ok"]) == (2, False) and "exists already" in again["error"]
    assert Project.objects.get().form_revisions.get().questions[0]["steps"] == 7


@pytest.mark.parametrize("slug", ["Support", "a b", "../x", "a--b", ""])
def test_an_odd_name_is_refused(capsys, slug):
    assert run(capsys, "create_project", slug)["exit"] == 2
    assert not Project.objects.exists()


def test_an_invitation_prints_a_link_that_sets_a_password_once(capsys):
    run(capsys, "create_project", "support")
    link = run(capsys, "invite", "ben@example.org", "--role", "annotator", "--project", "support")["link"]
    token = link.rstrip("/").rsplit("/", 1)[-1]
    assert sign_in_link_use(token=token, password="a long enough password").check_password(
        "a long enough password"
    )
    with pytest.raises(Exception, match="used already"):
        sign_in_link_use(token=token, password="another long password")
    assert Membership.objects.get().role == "annotator"


@pytest.mark.parametrize(
    "words",
    [
        ("nobody", "--role", "annotator"),
        ("a@b.example", "--role", "king"),
        ("a@b.example", "--role", "curator"),
    ],
)
def test_an_odd_invitation_is_refused_and_leaves_nobody(capsys, words):
    assert run(capsys, "invite", *words)["exit"] == 2
    assert not User.objects.exists()


def test_the_site_link_ends_with_the_first_password(capsys):
    link = run(capsys, "site_link")["link"]
    sign_in_link_use(token=link.rstrip("/").rsplit("/", 1)[-1], password="a long enough password")
    assert run(capsys, "site_link")["link"] is None
