"""Tags that show what models wrote; `webapp/rendering` makes it safe."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import template
from django.urls import reverse
from django.utils.safestring import SafeString, mark_safe

from webapp import rendering
from webapp.rendering.code import code_html
from webapp.rendering.markdown import Heading, headings
from webapp.rendering.turns import Turn, arguments_shown, sections

register = template.Library()
_SHA256 = re.compile(r"[0-9a-f]{64}")
# About six screens at the reading measure; shorter texts need no outline.
OUTLINE_FROM = 16_000
# A text above the first is drawn in sections of the second: one at once, the others on demand.
WHOLE_CHARACTERS, SECTION_CHARACTERS = 200_000, 50_000


def text_sections(text: str) -> list[str]:
    """The text whole, or a very long one in sections."""
    return sections(text, SECTION_CHARACTERS) if len(text) > WHOLE_CHARACTERS else [text]


@register.filter
def first_section(text: str) -> str:
    """The text, or as much of a very long one as a page draws at once."""
    return text_sections(text)[0]


@register.filter
def later_sections(text: str) -> range:
    """The numbers of the sections that are loaded on demand; the first is 1."""
    return range(1, len(text_sections(text)))


@register.simple_tag
def markdown_anchored(text: str, anchor: str) -> SafeString:
    """Markdown whose headings an outline can jump to."""
    return rendering.markdown_html(text, anchor)


@register.filter
def as_json(text: str) -> SafeString:
    """JSON, indented and coloured; another text as it is."""
    return mark_safe(code_html(arguments_shown(text), "json"))


@dataclass(frozen=True)
class Outlined:
    """One line of an outline."""

    anchor: str
    heading: Heading


@register.filter
def outline(turns: Sequence[Turn], anchor: str) -> list[Outlined]:
    """The headings of a long completion, with the anchors under which `annotate/turns.html` draws them."""
    texts = [
        (f"{anchor}-{at}-{place}", part.text)
        for at, turn in enumerate(turns, start=1)
        for place, part in enumerate(turn.shown, start=1)
        if part.kind == "text"
    ]
    if sum(len(text) for _, text in texts) < OUTLINE_FROM:
        return []
    return [
        Outlined(f"{name}-{heading.number}", heading)
        for name, text in texts
        for heading in headings(first_section(text))
    ]


@register.filter
def joined(one: Any, other: Any) -> str:
    """Parts of an anchor."""
    return f"{one}-{other}"


@register.simple_tag(takes_context=True)
def medium_url(context: template.Context, sha256: str) -> str:
    """Where this page's project serves a medium; nothing where no hash is one."""
    return reverse("medium", args=[context["project"].slug, sha256]) if _SHA256.fullmatch(sha256) else ""
