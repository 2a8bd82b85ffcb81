"""Media by their hash: a fixed type, nothing that could run, whole or in ranges, to members of a project that shows them."""

from __future__ import annotations

import re

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.translation import gettext_noop

from annotation.errors import NotFound
from annotation.selectors.media import media_get
from pipelines.services.media import media_path
from webapp.requests import Request

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_SHA256 = re.compile(r"[0-9a-f]{64}")
MOST_RANGE_BYTES = 8_000_000
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Content-Disposition": "inline",
    "Accept-Ranges": "bytes",
    # Bytes of a hash never change; a removed member's browser keeps what it saw, as a person's eyes do.
    "Cache-Control": "private, max-age=86400, immutable",
}


def medium(request: Request, slug: str, sha256: str) -> HttpResponseBase:
    """The bytes of a medium; of a range, at most 8 MB at once, from where the player asks."""
    if not _SHA256.fullmatch(sha256):
        raise NotFound(gettext_noop("There is no such medium in this project."))
    found = media_get(project=request.project, sha256=sha256)
    path = media_path(sha256)
    if not path.is_file():
        raise NotFound(gettext_noop("The file of this medium is missing; restore it from a backup."))
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if asked is None or asked.groups() == ("", ""):
        return FileResponse(path.open("rb"), content_type=found.media_type, headers=HEADERS)
    first, last = _bounds(asked[1], asked[2], found.size)
    if first > last:
        return HttpResponse(status=416, headers={**HEADERS, "Content-Range": f"bytes */{found.size}"})
    with path.open("rb") as stream:
        stream.seek(first)
        body = stream.read(last - first + 1)
    headers = {**HEADERS, "Content-Range": f"bytes {first}-{last}/{found.size}"}
    return HttpResponse(body, status=206, content_type=found.media_type, headers=headers)


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """The first and the last byte of a range as HTTP writes it: `5-9`, `5-`, `-5` (the last five)."""
    if not first:
        start = max(0, size - int(last))
        return start, min(size - 1, start + MOST_RANGE_BYTES - 1)
    start = int(first)
    end = min(int(last) if last else size - 1, size - 1, start + MOST_RANGE_BYTES - 1)
    return start, end
