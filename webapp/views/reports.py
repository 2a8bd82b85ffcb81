"""Reports that the project's commands wrote into the home: each a self-contained page in a sandbox of its own."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from annotation.errors import NotFound
from webapp.requests import Request

NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,79}")
# Nothing runs and nothing is loaded in it; its own styles may be inline, because it is one file.
SANDBOX = (
    "sandbox allow-popups; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "frame-ancestors 'self'"
)


def _folder(request: Request) -> Path:
    """Reports of this project stand in a folder of its name."""
    folder: Path = settings.WINNOW_HOME / "reports" / request.project.slug
    return folder


def _path(request: Request, name: str) -> Path:
    path = _folder(request) / f"{name}.html"
    if not NAME.fullmatch(name) or not path.is_file() or path.is_symlink():
        raise NotFound("There is no report of that name in this project.")
    return path


def reports(request: Request, slug: str) -> HttpResponse:
    found = []
    if _folder(request).is_dir():
        for path in sorted(_folder(request).glob("*.html")):
            if NAME.fullmatch(path.stem) and not path.is_symlink():
                stat = path.stat()
                at = datetime.fromtimestamp(stat.st_mtime, tz=UTC)
                found.append({"name": path.stem, "at": at, "bytes": stat.st_size})
    return render(
        request, "versions/reports.html", {"reports": sorted(found, key=lambda r: r["at"], reverse=True)}
    )


def report(request: Request, slug: str, name: str) -> HttpResponse:
    _path(request, name)
    return render(request, "versions/report.html", {"name": name})


def report_file(request: Request, slug: str, name: str) -> HttpResponseBase:
    response = FileResponse(_path(request, name).open("rb"), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response
