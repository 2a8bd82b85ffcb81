"""The frame around every page: policy, no torch, closed doors, one-time links."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from annotation.errors import Refused
from annotation.models import Assignment
from annotation.services.assignment import assignment_next
from annotation.services.people import link_allowed, user_invite
from tests import cast

TEMPLATES = [*Path("webapp/templates").rglob("*.html"), *Path("annotation/feedback").rglob("*.html")]


def test_the_web_side_never_loads_torch() -> None:
    code = (
        "import django; django.setup(); import webapp.urls, sys;"
        "print([m for m in ('torch', 'transformers', 'trl', 'datasets') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=settings.BASE_DIR, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", TEMPLATES, ids=str)
def test_templates_hold_nothing_inline(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", text)
    assert not re.search(r"<script(?![^>]*\ssrc=)", text)
    assert "|safe" not in text and "autoescape off" not in text


@pytest.mark.django_db
def test_every_reply_carries_a_strict_policy() -> None:
    for address in ("/sign-in/", "/health/", "/nowhere/"):
        policy = Client().get(address)["Content-Security-Policy"]
        assert (
            "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        )


def test_behind_a_proxy_sign_ins_are_limited_by_the_address_that_the_proxy_saw() -> None:
    code = (
        "import django; django.setup()\n"
        "from django.test import RequestFactory; from allauth.core.internal.httpkit import get_client_ip\n"
        "print(get_client_ip(RequestFactory().get('/', headers={'X-Forwarded-For': '6.6.6.6, 203.0.113.9'})))"
    )
    for behind, address in (("1", "203.0.113.9"), ("0", "127.0.0.1")):
        environment = {**os.environ, "WINNOW_BEHIND_PROXY": behind}
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, cwd=settings.BASE_DIR, env=environment, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == address


@pytest.mark.django_db
def test_signing_in_and_out() -> None:
    ben = cast.person("Ben")
    client = Client()
    assert client.post("/sign-in/", {"login": ben.email, "password": "wrong"}).status_code == 400
    reply = client.post(
        "/sign-in/", {"login": ben.email, "password": cast.PASSWORD, "next": "https://evil.example/"}
    )
    assert (reply.status_code, reply["Location"]) == (302, "/")
    assert client.get("/").status_code == 200
    client.post("/sign-out/")
    assert client.get("/")["Location"] == "/sign-in/?next=/"


@pytest.mark.django_db
def test_a_link_sets_a_password_once() -> None:
    place = cast.project("ours")
    user, token = user_invite(email="new@example.org", role="annotator", project=place)
    client, address = Client(), f"/welcome/{token}/"
    assert client.get(address).status_code == 200
    assert client.get(address)["Referrer-Policy"] == "same-origin"
    assert client.post(address, {"password": "short", "again": "short"}).status_code == 400
    password = "a long enough passphrase"
    assert client.post(address, {"password": password, "again": password}).status_code == 302
    assert client.get("/").status_code == 200
    assert Client().get(address).status_code == 404
    user.refresh_from_db()
    assert user.check_password(password)


@pytest.mark.django_db
def test_nobody_opens_an_account_that_holds_more_than_they_could_give() -> None:
    here, there = cast.project("here"), cast.project("there")
    plain, boss, elsewhere = (
        cast.person("Plain", here, "annotator"),
        cast.person("Boss", here, "project_admin"),
        cast.person("Else", there, "annotator"),
    )
    for person, by, allowed in [
        (plain, {"curator"}, True),
        (boss, {"curator"}, False),
        (boss, {"project_admin"}, True),
        (elsewhere, {"project_admin"}, False),
        (elsewhere, {"site_admin"}, True),
        (plain, {"researcher"}, False),
    ]:
        assert link_allowed(user=person, project=here, by_roles=by) is allowed


@pytest.mark.django_db
def test_a_curator_pauses_somebody_who_judges_and_lets_them_go_on() -> None:
    place = cast.project("ours")
    cast.comparisons(place, 2, wanted=1)
    curator, ben = cast.person("Cy", place, "curator"), cast.person("Ben", place, "annotator")
    assignment_next(project_id=place.pk, user_id=ben.pk)
    client = Client()
    client.force_login(curator)
    pause = f"/p/ours/people/{ben.pk}/pause/"
    page = client.post(pause, {"paused": "1"}, follow=True).content.decode()
    assert ">paused<" in page and "Let go on" in page
    with pytest.raises(Refused, match="paused"):
        assignment_next(project_id=place.pk, user_id=ben.pk)
    assert not Assignment.objects.filter(state="leased").exists()
    client.post(pause, {"paused": "0"})
    assert assignment_next(project_id=place.pk, user_id=ben.pk)
    assert client.post(f"/p/ours/people/{curator.pk}/pause/", {"paused": "1"}).status_code == 404


@pytest.mark.django_db
def test_a_curator_invites_annotators_only() -> None:
    place = cast.project("ours")
    client = Client()
    client.force_login(cast.person("Cy", place, "curator"))
    invited = client.post("/p/ours/people/", {"email": "a@example.org", "role": "annotator"})
    assert "/welcome/" in invited.content.decode()
    assert "/welcome/" not in client.get("/p/ours/people/").content.decode()
    assert (
        client.post("/p/ours/people/", {"email": "a@example.org", "role": "project_admin"}).status_code == 403
    )
