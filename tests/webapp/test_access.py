"""Every address with every role: the table in webapp/access.py is what happens, and nothing is missing from it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from annotation.models import Project, User
from tests import cast
from webapp.access import ACCESS
from webapp.middleware import ABSENT

METHODS = ["GET", "POST", "PUT", "DELETE"]
PROJECT_ROLES = ["annotator", "reviewer", "curator", "researcher", "project_admin"]
WHO = ["nobody", "stranger", "suspended", *PROJECT_ROLES, "site_admin"]
# Values of every parameter that an address may have. Absent objects will do: the check comes before them.
PARAMETERS: dict[str, object] = {
    "token": "x" * 20,
    "role": "annotator",
    "name": "v1",
    "file": "report.html",
    "path": "a",
}


def names(patterns: list[URLPattern | URLResolver], prefix: str = "") -> list[tuple[str, URLPattern]]:
    found: list[tuple[str, URLPattern]] = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = f"{prefix}{pattern.namespace}:" if pattern.namespace else prefix
            found += names(pattern.url_patterns, inner)
        else:
            found.append((f"{prefix}{pattern.name or ''}", pattern))
    return found


URLS = dict(names(get_resolver().url_patterns))


@dataclass
class Scene:
    project: Project
    people: dict[str, User | None]


@pytest.fixture
def scene(db: None) -> Scene:
    project, elsewhere = cast.project("ours"), cast.project("theirs")
    people: dict[str, User | None] = {
        "nobody": None,
        "stranger": cast.person("Cy", elsewhere, *PROJECT_ROLES),
    }
    people |= {role: cast.person("Ben", project, role) for role in PROJECT_ROLES}
    people["suspended"] = cast.person("Gone", project, "project_admin")
    people["site_admin"] = cast.person("Ada")
    User.objects.filter(pk=people["site_admin"].pk).update(is_site_admin=True)
    return Scene(project, people)


def address(name: str, slug: str) -> str:
    from django.urls import reverse

    converters = URLS[name].pattern.converters
    values = {
        key: 1 if type(c).__name__ == "IntConverter" else PARAMETERS.get(key, "x")
        for key, c in converters.items()
    }
    if "slug" in values:
        values["slug"] = slug
    return reverse(name, kwargs=values)


def client_of(person: User | None) -> Client:
    client = Client(raise_request_exception=False)
    if person is not None:
        client.force_login(person)
    return client


def was_refused(response: HttpResponse) -> bool:
    """Sent to sign in, told that there is nothing, or told that the method is none."""
    if response.status_code == 302:
        return response["Location"].startswith("/sign-in/?")
    if response.status_code in {401, 405}:
        return True
    if response.status_code != 404:
        return False
    return ABSENT[:40] in response.content.decode()


def expected(who: str, name: str, method: str) -> bool:
    """Whether the table lets this person in."""
    allowed = ACCESS[name].who(method)
    if "anyone" in allowed:
        return True
    if who in {"nobody", "suspended"}:
        return False
    if "signed_in" in allowed or who == "site_admin":
        return bool(allowed)
    if who == "project_admin":
        return bool(allowed & set(PROJECT_ROLES))
    if who == "stranger":  # all roles, but elsewhere: they open what belongs to no project
        return bool("slug" not in URLS[name].pattern.converters and allowed & set(PROJECT_ROLES))
    held = {"annotator", "reviewer"} if who == "reviewer" else {who}
    return bool(allowed & held)


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert set(URLS) == set(ACCESS)


@pytest.mark.parametrize("name", sorted(ACCESS))
def test_it_lets_in_whom_the_table_names_and_nobody_else(name: str, scene: Scene) -> None:
    wrong = []
    clients = {who: client_of(person) for who, person in scene.people.items()}
    User.objects.filter(pk=scene.people["suspended"].pk).update(is_active=False)
    for who, client in clients.items():
        for method in METHODS:
            response = client.generic(method, address(name, scene.project.slug))
            if was_refused(response) == expected(who, name, method):
                wrong.append(f"{who} {method} {name}: {response.status_code}")
            if response.status_code >= 500:
                wrong.append(f"{who} {method} {name}: {response.status_code}")
            if who != "nobody" and name == "sign_out" and method == "POST":
                clients[who].force_login(scene.people[who])
    assert wrong == []


@pytest.mark.parametrize("name", sorted(n for n in ACCESS if "slug" in URLS[n].pattern.converters))
def test_absent_and_forbidden_look_the_same(name: str, scene: Scene) -> None:
    client = client_of(scene.people["stranger"])
    method = "GET" if ACCESS[name].get else "POST"
    forbidden = client.generic(method, address(name, "ours"))
    absent = client.generic(method, address(name, "no-such-project"))
    assert (forbidden.status_code, forbidden.content) == (absent.status_code, absent.content)


@pytest.mark.django_db
def test_a_view_without_a_row_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(ACCESS, "health")
    assert Client(raise_request_exception=False).get("/health/").status_code == 500


@pytest.mark.parametrize("name", sorted(n for n, rule in ACCESS.items() if rule.post))
def test_a_post_without_the_form_token_is_refused(name: str, scene: Scene) -> None:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(scene.people["site_admin"])
    assert client.post(address(name, "ours")).status_code == 403


def test_a_removed_role_counts_from_the_next_request(scene: Scene) -> None:
    ben = scene.people["annotator"]
    client = client_of(ben)
    assert client.get("/p/ours/annotate/").status_code == 200
    ben.memberships.all().delete()
    assert client.get("/p/ours/annotate/").status_code == 404


def test_a_service_token_opens_only_its_scopes_and_its_project(scene: Scene) -> None:
    from annotation.services.people import service_token_create

    ben = scene.people["annotator"]
    token = service_token_create(user=ben, project=scene.project, name="judge", scopes=["annotate"])
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    client = Client(enforce_csrf_checks=True)
    assert client.get("/p/ours/annotate/next", headers=headers).status_code == 200
    assert client.get("/p/ours/annotate/", headers=headers).status_code == 404
    assert client.get("/p/theirs/annotate/next", headers=headers).status_code == 404
    ben.service_tokens.update(revoked_at="2026-01-01T00:00Z")
    assert client.get("/p/ours/annotate/next", headers=headers).status_code == 401
