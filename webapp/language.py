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
from django.utils.translation import gettext_noop
from django.utils.translation.trans_real import DjangoTranslation

# Every view whose template is translated; the tests read its templates from here.
TRANSLATED = frozenset(
    {
        *("annotate", "annotate_next", "annotate_submit", "annotate_skip", "annotate_flag", "annotate_undo"),
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
# Titles and sentences of errors that annotators may meet, word for word as the middleware and the services have them.
SENTENCES = [
    gettext_noop("That did not fit"),
    gettext_noop("Somebody else is signed in here"),
    gettext_noop("That is not allowed"),
    gettext_noop("There is nothing here for you"),
    gettext_noop("Somebody was first"),
    gettext_noop("Something broke on our side"),
    gettext_noop("Not now"),
    gettext_noop("The request could not be read."),
    gettext_noop("That is not allowed."),
    gettext_noop("This page was open for too long or came from elsewhere. Reload it and try again."),
    gettext_noop(
        "The address may be wrong, or it is not open to you. Ask whoever invited you if you expected something here."
    ),
    gettext_noop("Nothing that was saved is lost. Try again; if it stays, tell your administrator the reference."),
    gettext_noop("A name may have 120 printable characters."),
    gettext_noop("The present password is not right; nothing was changed."),
    gettext_noop("This sign-in link was used already, has expired, or was replaced. Ask for a new one."),
    gettext_noop("This sign-in link was used already."),
    gettext_noop("There is no such answer of yours."),
    gettext_noop("Nothing was kept. It is kept only if you tick that you agree."),
    gettext_noop("Nothing was kept: the words to agree to have changed. Reload the page and read them again."),
    gettext_noop("Nothing was chosen, so there is nothing to keep."),
    gettext_noop("This project does not ask for that choice any more. Reload the page."),
    gettext_noop("You do not judge in this project any more, so nothing was kept."),
    gettext_noop("You have said nothing of yourself in this project."),
    gettext_noop("There is no such assignment for you."),
    gettext_noop("Only your latest answer can be undone. Correct earlier ones under My answers."),
    gettext_noop("The time to undo this answer is over. You can correct it under My answers."),
    gettext_noop("This answer was corrected, undone or not counted; correct the newest one instead."),
    gettext_noop("Other annotators completed this comparison meanwhile; yours is kept under My answers and is not counted."),
    gettext_noop("You answered this comparison in another tab. You can correct that answer under My answers."),
    gettext_noop("You took this answer back. Reload the page to answer again."),
    gettext_noop("This submit key came before with another answer. Reload the page and answer again."),
    gettext_noop("The form or guidelines shown do not belong to this project. Reload the page."),
    gettext_noop("This comparison is no longer lent to you; nothing was skipped."),
    gettext_noop("Say in up to 400 characters what is wrong with this comparison."),
    gettext_noop("You are paused in this project. Ask its admin to let you go on."),
    gettext_noop("This project is archived; it hands out no comparisons and takes no answers."),
    gettext_noop("Nothing was answered."),
]


def language_of(request: HttpRequest) -> str:
    """The language that a person chose; of somebody unknown, the first that the browser asks for and that is here."""
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
