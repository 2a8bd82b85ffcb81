"""Filters and tags of the pages: texts of models, numbers, intervals, times, addresses with one parameter changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import ngettext

from pipelines.labels import ANSWER_MODELS, PROJECT_METHODS
from webapp import rendering

register = template.Library()
register.filter("markdown", rendering.markdown_html)
register.filter("source", rendering.source_html)


@register.filter
def visible(text: str) -> SafeString:
    """One line of a text, escaped, with invisible characters named."""
    return mark_safe(rendering.visible(str(text)))


@register.filter
def n(value: Any) -> str:
    """A whole number with separators; a dash for none."""
    return "–" if value is None or value == "" else f"{int(value):,}"


@register.filter
def num(value: Any, digits: int = 3) -> str:
    """A number with a fixed count of digits and a real minus; a dash for none."""
    return "–" if value is None or value == "" else f"{float(value):,.{digits}f}".replace("-", "−")


@register.filter
def percent(value: Any, digits: int = 0) -> str:
    return "–" if value is None or value == "" else f"{100 * float(value):.{digits}f}%".replace("-", "−")


@register.filter
def when(value: datetime | None) -> SafeString | str:
    """A time in words, with the exact one for machines."""
    if value is None:
        return "–"
    local = timezone.localtime(value, timezone.get_fixed_timezone(0))
    words = f"{date_format(local, 'j F Y, H:i')} UTC"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(timespec="seconds"), words)


AGO: list[tuple[int, Callable[[int], str]]] = [
    (86_400, lambda n: ngettext("{n} day ago", "{n} days ago", n)),
    (3_600, lambda n: ngettext("{n} hour ago", "{n} hours ago", n)),
    (60, lambda n: ngettext("{n} minute ago", "{n} minutes ago", n)),
    (1, lambda n: ngettext("{n} second ago", "{n} seconds ago", n)),
]


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    if value is None:
        return "–"
    seconds = max(0, int((timezone.now() - value).total_seconds()))
    for size, words_for in AGO:
        if seconds >= size or size == 1:
            count = seconds // size
            words = words_for(count).format(n=count)
            return format_html('<time datetime="{}">{}</time>', value.isoformat(timespec="seconds"), words)
    raise AssertionError("unreachable")


@register.filter
def size(value: Any) -> str:
    """Bytes in the unit that a person would use."""
    number = float(value or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    raise AssertionError("unreachable")


@register.filter
def words(key: Any) -> str:
    """A stored key as words."""
    return str(key).replace("_", " ")


@register.filter
def aggregator(key: str) -> str:
    """The name of an aggregation method as forms offer it."""
    known = PROJECT_METHODS.get(key) or ANSWER_MODELS.get(key)
    return known.label if known else words(key)


@register.filter
def get(mapping: Any, key: Any) -> Any:
    return mapping.get(key) if hasattr(mapping, "get") else None


@register.simple_tag(takes_context=True)
def address_with(context: template.Context, **changes: Any) -> str:
    """This page's address with some parameters changed; an empty value removes one."""
    query = context["request"].GET.copy()
    for key, value in changes.items():
        if value in ("", None):
            query.pop(key, None)
        else:
            query[key] = str(value)
    return f"?{query.urlencode()}"
