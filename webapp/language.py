"""The language of the interface: chosen by each person, spoken on the pages that annotators reach; before anybody has signed
in, as the browser asks. Error pages speak it wherever they come up.

The other of curators and researchers are written in English only, so they stay English and left to right whatever a person
chose. Catalogues: `webapp/locale`; `tests/webapp/test_language.py` holds that they lack nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.translation import gettext_noop, ngettext_lazy
from django.utils.translation.trans_real import DjangoTranslation

# Every view whose template is translated; the tests read its templates from here.
TRANSLATED = frozenset(
    {
        *("annotate", "annotate_next", "annotate_submit", "annotate_skip", "annotate_flag", "annotate_undo"),
        "annotate_section",
        *("history", "history_answer", "guidelines", "account", "profile", "profile_delete"),
        *("home", "project", "sign_in", "welcome"),
    }
)
# Names of tabs, as `webapp/context.py` has them.
TABS = [
    gettext_noop("Overview"), gettext_noop("Comparisons"), gettext_noop("Queue"), gettext_noop("Raters"),
    gettext_noop("Routing"), gettext_noop("Versions"), gettext_noop("Runs"), gettext_noop("Reports"),
    gettext_noop("My answers"), gettext_noop("People"), gettext_noop("Settings"),
]  # fmt: skip
# Django's sentence, which its own Arabic catalogue lacks.
TOO_SHORT = ngettext_lazy(
    "This password is too short. It must contain at least %d character.",
    "This password is too short. It must contain at least %d characters.",
    "n",
)


def language_of(request: HttpRequest) -> str:
    """The language that a person chose; of somebody unknown, the first that the browser asks for and that is here.

    A program, which comes with a token, hears English.
    """
    if getattr(request, "scopes", None) is not None:
        return settings.LANGUAGE_CODE
    user = getattr(request, "user", None)
    if user is not None and user.is_authenticated:
        return str(user.interface_language)
    return translation.get_language_from_request(request)


class InterfaceLanguage:
    """Activates the person's language for the translated pages, English for all others."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        translation.activate(settings.LANGUAGE_CODE)
        response = self.get_response(request)
        translation.deactivate()
        return response

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> None:
        """After the access table, which has read the person; so this asks the database nothing."""
        match = request.resolver_match
        if match and match.view_name in TRANSLATED:
            translation.activate(language_of(request))


@cache
def script_words(language: str) -> dict[str, str | list[str]]:
    """The words of the page's scripts by their English ones; of counted ones all plural forms in the catalogue's order."""
    if language == settings.LANGUAGE_CODE:
        return {}
    catalogue = DjangoTranslation(language, domain="djangojs", localedirs=list(settings.LOCALE_PATHS))
    words: dict[str, Any] = {}
    for key, said in catalogue._catalog._catalogs[0].items():  # type: ignore[attr-defined]  # as Django's own view reads it
        if key == "":
            continue
        if isinstance(key, tuple):
            words.setdefault(key[0], {})[key[1]] = said
        else:
            words[key] = said
    return {key: [said[at] for at in sorted(said)] if isinstance(said, dict) else said for key, said in words.items()}
