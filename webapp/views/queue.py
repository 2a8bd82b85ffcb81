"""The queue for curators: how far it is by batch, in which order, what is wanted, what is set aside for whom."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import Refused
from annotation.models import Offer
from annotation.selectors.queue import Batch, batch_list, group_list, judging_people, offer_list
from annotation.services.offers import MOST_OFFERED, group_set, offer_create
from annotation.services.offers import offer_release as offer_release_service
from pipelines.services.ordering import ORDERS, batch_place_set, order_start, wanted_start
from webapp.context import may
from webapp.requests import Request
from webapp.views.project import whole_number

SUMS = [f.name for f in fields(Batch) if f.name not in {"import_id", "name", "place", "least", "most"}]


def queue(request: Request, slug: str) -> HttpResponse:
    batches = batch_list(project=request.project)
    context: dict[str, Any] = {
        "batches": batches,
        "total": {name: sum(getattr(batch, name) for batch in batches) for name in SUMS},
        "offers": offer_list(project=request.project),
        "groups": group_list(project=request.project),
        "orders": ORDERS.items(),
        "may_change": may(request, "queue_wanted", "POST"),
        "may_see_leases": may(request, "leases"),
        "most_offered": MOST_OFFERED,
    }
    if context["may_change"]:
        context["people"] = judging_people(project=request.project)
    return render(request, "curate/queue.html", context)


def queue_wanted(request: Request, slug: str) -> HttpResponse:
    """Of the whole project, or of the batch that the form names."""
    batch = request.POST.get("import", "")
    job = wanted_start(
        project=request.project,
        wanted=whole_number(request.POST.get("wanted", ""), "Wanted annotations"),
        import_id=whole_number(batch, "The batch") if batch else None,
        now="now" in request.POST,
        created_by=request.user,
    )
    return redirect("job", slug, job.pk)


def queue_order(request: Request, slug: str) -> HttpResponse:
    job = order_start(project=request.project, order=request.POST.get("order", ""), created_by=request.user)
    return redirect("job", slug, job.pk)


def queue_place(request: Request, slug: str, import_id: int) -> HttpResponse:
    place = whole_number(request.POST.get("place", ""), "The batch's place")
    batch_place_set(project=request.project, import_id=import_id, place=place)
    messages.success(request, "The batch has its place; it counts where batches are served one by one.")
    return redirect("queue", slug)


def offer_make(request: Request, slug: str) -> HttpResponse:
    """Offer a batch, or one comparison, to a person ("u7") or a group ("g3")."""
    to, batch = request.POST.get("to", ""), request.POST.get("import", "")
    comparison, days = request.POST.get("comparison", ""), request.POST.get("days", "").strip()
    kind, number = to[:1], whole_number(to[1:], "To whom")
    if kind not in {"u", "g"}:
        raise Refused("Choose to whom the comparisons are offered.")
    most = request.POST.get("most", "").strip()
    offer = offer_create(
        project=request.project,
        user_id=number if kind == "u" else None,
        group_id=number if kind == "g" else None,
        comparison_ids=[whole_number(comparison, "The comparison")] if comparison else None,
        import_id=whole_number(batch, "The batch") if batch else None,
        most=whole_number(most, "At most") if most else MOST_OFFERED,
        days=whole_number(days, "Days") if days else None,
        created_by=request.user,
    )
    messages.success(request, _offered(offer))
    return redirect("comparison", slug, comparison) if comparison else redirect("queue", slug)


def _offered(offer: Offer) -> str:
    n = offer.offered
    until = f" until {offer.due_at:%d %B %Y %H:%M} UTC" if offer.due_at else ""
    return f"{n:,} comparison{'' if n == 1 else 's'} set aside{until}; shown before everything else."


def offer_release(request: Request, slug: str, offer: int) -> HttpResponse:
    offer_release_service(project_id=request.project.pk, offer_id=offer)
    messages.success(request, "The offer is over. What was not begun is open to everybody again.")
    return redirect("queue", slug)


def group_change(request: Request, slug: str) -> HttpResponse:
    members = [whole_number(text, "A member") for text in request.POST.getlist("members")]
    group = group_set(project=request.project, name=request.POST.get("name", ""), user_ids=members)
    messages.success(request, f"The group {group.name} has {len(members)} member{'' if len(members) == 1 else 's'}.")
    return redirect("queue", slug)
