"""Tags of the annotator's page: data for its scripts, and the source of a text with every character in its place."""

from __future__ import annotations

import re
from itertools import groupby
from operator import itemgetter
from typing import Any

from django import template
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from webapp import rendering

register = template.Library()


@register.filter
def json_data(data: Any, name: str) -> SafeString:
    """A data element that a script of the page reads: `data-of` names the block it belongs to."""
    return mark_safe(json_script(data).replace("<script", format_html('<script data-of="{}"', name), 1))


@register.filter
def who(turn: rendering.Turn) -> str:
    """A turn's role and number in words of the interface; a role that is not known as it came."""
    known = {
        "system": _("System"), "user": _("User"), "assistant": _("Assistant"), "tool": _("Tool result"), "": _("Text"),
    }  # fmt: skip
    role = known.get(turn.role, turn.role.capitalize())
    return _("{role}, turn {n}").format(role=role, n=turn.number) if turn.number else role


@register.filter
def exact(text: str) -> SafeString:
    """The text so that a browser counts the same characters as the server.

    A parser would drop a first line break after `<pre>` and make CR LF one character, so the first is doubled and a CR is
    a boxed name like other characters that cannot be seen.
    """
    pieces = "".join(f"<code>{_shown(piece)}</code>" if is_code else _shown(piece) for piece, is_code in code_parted(text))
    return mark_safe(f'<pre class="source" tabindex="0" data-raw>\n{pieces}</pre>')


def _shown(text: str) -> str:
    box = '<span class="ctl" title="carriage return">CR</span>'
    return box.join(str(rendering.visible(part)) for part in text.split("\r"))


_INLINE_CODE = re.compile(r"(`[^`\n]+`)")


def code_parted(text: str) -> list[tuple[str, bool]]:
    """A text as pieces that are code or not, whole blocks and words in backticks; joined they are the text again."""
    lines = re.split(r"(?<=\n)", text)
    fenced = rendering.inside_fences([line.rstrip("\r\n") for line in lines])
    found: list[tuple[str, bool]] = []
    for is_block, run in groupby(zip(lines, fenced, strict=True), itemgetter(1)):
        piece = "".join(line for line, _ in run)
        parts = [piece] if is_block else _INLINE_CODE.split(piece)
        found += [(part, is_block or at % 2 == 1) for at, part in enumerate(parts) if part]
    return found
