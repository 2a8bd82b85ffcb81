"""Who judges what: the pilot, the judge's calibration, the budget, and every decision with its reason."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from pipelines.labels import PROJECT_METHODS
from pipelines.routing import POLICIES
from pipelines.selectors.routing import decision_page, judges_of, plan_shown, usable_models
from pipelines.services.routing import route_budget
from pipelines.services.routing import route_pilot as route_pilot_service
from webapp.context import may
from webapp.rendering import one_line
from webapp.requests import Request
from webapp.views.project import number, whole_number


def routing(request: Request, slug: str) -> HttpResponse:
    shown = plan_shown(project=request.project)
    reason, after = request.GET.get("reason", "")[:40], request.GET.get("after", "")
    decisions, more = [], None
    if shown.plan is not None:
        start = int(after) if after.isdecimal() and len(after) < 19 else 0
        page, more = decision_page(plan=shown.plan, reason=reason, after=start)
        decisions = [
            {
                "decision": d,
                "prompt": one_line(d.comparison.prompt.text.form, d.comparison.prompt.text.body, 110),
            }
            for d in page
        ]
    context = {
        "shown": shown,
        "plan": shown.plan,
        "decisions": decisions,
        "more": more,
        "reason": reason,
        "judges": judges_of(project=request.project),
        "models": usable_models(projects=[request.project]),
        "policies": POLICIES.values(),
        "methods": PROJECT_METHODS.values(),
        "may_route": may(request, "routing_plan", "POST"),
        "may_see_comparisons": may(request, "comparison"),
    }
    return render(request, "curate/routing.html", context)


def routing_pilot(request: Request, slug: str) -> HttpResponse:
    share = number(request.POST.get("share", ""), "Share of the pilot") / 100
    plan = route_pilot_service(project=request.project, share=share, created_by=request.user)
    messages.success(
        request,
        f"A random pilot of {plan.counts['person']:,} comparisons goes to people; nothing else is served.",
    )
    return redirect("routing", slug)


def routing_plan(request: Request, slug: str) -> HttpResponse:
    plan = route_budget(
        project=request.project,
        budget=whole_number(request.POST.get("budget", ""), "Budget"),
        policy=request.POST.get("policy", ""),
        judge=request.POST.get("judge") or None,
        created_by=request.user,
    )
    counts = plan.counts
    messages.success(
        request,
        f"{counts.get('person', 0):,} comparisons go to people, {counts.get('model', 0):,} to the judge.",
    )
    return redirect("routing", slug)
