"""The order of the queue: a policy a project, applied to all places while people work, and again after each change."""

from __future__ import annotations

import json

import pytest
from django.core.management import call_command

from annotation.errors import NotFound, Refused
from annotation.models import Comparison, Demand, Import, Project
from annotation.services.assignment import assignment_next, assignment_skip
from annotation.services.demand import comparison_wanted_set
from pipelines.models import WorkItem
from pipelines.queue import DEFAULT
from pipelines.services.ordering import (
    ORDERS,
    batch_place_set,
    order_apply,
    order_start,
    wanted_start,
)
from pipelines.services.routing import route_pilot
from tests import cast
from tests.annotation.queue_invariants import broken_invariants
from workers.loop import drain

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project() -> Project:
    return cast.project()


def batch(project: Project, comparisons: list[Comparison], place: int) -> Import:
    made = Import.objects.create(
        project=project, file_name=f"{place}", source_name="s", state="done", place=place
    )
    Comparison.objects.filter(pk__in=[c.pk for c in comparisons]).update(source_import=made)
    return made


def ordered(project: Project, order: str) -> list[int]:
    Project.objects.filter(pk=project.pk).update(queue_order=order)
    project.refresh_from_db()
    order_apply(project=project)
    return list(Demand.objects.order_by("pool", "ord").values_list("pk", flat=True))


def test_batches_are_served_in_their_own_order(project):
    pairs = cast.comparisons(project, 4)
    batch(project, pairs[:2], 7)
    batch(project, pairs[2:], -1)
    assert ordered(project, "import") == [pairs[i].pk for i in (2, 3, 0, 1)]


def test_strata_take_turns_by_the_share_that_was_served(project):
    pairs = cast.comparisons(project, 9)
    big, small = batch(project, pairs[:6], 0), batch(project, pairs[6:], 0)
    places = ordered(project, "round_robin")
    of = {pair.pk: big.pk for pair in pairs[:6]} | {pair.pk: small.pk for pair in pairs[6:]}
    for n in (3, 6, 9):
        served = [of[pk] for pk in places[:n]]
        assert served.count(big.pk) == 2 * served.count(small.pk)


def test_whoever_was_served_least_comes_first(project):
    pairs = cast.comparisons(project, 8)
    batch(project, pairs[:4], 0)
    late = batch(project, pairs[4:], 1)
    Demand.objects.filter(pk__in=[pair.pk for pair in pairs[:2]]).update(done=1)
    ordered(project, "round_robin")
    first_open = Demand.objects.filter(is_open=True).order_by("pool", "ord")[:2]
    assert {d.comparison.source_import_id for d in first_open} == {late.pk}


def test_contexts_take_turns(project):
    pairs = cast.comparisons(project, 4)
    Comparison.objects.filter(pk__in=[pair.pk for pair in pairs[:2]]).update(context="short")
    places = ordered(project, "by_context")
    contexts = [Comparison.objects.get(pk=pk).context for pk in places]
    assert contexts[0] != contexts[1] and contexts[2] != contexts[3]


def test_every_order_places_every_comparison_once_and_people_go_on(project):
    pairs = cast.comparisons(project, 6, wanted=2)
    ben = cast.person("Ben", project, "annotator")
    for order in ORDERS:
        assert sorted(ordered(project, order)) == [pair.pk for pair in pairs]
        (row,) = assignment_next(project_id=project.pk, user_id=ben.pk)
        assignment_skip(assignment_id=row.id, user_id=ben.pk, reason="too_long")
        assert broken_invariants() == {}


def test_a_pilot_stays_in_front_of_every_order_and_a_plan_is_ordered_again(project):
    cast.comparisons(project, 12)
    order_start(project=project, order="import")
    drain(queue=DEFAULT, worker="test")
    route_pilot(project=project, share=0.5)
    assert WorkItem.objects.filter(kind="queue.order", state="ready").count() == 1
    drain(queue=DEFAULT, worker="test")
    places = list(Demand.objects.filter(wanted__gt=0).order_by("pool", "ord").values_list("pk", flat=True))
    assert places == sorted(places) and set(Demand.objects.values_list("pool", flat=True)) == {0}


def test_a_plan_keeps_what_a_batch_or_a_comparison_wants(project):
    pairs = cast.comparisons(project, 4)
    made = batch(project, pairs[:2], 0)
    wanted_start(project=project, wanted=3, import_id=made.pk)
    drain(queue=DEFAULT, worker="test")
    comparison_wanted_set(project=project, comparison_ids=[pairs[3].pk], wanted=5)
    route_pilot(project=project, share=1.0)
    assert list(Demand.objects.order_by("pk").values_list("wanted", flat=True)) == [3, 3, 1, 5]


def test_odd_orders_places_and_batches_are_refused(project):
    with pytest.raises(Refused, match="round_robin"):
        order_start(project=project, order="backwards")
    with pytest.raises(Refused):
        batch_place_set(project=project, import_id=1, place=99_999)
    with pytest.raises(NotFound):
        wanted_start(project=project, wanted=1, import_id=12345)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    call_command("queue", "--project", *words, "--json")
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_command_shows_raises_lowers_and_orders(project, capsys):
    pairs = cast.comparisons(project, 3)
    assert said(capsys, project.slug)["counts"]["places"] == 3
    assert said(capsys, project.slug, "--wanted", "2")["counts"]["changed"] == 3
    one = said(capsys, project.slug, "--wanted", "0", "--comparison", str(pairs[0].pk), "--now")
    assert one["counts"] == {"named": 1, "changed": 1}
    assert said(capsys, project.slug, "--order", "shuffled")["ok"]
    assert said(capsys, project.slug)["counts"]["places"] == 4
    with pytest.raises(SystemExit) as refused:
        said(capsys, project.slug, "--now")
    assert refused.value.code == 2
