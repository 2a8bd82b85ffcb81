"""Registered models, by name. Pages list only the home's models folder; nobody types a path here."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from annotation.errors import Refused
from annotation.models import LanguageModel
from annotation.selectors.access import projects_with_roles
from pipelines.selectors.routing import usable_models
from pipelines.services.models import model_register
from webapp.access import BUILDERS
from webapp.requests import Request


def models(request: Request) -> HttpResponse:
    """The list; a site administrator registers a folder that stands there."""
    registered = usable_models(projects=projects_with_roles(user=request.user, roles=BUILDERS))
    folders = folders_to_register(set(LanguageModel.objects.values_list("location", flat=True)))
    if request.method == "GET":
        return render(request, "models.html", {"models": registered, "folders": folders})
    folder = request.POST.get("folder", "")
    if folder not in folders:
        raise Refused("Choose one of the folders that stand in the home’s models folder.")
    model = model_register(
        name=request.POST.get("name", "").strip(),
        path=settings.MODELS_DIR / folder,
        licence=request.POST.get("licence", "").strip()[:80],
    )
    messages.success(request, f"{model.name} is registered.")
    return redirect("models")


def folders_to_register(taken: set[str]) -> list[str]:
    """Names of folders in the home's models folder that no registered model lives in."""
    home: Path = settings.MODELS_DIR
    if not home.is_dir():
        return []
    found = (path.name for path in home.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(name for name in found if name not in taken)
