"""Fifty tabs vote at once on the server that `make up` starts, some on one account, some sending twice, some skipping:
afterwards every count is exact."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest
from django.conf import settings
from django.db.models import Count
from django.test import Client

from annotation.models import Annotation, Assignment, Demand, User
from launcher.commands import programs
from launcher.home import port_pick
from tests import cast
from tests.annotation.queue_invariants import broken_invariants
from tests.chaos.stack import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
COMPARISONS, WANTED, ACCOUNTS, TABS = 40, 4, 40, 50
CSRF = "b" * 32
PATH = "/p/load/annotate"


@pytest.fixture
def server(process_environment: dict[str, str]) -> Iterator[str]:
    bind = f"127.0.0.1:{port_pick()}"
    address = f"http://{bind}"
    environment = process_environment | {"WINNOW_PUBLIC_URL": address}
    process = subprocess.Popen(programs(bind)[0].command, env=environment)
    try:
        wait_for(lambda: _answers(f"{address}/health/"), "the server to answer", 60)
        yield address
    finally:
        process.terminate()
        process.wait(30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=2, verify=False).status_code == 200
    except httpx.HTTPError:
        return False


class Tab:
    """One tab of an account. Every third vote is sent twice at once, every tenth comparison is skipped."""

    def __init__(self, address: str, person: User) -> None:
        signed_in = Client()
        signed_in.force_login(person)
        session = signed_in.cookies[settings.SESSION_COOKIE_NAME].value
        self.client = httpx.Client(
            base_url=address,
            timeout=60,
            # Over plain HTTP this changes nothing but the time that loading certificates takes.
            verify=False,
            cookies={settings.SESSION_COOKIE_NAME: session, settings.CSRF_COOKIE_NAME: CSRF},
            headers={"Accept": "application/json", "X-CSRFToken": CSRF, "Referer": address},
        )
        self.replies = Counter[int]()
        self.acknowledged: dict[str, int] = {}
        self.skipped = set[int]()

    def work(self) -> None:
        turn = 0
        with self.client, ThreadPoolExecutor(2) as twice:
            while assignment := self._next():
                turn += 1
                if turn % 10 == 0:
                    reply = self._post(assignment, "skip", {"reason": "other"})
                    assert reply.status_code in {200, 204, 409}, reply.text[:200]
                    self.skipped |= set() if reply.status_code == 409 else {assignment["id"]}
                    continue
                fields = {"submit_key": str(uuid4()), "form": str(assignment["form"]), "preference": str(1 + turn % 7)}
                calls = [fields] * (2 if turn % 3 == 0 else 1)
                for reply in twice.map(lambda sent, on=assignment: self._post(on, "submit", sent), calls):
                    self.replies[reply.status_code] += 1
                    assert reply.status_code in {200, 201, 409}, reply.text[:200]
                    if reply.status_code != 409:
                        self.acknowledged[fields["submit_key"]] = reply.json()["annotation_id"]

    def _next(self) -> dict[str, Any] | None:
        reply = self.client.get(f"{PATH}/next")
        assert reply.status_code == 200, reply.text[:200]
        waiting = reply.json()["assignments"]
        return dict(waiting[0]) if waiting else None

    def _post(self, assignment: dict[str, Any], what: str, fields: dict[str, str]) -> httpx.Response:
        return self.client.post(f"{PATH}/{assignment['id']}/{what}", data=fields)


def test_fifty_at_once_leave_every_count_exact(server: str) -> None:
    project = cast.project("load", wanted=WANTED)
    cast.comparisons(project, COMPARISONS, wanted=WANTED)
    people = [cast.person(f"P{n}", project, "annotator") for n in range(ACCOUNTS)]
    tabs = [Tab(server, people[n % ACCOUNTS]) for n in range(TABS)]
    with ThreadPoolExecutor(TABS) as pool:
        list(pool.map(Tab.work, tabs))

    counted = Annotation.objects.filter(state="current").values("comparison").annotate(n=Count("id"), by=Count("rater"))
    assert {(row["n"], row["by"]) for row in counted} == {(WANTED, WANTED)} and len(counted) == COMPARISONS
    assert not Demand.objects.exclude(done=WANTED, leased=0).exists()
    stored = {str(key): pk for key, pk in Annotation.objects.filter(state="current").values_list("submit_key", "pk")}
    acknowledged = {key: pk for tab in tabs for key, pk in tab.acknowledged.items()}
    assert acknowledged == stored and len(stored) == COMPARISONS * WANTED
    skipped = set(Assignment.objects.filter(state="skipped").values_list("pk", flat=True))
    assert skipped == set().union(*(tab.skipped for tab in tabs))
    assert broken_invariants() == {}
    replies = sum((tab.replies for tab in tabs), Counter[int]())
    assert replies[201] == len(stored) and replies[200] > 0, "votes that were sent twice are one vote"
